"""``s3-batch``: copies and restores by AWS's own service, which is told by jobs."""
