"""A listing by several hands: stretches of the key space side by side, joined without a seam.

S3 answers a page of 1,000 keys in a tenth of a second or two, one after the other; but a listing
can begin anywhere (start-after). The key space is first divided at the folders below the prefix,
found by a delimiter, and then wherever somebody has nothing left to do, half way through what a
stretch still has before it.

That nothing is left out does not hang on the order in which a server lists, which on some is not
that of bytes. Two neighbours are joined only where the first key that one saw beyond its end is the
very first key that the other saw: then, in the server's own order whatever it is, the second began
where the first ended. Where a seam does not close, the divided listing is worth nothing
(`SeamError`), and the bucket is to be listed by one hand.

A listing of versions is divided at keys too (key-marker): all entries of a key come by one hand.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, Self, TypeVar

from s3plan.errors import ListingError
from s3plan.rules.keyspace import behind_folder, between, spread

HANDS = 8
"""Pages of one bucket that are asked for at once."""

ALONE = 0.15
"""Seconds that the first hand lists before the others help: what is listed by then, as a few
thousand keys of a server near by are, would only be asked for in more and shorter pages."""


class Page(Protocol):
    """Entries in a server's order. Of versions, those of a key stand together, the newest first."""

    @property
    def keys(self) -> Sequence[str]: ...
    @property
    def more(self) -> bool: ...
    def head(self, count: int, /) -> Self: ...


AnyPage = TypeVar("AnyPage", bound=Page)

ListFrom = Callable[[str], AsyncIterator[AnyPage]]
"""The checked pages of the listing from behind a key, with nothing of that key itself."""

FoldersAfter = Callable[[str], Awaitable[list[str]]]
"""Places, rising, at which the key space behind a key may be divided."""


async def nowhere(after: str) -> list[str]:
    """No such places, where asking for them is more than it is worth: halves do as well."""
    del after
    return []


class SeamError(Exception):
    """Two stretches of a listing do not fit together: list the bucket by one hand."""


async def pages(
    list_from: ListFrom[AnyPage],
    folders: FoldersAfter,
    prefix: str,
    *,
    hands: int = HANDS,
    alone: float = ALONE,
    places: Sequence[str] = (),
) -> AsyncIterator[AnyPage]:
    """Every page of a listing, in no order; each entry once. One page is asked for but once.

    ``alone`` is seconds before it is divided; but who knows where its keys lie says at which
    ``places``, rising, it is divided from the start.

    Raises what ``list_from`` and ``folders`` raise, and SeamError after the last page: then none of
    them counts.
    """
    listing = _Listing(list_from, folders, prefix, alone, places)
    tasks = [asyncio.create_task(listing.hand()) for _ in range(hands)]
    try:
        while (found := await listing.found.get()) is not None:
            if isinstance(found, Exception):
                raise found
            yield found
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    listing.check_seams()


@dataclass(eq=False, slots=True)
class _Stretch:
    """Keys behind ``start`` up to and including ``end`` (None: to the last of all)."""

    start: str
    end: str | None
    next: _Stretch | None = None
    first: str | None = None
    """The first key seen behind ``start``, whether it belongs to this stretch or not."""
    beyond: str | None = None
    """The first key seen behind ``end``."""

    def divide(self, place: str) -> _Stretch:
        """Leave what lies behind ``place`` to a new stretch."""
        after = _Stretch(place, self.end, self.next)
        self.end, self.next = place, after
        return after


class _Listing(Generic[AnyPage]):
    """What the hands share; all of it belongs to one event loop."""

    def __init__(
        self,
        list_from: ListFrom[AnyPage],
        folders: FoldersAfter,
        prefix: str,
        alone: float,
        places: Sequence[str],
    ) -> None:
        self._clock = asyncio.get_running_loop().time
        self._divided_from = self._clock() + alone
        self.found: asyncio.Queue[AnyPage | Exception | None] = asyncio.Queue(2 * HANDS)
        self._list_from = list_from
        self._folders = folders
        self._last = f"{prefix}\x7f" if prefix else None
        self._waiting: asyncio.Queue[_Stretch] = asyncio.Queue()
        self._whole = _Stretch("", None)
        self._is_divided = bool(places)
        self._open = 0
        # Hands that wait for a stretch, less those for whom one lies ready.
        self._idle = 0
        self._hand_out(self._whole)
        for place in reversed(places):
            self._hand_out(self._whole.divide(place))

    async def hand(self) -> None:
        """Take one stretch after the other; cancelled when all are done."""
        while True:
            self._idle += 1
            stretch = await self._waiting.get()
            try:
                await self._list(stretch)
            except Exception as error:  # noqa: BLE001 - raised again by who reads the pages
                # A server may keep no order but from its first key on, or ignore start-after.
                is_divisible = stretch is self._whole or not isinstance(error, ListingError)
                await self.found.put(error if is_divisible else SeamError())
                return
            self._open -= 1
            if not self._open:
                await self.found.put(None)

    def check_seams(self) -> None:
        """Raise SeamError unless every stretch begins where the one before it ends."""
        stretch = self._whole
        while stretch.next is not None:
            if stretch.beyond != stretch.next.first:
                raise SeamError
            stretch = stretch.next

    async def _list(self, stretch: _Stretch) -> None:
        async for page in self._list_from(stretch.start):
            keys = page.keys
            if stretch.first is None:
                stretch.first = keys[0]
            if min(keys) <= stretch.start:
                raise SeamError
            kept = len(keys)
            if stretch.end is not None and max(keys) > stretch.end:
                kept = next(n for n, key in enumerate(keys) if key > stretch.end)
                stretch.beyond = keys[kept]
            if kept:
                await self.found.put(page.head(kept))
            if stretch.beyond is not None:
                return
            if page.more and self._idle > 0 and self._clock() >= self._divided_from:
                await self._divide(stretch, keys[-1])

    async def _divide(self, stretch: _Stretch, last: str) -> None:
        """Give those who are idle something of what lies behind ``last``."""
        places: list[str] = []
        if not self._is_divided:
            self._is_divided = True
            found = [place for place in await self._folders(last) if place > last]
            places = spread(found, self._idle)[::-1]
        if not places:
            # Half of it, half of the rest, and so on: keys may all lie close behind ``last``.
            half = end = stretch.end or self._last
            while len(places) < self._idle and (half := between(last, half)) is not None:
                if (place := behind_folder(half, end)) is not None:
                    places.append(place)
                    end = place
        for place in places:
            self._hand_out(stretch.divide(place))

    def _hand_out(self, stretch: _Stretch) -> None:
        self._open += 1
        self._idle -= 1
        self._waiting.put_nowait(stretch)
