"""Pictures of a plan as inline SVG: the step graph in lanes, and bars. Text is escaped."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

from s3plan.model.steps import Step
from s3plan.rules.effects import effect_of
from s3plan.views.graph import label_of
from s3plan.views.marktext import middle_out
from s3plan.views.text import visible

MOST_LANES = 60
"""Subjects that are drawn; `s3plan graph` has all."""

_WIDTH, _HEIGHT = 196, 46
_GAP_X, _GAP_Y = 46, 26
_LABEL = 22


def graph_picture(steps: Sequence[Step]) -> str:
    """One lane a subject, its steps from left to right behind what they wait for."""
    lanes = list(dict.fromkeys(step.subject for step in steps))[:MOST_LANES]
    drawn = [step for step in steps if step.subject in set(lanes)]
    columns = _columns(drawn)
    places: dict[str, tuple[int, int]] = {}
    top = 0
    parts: list[str] = []
    for lane in lanes:
        parts.append(f'<text class="lane" x="2" y="{top + 14}">{escape(_short(lane, 90))}</text>')
        rows: dict[int, int] = {}
        for step in drawn:
            if step.subject == lane:
                column = columns[step.id]
                row = rows[column] = rows.get(column, -1) + 1
                x = column * (_WIDTH + _GAP_X) + 2
                places[step.id] = (x, top + _LABEL + row * (_HEIGHT + 10))
        deepest = max(rows.values(), default=0)
        top += _LABEL + (deepest + 1) * (_HEIGHT + 10) + _GAP_Y
    edges = [text for step in drawn for text in _edges(step, places)]
    nodes = [_node(step, *places[step.id]) for step in drawn]
    width = (max(columns.values(), default=0) + 1) * (_WIDTH + _GAP_X)
    top -= _GAP_Y
    return (
        f'<svg role="img" aria-label="The steps and what they wait for" width="{width}"'
        f' height="{top}" viewBox="0 0 {width} {top}" style="max-width:none">'
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7"'
        ' markerHeight="7" orient="auto"><path d="M0 0L8 4L0 8z" class="faint"/></marker></defs>'
        + "".join([*parts, *edges, *nodes])
        + "</svg>"
    )


def bars_picture(rows: Sequence[tuple[str, int, str]], *, names: int, bar: int) -> str:
    """Horizontal bars: name, value and the value as it reads; the longest is full.

    ``names`` and ``bar`` are the widths of the names and of the longest bar in pixels.
    """
    most = max((value for _, value, _ in rows), default=0) or 1
    height = 26 * len(rows)
    parts = []
    for number, (name, value, words) in enumerate(rows):
        y = number * 26
        length = round(bar * value / most, 1)
        parts.append(
            f'<text x="0" y="{y + 16}">{escape(_short(name, names // 7))}</text>'
            f'<rect class="bar" x="{names}" y="{y + 5}" width="{length}" height="14" rx="3"/>'
            f'<text class="faint" x="{names + length + 8}" y="{y + 16}">{escape(words)}</text>'
        )
    width = names + bar + 150
    return (
        f'<svg role="img" width="{width}" height="{height}" viewBox="0 0 {width} {height}">'
        + "".join(parts)
        + "</svg>"
    )


def _columns(steps: Sequence[Step]) -> dict[str, int]:
    """The longest way to each step."""
    columns: dict[str, int] = {}
    for step in steps:
        before = [columns[need.step] for need in step.needs if need.step in columns]
        columns[step.id] = max(before, default=-1) + 1
    return columns


def _node(step: Step, x: int, y: int) -> str:
    first, *others = label_of(step)
    second = escape(visible(", ".join(others)))
    return (
        f'<g class="node {effect_of(step.action)}"><title>{escape(visible(step.reason))}</title>'
        f'<rect x="{x}" y="{y}" width="{_WIDTH}" height="{_HEIGHT}"/>'
        f'<text class="verb" x="{x + 12}" y="{y + 19}">{escape(first)}</text>'
        f'<text class="faint" x="{x + 12}" y="{y + 36}">{second}</text></g>'
    )


def _edges(step: Step, places: dict[str, tuple[int, int]]) -> Iterator[str]:
    for need in step.needs:
        if need.step not in places:
            continue
        x1, y1 = places[need.step]
        x2, y2 = places[step.id]
        x1, y1, y2 = x1 + _WIDTH, y1 + _HEIGHT // 2, y2 + _HEIGHT // 2
        gated = step.gate is not None and step.gate.evidence == need.step
        kind = " each" if need.mode == "each" else " gate" if gated else ""
        bend = (x1 + x2) // 2
        yield (
            f'<path class="edge{kind}" marker-end="url(#tip)"'
            f' d="M{x1} {y1}C{bend} {y1} {bend} {y2} {x2 - 2} {y2}"/>'
        )


def _short(text: str, longest: int) -> str:
    return middle_out(visible(text), longest)
