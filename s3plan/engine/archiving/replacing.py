"""The gate before an archive is replaced: what it rests on, and whether that still holds."""

from __future__ import annotations

import asyncio
from pathlib import Path

from s3plan.engine.archiving.packing import open_source
from s3plan.engine.context import Context
from s3plan.engine.evidence import check_evidence, read_evidence
from s3plan.engine.removal import head_of
from s3plan.errors import NoSuchKeyError, PreconditionFailedError
from s3plan.model.archivesteps import VerifyReplacement
from s3plan.model.journal import GateRecord
from s3plan.model.local import NO_FILE
from s3plan.model.steps import Step
from s3plan.rules.archiveindex import BadIndex, read_index

LABELS = ("same", "added", "changed", "gone", "unknown")
"""What becomes of a file of the old archive or the new one; ``unknown`` where nothing tells what
the old one holds.
"""


async def keeps_versions(context: Context, bucket: str) -> bool:
    """Whether what is replaced in the bucket now stays as a version, as S3 says at this moment."""
    said = await asyncio.to_thread(context.store.control.document, bucket, "versioning")
    return isinstance(said, dict) and said.get("Status") == "Enabled"


async def fixed_problems(
    context: Context, step: Step, action: VerifyReplacement
) -> tuple[str | None, list[str]]:
    """The old archive's version; and sentences on what in S3 is not as it was planned."""
    problems = []
    if not await keeps_versions(context, step.subject):
        problems.append(f"{step.subject} does not keep versions: the old archive would be lost")
    there = await head_of(context.bucket(step), action.key)
    if there is None:
        problems.append(f"{action.key} is gone since the plan")
    elif (there.etag, there.size) != (action.etag, action.size):
        problems.append(f"{action.key} was replaced by somebody since the plan")
    if action.index_etag is not None:
        index = await head_of(context.bucket(step), action.index)
        if index is None or index.etag != action.index_etag:
            problems.append(f"{action.index} is not the index that was planned with")
    return (there.version_id if there is not None else None), problems


async def old_members(context: Context, step: Step, action: VerifyReplacement) -> dict[str, str]:
    """The SHA-256 of each member of the old archive, as its index says; none without an index."""
    if action.index_etag is None:
        return {}
    try:
        _, data = await context.bucket(step).get(action.index, if_match=action.index_etag)
        return {member.name: member.sha256 for member in read_index(data).members}
    except (NoSuchKeyError, PreconditionFailedError, BadIndex):
        return {}  # then nothing is the same as what was archived


async def replacement_holds(
    context: Context, verifying: Step, action: VerifyReplacement, gate: GateRecord
) -> bool:
    """Whether the old archive and every file are still as they were when it was verified."""
    path = context.run.evidence(gate.step)
    if not (gate.passes and check_evidence(path, context.plan.digest, gate)):
        return False
    _, problems = await fixed_problems(context, verifying, action)
    return not problems and await context.in_thread(_files_as_read, context, action, gate)


def _files_as_read(context: Context, action: VerifyReplacement, gate: GateRecord) -> bool:
    """Whether every file is, by its stat, the one that was read; on a disk thread."""
    lines = read_evidence(context.run.evidence(gate.step), context.plan.digest, gate)
    items = context.plan.items(gate.step)
    with open_source(Path(action.source)) as tree:
        return all(
            line.file == NO_FILE or tree.stat(item.path) == line.file
            for item, line in zip(items, lines, strict=True)
        )
