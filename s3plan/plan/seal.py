"""Sealing a plan: drafts and their worklists become a plan file that says what it is by its digest.

Item lines are made by DuckDB as JSON text, byte for byte what msgspec writes for an ``Item``, so
that ten million of them never become Python objects.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

import msgspec
from msgspec import UNSET, UnsetType

from s3plan.errors import DestinationError, PlanFileError
from s3plan.model.cost import Cost, PlanCost
from s3plan.model.plan import PlanEnd, PlanHeader
from s3plan.model.steps import Step, Totals
from s3plan.plan import compression
from s3plan.plan.cost import cost_of, total
from s3plan.plan.digest import PlanDigest
from s3plan.plan.drafts import StepDraft
from s3plan.plan.holdings import holdings_of
from s3plan.plan.reading import PlanFile, is_plan
from s3plan.plan.totals import totals_of
from s3plan.rules.pricelist import shipped
from s3plan.rules.prices import Holding, PriceList
from s3plan.tables import Database

_SHORT_ESCAPES = {
    "\b": "\\b",
    "\t": "\\t",
    "\n": "\\n",
    "\f": "\\f",
    "\r": "\\r",
    '"': '\\"',
}


def seal(
    drafts: Sequence[StepDraft],
    database: Database,
    header: PlanHeader,
    path: Path,
    *,
    prices: PriceList | None = None,
) -> PlanFile:
    """Write the plan to ``path`` and read it back, checked.

    Worklists are the rows of the ``items`` table by step id, and what was asked for is ``asked``.
    ``header.totals`` and, where ``prices`` (those that are shipped, if None) has the target,
    ``header.cost`` are filled in. A name ending in ``.zst`` or ``.gz`` is compressed. The file
    appears complete or not at all; an older plan is replaced, anything else at ``path`` is not:
    PlanFileError. A directory that cannot be written, or is full, is DestinationError.
    """
    if os.path.lexists(path) and not is_plan(path):
        raise PlanFileError(
            "the plan would replace a file that is not a plan",
            address=str(path),
            next_step="choose another name with --out, or move that file away",
        )
    steps = tuple(_step(draft, database) for draft in drafts)
    cost = _plan_cost(steps, database, header, shipped() if prices is None else prices)
    header = msgspec.structs.replace(header, totals=_plan_totals(steps), cost=cost)
    # In the same directory, so that the rename cannot be a copy.
    temporary = path.absolute().with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        try:
            with temporary.open("xb") as raw:
                with compression.compressed(raw, path.name) as stream:
                    _write(stream, header, steps, database)
                raw.flush()
                os.fsync(raw.fileno())
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        _sync_directory(temporary.parent)
    except OSError as error:
        raise DestinationError(
            "the plan file cannot be written",
            address=str(path),
            found=error.strerror or str(error),
            next_step="choose another place with --out, or make room there",
        ) from error
    return PlanFile.open(path)


def _write(stream: BinaryIO, header: PlanHeader, steps: Sequence[Step], database: Database) -> None:
    digest = PlanDigest(header.target, header.own_limits, header.notified)
    lines = 0
    for record in (header, *steps):
        stream.write(msgspec.json.encode(record) + b"\n")
        lines += 1
        if isinstance(record, Step):
            digest.step(msgspec.to_builtins(record))
    for step in steps:
        if step.worklist == step.id:
            for batch in _item_lines(step.id, database):
                text = ("\n".join(batch) + "\n").encode()
                digest.items(text)
                stream.write(text)
                lines += len(batch)
    for batch in database.lines(_ASKED_LINES):
        text = ("\n".join(batch) + "\n").encode()
        digest.items(text)
        stream.write(text)
        lines += len(batch)
    stream.write(msgspec.json.encode(PlanEnd(lines + 1, digest.value())) + b"\n")


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
    steps: Sequence[Step], database: Database, header: PlanHeader, known: PriceList
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
        costs[step.id] = cost
    return PlanCost(total(costs.values()), costs, target.region, known.date, known.source)


def _quoted(column: str) -> str:
    """SQL for ``column`` as a JSON string, exactly as msgspec writes it.

    DuckDB's own to_json differs: it writes control characters with upper-case hex digits.
    """
    escaped = f"replace({column}, '\\', '\\\\')"
    for code in (*range(0x20), ord('"')):
        escape = _SHORT_ESCAPES.get(chr(code), f"\\u{code:04x}")
        escaped = f"replace({escaped}, chr({code}), '{escape}')"
    return f"""'"' || CASE WHEN {_plain(column)} THEN {column} ELSE {escaped} END || '"'"""


def _plain(text: str) -> str:
    """SQL for whether a JSON string can hold ``text`` as it is."""
    return f"regexp_full_match({text}, '[^\\x00-\\x1f\"\\\\]*')"


def _item_line(text: Callable[[str], str]) -> str:
    """SQL for an item's line; ``text`` makes JSON strings of the four columns that every item has.

    The step's id is ``$text``, a JSON string already.
    """
    # One concat and not a chain of ||, each of which would write all the text before it again.
    return f"""concat(
        '{{"type":"item","step":', $text, ',"n":', n,
        ',"key":', {text("key")}, ',"path":', {text("path")}, ',"size":', size,
        ',"etag":', {text("etag")}, ',"modified":', {text("modified")},
        CASE WHEN storage_class = 'STANDARD' THEN ''
            ELSE ',"storage_class":' || {_quoted("storage_class")} END,
        CASE WHEN checksum IS NULL THEN '' ELSE ',"checksum":' || {_quoted("checksum")} END,
        CASE WHEN version_id IS NULL THEN '' ELSE ',"version_id":' || {_quoted("version_id")} END,
        CASE WHEN coalesce(newer, 0) = 0 THEN '' ELSE ',"newer":' || newer END,
        CASE WHEN coalesce(marker, false) THEN ',"marker":true' ELSE '' END,
        CASE WHEN coalesce(beneath, 0) = 0 THEN '' ELSE ',"beneath":' || beneath END,
        CASE WHEN upload_id IS NULL THEN '' ELSE ',"upload_id":' || {_quoted("upload_id")} END,
        CASE WHEN label IS NULL THEN '' ELSE ',"label":' || {_quoted("label")} END,
        CASE WHEN keywords IS NULL THEN '' ELSE ',"keywords":' || keywords END,
        '}}')"""


def _bare(column: str) -> str:
    """SQL for a ``column`` without anything to escape as a JSON string, among others."""
    return f"""'"', {column}, '"'"""


# Nearly every item has nothing to escape: it is asked once of each, not of every column.
_ITEM_LINES = f"""
    SELECT CASE WHEN {_plain("key || path || etag || modified")}
        THEN {_item_line(_bare)} ELSE {_item_line(_quoted)} END
    FROM items WHERE step = $step ORDER BY n
"""  # noqa: S608 - made of the constants above; the step's id is bound

_ASKED_LINES = f"""
    SELECT '{{"type":"asked","n":' || n || ',"bucket":' || {_quoted("bucket")}
        || ',"key":' || {_quoted("key")}
        || CASE WHEN reason IS NULL THEN '' ELSE ',"reason":' || {_quoted("reason")} END
        || CASE WHEN fields IS NULL THEN '' ELSE ',"fields":' || fields END
        || '}}'
    FROM asked ORDER BY n
"""  # noqa: S608 - as above; fields is JSON of ours by the time it is here


def _item_lines(step: str, database: Database) -> Iterator[list[str]]:
    text = msgspec.json.encode(step).decode()
    return database.lines(_ITEM_LINES, {"step": step, "text": text})


def _sync_directory(directory: Path) -> None:
    """Make a rename durable: without this, a power cut can bring the old name back."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
