"""URLs of objects as they stand in tables: which object one is of, and the same URL of another.

People write ``https://BUCKET.s3.amazonaws.com/KEY``, with a region, path-style, of an endpoint of
their own, ``s3://BUCKET/KEY``, or the key alone; keys percent-encoded or as they are. What a URL
begins with is kept, and so is the way its key is written.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import quote, unquote

from msgspec import Struct

_VIRTUAL = r"https?://{bucket}\.s3[a-z0-9.-]*\.amazonaws\.com(?:\.cn)?(?::[0-9]+)?/"
_PATH = r"(?:https?://s3[a-z0-9.-]*\.amazonaws\.com(?:\.cn)?|{endpoint})/{bucket}/"
_S3 = r"s3://{bucket}/"


class ObjectUrl(Struct, frozen=True):
    """A URL taken apart: ``head`` up to the key, ``tail`` from a query on; ``encoded`` is how the
    key was written, None where nothing in it shows that.
    """

    head: str
    key: str
    tail: str
    encoded: bool | None

    def of(self, key: str, bucket: str, new_bucket: str, *, encoded: bool) -> str:
        """The URL of another object. ``encoded`` is used where this one does not show it."""
        head = self.head
        if bucket != new_bucket:
            head = head.replace(bucket, new_bucket, 1)
        how = encoded if self.encoded is None else self.encoded
        return head + (quote(key, safe="/~") if how else key)


class UrlReader:
    """Reads URLs of one bucket's objects, at AWS and at ``endpoint`` (``https://host:port``)."""

    def __init__(self, bucket: str, endpoint: str) -> None:
        names = {"bucket": re.escape(bucket), "endpoint": re.escape(endpoint.rstrip("/"))}
        self._head = re.compile("|".join(form.format(**names) for form in (_VIRTUAL, _S3, _PATH)))

    def candidates(self, text: str) -> tuple[ObjectUrl, ...]:
        """The objects that a text may be a URL of, the most literal reading first.

        A key that is written as it is may hold ``%41`` and ``?``; which reading is meant only the
        objects that exist can tell.
        """
        found = self._head.match(text)
        head = found[0] if found else ""
        if not found and "://" in text:
            return ()
        rest = text[len(head) :]
        readings = [ObjectUrl(head, rest, "", _shown(rest))]
        decoded = unquote(rest, errors="surrogateescape")
        if decoded != rest:
            readings.append(ObjectUrl(head, decoded, "", True))
        plain, mark, query = rest.partition("?")
        if mark:
            readings.append(
                ObjectUrl(head, unquote(plain, errors="surrogateescape"), mark + query, True)
            )
        return tuple(readings)

    def is_of_bucket(self, text: str) -> bool:
        """Whether the text is a URL that names the bucket."""
        return self._head.match(text) is not None


def _shown(key: str) -> bool | None:
    """A key that is read as it stands was written raw if encoding would have changed it."""
    return False if quote(key, safe="/~") != key else None


def resolved(reader: UrlReader, text: str, known: Callable[[str], bool]) -> ObjectUrl | None:
    """The reading of ``text`` whose key is known; None where there is none.

    >>> reader = UrlReader("people", "http://localhost:8333")
    >>> url = "https://people.s3.amazonaws.com/7/Ann%20Lee/a.mp3"
    >>> resolved(reader, url, lambda key: key == "7/Ann Lee/a.mp3").of(
    ...     "audio/7_Ann Lee_a.mp3", "people", "people", encoded=False
    ... )
    'https://people.s3.amazonaws.com/audio/7_Ann%20Lee_a.mp3'
    """
    for reading in reader.candidates(text):
        if known(reading.key):
            return reading
    return None
