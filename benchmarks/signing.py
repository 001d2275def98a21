"""Pre-signed requests of this benchmark's own, so that what fills and loads shares no code with
s3plan.

Signature Version 4 in the query, the body unsigned:
https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html
"""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
from collections.abc import Mapping
from functools import cache
from urllib.parse import quote, urlsplit

from benchmarks.server import ACCESS_KEY, REGION, SECRET_KEY

SECONDS = 7 * 24 * 3600


def presigned(
    endpoint: str,
    method: str,
    path: str,
    query: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
) -> str:
    """The address that ``path`` (``/BUCKET/KEY``) may be asked at for a week.

    ``headers`` (lower case) are signed and have to be sent.
    """
    day, moment = _now()
    host = urlsplit(endpoint).netloc
    signed = {"host": host, **(headers or {})}
    names = ";".join(sorted(signed))
    scope = f"{day}/{REGION}/s3/aws4_request"
    asked = {
        **(query or {}),
        "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
        "X-Amz-Credential": f"{ACCESS_KEY}/{scope}",
        "X-Amz-Date": moment,
        "X-Amz-Expires": str(SECONDS),
        "X-Amz-SignedHeaders": names,
    }
    text = "&".join(f"{_quoted(name)}={_quoted(asked[name])}" for name in sorted(asked))
    quoted = quote(path, safe="/~")
    lines = "".join(f"{name}:{signed[name]}\n" for name in sorted(signed))
    request = f"{method}\n{quoted}\n{text}\n{lines}\n{names}\nUNSIGNED-PAYLOAD"
    digest = hashlib.sha256(request.encode()).hexdigest()
    to_sign = f"AWS4-HMAC-SHA256\n{moment}\n{scope}\n{digest}"
    signature = _mac(_key(day), to_sign).hex()
    return f"{endpoint}{quoted}?{text}&X-Amz-Signature={signature}"


def _now() -> tuple[str, str]:
    now = dt.datetime.now(dt.UTC)
    return f"{now:%Y%m%d}", f"{now:%Y%m%dT%H%M%SZ}"


@cache
def _key(day: str) -> bytes:
    key = f"AWS4{SECRET_KEY}".encode()
    for part in (day, REGION, "s3", "aws4_request"):
        key = _mac(key, part)
    return key


def _mac(key: bytes, text: str) -> bytes:
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


def _quoted(text: str) -> str:
    return quote(text, safe="-_.~")
