"""ListObjectVersions page by page: every version and delete marker, checked as strictly as objects.

What it says decides what is deleted for good and in which order it can be put back. Versions and
delete markers stand interleaved in the document, newest first within a key, each key's latest
marked as such (https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectVersions.html; their
times have whole seconds and order nothing). A page that keeps to anything less raises
`ListingError`.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from urllib.parse import unquote_plus
from xml.etree.ElementTree import Element

from msgspec import Struct

from s3plan.store import documents
from s3plan.store.listing import KeyOrder, bad_listing, boolean, milliseconds
from s3plan.store.sender import Request, Sender


class VersionPage(Struct, frozen=True):
    """Entries as columns of equal length: keys rising, of each key the newest entry first.

    ``newer`` counts the entries of the key that are newer: 0 is what the key holds now. ``more``
    says whether there are further pages.
    ``markers`` tells delete markers, which have no size, ETag or class. An object that was written
    while the bucket kept no versions has the id ``null``. Otherwise as :class:`ListPage`.
    """

    keys: list[str]
    version_ids: list[str]
    newer: list[int]
    markers: list[bool]
    sizes: list[int]
    etags: list[str]
    modified: list[str]
    storage_classes: list[str]
    checksums: list[str | None]
    more: bool = False

    def head(self, count: int) -> VersionPage:
        """Its first entries."""
        if count == len(self.keys):
            return self
        return VersionPage(
            self.keys[:count],
            self.version_ids[:count],
            self.newer[:count],
            self.markers[:count],
            self.sizes[:count],
            self.etags[:count],
            self.modified[:count],
            self.storage_classes[:count],
            self.checksums[:count],
            self.more,
        )


class _Entry(Struct, frozen=True):
    """One version or delete marker as it stands."""

    key: str
    version_id: str
    is_latest: bool
    is_marker: bool
    size: int
    etag: str
    modified: str
    storage_class: str
    checksum: str | None


class _Parsed(Struct, frozen=True):
    entries: list[_Entry]
    truncated: bool


# We go on after the last entry, which is what the markers name, and know what we asked for. Ceph's
# RGW writes these as they are, with control characters that no XML holds, while the keys beside
# them are encoded.
_ECHOES = re.compile(rb"<((?:Next)?KeyMarker|Prefix)>.*?</\1>", re.DOTALL)


async def pages(
    sender: Sender, bucket: str, *, prefix: str, start_after: str, max_keys: int
) -> AsyncIterator[VersionPage]:
    """All pages behind a key. Raises `ListingError`, or the `StoreError` of a page that failed."""
    checker = _Checker(bucket, prefix, start_after)
    query = [("versions", ""), ("encoding-type", "url"), ("max-keys", str(max_keys))]
    if prefix:
        query.append(("prefix", prefix))
    position = [("key-marker", start_after)] if start_after else []
    while True:
        answer = await sender.send(
            Request("GET", bucket, None, "s3:ListBucketVersions", query=(*query, *position))
        )
        try:
            parsed = _parse_page(answer.body)
        except (documents.DocumentError, ValueError, KeyError, UnicodeError) as error:
            raise bad_listing(bucket, f"a page cannot be read: {error!r}") from error
        newer = checker.check(parsed)
        if parsed.entries:
            yield _columns(parsed.entries, newer, more=parsed.truncated)
        if not parsed.truncated:
            return
        last = parsed.entries[-1]
        position = [("key-marker", last.key), ("version-id-marker", last.version_id)]


def _parse_page(document: bytes) -> _Parsed:
    root = documents.parse(_ECHOES.sub(b"", document))
    if documents.local_name(root.tag) not in ("ListVersionsResult", "ListObjectVersionsOutput"):
        raise ValueError(f"its root is {root.tag!r}")
    facts = documents.fields(root)
    encoded = facts.get("EncodingType") == "url"
    entries = [
        _entry(element, encoded=encoded)
        for element in root
        if documents.local_name(element.tag) in ("Version", "DeleteMarker")
    ]
    truncated = boolean(root, facts)
    if truncated and not entries:
        raise ValueError("it is truncated and empty")
    return _Parsed(entries, truncated)


def _entry(element: Element, *, encoded: bool) -> _Entry:
    told = documents.fields(element)
    key = told["Key"]
    is_marker = documents.local_name(element.tag) == "DeleteMarker"
    latest = told["IsLatest"].strip().lower()
    if latest not in ("true", "false"):
        raise ValueError(f"IsLatest is {latest!r}")
    algorithm = told.get("ChecksumAlgorithm")
    return _Entry(
        key=unquote_plus(key, errors="strict") if encoded else key,
        version_id=told["VersionId"],
        is_latest=latest == "true",
        is_marker=is_marker,
        size=0 if is_marker else int(told["Size"]),
        etag="" if is_marker else told.get("ETag", "").strip('"'),
        modified=milliseconds(told["LastModified"]),
        storage_class=told.get("StorageClass") or "STANDARD",
        checksum=f"{algorithm}/{told.get('ChecksumType') or 'UNKNOWN'}" if algorithm else None,
    )


def _columns(entries: list[_Entry], newer: list[int], *, more: bool) -> VersionPage:
    return VersionPage(
        keys=[entry.key for entry in entries],
        version_ids=[entry.version_id for entry in entries],
        newer=newer,
        markers=[entry.is_marker for entry in entries],
        sizes=[entry.size for entry in entries],
        etags=[entry.etag for entry in entries],
        modified=[entry.modified for entry in entries],
        storage_classes=[entry.storage_class for entry in entries],
        checksums=[entry.checksum for entry in entries],
        more=more,
    )


class _Checker:
    """What one listing has shown so far; a key's entries may go on over several pages."""

    def __init__(self, bucket: str, prefix: str, start_after: str) -> None:
        self._bucket = bucket
        self._prefix = prefix
        self._order = KeyOrder(bucket, start_after)
        self._newer = 0

    def check(self, parsed: _Parsed) -> list[int]:
        """How many newer entries its key has, of each entry. Raises `ListingError`."""
        newer: list[int] = []
        key = self._order.last
        fresh: list[str] = []
        for entry in parsed.entries:
            if entry.key != key:
                key, self._newer = entry.key, 0
                fresh.append(key)
            if entry.is_latest is not (self._newer == 0):
                found = "the newest entry of a key does not come first, so their order is not known"
                raise bad_listing(self._bucket, found, key)
            if not entry.version_id:
                raise bad_listing(self._bucket, "an entry has no version id", key)
            newer.append(self._newer)
            self._newer += 1
        self._order.check(fresh)
        if self._prefix and not all(key.startswith(self._prefix) for key in fresh):
            wrong = next(key for key in fresh if not key.startswith(self._prefix))
            raise bad_listing(self._bucket, f"a key is outside the prefix {self._prefix!r}", wrong)
        names = {(entry.key, entry.version_id) for entry in parsed.entries}
        if len(names) != len(parsed.entries):
            raise bad_listing(self._bucket, "a version repeats", key)
        return newer
