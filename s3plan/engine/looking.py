"""A look at many keys of a bucket right before something is done with them, with few requests.

Listings tell of a thousand keys at a time where the keys lie close together; what they do not reach
cheaply is asked for one by one. What the answer says was true some time between call and return.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections.abc import Sequence
from os.path import commonprefix

from msgspec import Struct

from s3plan.errors import NoSuchKeyError
from s3plan.rules.restores import restore_of
from s3plan.store import Bucket

KEYS_A_REQUEST = 40
"""A listing request must serve as many keys on average; a HEAD serves one, and is as quick."""

HEADS = 16
"""HEAD requests in flight."""

_PAGE = 1_000

_FOLDERS = 4
"""Folders into which one look is divided at the most, each listed by itself."""

_AFTER_SURROGATES = 0xE000
"""Before this character stand those that UTF-8 cannot spell."""


class Seen(Struct, frozen=True, gc=False):
    """An object as it was seen. ``modified`` has milliseconds only where a listing told.

    ``restore`` is as ``rules.restores.restore_of`` says; ``archive`` is the archive tier of an
    INTELLIGENT_TIERING object, which only HEAD tells: ``by_head`` says whether it was asked.
    """

    size: int
    etag: str
    modified: str
    storage_class: str = "STANDARD"
    restore: str | None = None
    archive: str | None = None
    by_head: bool = False

    def is_like(self, size: int, etag: str, modified: str) -> bool:
        """Whether it has that fingerprint; times count to the second, as HTTP dates do."""
        return (self.size, self.etag, self.modified[:19]) == (size, etag, modified[:19])


async def look_at(
    bucket: Bucket, keys: Sequence[str], *, restores: bool = False
) -> dict[str, Seen]:
    """Those of ``keys`` that exist. Raises a StoreError where that cannot be known.

    With ``restores`` listings are asked how far restores are, which not every endpoint tells.
    """
    wanted = sorted(set(keys))
    found: dict[str, Seen] = {}
    left = await _by_listing(bucket, wanted, found, restores=restores)
    seen = await head_all(bucket, [(key, None) for key in left])
    found.update((key, one) for key, one in zip(left, seen, strict=True) if one is not None)
    return found


async def head_all(
    bucket: Bucket, entries: Sequence[tuple[str, str | None]]
) -> tuple[Seen | None, ...]:
    """Objects, or versions of them by their ids, each asked for by itself; None is gone."""
    gate = asyncio.Semaphore(HEADS)

    async def head(entry: tuple[str, str | None]) -> Seen | None:
        async with gate:
            return await _head(bucket, *entry)

    return tuple(await asyncio.gather(*map(head, entries)))


async def _head(bucket: Bucket, key: str, version: str | None) -> Seen | None:
    try:
        told = await bucket.head(key, version=version)
    except NoSuchKeyError:
        return None
    return Seen(
        told.size,
        told.etag,
        told.modified,
        told.attributes.storage_class,
        restore_of(told.restore),
        told.archive_status,
        by_head=True,
    )


async def _by_listing(
    bucket: Bucket, wanted: Sequence[str], found: dict[str, Seen], *, restores: bool
) -> list[str]:
    """List from one wanted key to the next, as long as that pays; the keys it did not settle."""
    open_keys: list[str] = []
    position, requests = 0, 0
    while position < len(wanted) and (requests + 1) * KEYS_A_REQUEST <= len(wanted):
        requests += 1
        prefix, end = _stretch(wanted, position)
        start = _just_before(wanted[position])
        most = min(_PAGE, 2 * (end - position) + 10)
        pages = bucket.pages(
            prefix=prefix,
            # What has the prefix may all lie behind it: then there is nothing to pass over.
            start_after=start if start.startswith(prefix) else "",
            max_keys=most,
            restores=restores,
        )
        page = await anext(aiter(pages), None)
        if page is not None:
            told = page.restores or [None] * len(page.keys)
            for key, *seen in zip(
                page.keys,
                page.sizes,
                page.etags,
                page.modified,
                page.storage_classes,
                told,
                strict=True,
            ):
                found[key] = Seen(*seen)
        # Nothing comes after the last page.
        last = page.keys[-1] if page is not None and page.more else None
        while position < end:
            key = wanted[position]
            if key not in found:
                if last is not None and _behind(key, last):
                    break
                # The endpoint may list in byte order or in path order: what lies on the page in
                # both was listed if it exists.
                if not _behind(key, start) or (last is not None and _before(last, key)):
                    open_keys.append(key)
            position += 1
    return open_keys + list(wanted[position:])


def _stretch(wanted: Sequence[str], position: int) -> tuple[str, int]:
    """A prefix to list, and the end of the keys from ``position`` on that have it.

    A listing has no end but its prefix: beyond what is wanted, a server would go on to look for
    keys to fill the page with (in SeaweedFS past every key that was ever deleted there).
    """
    rest = wanted[position:]
    whole = commonprefix([rest[0], rest[-1]])  # noqa: RUF071 - by character is what is wanted
    many = rest[: max(KEYS_A_REQUEST, len(wanted) // _FOLDERS)]
    folder, slash, _ = commonprefix([many[0], many[-1]]).rpartition("/")  # noqa: RUF071
    if len(folder) + len(slash) <= len(whole):
        return whole, len(wanted)
    prefix = folder + slash
    end = bisect_right(wanted, prefix, lo=position, key=lambda key: key[: len(prefix)])
    return prefix, end


def _just_before(key: str) -> str:
    """Text that lies before ``key`` with hardly anything between, to start a listing after."""
    last = ord(key[-1])
    if last in (0, _AFTER_SURROGATES):
        return key[:-1]
    return f"{key[:-1]}{chr(last - 1)}\U0010ffff"


def _behind(key: str, mark: str) -> bool:
    """Whether ``key`` comes after ``mark`` in byte order and in path order."""
    return key > mark and _path(key) > _path(mark)


def _before(mark: str, key: str) -> bool:
    """Whether ``mark`` comes before ``key`` in either order."""
    return mark < key or _path(mark) < _path(key)


def _path(key: str) -> str:
    return key.replace("/", "\0")
