"""The step graph as text for other programs to draw: Mermaid for Markdown, DOT for Graphviz.

Steps are nodes, what they wait for are edges; the steps of one subject stand together. Subjects are
untrusted text: every character that either language could act on is an entity or escaped.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from s3plan.model.steps import Configure, RunCommand, Step
from s3plan.rules.effects import Effect, effect_of
from s3plan.views.quantities import counted, size
from s3plan.views.text import visible
from s3plan.views.wording import words_of

_COLOURS: dict[Effect, tuple[str, str]] = {
    "reads": ("#e6f4f7", "#3b8ea5"),
    "adds": ("#e9f6ec", "#3c8d4f"),
    "changes": ("#fdf4dc", "#b98a1b"),
    "removes": ("#fbe9e7", "#c0492f"),
}
"""Fill and border by effect; the symbol in the label says the same without colour."""

# A label that begins like a list or a number is taken for Markdown, so dashes and dots go too.
_MERMAID_ACTIVE = re.compile(r"[^A-Za-z0-9 ,/]")


def mermaid(steps: Sequence[Step]) -> str:
    """A flowchart (https://mermaid.js.org/syntax/flowchart.html), ending in a newline.

    Labels are quoted; special characters are entity codes, as that page describes.
    """
    names = {step.id: f"s{number}" for number, step in enumerate(steps)}
    lines = ["flowchart TD"]
    for number, (subject, here) in enumerate(_by_subject(steps)):
        lines.append(f'  subgraph g{number}["{_mermaid_text(subject)}"]')
        for step in here:
            label = "<br/>".join(_mermaid_text(line) for line in label_of(step))
            lines.append(f'    {names[step.id]}["{label}"]:::{effect_of(step.action)}')
        lines.append("  end")
    for need, waiting, mode, gated in _edges(steps):
        arrow = "-.->|each|" if mode == "each" else "==>|gate|" if gated else "-->"
        lines.append(f"  {names[need]} {arrow} {names[waiting]}")
    for effect, (fill, border) in _COLOURS.items():
        lines.append(f"  classDef {effect} fill:{fill},stroke:{border},color:#1c1f23")
    return "\n".join(lines) + "\n"


def dot(steps: Sequence[Step]) -> str:
    """A directed graph in DOT (https://graphviz.org/doc/info/lang.html), ending in a newline."""
    names = {step.id: f"s{number}" for number, step in enumerate(steps)}
    lines = [
        "digraph plan {",
        "  rankdir=TB;",
        '  node [shape=box, style="rounded,filled", fontname="sans-serif"];',
    ]
    for number, (subject, here) in enumerate(_by_subject(steps)):
        lines += [f"  subgraph cluster_{number} {{", f"    label={_dot_text([subject])};"]
        for step in here:
            fill, border = _COLOURS[effect_of(step.action)]
            label = _dot_text(label_of(step))
            lines.append(
                f'    {names[step.id]} [label={label}, fillcolor="{fill}", color="{border}"];'
            )
        lines.append("  }")
    for need, waiting, mode, gated in _edges(steps):
        style = ' [style=dashed, label="each"]' if mode == "each" else ""
        style = style or (' [style=bold, label="gate"]' if gated else "")
        lines.append(f"  {names[need]} -> {names[waiting]}{style};")
    return "\n".join([*lines, "}"]) + "\n"


def label_of(step: Step) -> list[str]:
    """The lines of a node: what is done, to how much."""
    words = words_of(step.action)
    lines = [f"{words.symbol} {step.verb}"]
    if isinstance(step.action, Configure):
        lines.append(step.action.document)
    elif isinstance(step.action, RunCommand):
        lines.append(step.action.command.name)
    elif words.things is not None:
        lines.append(f"{counted(step.things, words.things)}, {size(step.totals.bytes)}")
    return lines


def _by_subject(steps: Sequence[Step]) -> Iterator[tuple[str, list[Step]]]:
    found: dict[str, list[Step]] = {}
    for step in steps:
        found.setdefault(step.subject, []).append(step)
    yield from found.items()


def _edges(steps: Sequence[Step]) -> Iterator[tuple[str, str, str, bool]]:
    for step in steps:
        for need in step.needs:
            gated = step.gate is not None and step.gate.evidence == need.step
            yield need.step, step.id, need.mode, gated


def _mermaid_text(text: str) -> str:
    return _MERMAID_ACTIVE.sub(lambda found: f"#{ord(found[0])};", visible(text))


def _dot_text(lines: Sequence[str]) -> str:
    # The only escapes of a quoted string are \" and, in labels, backslash sequences such as \N.
    shown = (visible(line).replace("\\", "\\\\").replace('"', '\\"') for line in lines)
    return '"' + "\\n".join(shown) + '"'
