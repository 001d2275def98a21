"""``verify``: compare everything, read back where deletion follows, and make the evidence.

It changes nothing in S3 and no file; what it learns (tags, the bucket's configuration, the verdict
of a second read) is added to the catalogue.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from s3plan.engine.attributes import know_attributes
from s3plan.engine.context import Context, Destination
from s3plan.engine.evidence import EvidenceLine, EvidenceWriter, Sealed, read_evidence
from s3plan.engine.freezing import freeze_standing
from s3plan.engine.gate import Findings, look
from s3plan.engine.handlers.second_read import read_again
from s3plan.engine.probe import guard_of
from s3plan.engine.saving import save_configuration, takes_the_bucket
from s3plan.engine.tally import VERDICTS, Tally, losses
from s3plan.errors import StoreError
from s3plan.inventory.local import recorded_stat
from s3plan.localfs.digests import digest_of_file
from s3plan.model.events import GateReached
from s3plan.model.journal import GateRecord, Loss
from s3plan.model.local import NO_FILE, CatalogueTags, FileStat
from s3plan.model.objects import EMPTY, Checksum, Rung, Verdict
from s3plan.model.steps import Item, Step, Verify
from s3plan.rules.versioning import same_entry
from s3plan.tables import Database

CHUNK_ITEMS = 1024
"""Items whose files are read back by one trip to the disk threads."""

TAG_REQUESTS = 16
"""GetObjectTagging requests in flight."""

# By ranges of keys, in the order of the worklist: one join of everything would take memory for
# everything, and DuckDB skips the parts of the table that hold no key of the range.
_RECORDED = """
    SELECT key, history, algorithm, value, parts, verdict, rung, device, inode, size, mtime_ns
    FROM catalogue WHERE key BETWEEN ? AND ?"""

_TAGS_UNKNOWN = """
    SELECT i.key, i.version_id, i.history FROM items i JOIN catalogue c ON {same}
    WHERE NOT c.tags_known ORDER BY i.n"""


@dataclass(frozen=True, slots=True)
class _Expected:
    """An item with what the catalogue recorded of its file."""

    item: Item
    checksum: Checksum
    verdict: Verdict
    rung: Rung
    file: FileStat


async def verify(context: Context, step: Step, action: Verify) -> GateRecord:
    """Run a verify step and record its gate, durable when this returns."""
    await context.sync()
    # Every download of the bucket is behind us: what is unfinished is of an object that changed.
    tree = context.destination(action.destination).tree
    await context.in_thread(tree.clean_resumable, step.subject)
    frozen = await freeze_standing(context, step)
    configuration = (
        await save_configuration(context, step, action.destination)
        if takes_the_bucket(context, step)
        else ""
    )
    with context.tables() as database:
        findings = await look(context, step, action, database)
        tags_problem = None
        uncarried: tuple[Loss, ...] = ()
        if findings.passes and action.read_back:
            tags_problem = await _know_tags(context, step, action, database)
            uncarried = await know_attributes(context, step, action, database)
            if action.second_read is not False:
                destination = context.destination(action.destination)
                await read_again(
                    context, step, database, destination, versions=bool(action.versions)
                )
        tally, evidence = await _make_evidence(
            context, step, action, database, configuration, uncarried
        )
    await context.sync()
    return await _record(
        context,
        step,
        action,
        findings,
        tally,
        evidence,
        tags_problem,
        configuration,
        uncarried,
        frozen,
    )


async def _make_evidence(
    context: Context,
    step: Step,
    action: Verify,
    database: Database,
    configuration: str,
    uncarried: tuple[Loss, ...],
) -> tuple[Tally, Sealed]:
    destination = context.destination(action.destination)
    tally = Tally()
    state = context.step_state(step)
    path = context.run.evidence(step.id)
    about = (context.plan.digest, step.subject, configuration, uncarried)
    with EvidenceWriter(path, *about) as writer:
        items = context.plan.items(step.id)
        while chunk := await context.in_thread(_take, database, items):
            context.check_stop()
            half = (len(chunk) + 1) // 2
            parts = await asyncio.gather(
                context.in_thread(_examine, destination, action, chunk[:half]),
                context.in_thread(_examine, destination, action, chunk[half:]),
            )
            lines = [line for part in parts for line in part]
            sizes = {expected.item.n: expected.item.size for expected in chunk}
            rungs = {expected.item.n: expected.rung for expected in chunk}
            tally.add_rungs([rungs[line.n] for line in lines if line.verdict == "verified"])
            await context.in_thread(writer.add, lines)
            for verdict in VERDICTS:
                found = [line for line in lines if line.verdict == verdict]
                tally.of(verdict).add(
                    [line.key for line in found], sum(sizes[line.n] for line in found)
                )
                fresh = [line.n for line in found if not state.of(line.n)]
                context.receive(step, verdict, fresh, sum(sizes[n] for n in fresh), ())
        evidence = writer.seal()
    return tally, evidence


def _take(database: Database, items: Iterator[Item]) -> list[_Expected]:
    """The next items of the worklist; those that the catalogue does not know are left out."""
    while chunk := list(islice(items, CHUNK_ITEMS)):
        rows = database.rows(_RECORDED, [chunk[0].key, chunk[-1].key])
        recorded = {(key, history): row for key, history, *row in rows}
        known = [
            _expected(item, recorded.get((item.key, item.history), ()))
            for item in chunk
            if (item.key, item.history) in recorded or (not item.path and not item.marker)
        ]
        if known:
            return known
    return []


def _expected(item: Item, row: Sequence[Any] = ()) -> _Expected:
    """A delete marker that is written down, and a folder marker of no bytes, are all there is."""
    if not item.path:
        return _Expected(item, EMPTY, "verified", "etag", NO_FILE)
    algorithm, value, parts, verdict, rung, device, inode, size, mtime_ns = row
    file = recorded_stat(device, inode, size, mtime_ns)
    return _Expected(item, Checksum(algorithm, value, parts), verdict, rung, file)


def _examine(
    destination: Destination, action: Verify, chunk: list[_Expected]
) -> list[EvidenceLine]:
    """Compare each file with its catalogue row; runs on a disk thread.

    A file whose stat differs from its row is always read again; with ``read_back`` every file is.
    """
    lines: list[EvidenceLine] = []
    for expected in chunk:
        item, checksum = expected.item, expected.checksum
        nothing_to_read = not item.path or item.path.endswith("/")
        if nothing_to_read or (
            not action.read_back and destination.tree.stat(item.path) == expected.file
        ):
            verdict, found, file = expected.verdict, checksum, expected.file
        else:
            # A file that is gone or cannot be read has an empty digest, which equals nothing.
            found, file = digest_of_file(destination.tree, item.path, checksum.kind) or (
                Checksum(checksum.algorithm, "", checksum.parts),
                expected.file,
            )
            verdict = expected.verdict if found == checksum else "mismatched"
        lines.append(EvidenceLine(item.n, item.key, verdict, found, file))
    return lines


async def _know_tags(
    context: Context, step: Step, action: Verify, database: Database
) -> str | None:
    """Read the tags of every object whose answer did not tell whether it has any.

    A missing x-amz-tagging-count is not "none": the caller may lack s3:GetObjectTagging, and not
    every endpoint sends it. Deletion loses what nobody read.
    """
    destination = context.destination(action.destination)
    await context.catalogue(destination, step.subject)
    bucket = context.bucket(step)
    same = same_entry("i", "c", versions=bool(action.versions))
    keys = database.batches(_TAGS_UNKNOWN.format(same=same))
    gate = asyncio.Semaphore(TAG_REQUESTS)

    async def ask(key: str, version: str | None, history: str | None) -> CatalogueTags:
        async with gate:
            tags = await bucket.tags(key, version=version)
            return CatalogueTags(key=key, tags=tags, run=context.run.id, version_id=history)

    while batch := await context.in_thread(next, keys, None):
        context.check_stop()
        try:
            records = await asyncio.gather(*[ask(*row) for row in batch])
        except StoreError as error:
            return f"the tags of objects cannot be read, so deletion would lose them: {error}"
        await context.in_thread(destination.record, step.subject, records)
    return None


async def _record(
    context: Context,
    step: Step,
    action: Verify,
    findings: Findings,
    tally: Tally,
    evidence: Sealed,
    tags_problem: str | None,
    configuration: str,
    uncarried: tuple[Loss, ...],
    frozen: str,
) -> GateRecord:
    problems = list(findings.problems)
    mismatched, unverifiable = tally.of("mismatched"), tally.of("unverifiable")
    if mismatched.items:
        problems.append(mismatched.sentence("of other content than was downloaded"))
    gated = [s for s in context.plan.steps if s.gate is not None and s.gate.evidence == step.id]
    lost = await context.in_thread(losses, context, step, gated, unverifiable) + uncarried
    if unverifiable.items and not gated:
        problems.append(unverifiable.sentence("not verified by content"))
    if tags_problem:
        problems.append(tags_problem)
    deleting = guard_of(context.capabilities, versions=bool(action.versions)) if gated else ""
    figures = {**findings.figures, **tally.figures()}
    passes = findings.passes and not mismatched.items and tags_problem is None
    record = GateRecord(
        step=step.id,
        subject=step.subject,
        evidence=evidence.digest,
        content=evidence.content,
        passes=passes,
        totals=tally.of("verified").totals,
        figures=figures,
        time=context.now(),
        guard="; ".join(filter(None, (deleting, frozen))),
        losses=lost,
        configuration=configuration,
    )
    await context.journal.commit(record)
    context.state.apply(context.journal.seq, record)
    context.observer(
        GateReached(
            step.subject,
            evidence.digest,
            passes,
            figures,
            step.totals,
            tuple(problems),
            record.guard,
            lost,
        )
    )
    return record


async def still_there(context: Context, step: Step, action: Verify, gate: GateRecord) -> bool:
    """Whether every verified file is, by its stat, the one that the evidence is about."""
    return await context.in_thread(_still_there, context, step, action, gate)


def _still_there(context: Context, step: Step, action: Verify, gate: GateRecord) -> bool:
    tree = context.destination(action.destination).tree
    lines = read_evidence(context.run.evidence(step.id), context.plan.digest, gate)
    items = context.plan.items(step.id)
    return all(
        line.key == item.key
        and (not item.path or item.path.endswith("/") or tree.stat(item.path) == line.file)
        for item, line in zip(items, lines, strict=True)
    )
