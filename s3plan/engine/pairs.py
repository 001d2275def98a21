"""Copies held against fresh listings of both sides, and where that is not enough by content.

``items`` holds what was copied, ``copies`` what a journal says of each copy. The outcome is the
table ``compared``, a row an item: what a verification step and a check of a soak both go by.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from math import ceil
from os.path import commonprefix

from s3plan.engine.comparing import compare_objects
from s3plan.errors import ArchivedObjectError, NoSuchKeyError, PreconditionFailedError
from s3plan.inventory.s3 import observe_bucket
from s3plan.store import HANDS, Bucket
from s3plan.tables import Database

SHOWN = 10
"""Names that a finding lists; the figures count all."""

READS = 4
"""Copies whose content is compared at once: each may be read, and its source too."""

STRETCH = 990
"""Keys between two places at which a listing is divided: a page of 1,000 that begins at one shows
the next, as long as not many others lie between."""

_BOUNDS = "SELECT count(*), min(key), max(key), min(path), max(path) FROM items"

_PLACES = "SELECT key, path FROM items WHERE n % $stretch = $stretch - 1"

# One row an item: what is known of its copy, and of its source, against what was planned.
_STATES = """
    CREATE TABLE compared AS
    SELECT i.n, i.key, i.path, i.size, i.label, c.algorithm, c.value, c.etag,
        s.etag AS source_etag, CASE
        WHEN c.n IS NULL THEN 'not_copied'
        WHEN t.key IS NULL THEN 'gone'
        WHEN t.size <> i.size OR (c.etag <> '' AND t.etag <> c.etag) THEN 'changed'
        WHEN s.key IS NULL THEN 'source_gone'
        WHEN (s.size, s.etag, s.modified) IS DISTINCT FROM (i.size, i.etag, i.modified)
            THEN 'source_changed'
        ELSE 'verified' END AS state
    FROM items i
    LEFT JOIN copies c USING (n)
    LEFT JOIN listing t ON t.bucket = $target AND t.key = i.path
    LEFT JOIN listing s ON s.bucket = $source AND s.key = i.key"""

# Equal MD5s prove equal content: see comparing.same_by_etag.
_UNPROVEN = """
    SELECT n, key, path, source_etag FROM compared WHERE state = 'verified'
        AND NOT (lower(source_etag) = lower(etag) AND regexp_full_match(etag, '[0-9a-fA-F]{32}'))
    ORDER BY n"""

WORDS = {
    "not_copied": "not copied",
    "gone": "copied, but not in the target any more",
    "changed": "copied, but changed in the target since",
    "differs": "copied, but not with the content of the source",
    "unreadable": "copied, and cannot be compared: archived",
    "source_gone": "gone from the source since the plan",
    "source_changed": "changed in the source since the plan",
}

_OF_CONTENT = ("differs", "unreadable")
"""States that only a comparison of content finds."""

_FOUND = "SELECT key || ' -> ' || path FROM compared WHERE state = ? ORDER BY n"


async def list_both(
    source: Bucket, target: Bucket, database: Database, *, sources: str | None = None
) -> None:
    """List what the items name on both sides; ``sources`` is a prefix to list all of there."""
    count, first, last, first_copy, last_copy = await asyncio.to_thread(database.row, _BOUNDS)
    # What will be listed is known but for what others did: it is divided before it is begun.
    stretch = STRETCH * max(1, ceil(count / STRETCH / HANDS))
    places = await asyncio.to_thread(list, database.rows(_PLACES, {"stretch": stretch}))
    keys, paths = [key for key, _ in places], [path for _, path in places]
    # Keys are compared by character, not by path component: that is what is wanted.
    if sources is None:
        sources = commonprefix([first or "", last or ""])  # noqa: RUF071
    targets = commonprefix([first_copy or "", last_copy or ""])  # noqa: RUF071
    if source.name == target.name:
        both = commonprefix([sources, targets])  # noqa: RUF071
        await _list(source, both, [*keys, *paths], database)
        return
    await asyncio.gather(
        _list(source, sources, keys, database), _list(target, targets, paths, database)
    )


async def _list(bucket: Bucket, prefix: str, places: list[str], database: Database) -> None:
    await observe_bucket(
        bucket, database, prefix=prefix, observer=lambda _: None, places=sorted({*places})
    )


def place(database: Database, source: str, target: str) -> None:
    """Make ``compared`` of the listings of two buckets."""
    database.execute(_STATES, {"target": target, "source": source})


async def compare_content(
    source: Bucket, target: Bucket, database: Database, check: Callable[[], None]
) -> int:
    """Compare every pair that the listings agree on and do not prove; how many these are.

    ``check`` is called before each, and raises to leave off.
    """
    (count,) = database.row(f"SELECT count(*) FROM ({_UNPROVEN})")  # noqa: S608 - ours
    rest = database.rows(_UNPROVEN)
    wrong: dict[str, list[int]] = {
        "gone": [],
        "source_changed": [],
        "differs": [],
        "unreadable": [],
    }

    async def work() -> None:
        for n, key, path, etag in rest:
            check()
            try:
                compared = await compare_objects(source, key, etag, target, path)
            except NoSuchKeyError:
                wrong["gone"].append(n)
            except PreconditionFailedError:
                wrong["source_changed"].append(n)
            except ArchivedObjectError:
                wrong["unreadable"].append(n)
            else:
                if compared.verdict != "verified":
                    wrong["differs"].append(n)

    await asyncio.gather(*[work() for _ in range(READS)])
    for state, numbers in wrong.items():
        if numbers:
            database.execute(
                "UPDATE compared SET state = ? WHERE n IN (SELECT unnest(?::BIGINT[]))",
                [state, numbers],
            )
    return int(count)


def findings(database: Database, *, content: bool) -> tuple[dict[str, int], list[str]]:
    """Items by state, and a sentence for each state but the good one."""
    names = (name for name in WORDS if content or name not in _OF_CONTENT)
    figures = dict.fromkeys(names, 0)
    figures |= dict(database.rows("SELECT state, count(*) FROM compared GROUP BY state"))
    figures.setdefault("verified", 0)
    return figures, list(_sentences(database, figures))


def _sentences(database: Database, figures: dict[str, int]) -> Iterator[str]:
    for name, words in WORDS.items():
        if figures.get(name):
            rows = database.rows(f"{_FOUND} LIMIT {SHOWN}", [name])
            yield sentence(figures[name], words, [text for (text,) in rows])


def sentence(count: int, words: str, first: list[str]) -> str:
    """A finding: how many, of what, and the first of them."""
    more = f", and {count - len(first):,} more" if count > len(first) else ""
    return f"{count:,} {words}: {', '.join(first)}{more}"
