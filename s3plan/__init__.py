"""s3plan: plan and apply for the data in S3."""

__version__ = "0.1.0"
