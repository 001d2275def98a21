"""``verify-copies``: every copy against a fresh listing of both sides, and the evidence of it.

What a copy was compared by when it was made stands in the journal with its ETag; here both sides
are listed again, so that what was changed or removed since then is found without a request each.
It changes nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from os.path import commonprefix
from typing import Any

from s3plan.engine.context import Context
from s3plan.engine.copied import load_copies
from s3plan.engine.evidence import EvidenceLine, EvidenceWriter, Sealed
from s3plan.engine.gate import load_items
from s3plan.errors import NoSuchKeyError
from s3plan.inventory.s3 import observe_bucket
from s3plan.model.events import GateReached
from s3plan.model.journal import GateRecord
from s3plan.model.local import FileStat
from s3plan.model.objects import Checksum, ObjectAttributes, Verdict
from s3plan.model.steps import Copy, Step, Totals, VerifyCopies
from s3plan.store import Bucket
from s3plan.tables import Database

SHOWN = 10
"""Names that a finding lists; the figures count all."""

HEADS = 16
"""Objects whose headers are compared at once."""

NO_FILE = FileStat(0, 0, 0, 0)
"""In evidence about objects: there is no file that it rests on."""

_BOUNDS = "SELECT min(key), max(key), min(path), max(path) FROM items"

# One row an item: what is known of its copy, and of its source, against what was planned.
_STATES = """
    CREATE TABLE compared AS
    SELECT i.n, i.key, i.path, i.size, c.algorithm, c.value, c.etag, CASE
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

_WORDS = {
    "not_copied": "not copied",
    "gone": "copied, but not in the target any more",
    "changed": "copied, but changed in the target since",
    "source_gone": "gone from the source since the plan",
    "source_changed": "changed in the source since the plan",
    "headers_differ": "copied with other headers, metadata or tags",
}

_FOUND = "SELECT key || ' -> ' || path FROM compared WHERE state = ? ORDER BY n"

_LINES = "SELECT n, key, state, algorithm, value, etag FROM compared ORDER BY n"

# Every k-th of the verified, so that a sample is spread over all and is the same every time.
_SAMPLE = """
    SELECT key, path FROM (
        SELECT key, path, row_number() OVER (ORDER BY n) - 1 AS place, count(*) OVER () AS total
        FROM compared WHERE state = 'verified')
    WHERE $wanted < 0 OR place % greatest(1, total // greatest(1, $wanted)) = 0
    ORDER BY place"""


async def verify_copies(context: Context, step: Step, action: VerifyCopies) -> None:
    """Run a verify-copies step and record its gate, durable when this returns."""
    await context.sync()
    with context.tables() as database:
        await _observe(context, step, action, database)
        figures, problems = await context.in_thread(_compare, step, action, database)
        differing = await _compare_headers(context, step, action, database)
        if action.headers:
            figures["headers_differ"] = len(differing)
        if differing:
            problems.append(_sentence(len(differing), "headers_differ", differing[:SHOWN]))
        evidence, verified = await context.in_thread(_evidence, context, step, database)
    await context.sync()
    record = GateRecord(
        step=step.id,
        subject=step.subject,
        evidence=evidence.digest,
        content=evidence.content,
        passes=not problems,
        totals=verified,
        figures=figures,
        time=context.now(),
    )
    await context.journal.commit(record)
    context.state.apply(context.journal.seq, record)
    state = context.step_state(step)
    fresh = [n for n in range(step.totals.items) if not state.of(n)] if not problems else []
    context.receive(step, "verified", fresh, step.totals.bytes if fresh else 0, ())
    context.observer(
        GateReached(
            step.subject, evidence.digest, not problems, figures, step.totals, tuple(problems)
        )
    )


