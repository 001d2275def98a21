"""Which live objects a rule will act on, in numbers: exact by prefix and size, sampled by tags."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from msgspec import Struct

from s3plan.inventory.tags import SAMPLED
from s3plan.rules.lifecycle.document import Filter, MinimumSize, Rule
from s3plan.rules.lifecycle.evaluation import REACHES, SMALL, Example, moves
from s3plan.tables import Database

Tags = Mapping[str, Mapping[str, str]]

_BY_CLASS: Final = """
    SELECT storage_class, size < $small AS is_small, count(*), CAST(sum(size) AS BIGINT),
        CAST(sum(greatest(size, $small)) AS BIGINT)
    FROM listing
    WHERE bucket = $bucket AND starts_with(key, $prefix)
      AND ($larger IS NULL OR size > $larger) AND ($smaller IS NULL OR size < $smaller)
    GROUP BY ALL ORDER BY ALL
"""


class Share(Struct, frozen=True):
    """Objects of one class, small (below 128 KB) or not. ``padded`` are bytes, each object counted
    as 128 KB at least.
    """

    storage_class: str
    small: bool
    objects: float
    bytes: float
    padded: float


class Matched(Struct, frozen=True):
    """What a filter matches. ``sampled`` objects' tags were looked at, ``of`` there are in all that
    prefix and sizes leave; None where tags do not matter, or all were looked at.

    ``known`` is False where tags matter and may not be read.
    """

    shares: tuple[Share, ...]
    known: bool = True
    sampled: int | None = None
    of: int = 0

    @property
    def objects(self) -> int:
        """How many, rounded."""
        return round(sum(share.objects for share in self.shares))

    @property
    def bytes(self) -> int:
        """How many bytes, rounded."""
        return round(sum(share.bytes for share in self.shares))


class Inventory:
    """One bucket's listing, and the tags of a sample of it."""

    def __init__(self, database: Database, bucket: str, tags: Tags | None) -> None:
        """``tags`` is None where they may not be read."""
        self._database = database
        self._bucket = bucket
        self._tags = tags
        self._sample: list[Example] | None = None

    def objects(self) -> int:
        """How many the bucket holds."""
        (count,) = self._database.row(
            "SELECT count(*) FROM listing WHERE bucket = ?", [self._bucket]
        )
        return int(count)

    def tag_pairs(self) -> dict[tuple[str, str], int]:
        """How many objects of the sample have which tag."""
        counts: dict[tuple[str, str], int] = {}
        for one in self._sampled():
            for pair in one.tags:
                counts[pair] = counts.get(pair, 0) + 1
        return counts

    def match(self, wanted: Filter) -> Matched:
        """The objects that the filter means."""
        shares = self._shares(wanted)
        if not wanted.tags or not shares:
            return Matched(shares)
        if self._tags is None:
            return Matched((), known=False)
        plain = Filter(wanted.prefix, frozenset(), wanted.larger_than, wanted.smaller_than)
        eligible = [one for one in self._sampled() if plain.matches(one.key, one.size, one.tags)]
        of = round(sum(share.objects for share in shares))
        if not eligible:
            return Matched((), known=False, sampled=0, of=of)
        factor = of / len(eligible)
        found = [one for one in eligible if wanted.matches(one.key, one.size, one.tags)]
        groups: dict[tuple[str, bool], list[int]] = {}
        for one in found:
            groups.setdefault((one.storage_class, one.size < SMALL), []).append(one.size)
        scaled = tuple(
            Share(
                storage_class,
                small,
                len(sizes) * factor,
                sum(sizes) * factor,
                sum(max(size, SMALL) for size in sizes) * factor,
            )
            for (storage_class, small), sizes in sorted(groups.items())
        )
        return Matched(scaled, sampled=None if len(eligible) == of else len(eligible), of=of)

    def _shares(self, wanted: Filter) -> tuple[Share, ...]:
        rows = self._database.rows(
            _BY_CLASS,
            {
                "bucket": self._bucket,
                "prefix": wanted.prefix,
                "larger": wanted.larger_than,
                "smaller": wanted.smaller_than,
                "small": SMALL,
            },
        )
        return tuple(Share(*row) for row in rows)

    def _sampled(self) -> list[Example]:
        if self._sample is None:
            tags = self._tags or {}
            rows = self._database.rows(SAMPLED, [self._bucket, len(tags)]) if tags else ()
            self._sample = [
                Example(key, size, frozenset(tags[key].items()), storage_class)
                for key, size, storage_class in rows
                if key in tags
            ]
        return self._sample


def moving(
    shares: Iterable[Share], rule: Rule, storage_class: str, minimum: MinimumSize
) -> tuple[Share, ...]:
    """Those of ``shares`` that the rule will move to a class: not there yet, and not too small."""
    return tuple(
        share
        for share in shares
        if storage_class in REACHES.get(share.storage_class, ())
        and moves(rule, storage_class, SMALL - 1 if share.small else SMALL, minimum)
    )
