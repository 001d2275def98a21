"""The review of a plan: what would be done, in order, what each step costs and how it is undone.

A pure function of the plan file: the same plan gives the same lines at the same width.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, repeat
from typing import NamedTuple, Protocol

from rich.cells import cell_len
from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from s3plan.model.commands import CommandRef
from s3plan.model.cost import ChargeLine, Cost, Dollars, PlanCost
from s3plan.model.plan import PlanHeader, PlanPart
from s3plan.model.steps import (
    Archive,
    BackupFile,
    Configure,
    Copy,
    Download,
    Extract,
    Item,
    PutFiles,
    RestoreFile,
    RunCommand,
    Step,
    Upload,
)
from s3plan.plan.reading import ItemRow
from s3plan.rules.commands import step_command
from s3plan.rules.commands_of import commands_of
from s3plan.views.places import place_rows
from s3plan.views.quantities import counted, dollars, duration, size
from s3plan.views.text import shorten, visible
from s3plan.views.wording import REVERSIBILITY, SYMBOL_STYLES, argv_of, words_of, words_of_command

SAMPLED = 100_000
"""Steps with more items show only their first key: the others would need reading them all."""


SPELLED_OUT = 3
"""Archives in a row that are shown whole; of the others, of which there may be hundreds, each is a
line, unless it replaces something or has a warning. ``show --step`` shows any of them."""


class PlanDocument(Protocol):
    """What a review needs of a plan file (``s3plan.plan.reading.PlanFile`` has it)."""

    @property
    def header(self) -> PlanHeader:
        """Target, manifests, totals."""

    @property
    def steps(self) -> Sequence[Step]:
        """All steps, in order."""

    @property
    def digest(self) -> str:
        """``sha256:`` and 64 hex digits."""

    @property
    def parts(self) -> Sequence[PlanPart]:
        """The files beside it that belong to it."""

    def items(self, step: str, start: int = 0, /) -> Iterator[Item]:
        """Stream the worklist of a step."""

    def rows(self, step: str, /) -> Iterator[list[ItemRow]]:
        """Stream it in lists, as much of each item as a summary needs."""


def review(plan: PlanDocument, name: str | None, columns: int) -> Iterator[RenderableType]:
    """Yield the parts of a review, top to bottom, up to and including the ``Plan:`` line.

    ``name`` is the plan's path as the reader knows it, None where it is in no file of theirs;
    ``columns`` is the width to lay out in.
    """
    yield _grid(_heading(plan, name))
    yield Text()
    yield from _conditions(plan.steps)
    alike = 0
    for line, step in zip(_headlines(plan.steps, columns), plan.steps, strict=True):
        yield line
        alike = alike + 1 if _is_plain_archive(step) else 0
        if alike > SPELLED_OUT:
            continue
        yield Padding(_grid(_details(step, plan, name, columns)), (0, 0, 0, 6))
        yield Text()
    if alike > SPELLED_OUT:
        yield Text()
    for note in plan.header.notes:
        yield Text(f"note: {visible(note)}")
    if plan.header.notes:
        yield Text()


_MOVING = Download | Upload | Archive | Extract | PutFiles
"""Verbs whose bytes go over the network."""


def totals_line(plan: PlanDocument) -> str:
    """Return the one line that sums a plan up; it starts with ``Plan:`` so that grep finds it."""
    steps = plan.steps
    done: dict[str, _Sum] = {}
    for step in steps:
        words = words_of(step.action)
        kind = "bucket" if words.things is None else words.things
        label = f"{kind}s {words.infinitive}" if words.things is None else words.infinitive
        amount = 1 if words.things is None else step.things
        moved = step.totals.bytes if isinstance(step.action, _MOVING) else 0
        known = done.get(label, _Sum(0, 0))
        done[label] = _Sum(known.items + amount, known.bytes + moved)
    parts = [_part(label, total) for label, total in done.items() if total.items]
    never = sum(step.reversibility == "never" for step in steps)
    said = f"Plan: {', '.join(parts) or 'nothing'}. Cannot be undone: {never:,}."
    return f"{said} Cost: {cost_words(plan.header.known_cost)}. {_time(steps)}"


def cost_words(cost: PlanCost | None) -> str:
    """Return what a plan costs in a few words; ``unknown`` where prices are not known."""
    if cost is None:
        return "unknown"
    return f"{dollars(cost.total.once)} once, {dollars(cost.total.monthly)} a month"


class _Sum(NamedTuple):
    items: int
    bytes: int


def _part(label: str, total: _Sum) -> str:
    if label.startswith("buckets "):
        label = label if total.items != 1 else label.replace("buckets", "bucket", 1)
    text = f"{total.items:,} {label}"
    return f"{text} ({size(total.bytes)})" if total.bytes else text


def _time(steps: Sequence[Step]) -> str:
    known = [step.seconds for step in steps if step.seconds is not None]
    if not known:
        return "Time not known."
    seconds = sum(known)
    if seconds < 1:
        return "Under 1 s."
    return f"{'About' if len(known) == len(steps) else 'At least'} {duration(seconds)}."


def _heading(plan: PlanDocument, name: str | None) -> Iterator[tuple[str, Text]]:
    header = plan.header
    if name is not None:
        yield "plan", Text(visible(name), style="bold")
    if name is not None and plan.parts:
        files = (
            f"{counted(len(plan.parts), 'file')} ({size(sum(part.size for part in plan.parts))})"
        )
        yield "with", Text(visible(f"{name}.parts: {files} that belong to the plan"))
    yield "digest", Text(visible(plan.digest))
    for manifest in header.manifests:
        place = f"{manifest.path}: {manifest.kind} {manifest.name}"
        yield "manifest", Text(visible(place))
    yield from _commands("notifies", header.notified)
    if header.rollback_of:
        yield "takes back", Text(f"run {visible(header.rollback_of)}")
    cost = header.known_cost
    if cost is not None:
        yield "cost", Text(visible(f"list prices of {cost.region}, {cost.date}; {cost.source}"))
    target = header.target
    account = f"account {target.account}" if target.account else "account not known"
    yield "target", Text(visible(f"{target.endpoint}, region {target.region}, {account}"))
    if header.side_by_side > 1:
        yield "buckets", Text(f"up to {header.side_by_side} side by side")
    yield "made", Text(visible(f"{header.created} on {header.host} by s3plan {header.tool}"))


def _conditions(steps: Sequence[Step]) -> Iterator[RenderableType]:
    """Say before anything else what cannot simply be taken back."""
    for level, title, style in (
        ("never", "Cannot be undone:", "bold red"),
        ("until", "Can be undone only for a time:", "bold yellow"),
    ):
        found = [step for step in steps if step.reversibility == level]
        if not found:
            continue
        yield Text(title, style=style)
        for step in found:
            words = Text(visible(f"{step.verb} {step.subject}: {step.undo}"))
            yield Padding(words, (0, 0, 0, 2))
        yield Text()


def _is_plain_archive(step: Step) -> bool:
    """Whether the step is as the one before it, but for its files."""
    action = step.action
    return isinstance(action, Archive) and action.replaces is None and not step.warnings


def _title(step: Step) -> str:
    """Verb and subject; of an archive the session, too, since a bucket has many."""
    named = f": {step.action.name}" if isinstance(step.action, Archive) else ""
    return f"{step.verb} {step.subject}{named}"


def _headlines(steps: Sequence[Step], columns: int) -> Iterator[Text]:
    """One line a step, its figures in columns that line up over all steps."""
    figures = [_figures(step) for step in steps]
    widths = [max((len(row[i]) for row in figures), default=0) for i in range(3)]
    room = columns - sum(widths) - 2 * sum(1 for width in widths if width) - 2
    names = [shorten(_title(step), room - 2) for step in steps]
    left = max((cell_len(name) for name in names), default=0)
    for step, name, row in zip(steps, names, figures, strict=True):
        symbol = words_of(step.action).symbol
        line = Text("  ").append(symbol, style=f"bold {SYMBOL_STYLES[symbol]}").append(" ")
        line.append(name, style="bold").append(" " * (left - cell_len(name)))
        for cell, width in zip(row, widths, strict=True):
            if width:
                line.append("  " + cell.rjust(width))
        line.rstrip()
        yield line


def _figures(step: Step) -> tuple[str, str, str]:
    things = words_of(step.action).things
    if isinstance(step.action, Configure):
        return step.action.document, "", ""
    if isinstance(step.action, BackupFile | RestoreFile):
        return "1 file", "", ""
    if isinstance(step.action, RunCommand):
        return visible(step.action.command.name), "", ""
    time = ""
    if step.seconds is not None:
        time = "under 1 s" if step.seconds < 1 else f"about {duration(step.seconds)}"
    if things is None:
        return "1 bucket", "", time
    return counted(step.totals.items, things), size(step.totals.bytes), time


def _details(
    step: Step, plan: PlanDocument, name: str | None, columns: int
) -> Iterator[tuple[str, Text]]:
    yield "id", Text(visible(step.id), style="dim")
    yield from place_rows(step)
    yield from _commands("runs", commands_of(step.action))
    yield "why", Text(visible(step.reason))
    means = [Text(visible(effect)) for effect in step.meaning or ()]
    yield from zip(chain(["means"], repeat("")), means, strict=False)
    for need in step.needs:
        words = "after" if need.mode == "after" else "each after"
        yield words, Text(visible(need.step), style="dim")
    if step.gate is not None:
        yield "gate", Text("stops and asks, once the verification has shown its figures")
    undo = Text(f"{REVERSIBILITY[step.reversibility]}: ", style=_undo_style(step))
    yield "undo", undo.append(visible(step.undo), style="default")
    cost = plan.header.known_cost
    if cost is not None and step.id in cost.steps:
        yield from _cost(cost.steps[step.id])
    yield from _samples(step, plan, name, columns)
    for warning in step.warnings:
        yield "warning", Text(visible(warning), style="yellow")


def _cost(cost: Cost) -> Iterator[tuple[str, Text]]:
    if cost.once != Dollars():
        parts = ", ".join(f"{charge} {dollars(amount)}" for charge, amount in by_charge(cost.lines))
        yield "cost", Text(f"{dollars(cost.once)} once: {parts}")
    if cost.monthly != Dollars():
        yield "a month", Text(dollars(cost.monthly))


def by_charge(lines: Iterable[ChargeLine]) -> list[tuple[str, Dollars]]:
    """Return the charges with their sums over all classes, dearest first."""
    sums: dict[str, Dollars] = {}
    for line in lines:
        sums[line.charge] = sums.get(line.charge, Dollars()) + line.dollars
    return sorted(
        ((charge.replace("-", " "), amount) for charge, amount in sums.items()),
        key=lambda entry: (-entry[1].high, entry[0]),
    )


def _undo_style(step: Step) -> str:
    return {"free": "green", "costs": "yellow", "until": "yellow", "never": "red"}[
        step.reversibility
    ]


def _commands(label: str, commands: Iterable[CommandRef]) -> Iterator[tuple[str, Text]]:
    for command in commands:
        yield label, Text(visible(argv_of(command)))
        yield "", Text(visible(words_of_command(command)), style="dim")


def _samples(
    step: Step, plan: PlanDocument, name: str | None, columns: int
) -> Iterator[tuple[str, Text]]:
    if step.worklist is None or not step.totals.items:
        return
    if step.worklist != step.id:
        yield "items", Text(visible(f"those of {step.worklist}"), style="dim")
        return
    room = columns - 30
    items = plan.items(step.id)
    if step.totals.items > SAMPLED:
        for item in items:
            yield "first", _sample(step, item, room)
            break
    else:
        yield from ((label, _sample(step, item, room)) for label, item in _picked(items))
    if name is not None:
        yield "list", Text(visible(step_command(name, step.id)), style="dim")


def _picked(items: Iterable[Item]) -> Iterator[tuple[str, Item]]:
    """First, last and largest item in one pass; a sample that is another one is left out."""
    first = last = largest = None
    for item in items:
        first = first or item
        last = item
        if largest is None or item.size > largest.size:
            largest = item
    seen: set[int] = set()
    for label, found in (("first", first), ("last", last), ("largest", largest)):
        if found is not None and found.n not in seen:
            seen.add(found.n)
            yield label, found


def _sample(step: Step, item: Item, room: int) -> Text:
    if isinstance(step.action, Copy):
        half = max(10, (room - 4) // 2)
        names = f"{shorten(item.key, half)} -> {shorten(item.path, half)}"
        return Text(f"{names} ({size(item.size)})")
    return Text(f"{shorten(item.key, room)} ({size(item.size)})")


def _grid(rows: Iterable[tuple[str, Text]]) -> Table:
    """Labels left, text right, long text folded below itself."""
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True, style="dim", min_width=8)
    grid.add_column(overflow="fold")
    for label, text in rows:
        grid.add_row(label, text)
    return grid
