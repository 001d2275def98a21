"""``verify-replacement``: the evidence on which an archive may be replaced; its gate is the step's.

What goes into the new archive is read before the old one is given up as what its key holds: a file
that is the same by size and time, and whose bytes are not those that were archived, is damaged on
this disk, and must not take the place of a good copy. The old archive and its index must be those
of the plan, and their bucket must keep versions, so that the old ones stay.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path

from s3plan.engine.archiving.packing import SourceChanged, check_source, open_source
from s3plan.engine.archiving.replacing import LABELS, fixed_problems, old_members
from s3plan.engine.context import Context
from s3plan.engine.evidence import EvidenceLine, EvidenceWriter
from s3plan.localfs.digests import digest_of_file
from s3plan.localfs.tree import Tree
from s3plan.model.archivesteps import VerifyReplacement
from s3plan.model.events import GateReached
from s3plan.model.journal import Approves, GateRecord
from s3plan.model.local import NO_FILE
from s3plan.model.objects import EMPTY, Checksum, Kind, Verdict
from s3plan.model.steps import Item, Step
from s3plan.rules.hashing import spell

_KIND: Kind = ("SHA256", "")
CHUNK = 200
"""Files that are read by one trip to the disk threads."""

VERDICTS: tuple[Verdict, ...] = ("verified", "mismatched")

SHOWN = 10
"""Sentences that a gate shows; the figures count all."""


class _Found:
    """What the verification of one replacement comes to."""

    def __init__(self) -> None:
        self.figures = dict.fromkeys(LABELS, 0)
        self.problems: list[str] = []
        self.items = self.bytes = 0

    def problem(self, sentence: str) -> None:
        self.figures["problems"] = self.figures.get("problems", 0) + 1
        if len(self.problems) < SHOWN:
            self.problems.append(sentence)


async def verify_replacement(context: Context, step: Step, action: VerifyReplacement) -> None:
    """Run a verify-replacement step and record its gate, durable when this returns."""
    found = _Found()
    version, wrong = await fixed_problems(context, step, action)
    for sentence in wrong:
        found.problem(sentence)
    members = await old_members(context, step, action) if not wrong else {}
    subject = f"{step.subject}/{action.key}"
    state = context.step_state(step)
    path = context.run.evidence(step.id)
    writing = EvidenceWriter(path, context.plan.digest, subject)
    with open_source(Path(action.source)) as tree, writing as writer:
        items = context.plan.items(step.id)
        while chunk := await context.in_thread(lambda: list(islice(items, CHUNK))):
            context.check_stop()
            looked = await context.in_thread(_look, tree, chunk, members, context.check_stop)
            for item, line, sentence in looked:
                found.figures[item.label or "unknown"] += 1
                if sentence:
                    found.problem(sentence)
                elif line.verdict == "verified":
                    found.items += 1
                    found.bytes += item.size
            await context.in_thread(writer.add, [line for _, line, _ in looked])
            for verdict in VERDICTS:
                fresh = [
                    (line.n, item.size)
                    for item, line, _ in looked
                    if line.verdict == verdict and not state.of(line.n)
                ]
                numbers = [n for n, _ in fresh]
                context.receive(step, verdict, numbers, sum(s for _, s in fresh), ())
        evidence = writer.seal()
    takes: tuple[Approves, ...] = ()
    if any(found.figures[label] for label in ("changed", "gone", "unknown")):
        takes = ("replace",)
    record = GateRecord(
        step=step.id,
        subject=subject,
        evidence=evidence.digest,
        content=evidence.content,
        passes=not found.problems,
        totals=step.totals,
        figures=found.figures,
        time=context.now(),
        guard=_guard(context, action, version),
        takes=takes,
    )
    await context.journal.commit(record)
    context.state.apply(context.journal.seq, record)
    context.observer(
        GateReached(
            subject,
            record.evidence,
            record.passes,
            record.figures,
            step.totals,
            tuple(found.problems),
            record.guard,
            takes=takes,
        )
    )


def _look(
    tree: Tree, items: Sequence[Item], members: dict[str, str], check_stop: Callable[[], None]
) -> list[tuple[Item, EvidenceLine, str]]:
    """What each file is, and why it must not be archived; on a disk thread."""
    return list(_looked(tree, items, members, check_stop))


def _looked(
    tree: Tree, items: Sequence[Item], members: dict[str, str], check_stop: Callable[[], None]
) -> Iterator[tuple[Item, EvidenceLine, str]]:
    for item in items:
        check_stop()
        if item.label == "gone":
            old = members.get(item.key)
            checksum = _sha256(old) if old is not None else EMPTY
            yield item, EvidenceLine(item.n, item.key, "verified", checksum, NO_FILE), ""
            continue
        try:
            stat = check_source(tree, item)
        except SourceChanged as changed:
            yield item, EvidenceLine(item.n, item.key, "mismatched", EMPTY, NO_FILE), str(changed)
            continue
        read = digest_of_file(tree, item.path, _KIND)
        if read is None or read[1] != stat:
            sentence = f"{item.path} cannot be read, or was changed while it was"
            yield item, EvidenceLine(item.n, item.key, "mismatched", EMPTY, NO_FILE), sentence
        elif item.label == "same" and _sha256(members.get(item.key, "")) != read[0]:
            sentence = (
                f"{item.path} has the size and the time that it was archived with, and other"
                " content: it may be damaged on this disk"
            )
            yield item, EvidenceLine(item.n, item.key, "mismatched", read[0], stat), sentence
        else:
            yield item, EvidenceLine(item.n, item.key, "verified", read[0], stat), ""


def _sha256(digest: str) -> Checksum:
    return Checksum("SHA256", spell("SHA256", bytes.fromhex(digest)))


def _guard(context: Context, action: VerifyReplacement, version: str | None) -> str:
    """What keeps the replacement from hitting another archive, and where the old one stays."""
    how = (
        "S3 itself refuses to replace another"
        if context.capabilities.holds("complete-if-match")
        else "it is looked at right before, since the endpoint is not known to hold a condition"
    )
    stays = f"; it stays as version {version}" if version is not None else ""
    return f"only the archive with the ETag {action.etag} is replaced: {how}{stays}"
