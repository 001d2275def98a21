"""What drifted, and how a plan stands against reality, for people."""

from __future__ import annotations

from collections.abc import Iterator

from rich.text import Text

from s3plan.model.recheck import Drift, Drifted, PlanRecheck, StepRecheck
from s3plan.views.marktext import code, prose
from s3plan.views.quantities import counted, number, size
from s3plan.views.text import shorten, visible

_WORDS = {
    "appeared": "appeared since",
    "changed": "changed since",
    "undone": "dealt with then, and needed again",
    "gone": "gone from S3 since",
}


def drift_lines(drift: Drift, columns: int) -> Iterator[Text]:
    """Yield what was last applied, a line a verb and subject that drifted, and the summary."""
    if drift.applied is None:
        yield Text("These manifests were never applied here.")
    else:
        yield Text(visible(f"Last applied: run {drift.applied}, planned {drift.time}."))
    for line in drift.lines:
        yield Text()
        yield Text("~ ", style="bold yellow").append(
            visible(f"{line.verb} {line.subject}{_what(line)}"), style="default"
        )
        yield from _first(line.first, columns)
    yield Text()
    yield Text(drift.summary, style="bold")


def markdown_drift(drift: Drift, *, budget: int) -> str:
    """What drifted as Markdown, at most ``budget`` bytes; lines that do not fit are counted."""
    applied = (
        "These manifests were never applied here."
        if drift.applied is None
        else f"Last applied: run {code(drift.applied)}, planned {code(drift.time or '')}."
    )
    blocks = ["### s3plan: drift", f"**{drift.summary}**", applied]
    room = budget - sum(len(block.encode()) + 2 for block in blocks) - 100
    lines: list[str] = []
    for line in drift.lines:
        names = f" First: {', '.join(code(name) for name in line.first)}" if line.first else ""
        text = f"- **{line.verb}** {code(line.subject)}{prose(_what(line))}.{names}"
        room -= len(text.encode()) + 1
        if room < 0:
            break
        lines.append(text)
    if lines:
        blocks.append("\n".join(lines))
    left = len(drift.lines) - len(lines)
    if left:
        blocks.append(f"{counted(left, 'line')} more: `s3plan drift` has them all.")
    return "\n\n".join(blocks) + "\n"


def recheck_lines(recheck: PlanRecheck, columns: int) -> Iterator[Text]:
    """Yield a line a step, what is not as planned below it, and whether the plan still holds."""
    for step in recheck.steps:
        sign, style = ("=", "cyan") if step.holds else ("!", "yellow")
        yield Text(f"{sign} ", style=f"bold {style}").append(
            visible(f"{step.verb} {step.subject}: {_standing(step)}"), style="default"
        )
        yield from _first(step.first, columns)
    for reason in recheck.reasons:
        yield Text(visible(f"! {reason}"), style="yellow")
    if recheck.holds:
        yield Text("The plan still holds.", style="bold")
    else:
        yield Text("The plan does not hold any more: plan again.", style="bold")


def _what(line: Drifted) -> str:
    parts = [
        f"{counted(totals.items, 'object')} {words}"
        + (f" ({size(totals.bytes)})" if totals.bytes else "")
        for name, words in _WORDS.items()
        if (totals := getattr(line, name)).items
    ]
    if line.remark:
        parts.append(line.remark)
    return f": {', '.join(parts)}" if parts else ""


def _standing(step: StepRecheck) -> str:
    if not step.looked:
        return "not looked at, it is on this machine alone"
    parts = [
        f"{number(count)} {words}"
        for count, words in (
            (step.as_planned, "as planned"),
            (step.changed, "changed since"),
            (step.gone, "gone since"),
            (step.in_the_way, "in the way"),
            (step.appeared, "appeared since"),
        )
        if count
    ]
    return ", ".join([*parts, *([step.remark] if step.remark else [])]) or "as planned"


def _first(names: tuple[str, ...], columns: int) -> Iterator[Text]:
    for name in names:
        yield Text(f"      {shorten(name, columns - 10)}")
