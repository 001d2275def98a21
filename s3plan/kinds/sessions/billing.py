"""What the archives of a manifest cost, month by month, and what it costs to have them back."""

from __future__ import annotations

from collections.abc import Sequence

from s3plan.errors import UsageError
from s3plan.kinds.kind import Manifest
from s3plan.kinds.sessions.manifest import ArchiveDocument, ArchiveSpec, TargetFields
from s3plan.model.cost import Dollars
from s3plan.model.sessions import SeenSession
from s3plan.model.tabular import Column, Report, Section
from s3plan.rules.archivecosts import (
    Archives,
    Month,
    compressed,
    deleted_early,
    months,
    retrievals,
    total,
)
from s3plan.rules.prices import RegionPrices

PACKED = 0.67
"""To what share of their size raw frames of a CCD are packed, more or less: noise does not pack."""

RESTORE_DAYS = 7
YEAR = 12


def bill_of(
    manifest: Manifest, sessions: Sequence[SeenSession], prices: RegionPrices, count: int
) -> Report:
    """Every session that has an archive or shall have one, as if all were uploaded today.

    Raises UsageError for a storage class without a price.
    """
    assert isinstance(manifest.document, ArchiveDocument)
    spec = manifest.document.spec
    facts: list[tuple[str, object]] = []
    sections: list[Section] = []
    for target in spec.targets():
        here = [one for one in sessions if one.bucket == target.bucket]
        archives = _archives(spec, target, here)
        found = _priced(archives, prices, max(count, 2 * YEAR))
        packed = _priced(compressed(archives, PACKED), prices, 2 * YEAR)
        first, later = total(found[:YEAR]), total(found[YEAR : 2 * YEAR])
        saved = total(packed[YEAR : 2 * YEAR])
        facts += [
            (f"{target.bucket}: archives", archives.count),
            (f"{target.bucket}: bytes", archives.bytes),
            (f"{target.bucket}: first year", _dollars(first)),
            (f"{target.bucket}: each later year", _dollars(later)),
            (
                f"{target.bucket}: compression to {PACKED:.0%} would save a year",
                _dollars(Dollars(later.low - saved.low, later.high - saved.high)),
            ),
        ]
        early = deleted_early(archives, prices)
        if early is not None and early.high:
            facts.append((f"{target.bucket}: deleting all at once, at most", _dollars(early)))
        sections += [_calendar(target.bucket, found[:count]), _back(target, archives, prices)]
    return Report("cost", "Cost of the archives", tuple(facts), tuple(sections))


def _archives(spec: ArchiveSpec, target: TargetFields, sessions: Sequence[SeenSession]) -> Archives:
    moves = spec.lifecycle.definition().transitions if spec.lifecycle is not None else ()
    size = sum(one.size if one.size is not None else one.bytes for one in sessions)
    return Archives(len(sessions), size, target.storage_class, moves)


def _priced(archives: Archives, prices: RegionPrices, count: int) -> list[Month]:
    found = months(archives, prices, count)
    if found is None:
        raise UsageError(
            "a storage class has no price",
            expected="prices for every class that the archives come to",
            found=", ".join(name for name, _, _ in archives.stays()),
            next_step="give them with --prices FILE",
        )
    return found


def _calendar(bucket: str, found: Sequence[Month]) -> Section:
    columns = ("month", "storage", "requests", "transitions", "total", "so_far")
    rows = []
    so_far = Dollars()
    for month in found:
        so_far += month.total
        rows.append(
            (
                month.number,
                _dollars(month.storage),
                _dollars(month.requests),
                _dollars(month.moves),
                _dollars(month.total),
                _dollars(so_far),
            )
        )
    title = f"{bucket}: month by month"
    return Section(f"months of {bucket}", title, tuple(map(Column, columns)), rows)


def _back(target: TargetFields, archives: Archives, prices: RegionPrices) -> Section:
    rows = [
        (one.tier, one.hours, _dollars(one.dollars))
        for one in retrievals(archives, prices, RESTORE_DAYS)
    ]
    return Section(
        f"restore of {target.bucket}",
        f"{target.bucket}: everything back, once",
        (Column("tier"), Column("hours_at_most"), Column("dollars")),
        rows,
        note=f"Copies for {RESTORE_DAYS} days; 100 GB a month leave AWS for nothing.",
    )


def _dollars(amount: Dollars) -> str:
    low, high = (f"${value:,.2f}" for value in (amount.rounded().low, amount.rounded().high))
    return low if low == high else f"{low} to {high}"
