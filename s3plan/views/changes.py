"""What changed between two plans, for people on a terminal and for a pull request."""

from __future__ import annotations

from collections.abc import Iterator

from rich.text import Text

from s3plan.model.steps import Configure, Item, Step
from s3plan.plan.comparison import Change, ItemChange, ItemChanges, PlanChanges, StepChange
from s3plan.rules.commands import short
from s3plan.views.documents import document_lines
from s3plan.views.marktext import code, fenced, middle_out
from s3plan.views.quantities import counted, number, size
from s3plan.views.text import shorten, visible

_SIGNS: dict[Change, tuple[str, str]] = {
    "added": ("+", "green"),
    "removed": ("-", "red"),
    "changed": ("~", "yellow"),
    "same": ("=", "dim"),
}


def change_lines(changes: PlanChanges, columns: int) -> Iterator[Text]:
    """Yield a line for each step that differs, and lines for its items below it."""
    if changes.same:
        yield Text("Nothing changed: both are the same plan.")
        return
    yield Text(f"From {short(changes.old)} to {short(changes.new)}: {changes.sentence()}.")
    for step in changes.steps:
        if step.change == "same":
            continue
        sign, style = _SIGNS[step.change]
        yield Text()
        line = Text(f"{sign} ", style=f"bold {style}")
        yield line.append(
            visible(f"{step.step.verb} {step.step.subject}{_what(step)}"), style="default"
        )
        for text in _document(step):
            yield Text(f"      {text}")
        if step.items is not None:
            yield from _item_lines(step.items, columns)
    same = sum(step.change == "same" for step in changes.steps)
    if same:
        yield Text()
        yield Text(f"{counted(same, 'step')} as before.", style="dim")


def markdown_changes(changes: PlanChanges, *, budget: int) -> str:
    """The same as Markdown, at most ``budget`` bytes; what is left out is counted."""
    if changes.same:
        return "Nothing changed: both are the same plan.\n"
    blocks = [
        "### s3plan: what changed since the reviewed plan",
        f"From {code(changes.old)} to {code(changes.new)}: {changes.sentence()}.",
    ]
    room = budget - sum(len(block.encode()) + 2 for block in blocks) - 100
    left = 0
    for step in changes.steps:
        if step.change == "same":
            continue
        block = "\n".join(_markdown_step(step))
        if left or len(block.encode()) + 2 > room:
            left += 1
            continue
        room -= len(block.encode()) + 2
        blocks.append(block)
    if left:
        blocks.append(f"{counted(left, 'changed step')} more; `s3plan diff` has them all.")
    return "\n\n".join(blocks) + "\n"


def _what(step: StepChange) -> str:
    said = list(step.parts)
    if step.items is not None:
        items = step.items
        for totals, word in (
            (items.added, "more"),
            (items.removed, "fewer"),
            (items.changed, "changed"),
        ):
            if totals.items:
                said.append(f"{counted(totals.items, 'item')} {word} ({size(totals.bytes)})")
    return f": {', '.join(said)}" if said else ""


def _item_lines(items: ItemChanges, columns: int) -> Iterator[Text]:
    for change in items.first:
        sign, style = _SIGNS[_kind(change)]
        item = change.new or change.old
        assert item is not None
        line = Text("      ").append(f"{sign} ", style=style)
        yield line.append(f"{shorten(item.key, columns - 45)} ({_difference(change)})")
    more = _count(items) - len(items.first)
    if more:
        yield Text(f"      ... and {number(more)} more")


def _markdown_step(step: StepChange) -> Iterator[str]:
    sign, _ = _SIGNS[step.change]
    yield f"- `{sign}` **{step.step.verb}** {code(step.step.subject)}{_what(step)}"
    text = "\n".join(_document(step))
    if text:
        yield ""
        yield "\n".join("  " + line for line in fenced(text, "diff").split("\n"))
    if step.items is not None:
        for change in step.items.first:
            item = change.new or change.old
            assert item is not None
            yield f"  - `{_SIGNS[_kind(change)][0]}` {code(item.key)} ({_difference(change)})"
        more = _count(step.items) - len(step.items.first)
        if more:
            yield f"  - and {number(more)} more"


def _document(step: StepChange) -> Iterator[str]:
    """What a configuration would become now, where that is another document."""
    new: Step | None = step.new
    if new is not None and isinstance(new.action, Configure):
        yield from (middle_out(line.plain, 400) for line in document_lines(new.action))


def _kind(change: ItemChange) -> Change:
    if change.old is None:
        return "added"
    return "removed" if change.new is None else "changed"


def _difference(change: ItemChange) -> str:
    old, new = change.old, change.new
    if old is None or new is None:
        item = new or old
        assert item is not None
        return size(item.size)
    return ", ".join(_fields(old, new)) or "another version"


def _fields(old: Item, new: Item) -> Iterator[str]:
    if old.size != new.size:
        one, other = size(old.size), size(new.size)
        yield f"{one} -> {other}" if one != other else f"{old.size:,} -> {new.size:,} B"
    elif (old.etag, old.modified) != (new.etag, new.modified):
        yield "written again"
    if old.storage_class != new.storage_class:
        yield f"{visible(old.storage_class)} -> {visible(new.storage_class)}"
    if old.path != new.path:
        yield "under another name"


def _count(items: ItemChanges) -> int:
    return items.added.items + items.removed.items + items.changed.items
