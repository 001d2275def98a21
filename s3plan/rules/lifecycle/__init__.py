"""Lifecycle configurations as S3 means them: normal form, checks, which rule wins. Pure.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/intro-lifecycle-rules.html
"""
