"""How requests leave this machine: the proxy and the certificate authorities, as botocore reads.

libcurl would read the environment itself, differently (it ignores upper-case HTTP_PROXY); so both
are settled here and set on every handle.
"""

# ruff: noqa: PLC0415
# botocore takes a tenth of a second to import, which only what talks to S3 should pay.

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from msgspec import Struct


class Egress(Struct, frozen=True):
    """``ca_bundle`` is a file of PEM certificates (or a directory of hashed ones)."""

    environ: Mapping[str, str]
    ca_bundle: str

    def proxy(self, origin: str) -> str | None:
        """The proxy for ``scheme://host[:port]``, None for a direct connection."""
        parts = urlsplit(origin)
        scheme = parts.scheme
        found = self.environ.get(f"{scheme}_proxy") or self.environ.get(f"{scheme.upper()}_PROXY")
        if not found:
            return None
        exempt = self.environ.get("no_proxy") or self.environ.get("NO_PROXY")
        if exempt and _is_exempt(parts.netloc, exempt):
            return None
        return found if "://" in found else f"http://{found}"


def choose_ca_bundle(
    connection: str | None, environ: Mapping[str, str], profile: str | None
) -> str:
    """The first of: the connection's, AWS_CA_BUNDLE, the profile's, REQUESTS_CA_BUNDLE, certifi's.

    ``profile`` is ca_bundle of the AWS config file. Without certifi it is botocore's own copy.
    """
    chosen = (
        connection or environ.get("AWS_CA_BUNDLE") or profile or environ.get("REQUESTS_CA_BUNDLE")
    )
    if chosen:
        return str(Path(chosen).expanduser())
    try:
        from certifi import where
    except ImportError:
        import botocore

        return str(Path(botocore.__file__).with_name("cacert.pem"))
    return where()


def _is_exempt(authority: str, exempt: str) -> bool:
    """NO_PROXY as urllib, and so botocore, reads it: ``*``, or names and their suffixes."""
    if exempt.strip() == "*":
        return True
    authority = authority.lower()
    host = authority if authority.endswith("]") else authority.rpartition(":")[0] or authority
    for entry in exempt.lower().split(","):
        name = entry.strip().lstrip(".")
        if name and any(one == name or one.endswith(f".{name}") for one in (host, authority)):
            return True
    return False
