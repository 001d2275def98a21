"""The review of a plan as Markdown for a pull request: deterministic, within a budget of bytes.

What cannot be undone comes first and is never cut. Where it does not fit step by step it is
grouped, and the page says that the plan needs a full review. Everything else is added as long as
there is room: the table, then what each step is about. A page that left something out says what.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence

from s3plan.model.commands import CommandRef
from s3plan.model.cost import Cost, Dollars, PlanCost
from s3plan.model.steps import Configure, RunCommand, Step, Totals
from s3plan.plan.reading import ItemRow
from s3plan.plan.summary import WorklistSummary, summarize
from s3plan.rules.commands import apply_command, step_command
from s3plan.rules.commands_of import commands_of
from s3plan.rules.effects import effect_of
from s3plan.views.documents import document_lines
from s3plan.views.marktext import code, comment, fenced, prose
from s3plan.views.quantities import counted, dollars, duration, number, size
from s3plan.views.review import PlanDocument, by_charge, totals_line
from s3plan.views.wording import REVERSIBILITY, argv_of, words_of, words_of_command

BUDGET = 60_000
"""Bytes of a page: GitHub takes comments of 65,536 characters, and counts some of them as bytes."""

SMALLEST_BUDGET = 4_000

_PREFIXES = 12
_GROUPED = 20
"""Steps of one verb that stand one by one where everything is grouped."""

_ONCE, _MONTHLY = "once, USD", "a month, USD"

_ARGV = 4_000
"""Characters of a command that a reviewer must see."""

_HEADER_VERSION = 1


def markdown(
    plan: PlanDocument, name: str, *, budget: int = BUDGET, commit: str | None = None
) -> str:
    """The page, ending in a newline. ``name`` is the plan's path as the reader knows it.

    ``commit`` goes into the hidden header, so that a comment can be told from a stale one.
    """
    last = _commands(plan, name)
    top = [_hidden(plan, commit), _verdict(plan)]
    warnings = list(_irreversible(plan.steps))
    room = budget - _bytes([*top, last]) - 400  # what a page that is cut says of itself
    grouped = _bytes(warnings) > room
    if grouped:
        warnings = list(_irreversible_grouped(plan.steps, room))
    page = _Page([*top, *warnings], budget - _bytes([last]) - 400)
    table = _Table(plan.steps)
    summaries: dict[str, WorklistSummary] = {}
    for step in plan.steps:
        if step.worklist is not None and step.worklist not in summaries:
            summaries[step.worklist] = summarize(
                plan, step.worklist, step.totals.items, plan.digest
            )
        table.add(step, plan.header.known_cost, summaries.get(step.worklist or ""))
    page.add_lines(table.head(), table.rows(), table.left_out)
    page.add_blocks(
        _detail(step, plan, name, summaries.get(step.worklist or "")) for step in plan.steps
    )
    if grouped:
        page.demand("what cannot be undone is grouped, because it is too much for one page")
    return page.text([last])


# -- the page --------------------------------------------------------------------------------------


class _Page:
    """Blocks of Markdown with an empty line between them, as many as fit."""

    def __init__(self, blocks: Sequence[str], budget: int) -> None:
        self._blocks = [block for block in blocks if block]
        self._room = budget - _bytes(self._blocks)
        self._demands: list[str] = []

    def demand(self, why: str) -> None:
        """Say at the end that the page is not enough, and why."""
        self._demands.append(why)

    def add_lines(self, head: str, rows: Iterator[str], left_out: str) -> None:
        """A table: as many rows as half of the room takes; the others are counted."""
        taken: list[str] = []
        left = 0
        room = self._room // 2 - _bytes([head]) - 200
        for row in rows:
            if left or len(row.encode()) + 1 > room:
                left += 1
                continue
            room -= len(row.encode()) + 1
            taken.append(row)
        if not taken and not left:
            return
        block = "\n".join([head, *taken])
        if left:
            block += f"\n\n{number(left)} {left_out}"
        self._blocks.append(block)
        self._room -= _bytes([block])

    def add_blocks(self, blocks: Iterator[str]) -> None:
        """A block a step, as long as they fit; after one that does not, none."""
        left = 0
        for block in blocks:
            if left or _bytes([block]) > self._room:
                left += 1
                continue
            self._room -= _bytes([block])
            self._blocks.append(block)
        if left:
            self._blocks.append(f"{counted(left, 'step')} more: `s3plan show` has them all.")

    def text(self, last: Sequence[str]) -> str:
        """The whole page."""
        blocks = list(self._blocks)
        if self._demands:
            blocks.insert(2, f"**Needs full review:** {'; '.join(self._demands)}.")
        return "\n\n".join([*blocks, *last]) + "\n"


def _bytes(blocks: Sequence[str]) -> int:
    return sum(len(block.encode()) + 2 for block in blocks)


# -- its parts -------------------------------------------------------------------------------------


def _hidden(plan: PlanDocument, commit: str | None) -> str:
    said: dict[str, object] = {"v": _HEADER_VERSION, "digest": plan.digest}
    said["manifests"] = [
        {"path": ref.path, "name": ref.name, "sha256": ref.sha256}
        for ref in plan.header.manifests[:20]
    ]
    if commit is not None:
        said["commit"] = commit
    return comment("s3plan " + json.dumps(said, separators=(",", ":"), sort_keys=True))


def _verdict(plan: PlanDocument) -> str:
    header = plan.header
    target = header.target
    account = f", account {code(target.account)}" if target.account else ""
    never = sum(step.reversibility == "never" for step in plan.steps)
    until = sum(step.reversibility == "until" for step in plan.steps)
    removing = sum(effect_of(step.action) == "removes" for step in plan.steps)
    parts = [
        f"**{counted(never, 'step')} cannot be undone**" if never else "nothing is irreversible",
        *([f"{counted(until, 'step')} can be undone only for a time"] if until else []),
        *([f"{counted(removing, 'step')} {_takes(removing)} something away"] if removing else []),
    ]
    verdict = "; ".join(parts)
    names = ", ".join(code(f"{ref.kind} {ref.name}") for ref in header.manifests[:5])
    return "\n".join(
        [
            f"### s3plan: {names or 'plan'}",
            "",
            f"{verdict[:1].upper() + verdict[1:]}.",
            "",
            f"> {_in_dollars(totals_line(plan))}",
            "",
            f"Digest {code(plan.digest)}, for {code(target.endpoint)} in"
            f" {code(target.region)}{account}.",
            *(["", *notified] if (notified := list(_runs("notifies", header.notified))) else []),
        ]
    )


def _takes(count: int) -> str:
    return "takes" if count == 1 else "take"


def _risky(steps: Sequence[Step]) -> Iterator[tuple[str, list[Step]]]:
    for level, title in (
        ("never", "Cannot be undone"),
        ("until", "Can be undone only for a time"),
    ):
        found = [step for step in steps if step.reversibility == level]
        if found:
            yield title, found


def _irreversible(steps: Sequence[Step]) -> Iterator[str]:
    for title, found in _risky(steps):
        lines = [f"#### {title}", ""]
        for step in found:
            lines.append(f"- **{step.verb}** {code(step.subject)}: {_amount(step)}{_gate(step)}.")
            lines.append(f"  {prose(step.undo)}")
            lines += [f"  Warning: {prose(warning)}" for warning in step.warnings]
        yield "\n".join(lines)


def _irreversible_grouped(steps: Sequence[Step], room: int) -> Iterator[str]:
    """By verb and way back; of each as many subjects as its share of the room takes."""
    groups: dict[tuple[str, str, str], list[Step]] = {}
    for title, found in _risky(steps):
        for step in found:
            groups.setdefault((title, step.verb, step.undo), []).append(step)
    kinds: dict[tuple[str, str], list[list[Step]]] = {}
    for (title, verb, _), found in groups.items():
        kinds.setdefault((title, verb), []).append(found)
    share = max(200, room // max(1, len(kinds)) - 300)
    for (title, verb), parts in kinds.items():
        found = [step for part in parts for step in part]
        totals = sum((step.totals for step in found), Totals())
        things = words_of(found[0].action).things
        what = f", {counted(totals.items, things)}, {size(totals.bytes)}" if things else ""
        names: list[str] = []
        for step in found[:_GROUPED]:
            shown = code(step.subject)
            share -= len(shown.encode()) + 2
            if share < 0:
                break
            names.append(shown)
        more = f" and {number(len(found) - len(names))} more" if len(found) > len(names) else ""
        undo = f"  {prose(found[0].undo, 200)}"
        ways = f" ({number(len(parts))} different ways back)" if len(parts) > 1 else ""
        yield "\n".join(
            [
                f"#### {title}",
                "",
                f"- **{verb}** of {counted(len(found), 'subject')}{what}: "
                f"{', '.join(names)}{more}.",
                undo + ways,
            ]
        )


def _amount(step: Step) -> str:
    if isinstance(step.action, Configure):
        return f"the document {code(step.action.document)}"
    if isinstance(step.action, RunCommand):
        return f"the command {code(step.action.command.name)}"
    things = words_of(step.action).things
    if things is None:
        return "the bucket itself"
    return f"{counted(step.things, things)}, {size(step.totals.bytes)}"


def _gate(step: Step) -> str:
    if step.gate is None:
        return ""
    return f", behind the gate {code(step.gate.kind)}"


def _commands(plan: PlanDocument, name: str) -> str:
    return "To run exactly this plan:\n\n" + fenced(apply_command(name, plan.digest))


class _Table:
    """Verb, bucket and prefix, class: objects, bytes, cost, way back, gate."""

    left_out = "more lines are in the plan."

    def __init__(self, steps: Sequence[Step]) -> None:
        self._rows: list[str] = []
        self._has_gates = any(step.gate for step in steps)

    def head(self) -> str:
        names = ["", "verb", "bucket / prefix", "class", "items", "bytes", _ONCE, _MONTHLY]
        names += ["undo", *(["gate"] if self._has_gates else [])]
        right = {"items", "bytes", _ONCE, _MONTHLY}
        rule = ["---:" if name in right else "---" for name in names]
        return f"| {' | '.join(names)} |\n| {' | '.join(rule)} |"

    def add(self, step: Step, cost: PlanCost | None, summary: WorklistSummary | None) -> None:
        words = words_of(step.action)
        costs = None if cost is None else cost.steps.get(step.id)
        by_class = summary.by_class() if summary is not None else {}
        place = f"{step.subject}/{summary.common}" if summary is not None else step.subject
        entries: list[tuple[str, Totals | None]] = list(by_class.items()) or [("", None)]
        for storage_class, totals in entries:
            cells = [
                f"`{words.symbol}`",
                step.verb,
                code(place, 80),
                code(said) if (said := storage_class or _document(step)) else "",
                number(totals.items) if totals else "",
                size(totals.bytes) if totals else "",
                *_money(costs, storage_class if len(entries) > 1 else None),
                REVERSIBILITY[step.reversibility],
            ]
            if self._has_gates:
                cells.append(step.gate.kind if step.gate else "")
            self._rows.append(f"| {' | '.join(cells)} |")

    def rows(self) -> Iterator[str]:
        yield from self._rows


def _document(step: Step) -> str:
    if isinstance(step.action, RunCommand):
        return step.action.command.name
    return step.action.document if isinstance(step.action, Configure) else ""


def _money(cost: Cost | None, storage_class: str | None) -> tuple[str, str]:
    """What one class of a step costs, or with None the whole step."""
    if cost is None:
        return "unknown", "unknown"
    if storage_class is None:
        return _figure(cost.once), _figure(cost.monthly)
    once = [line.dollars for line in cost.lines if line.storage_class == storage_class]
    monthly = [line.dollars for line in cost.monthly_lines if line.storage_class == storage_class]
    return _figure(sum(once, Dollars())), _figure(sum(monthly, Dollars()))


def _figure(amount: Dollars) -> str:
    return dollars(amount).replace("$", "")


def _in_dollars(text: str) -> str:
    """Without the sign, which begins a formula on GitHub and GitLab."""
    return text.replace("-$", "USD -").replace("$", "USD ")


def _detail(step: Step, plan: PlanDocument, name: str, summary: WorklistSummary | None) -> str:
    words = words_of(step.action)
    title = f"{words.symbol} {step.verb} {code(step.subject)}: {_amount(step)}"
    if step.seconds is not None:
        title += f", {'about ' if step.seconds >= 1 else ''}{duration(step.seconds)}"
    lines = [f"<details><summary>{title}</summary>", "", f"- why: {prose(step.reason)}"]
    lines += [f"- means: {prose(_in_dollars(sentence))}" for sentence in step.meaning or ()]
    lines += _runs("runs", commands_of(step.action))
    lines.append(f"- id: {code(step.id)}")
    lines += [f"- {need.mode}: {code(need.step)}" for need in step.needs]
    lines.append(f"- undo: {REVERSIBILITY[step.reversibility]}. {prose(step.undo)}")
    lines += [f"- warning: {prose(warning)}" for warning in step.warnings]
    if isinstance(step.action, Configure):
        change = "\n".join(line.plain for line in document_lines(step.action))
        lines += ["", fenced(change, "diff")]
    cost = plan.header.known_cost
    if cost is not None and step.id in cost.steps and cost.steps[step.id].lines:
        parts = ", ".join(
            f"{charge} {_figure(amount)}" for charge, amount in by_charge(cost.steps[step.id].lines)
        )
        lines.append(f"- cost in USD: {parts}")
    if summary is not None and step.worklist == step.id:
        lines += _worklist(summary)
        lines.append(f"- every item: {code(step_command(name, step.id))}")
    elif step.worklist is not None:
        lines.append(f"- items: those of {code(step.worklist)}")
    return "\n".join([*lines, "", "</details>"])


def _runs(label: str, commands: Iterable[CommandRef]) -> Iterator[str]:
    for command in commands:
        yield f"- {label}: {code(argv_of(command), _ARGV)} ({prose(words_of_command(command))})"


def _worklist(summary: WorklistSummary) -> Iterator[str]:
    if summary.first is not None and summary.last is not None:
        yield f"- first: {_item(summary.first)}"
        if summary.last.n != summary.first.n:
            yield f"- last: {_item(summary.last)}"
    for odd in summary.oddities:
        yield f"- {odd.what}: {number(odd.count)}, first {code(odd.first)}"
    groups, more = summary.by_prefix(_PREFIXES)
    if len(groups) > 1:
        yield "- by prefix, largest first:"
        for group in groups:
            yield (
                f"  - {code(group.prefix or '(no folder)')} {code(group.storage_class)}:"
                f" {counted(group.totals.items, 'object')}, {size(group.totals.bytes)}"
            )
        if more:
            yield f"  - and {number(more)} more"
    if summary.totals.items > 2:
        yield f"- largest: {'; '.join(_item(row) for row in summary.largest)}"
        yield f"- a sample: {'; '.join(_item(row) for row in summary.sample)}"


def _item(row: ItemRow) -> str:
    # A path that is not simply the key below some folder: an encoded name, or a copy's new key.
    other = row.path and not f"/{row.path}".endswith(f"/{row.key}")
    as_what = f" as {code(row.path)}" if other else ""
    return f"{code(row.key)}{as_what} ({size(row.size)})"
