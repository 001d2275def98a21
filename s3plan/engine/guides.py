"""What to type to go back, as files in the run's folder: ROLLBACK.md, and RESTORE.md of a backup.

They are for a day on which nobody remembers this run, and on which s3plan may not be at hand.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator

from s3plan.engine.rollback_grouping import stage_of
from s3plan.engine.runs import Run
from s3plan.engine.state import RunState
from s3plan.localfs.newfile import whole_file
from s3plan.model.journal import GateRecord
from s3plan.model.plan import Stage
from s3plan.model.steps import Copy, DeleteSource, RewriteFile, Step, VerifyCopies
from s3plan.plan.reading import PlanFile
from s3plan.rules.characters import is_unsafe
from s3plan.rules.classes import ARCHIVED_CLASSES
from s3plan.rules.commands import rollback_command

_STAGES: dict[Stage, str] = {
    "sources": "copies the deleted sources back from their copies",
    "catalog": "puts the table back as it was, if it is still as the run left it",
    "copies": "removes the copies whose sources are there and match",
    "backup": "removes the backup of what is there and matches",
}


def write_guides(run: Run, plan: PlanFile, state: RunState) -> None:
    """Write ROLLBACK.md of a run that copies, rewrites or deletes sources, and RESTORE.md once its
    backup is verified; each whole or not at all. Raises DestinationError.
    """
    stages = _stages(plan)
    if not stages or plan.header.rollback_of is not None:
        return
    _write(run, "ROLLBACK.md", _rollback(run, plan, state, stages))
    backups = [
        (step, step.action, gate)
        for step in plan.steps
        if isinstance(step.action, Copy)
        and stage_of(step.action) == "backup"
        and (gate := _proof(plan, state, step)) is not None
    ]
    if backups:
        _write(run, "RESTORE.md", _restore(run, plan, backups))


def _write(run: Run, name: str, lines: Iterator[str]) -> None:
    text = "".join(f"{line}\n" for line in lines).encode("utf-8", "backslashreplace")
    path = run.folder / name
    if not path.is_file() or path.read_bytes() != text:
        with whole_file(path) as file:
            file.write(text)


def _stages(plan: PlanFile) -> list[Stage]:
    """The stages that the plan has, in the order of a rollback."""
    found: set[Stage] = set()
    for step in plan.steps:
        match step.action:
            case Copy() as action:
                found.add(stage_of(action))
            case RewriteFile():
                found.add("catalog")
            case DeleteSource():
                found.add("sources")
            case _:
                pass
    return [stage for stage in _STAGES if stage in found]


def _proof(plan: PlanFile, state: RunState, copying: Step) -> GateRecord | None:
    """The verification of a copy step, if it passed."""
    for step in plan.steps:
        if isinstance(step.action, VerifyCopies) and step.action.copied == copying.id:
            gate = state.gates.get(step.id)
            return gate if gate is not None and gate.passes else None
    return None


def _rollback(run: Run, plan: PlanFile, state: RunState, stages: list[Stage]) -> Iterator[str]:
    journal = os.path.relpath(run.journal)
    yield f"# How to take run {run.id} back"
    yield ""
    yield f"Plan {plan.digest}, applied on {_plain(plan.header.host)} to"
    yield f"{_plain(plan.header.target.endpoint)}. In the working directory of the run:"
    yield ""
    yield f"    {shlex.join(['s3plan', 'rollback', journal])}"
    yield f"    {rollback_command(journal)}"
    yield ""
    yield "The first only shows what would be done. Whatever is no longer as the run left it, and"
    yield "what would be a last copy, is kept and named (exit code 7). The same command goes on"
    yield "with a rollback that was stopped."
    if len(stages) > 1:
        yield ""
        yield "One stage alone, each with `--approve` to do it:"
        yield ""
        yield "| command | what it does |"
        yield "|---|---|"
        for stage in stages:
            command = shlex.join(["s3plan", "rollback", journal, "--only", stage])
            yield f"| `{command}` | {_STAGES[stage]} |"
    for record in state.rewritten.values():
        yield ""
        yield "Without s3plan the table is this backup, whose SHA-256 stands beside it:"
        yield ""
        yield f"    {_plain(shlex.join(['cp', record.backup, record.file]))}"


def _restore(
    run: Run, plan: PlanFile, backups: list[tuple[Step, Copy, GateRecord]]
) -> Iterator[str]:
    yield f"# How to get back what run {run.id} backed up"
    for step, action, gate in backups:
        place = f"s3://{step.subject}/{action.into}"
        source = f"s3://{action.source}/"
        storage_class = action.storage_class or "each source's own class"
        yield ""
        yield f"`{_plain(place)}` holds {gate.totals.items:,} objects of `{_plain(source)}`,"
        yield f"{gate.totals.bytes:,} bytes, in {_plain(storage_class)}; verified at {gate.time},"
        yield f"evidence {gate.evidence}. The key of each is its old key behind that prefix. All:"
        yield ""
        listing = ["s3plan", "show", os.path.relpath(run.plan), "--step", step.id]
        yield f"    {shlex.join(listing)}"
        forced = ""
        if storage_class in ARCHIVED_CLASSES:
            forced = " --force-glacier-transfer"
            yield from _asked_for(step, listing)
        yield ""
        yield "Copied back to the old keys, over what is there:"
        yield ""
        yield f"    aws s3 cp --recursive{forced} {_quoted(place)} {_quoted(source)}"
        yield ""
        yield "One object: the same without `--recursive`, with its whole key on both sides. What"
        yield "has been copied back is compared with `s3plan report inventory-checksums --from"
        yield f"{os.path.relpath(run.journal)}`."
    yield ""
    yield f"The endpoint is {_plain(plan.header.target.endpoint)}; other endpoints than AWS take"
    yield "`--endpoint-url`."


def _asked_for(step: Step, listing: list[str]) -> Iterator[str]:
    """https://docs.aws.amazon.com/AmazonS3/latest/userguide/restoring-objects.html"""
    request = '{"Days":7,"GlacierJobParameters":{"Tier":"Standard"}}'
    yield ""
    yield "Objects of this class must be restored first, which takes hours: for DEEP_ARCHIVE up to"
    yield "12 (Tier Standard) or 48 (Bulk, cheaper). This asks for all of them:"
    yield ""
    yield f"    {shlex.join(listing)} --json | jq -r .path | while IFS= read -r key; do"
    yield f'      aws s3api restore-object --bucket {step.subject} --key "$key" \\'
    yield f"        --restore-request '{request}'"
    yield "    done"


def _quoted(address: str) -> str:
    return _plain(shlex.quote(address))


def _plain(text: str) -> str:
    """Text that cannot end a line or a code span, nor hide anything."""
    return "".join("?" if is_unsafe(one) or one == "`" else one for one in text)
