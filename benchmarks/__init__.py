"""How fast s3plan is, and how much memory it takes, beside the tools people use today."""
