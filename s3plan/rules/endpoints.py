"""Whose an endpoint is: S3 of AWS itself does things that no other server does."""

from __future__ import annotations

from urllib.parse import urlsplit

_DOMAINS = (".amazonaws.com", ".amazonaws.com.cn", ".api.aws")
"""https://docs.aws.amazon.com/general/latest/gr/s3.html"""


def is_aws(endpoint: str) -> bool:
    """Whether ``endpoint`` (``https://host[:port]``) is one of AWS's own."""
    return (urlsplit(endpoint).hostname or "").endswith(_DOMAINS)
