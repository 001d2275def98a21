"""Sealing a plan: drafts and their worklists become a plan file that says what it is by its digest.

Item lines are made by DuckDB as JSON text, byte for byte what msgspec writes for an ``Item``, so
that ten million of them never become Python objects.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

import msgspec
from msgspec import UNSET, UnsetType

from s3plan.errors import DestinationError, PlanFileError
from s3plan.model.cost import Cost, PlanCost
from s3plan.model.plan import PARTED_FORMAT, PlanEnd, PlanHeader, PlanPart
from s3plan.model.runners import ALL_HERE, RunnerChoice
from s3plan.model.steps import Step, Totals
from s3plan.plan import compression
from s3plan.plan.cost import cost_of, total
from s3plan.plan.digest import PlanDigest
from s3plan.plan.drafts import StepDraft
from s3plan.plan.holdings import holdings_of
from s3plan.plan.itemtext import ASKED_LINES, ITEM_LINES, as_msgspec
from s3plan.plan.jobs import cost_of_jobs, sentences, splits
from s3plan.plan.parting import PARTED_FROM, Parting, sync_directory
from s3plan.plan.parts import MOST_ITEMS
from s3plan.plan.reading import PlanFile, is_plan
from s3plan.plan.totals import totals_of
from s3plan.rules.handover.splitting import Split
from s3plan.rules.pricelist import shipped
from s3plan.rules.prices import Holding, PriceList
from s3plan.tables import Database

_FEWEST, _MOST = 2_048, MOST_ITEMS
"""Items whose lines, or whose part, are made at once: a unit of DuckDB's, and as many as a part
has.
"""

_AT_ONCE = 32 * 1024 * 1024
"""Bytes of lines that are made at once, of which there are some in memory."""

_BESIDES = 256
"""Bytes of a line besides key and path."""


def seal(
    drafts: Sequence[StepDraft],
    database: Database,
    header: PlanHeader,
    path: Path,
    *,
    prices: PriceList | None = None,
    runners: RunnerChoice = ALL_HERE,
    parted_from: int = PARTED_FROM,
) -> PlanFile:
    """Write the plan to ``path`` and read it back, checked.

    Worklists are the rows of the ``items`` table by step id, and what was asked for is ``asked``.
    ``header.totals`` and, where ``prices`` (those that are shipped, if None) has the target,
    ``header.cost`` are filled in; ``runners`` are those that the project file names, for what they
    cost. A name ending in ``.zst`` or ``.gz`` is compressed. Worklists of ``parted_from`` items or
    more go into files beside it (:mod:`s3plan.plan.parts`). The plan appears complete or not at
    all; an older one is replaced, anything else at ``path`` is not: PlanFileError. A directory that
    cannot be written, or is full, is DestinationError.
    """
    if os.path.lexists(path) and not is_plan(path):
        raise PlanFileError(
            "the plan would replace a file that is not a plan",
            address=str(path),
            next_step="choose another name with --out, or move that file away",
        )
    steps = tuple(_step(draft, database) for draft in drafts)
    handed = splits(steps, database, header, runners)
    cost = _plan_cost(steps, database, header, shipped() if prices is None else prices, handed)
    notes = (*header.notes, *sentences(steps, handed))
    header = msgspec.structs.replace(header, totals=_plan_totals(steps), cost=cost, notes=notes)
    # In the same directory, so that the rename cannot be a copy.
    temporary = path.absolute().with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    parting = Parting(path.absolute(), database)
    try:
        with parting.kept_if_well():
            try:
                parts = _parts(steps, parting, database, parted_from)
                if parts:
                    header = msgspec.structs.replace(header, format=PARTED_FORMAT)
                with temporary.open("xb") as raw:
                    with compression.compressed(raw, path.name) as stream:
                        _write(stream, header, steps, parts, database)
                    raw.flush()
                    os.fsync(raw.fileno())
                temporary.replace(path)
            except BaseException:
                temporary.unlink(missing_ok=True)
                raise
            sync_directory(temporary.parent)
    except OSError as error:
        raise DestinationError(
            "the plan file cannot be written",
            address=str(path),
            found=error.strerror or str(error),
            next_step="choose another place with --out, or make room there",
        ) from error
    return PlanFile.open(path)


def _parts(
    steps: Sequence[Step], parting: Parting, database: Database, parted_from: int
) -> dict[str, list[PlanPart]]:
    """The worklists that stand in files of their own, which are written here."""
    return {
        step.id: list(parting.write(step.id, step.totals.items, _stretch(step.id, database)))
        for step in steps
        if step.worklist == step.id and step.totals.items >= parted_from
    }


def _write(
    stream: BinaryIO,
    header: PlanHeader,
    steps: Sequence[Step],
    parts: Mapping[str, Sequence[PlanPart]],
    database: Database,
) -> None:
    digest = PlanDigest(header.target, header.own_limits, header.notified)
    lines = 0
    for record in (header, *steps):
        stream.write(msgspec.json.encode(record) + b"\n")
        lines += 1
        if isinstance(record, Step):
            digest.step(msgspec.to_builtins(record))
    for step in steps:
        if step.worklist != step.id:
            continue
        for part in parts.get(step.id, ()):
            stream.write(msgspec.json.encode(part) + b"\n")
            digest.part(part)
            lines += 1
        if step.id not in parts:
            params = {"step": step.id, "text": _json(step.id)}
            stretch = _stretch(step.id, database)
            texts = database.texts(ITEM_LINES, params, count=step.totals.items, stretch=stretch)
            _write_lines(stream, texts, digest)
            lines += step.totals.items
    (asked,) = database.row("SELECT count(*) FROM asked")
    _write_lines(stream, database.texts(ASKED_LINES, {}, count=asked, stretch=_FEWEST), digest)
    stream.write(msgspec.json.encode(PlanEnd(lines + asked + 1, digest.value())) + b"\n")


def _write_lines(stream: BinaryIO, texts: Iterable[str], digest: PlanDigest) -> None:
    for text in texts:
        block = as_msgspec(text).encode()
        digest.items(block)
        stream.write(block)


def _step(draft: StepDraft, database: Database) -> Step:
    items, size = database.row(
        "SELECT count(*), CAST(coalesce(sum(size), 0) AS BIGINT) FROM items WHERE step = ?",
        [draft.worklist],
    )
    return Step(
        id=draft.id,
        action=draft.action,
        subject=draft.subject,
        needs=draft.needs,
        gate=draft.gate,
        reversibility=draft.reversibility,
        undo=draft.undo,
        reason=draft.reason,
        totals=Totals(items, size),
        worklist=draft.worklist,
        seconds=draft.seconds,
        warnings=draft.warnings,
        meaning=draft.meaning or msgspec.UNSET,
    )


def _plan_totals(steps: Sequence[Step]) -> Totals:
    """Every object once."""
    by_subject: dict[str, list[Step]] = {}
    for step in steps:
        by_subject.setdefault(step.subject, []).append(step)
    return sum(map(totals_of, by_subject.values()), Totals())


def _plan_cost(
    steps: Sequence[Step],
    database: Database,
    header: PlanHeader,
    known: PriceList,
    handed: Mapping[str, Split],
) -> PlanCost | UnsetType:
    """What the plan costs; unset where one step's prices are not known."""
    target = header.target
    prices = known.region(target.endpoint, target.region)
    if prices is None:
        return UNSET
    held: dict[str, tuple[Holding, ...]] = {}
    costs: dict[str, Cost] = {}
    for step in steps:
        name = step.worklist
        if name is not None and name not in held:
            held[name] = holdings_of(name, database, header.created)
        cost = cost_of(step.action, held.get(name or "", ()), prices)
        if cost is None:
            return UNSET
        jobs = handed.get(step.id)
        costs[step.id] = cost if jobs is None else total([cost, cost_of_jobs(jobs)])
    return PlanCost(total(costs.values()), costs, target.region, known.date, known.source)


def _stretch(step: str, database: Database) -> int:
    """How many items of a step are written at once: few where keys are long."""
    (longest,) = database.row(
        "SELECT coalesce(max(strlen(key) + strlen(path)), 0) FROM items WHERE step = ?", [step]
    )
    return max(_FEWEST, min(_MOST, _AT_ONCE // (_BESIDES + int(longest))))


def _json(text: str) -> str:
    return msgspec.json.encode(text).decode()
