"""What archives without an index hold, by the headers of their tars: ranges of them, not the whole.

A header is 512 bytes, and the next one lies behind the content. Where contents are small, a window
that grows takes many headers with one request; where they are large, each is a request of its own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from s3plan.errors import ArchivedObjectError, NoSuchKeyError, StoreError
from s3plan.inventory.packed import SUFFIXES, read_packed
from s3plan.model.archives import Compression, TarMember, Unindexed
from s3plan.model.events import AnyEvent, Scanning
from s3plan.model.objects import ObjectHead
from s3plan.rules.filetimes import modified_of
from s3plan.rules.naming import encode_key, fold
from s3plan.rules.tarheaders import BadTar, TarEntry, TarWalk, digest_of_entries, files_of
from s3plan.rules.tarlayout import MANIFEST, read_manifest
from s3plan.rules.tarstream import MOST_MANIFEST, digest_of_tar, most_of
from s3plan.store import Bucket
from s3plan.tables import ARCHIVES, MEMBERS, Database

SUFFIX = ".tar"
"""Keys of what is looked at by ranges: what is packed as one piece is read whole, or left."""

LEAST = 8 << 10
MOST = 1 << 20
"""Bytes of a window."""

AT_ONCE = 16
"""Archives that are looked at side by side."""

_NANO = 1_000_000_000

_STRANGERS = """
    SELECT l.key FROM listing l ANTI JOIN archives a ON a.bucket = l.bucket AND a.key = l.key
    WHERE l.bucket = $bucket AND l.history IS NULL
        AND list_bool_or(list_transform($suffixes, lambda s: ends_with(l.key, s)))
        AND regexp_full_match(l.key, $keys, 's') ORDER BY l.key"""


class _Held:
    """A range in memory."""

    def __init__(self) -> None:
        self.data = bytearray()

    def start(self) -> None:
        self.data.clear()

    def feed(self, chunk: bytes) -> None:
        self.data += chunk


async def read_entries(bucket: Bucket, head: ObjectHead) -> tuple[TarEntry, ...]:
    """Every entry of exactly that object. Raises BadTar; ArchivedObjectError where it is asleep,
    PreconditionFailedError where it is another one by now, and other StoreErrors.
    """
    walk = TarWalk(head.size)
    window, start, ahead = b"", 0, LEAST
    while walk.wanted is not None:
        first, size = walk.wanted
        if not start <= first <= first + size <= start + len(window):
            is_near = start + len(window) <= first < start + len(window) + ahead
            ahead = min(MOST, ahead * 2) if window and is_near else LEAST
            start = first
            window = await _range(bucket, head, first, first + max(size, ahead))
        walk.give(window[first - start : first - start + size])
    return tuple(walk.entries)


async def read_members(
    bucket: Bucket, head: ObjectHead, entries: Sequence[TarEntry]
) -> dict[str, TarMember]:
    """Its files by name, with their SHA-256 where the tar has a list of digests.

    A list that cannot be read is a file as any other.
    """
    files = {entry.name: entry for entry in files_of(entries)}
    said: dict[str, str] = {}
    for entry in files.values():
        folder, _, name = entry.name.rpartition("/")
        if name == MANIFEST and folder and "/" not in folder and 0 < entry.size <= MOST_MANIFEST:
            end = entry.offset + entry.size
            try:
                said |= read_manifest(await _range(bucket, head, entry.offset, end), folder)
            except (ValueError, KeyError, StopIteration):
                continue
    return {
        name: TarMember(name, entry.offset, entry.size, said.get(name))
        for name, entry in files.items()
    }


async def _range(bucket: Bucket, head: ObjectHead, first: int, end: int) -> bytes:
    held = _Held()
    await bucket.get_range(
        head.key, held, first, min(end, head.size), of=head, version=head.version_id
    )
    return bytes(held.data)


async def observe_headers(
    bucket: Bucket, meant: Unindexed, database: Database, observer: Callable[[AnyEvent], None]
) -> None:
    """Fill ``archives`` and ``members`` for tars of the listing that have no index; after those
    that have one.
    """
    suffixes = [SUFFIX, *(SUFFIXES if meant.packed else ())]
    values = {"bucket": bucket.name, "suffixes": suffixes, "keys": meant.keys}
    found = [key for (key,) in database.rows(_STRANGERS, values)]
    for at in range(0, len(found), AT_ONCE):
        some = found[at : at + AT_ONCE]
        await asyncio.gather(*[_observe(bucket, key, meant, database) for key in some])
        subject = f"archives without an index in {bucket.name}"
        observer(Scanning(subject, at + len(some), 0, finished=at + len(some) == len(found)))


async def _observe(bucket: Bucket, key: str, meant: Unindexed, database: Database) -> None:
    suffix = next(one for one in (SUFFIX, *SUFFIXES) if key.endswith(one))
    name = key.rpartition("/")[2].removesuffix(suffix)
    try:
        head = await bucket.head(key)
    except NoSuchKeyError:
        return  # gone since the listing
    row: dict[str, str | int | bool | None] = {
        "bucket": bucket.name,
        "key": key,
        "name": name,
        "etag": head.etag,
        "size": head.size,
        "unindexed": True,
    }
    try:
        told = await _told(bucket, head, meant, packed=suffix != SUFFIX)
    except ArchivedObjectError:
        database.append(ARCHIVES, {"asleep": [True]}, row)
        return
    except BadTar as error:
        database.append(ARCHIVES, {"problem": [f"no whole tar: {error}"]}, row)
        return
    except StoreError as error:
        problem = f"{error.what}{f': {error.found}' if error.found else ''}"
        database.append(ARCHIVES, {"problem": [problem]}, row)
        return
    files = list(files_of(told.entries))
    others = len(told.entries) - len(files) - sum(one.kind == "directory" for one in told.entries)
    database.append(
        ARCHIVES,
        {"digest": [told.digest]},
        row | {"tar": told.size, "compression": told.compression, "others": others},
    )
    paths = [encode_key(entry.name, marker=False) for entry in files]
    database.append(
        MEMBERS,
        {
            "name": [entry.name for entry in files],
            "size": [entry.size for entry in files],
            "modified": [modified_of(int(entry.mtime * _NANO)) for entry in files],
            "sha256": [told.digests.get(entry.name) for entry in files],
            "path": paths,
            "folded": [fold(path) for path in paths],
        },
        {"bucket": bucket.name, "archive": key, "keywords": "{}"},
    )


class _Told(NamedTuple):
    """What an archive says of itself; ``digests`` only where it was read whole."""

    entries: Sequence[TarEntry]
    digest: str
    size: int
    compression: Compression
    digests: Mapping[str, str]


async def _told(bucket: Bucket, head: ObjectHead, meant: Unindexed, *, packed: bool) -> _Told:
    """Raises what :func:`read_entries` and :func:`s3plan.inventory.packed.read_packed` raise."""
    if not packed:
        entries = await read_entries(bucket, head)
        return _Told(entries, digest_of_entries(entries), head.size, "none", {})
    most = meant.most if meant.most is not None else most_of(head.size)
    tar = await read_packed(bucket, head, most)
    return _Told(tar.entries, digest_of_tar(tar), tar.size, tar.compression, tar.digests)
