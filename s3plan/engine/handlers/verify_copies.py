"""``verify-copies``: every copy against a fresh listing of both sides, and the evidence of it.

What a copy was compared by when it was made stands in the journal with its ETag; here both sides
are listed again, so that what was changed or removed since then is found without a request each.
It changes nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from functools import partial
from typing import Any

from s3plan.engine.context import Context
from s3plan.engine.copied import load_copies, load_earlier
from s3plan.engine.copytags import CopyTags
from s3plan.engine.evidence import EvidenceLine, EvidenceWriter, Sealed
from s3plan.engine.gate import load_items
from s3plan.engine.pairs import (
    SHOWN,
    compare_content,
    findings,
    list_both,
    place,
    sentence,
)
from s3plan.engine.probe import guard_of
from s3plan.errors import NoSuchKeyError
from s3plan.model.events import GateReached
from s3plan.model.journal import GateRecord
from s3plan.model.local import FileStat
from s3plan.model.objects import Checksum, ObjectAttributes, Verdict
from s3plan.model.steps import Copy, Step, Totals, VerifyCopies
from s3plan.store import Bucket
from s3plan.tables import Database

HEADS = 16
"""Objects whose headers are compared at once."""

NO_FILE = FileStat(0, 0, 0, 0)
"""In evidence about objects: there is no file that it rests on."""

_HEADERS_DIFFER = "copied with other headers, metadata or tags"

_LINES = "SELECT n, key, state, algorithm, value, etag FROM compared ORDER BY n"

# Every k-th of the verified, so that a sample is spread over all and is the same every time.
_SAMPLE = """
    SELECT key, path, size, label FROM (
        SELECT key, path, size, label, row_number() OVER (ORDER BY n) - 1 AS place,
            count(*) OVER () AS total
        FROM compared WHERE state = 'verified')
    WHERE $wanted < 0 OR place % greatest(1, total // greatest(1, $wanted)) = 0
    ORDER BY place"""


async def verify_copies(context: Context, step: Step, action: VerifyCopies) -> None:
    """Run a verify-copies step and record its gate, durable when this returns."""
    await context.sync()
    source = context.store.bucket(action.source)
    with context.tables() as database:
        await _gather(context, step, action, database)
        if action.content:
            await compare_content(source, context.bucket(step), database, context.check_stop)
        figures, problems = await context.in_thread(
            partial(findings, database, content=bool(action.content))
        )
        differing = await _compare_headers(context, step, action, database)
        if action.headers:
            figures["headers_differ"] = len(differing)
        if differing:
            problems.append(sentence(len(differing), _HEADERS_DIFFER, differing[:SHOWN]))
        evidence, verified = await context.in_thread(_evidence, context, step, database)
    await context.sync()
    record = GateRecord(
        step=step.id,
        subject=_subject(context, step),
        evidence=evidence.digest,
        content=evidence.content,
        passes=not problems,
        totals=verified,
        figures=figures,
        time=context.now(),
        guard=_guard(context, step),
    )
    await context.journal.commit(record)
    context.state.apply(context.journal.seq, record)
    state = context.step_state(step)
    fresh = [n for n in range(step.totals.items) if not state.of(n)] if not problems else []
    context.receive(step, "verified", fresh, step.totals.bytes if fresh else 0, ())
    context.observer(
        GateReached(
            record.subject,
            evidence.digest,
            not problems,
            figures,
            step.totals,
            tuple(problems),
            guard=record.guard,
        )
    )


def _behind(context: Context, step: Step) -> Step | None:
    """The step that deletes on this evidence."""
    steps = context.plan.steps
    return next((s for s in steps if s.gate is not None and s.gate.evidence == step.id), None)


def _subject(context: Context, step: Step) -> str:
    """Whose deletion the evidence is for: it is approved by that name."""
    deleting = _behind(context, step)
    return deleting.subject if deleting is not None else step.subject


def _guard(context: Context, step: Step) -> str:
    """What keeps a deletion on this evidence from hitting another object."""
    deleting = _behind(context, step)
    return guard_of(context.capabilities, versions=False) if deleting is not None else ""


async def _gather(context: Context, step: Step, action: VerifyCopies, database: Database) -> None:
    """Fill ``items`` and ``copies``, from this run's journal or from those of earlier runs, list
    both sides, and make ``compared`` of it all.
    """
    source, target = context.store.bucket(action.source), context.bucket(step)
    await context.in_thread(load_items, context, step, database)
    if action.earlier:
        # Their worklists pass through ``items``, which tell the listing where keys lie.
        await context.in_thread(load_earlier, context.run, action.earlier, database, step.id)
        await list_both(source, target, database)
    else:
        # The journal is read while S3 lists; both are waited for, since both use the database.
        done = await asyncio.gather(
            context.in_thread(load_copies, context.run.journal, action.copied, database),
            list_both(source, target, database),
            return_exceptions=True,
        )
        for result in done:
            if isinstance(result, BaseException):
                raise result
    await context.in_thread(place, database, action.source, step.subject)


async def still_copied(context: Context, step: Step, action: VerifyCopies) -> bool:
    """Whether fresh listings still show what was verified; content is as its ETag is."""
    with context.tables() as database:
        await _gather(context, step, action, database)
        _, problems = await context.in_thread(partial(findings, database, content=False))
    return not problems


def _evidence(context: Context, step: Step, database: Database) -> tuple[Sealed, Totals]:
    path = context.run.evidence(step.id)
    with EvidenceWriter(path, context.plan.digest, _subject(context, step)) as writer:
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
    tags = CopyTags(copying, context.state.started.time[:10])
    differing: list[str] = []
    pending: Iterator[tuple[str, str, int, str | None]] = database.rows(
        _SAMPLE, {"wanted": action.headers}
    )

    async def work() -> None:
        for key, path, size, label in pending:
            context.check_stop()
            try:
                theirs, ours = await asyncio.gather(
                    _attributes(source, key), _attributes(target, path)
                )
            except NoSuchKeyError:
                differing.append(path)  # gone since the listing
                continue
            theirs_tagged = tags.over(theirs.tags, key, size, label)
            wanted = (theirs.headers | copying.headers, theirs.metadata, theirs_tagged)
            if (ours.headers, ours.metadata, ours.tags) != wanted:
                differing.append(path)

    await asyncio.gather(*[work() for _ in range(HEADS)])
    return sorted(differing)


async def _attributes(bucket: Bucket, key: str) -> ObjectAttributes:
    head, tags = await asyncio.gather(bucket.head(key), bucket.tags(key))
    known = head.attributes
    return ObjectAttributes(headers=known.headers, metadata=known.metadata, tags=tags)