async def _observe(context: Context, step: Step, action: VerifyCopies, database: Database) -> None:
    await context.in_thread(load_items, context, step, database)
    await context.in_thread(load_copies, context.run.journal, action.copied, database)
    first, last, first_copy, last_copy = database.row(_BOUNDS)
    # Keys are compared by character, not by path component: that is what is wanted.
    sources = commonprefix([first or "", last or ""])  # noqa: RUF071
    targets = commonprefix([first_copy or "", last_copy or ""])  # noqa: RUF071
    if action.source == step.subject:
        both = commonprefix([sources, targets])  # noqa: RUF071
        await _list(context.bucket(step), both, database)
        return
    await asyncio.gather(
        _list(context.store.bucket(action.source), sources, database),
        _list(context.bucket(step), targets, database),
    )


async def _list(bucket: Bucket, prefix: str, database: Database) -> None:
    await observe_bucket(bucket, database, prefix=prefix, observer=lambda _: None)


def _compare(
    step: Step, action: VerifyCopies, database: Database
) -> tuple[dict[str, int], list[str]]:
    database.execute(_STATES, {"target": step.subject, "source": action.source})
    figures = dict.fromkeys((name for name in _WORDS if name != "headers_differ"), 0)
    figures |= dict(database.rows("SELECT state, count(*) FROM compared GROUP BY state"))
    figures.setdefault("verified", 0)
    problems = []
    for name in _WORDS:
        if figures.get(name):
            rows = database.rows(f"{_FOUND} LIMIT {SHOWN}", [name])
            problems.append(_sentence(figures[name], name, [text for (text,) in rows]))
    return figures, problems


def _sentence(count: int, name: str, first: list[str]) -> str:
    more = f", and {count - len(first):,} more" if count > len(first) else ""
    return f"{count:,} {_WORDS[name]}: {', '.join(first)}{more}"


def _evidence(context: Context, step: Step, database: Database) -> tuple[Sealed, Totals]:
    path = context.run.evidence(step.id)
    with EvidenceWriter(path, context.plan.digest, step.subject) as writer:
        for batch in database.batches(_LINES):
            context.check_stop()
            writer.add([_line(row) for row in batch])
        sealed = writer.seal()
    items, size = database.row(
        "SELECT count(*), CAST(coalesce(sum(size), 0) AS BIGINT) FROM compared"
        " WHERE state = 'verified'"
    )
    return sealed, Totals(items, size)


def _line(row: tuple[Any, ...]) -> EvidenceLine:
    n, key, state, algorithm, value, etag = row
    verdict: Verdict = "verified" if state == "verified" else "mismatched"
    checksum = Checksum(algorithm, value) if algorithm else Checksum("MD5", etag or "")
    return EvidenceLine(n, key, verdict, checksum, NO_FILE)


async def _compare_headers(
    context: Context, step: Step, action: VerifyCopies, database: Database
) -> list[str]:
    """Copies of the sample whose content type, other headers, metadata or tags differ from those
    of their sources, apart from what the copy step was told to change.
    """
    if not action.headers:
        return []
    copying = context.plan.step(action.copied).action
    assert isinstance(copying, Copy)
    source, target = context.store.bucket(action.source), context.bucket(step)
    differing: list[str] = []
    pending: Iterator[tuple[str, str]] = database.rows(_SAMPLE, {"wanted": action.headers})

    async def work() -> None:
        for key, path in pending:
            context.check_stop()
            try:
                theirs, ours = await asyncio.gather(
                    _attributes(source, key), _attributes(target, path)
                )
            except NoSuchKeyError:
                differing.append(path)  # gone since the listing
                continue
            wanted = (theirs.headers | copying.headers, theirs.metadata, theirs.tags | copying.tags)
            if (ours.headers, ours.metadata, ours.tags) != wanted:
                differing.append(path)

    await asyncio.gather(*[work() for _ in range(HEADS)])
    return sorted(differing)


async def _attributes(bucket: Bucket, key: str) -> ObjectAttributes:
    head, tags = await asyncio.gather(bucket.head(key), bucket.tags(key))
    known = head.attributes
    return ObjectAttributes(headers=known.headers, metadata=known.metadata, tags=tags)
