"""The review of a plan as one HTML page that needs nothing else: no network, no other file.

Figures, graph, charts and steps are in the page itself. Worklists are in it as compressed data and
become tables when their step is opened. The policy in its head lets nothing be loaded and only the
page's own script run; names are escaped, and set as text where the script shows them.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
from collections.abc import Iterable, Iterator
from html import escape
from importlib.resources import files
from typing import BinaryIO

import msgspec

from s3plan.model.commands import CommandRef
from s3plan.model.steps import Configure, RunCommand, Step, Totals
from s3plan.plan.summary import Group, WorklistSummary, summarize
from s3plan.rules.commands import apply_command
from s3plan.rules.commands_of import commands_of
from s3plan.rules.effects import effect_of
from s3plan.views.documents import document_lines
from s3plan.views.picture import MOST_LANES, bars_picture, graph_picture
from s3plan.views.quantities import counted, dollars, duration, number, size
from s3plan.views.review import PlanDocument, by_charge, totals_line
from s3plan.views.text import visible
from s3plan.views.wording import REVERSIBILITY, argv_of, words_of, words_of_command

MOST_ITEMS = 250_000
"""Items of a page, of all worklists together: what a browser holds without a thought."""

_BARS = 12


def write_html(plan: PlanDocument, name: str, out: BinaryIO) -> None:
    """Write the page to ``out`` piece by piece; ``name`` is the plan's path as the reader knows it.

    The same plan gives the same bytes.
    """
    page = _Page(plan, name)
    out.writelines(piece.encode("utf-8", "backslashreplace") for piece in page.pieces())


class _Page:
    def __init__(self, plan: PlanDocument, name: str) -> None:
        self._plan = plan
        self._name = name
        self._room = MOST_ITEMS
        self._summaries: dict[str, WorklistSummary] = {}
        for step in plan.steps:
            if step.worklist is not None and step.worklist not in self._summaries:
                self._summaries[step.worklist] = summarize(
                    plan, step.worklist, step.totals.items, plan.digest
                )

    def pieces(self) -> Iterator[str]:
        style = _resource("page.css")
        script = _resource("page.js")
        allowed = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        policy = (
            f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{allowed}';"
            " base-uri 'none'; form-action 'none'"
        )
        title = ", ".join(ref.name for ref in self._plan.header.manifests) or "plan"
        yield (
            '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
            f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            '<meta name="referrer" content="no-referrer">'
            f"<title>s3plan: {_text(title)}</title><style>{style}</style></head><body><main>\n"
        )
        yield from self._top()
        yield from self._warnings()
        yield self._tiles()
        yield from self._graph()
        yield from self._charts()
        yield from self._table()
        yield '<h2 id="steps">Steps</h2>\n'
        for place, step in enumerate(self._plan.steps):
            yield from self._step(place, step)
        command = _text(apply_command(self._name, self._plan.digest))
        yield (
            '<h2>To run exactly this plan</h2><div class="card command">'
            f'<code>{command}</code><button class="copy">Copy</button></div>\n'
            f"</main><script>{script}</script></body></html>\n"
        )

    def _top(self) -> Iterator[str]:
        header = self._plan.header
        names = ", ".join(f"{ref.kind} {ref.name}" for ref in header.manifests) or "Plan"
        target = header.target
        yield f"<h1>{_text(names)}</h1>\n"
        yield f'<p class="verdict">{_text(totals_line(self._plan))}</p>\n<dl class="card facts">'
        facts = [
            ("digest", f"<code>{_text(self._plan.digest)}</code>"),
            ("plan", f"<code>{_text(self._name)}</code>"),
            *(("manifest", _text(ref.path)) for ref in header.manifests),
            *_commands("notifies", header.notified),
            ("endpoint", f"<code>{_text(target.endpoint)}</code>"),
            ("region", _text(target.region)),
            ("account", _text(target.account or "not known")),
            ("made", _text(f"{header.created} on {header.host} by s3plan {header.tool}")),
        ]
        cost = header.known_cost
        if cost is not None:
            facts.append(("prices", _text(f"{cost.region}, {cost.date}; {cost.source}")))
        yield "".join(f"<dt>{label}</dt><dd>{value}</dd>" for label, value in facts) + "</dl>\n"

    def _warnings(self) -> Iterator[str]:
        for level, title in (
            ("never", "Cannot be undone"),
            ("until", "Can be undone only for a time"),
        ):
            found = [step for step in self._plan.steps if step.reversibility == level]
            if not found:
                continue
            yield f'<section class="card warn {level}"><h2>{title}</h2><ul>'
            # What is undone alike stands together; every subject is named.
            alike: dict[tuple[str, str], list[Step]] = {}
            for step in found:
                alike.setdefault((step.verb, step.undo), []).append(step)
            for (verb, undo), steps in alike.items():
                names = " ".join(
                    f"<code>{_text(step.subject)}</code>"
                    + (f"({_text(_amount(step))})" if step.totals.items else "")
                    for step in steps
                )
                many = f" of {counted(len(steps), 'subject')}" if len(steps) > 1 else ""
                yield f"<li><b>{verb}</b>{many}: {names}<br>{_text(undo)}</li>"
            yield "</ul></section>\n"
        for note in self._plan.header.notes:
            yield f'<section class="card warn until">{_text(note)}</section>\n'

    def _tiles(self) -> str:
        header = self._plan.header
        known = [step.seconds for step in self._plan.steps if step.seconds is not None]
        gates = sum(step.gate is not None for step in self._plan.steps)
        cost = header.known_cost
        tiles = [
            (number(header.totals.items), "items"),
            (size(header.totals.bytes), "bytes"),
            (number(len(self._plan.steps)), "steps"),
            (number(gates), "behind a gate"),
            ("unknown" if cost is None else dollars(cost.total.once), "once"),
            ("unknown" if cost is None else dollars(cost.total.monthly), "a month"),
            (duration(sum(known)) if known else "unknown", "estimated time"),
        ]
        inner = "".join(
            f'<div class="card tile"><b>{_text(figure)}</b><span>{label}</span></div>'
            for figure, label in tiles
        )
        return f'<h2>At a glance</h2><div class="tiles">{inner}</div>\n'

    def _graph(self) -> Iterator[str]:
        yield '<h2>Order</h2><div class="card scroll">' + graph_picture(self._plan.steps) + "</div>"
        more = len({step.subject for step in self._plan.steps}) - MOST_LANES
        if more > 0:
            yield f'<p class="soft">{counted(more, "subject")} more: s3plan graph has all.</p>'

    def _charts(self) -> Iterator[str]:
        groups = list(self._largest())
        if not any(group.totals.items for _, group in groups):
            return
        by_place: dict[str, Totals] = {}
        by_class: dict[str, Totals] = {}
        for place, group in groups:
            by_place[place] = by_place.get(place, Totals()) + group.totals
            known = by_class.get(group.storage_class, Totals())
            by_class[group.storage_class] = known + group.totals
        yield (
            '<h2>What it is about</h2><div class="charts">'
            f'<div class="card"><h3>Bytes by prefix</h3>{_bars(by_place, 220, 240)}</div>'
            f'<div class="card"><h3>Bytes by storage class</h3>{_bars(by_class, 160, 90)}</div>'
            "</div>\n"
        )

    def _largest(self) -> Iterator[tuple[str, Group]]:
        """Of each subject the largest worklist, as it holds all the others."""
        chosen: dict[str, Step] = {}
        for step in self._plan.steps:
            known = chosen.get(step.subject)
            if step.worklist and (known is None or step.totals.items > known.totals.items):
                chosen[step.subject] = step
        for subject, step in chosen.items():
            summary = self._summaries[step.worklist or ""]
            groups, _ = summary.by_prefix(10_000)
            for group in groups:
                yield f"{subject}/{group.prefix}", group

    def _table(self) -> Iterator[str]:
        yield (
            '<h2>Steps by class</h2><div class="card scroll"><table class="plain"><thead><tr>'
            '<th>verb</th><th>bucket</th><th>class</th><th class="n">items</th><th class="n">bytes'
            '</th><th class="n">once</th><th class="n">a month</th><th>undo</th><th>gate</th></tr>'
            "</thead><tbody>\n"
        )
        for step in self._plan.steps:
            yield from self._table_rows(step)
        yield "</tbody></table></div>\n"

    def _table_rows(self, step: Step) -> Iterator[str]:
        summary = self._summaries.get(step.worklist or "")
        classes = list(summary.by_class().items()) if summary is not None else []
        cost = self._plan.header.known_cost
        costs = cost.steps.get(step.id) if cost is not None else None
        for place, (name, totals) in enumerate(classes or [("", Totals())]):
            once = monthly = ""
            if place == 0:
                once = "unknown" if costs is None else dollars(costs.once)
                monthly = "unknown" if costs is None else dollars(costs.monthly)
            figures = (number(totals.items), size(totals.bytes)) if name else ("", "")
            yield (
                f"<tr><td>{_tag(step)}</td><td><code>{_text(step.subject)}</code></td>"
                f"<td>{_text(name or _document(step))}</td>"
                + "".join(f'<td class="n">{cell}</td>' for cell in (*figures, once, monthly))
                + f"<td>{REVERSIBILITY[step.reversibility]}</td>"
                f"<td>{step.gate.kind if step.gate else ''}</td></tr>\n"
            )

    def _step(self, place: int, step: Step) -> Iterator[str]:
        time = f", {duration(step.seconds)}" if step.seconds is not None else ""
        yield (
            f'<details class="card step" id="step-{place}"><summary>{_tag(step)}'
            f' <code>{_text(step.subject)}</code><span class="right">{_text(_amount(step))}{time}'
            '</span></summary><div class="body"><dl class="facts">'
        )
        cost = self._plan.header.known_cost
        facts = [
            ("why", _text(step.reason)),
            *(("means", _text(sentence)) for sentence in step.meaning or ()),
            *_commands("runs", commands_of(step.action)),
            ("id", f"<code>{_text(step.id)}</code>"),
            *((need.mode, f"<code>{_text(need.step)}</code>") for need in step.needs),
            *([("gate", step.gate.kind)] if step.gate else []),
            ("undo", f"<b>{REVERSIBILITY[step.reversibility]}</b>: {_text(step.undo)}"),
            *(("warning", f"<b>{_text(warning)}</b>") for warning in step.warnings),
        ]
        if cost is not None and step.id in cost.steps and cost.steps[step.id].lines:
            charges = by_charge(cost.steps[step.id].lines)
            facts.append(
                ("cost", ", ".join(f"{charge} {dollars(amount)}" for charge, amount in charges))
            )
        summary = self._summaries.get(step.worklist or "")
        if summary is not None and step.worklist == step.id:
            facts += [
                (odd.what, f"{number(odd.count)}, first <code>{_text(odd.first)}</code>")
                for odd in summary.oddities
            ]
        elif step.worklist is not None:
            facts.append(("items", f"those of <code>{_text(step.worklist)}</code>"))
        yield "".join(f"<dt>{label}</dt><dd>{value}</dd>" for label, value in facts) + "</dl>"
        if isinstance(step.action, Configure):
            yield f"<pre>{''.join(_changed_lines(step.action))}</pre>"
        if step.worklist == step.id and step.totals.items:
            yield from self._items(place, step)
        yield "</div></details>\n"

    def _items(self, place: int, step: Step) -> Iterator[str]:
        taken = min(self._room, step.totals.items)
        self._room -= taken
        left = step.totals.items - taken
        if left:
            yield (
                f'<p class="soft">{number(left)} of {counted(step.totals.items, "item")} are not'
                " on this page: s3plan show --step lists them all.</p>"
            )
        if not taken:
            return
        buttons = "".join(
            f'<span class="{cell}"><button data-by="{by}">{label}<span>{mark}</span></button>'
            "</span>"
            for by, label, cell, mark in (
                ("key", "key", "", " \u25b4"),
                ("size", "size", "n", ""),
                ("class", "class", "", ""),
                ("modified", "last modified", "", ""),
            )
        )
        yield (
            f'<div class="list" data-items="items-{place}"><div class="tools">'
            '<input type="search" placeholder="Part of a key" aria-label="Part of a key">'
            '<select aria-label="Storage class"><option value="">every class</option></select>'
            f'<span class="count">{counted(taken, "item")}</span></div><div class="grid">'
            f'<div class="row head">{buttons}</div>'
            '<div class="view" tabindex="0"><div class="room"></div></div></div></div>'
            f'<script type="application/gzip" id="items-{place}">'
        )
        yield _packed(self._plan, step, taken)
        yield "</script>"


def _packed(plan: PlanDocument, step: Step, taken: int) -> str:
    """The first ``taken`` items by column, compressed, in an alphabet that cannot end a script."""
    keys: list[str] = []
    sizes: list[int] = []
    names: dict[str, int] = {}
    classes: list[int] = []
    modified: list[str] = []
    paths: dict[str, str] = {}
    notes: dict[str, str] = {}
    for place, item in enumerate(plan.items(step.id)):
        if place >= taken:
            break
        keys.append(item.key)
        sizes.append(item.size)
        classes.append(names.setdefault(item.storage_class, len(names)))
        modified.append(item.modified)
        if item.path and not f"/{item.path}".endswith(f"/{item.key}"):
            paths[str(place)] = item.path
        if item.marker:
            notes[str(place)] = "delete marker"
        elif item.history is not None:
            notes[str(place)] = f"older version {item.history}"
    columns = {
        "keys": keys,
        "sizes": sizes,
        "classes": list(names),
        "class": classes,
        "modified": modified,
        "paths": paths,
        "notes": notes,
    }
    packed = gzip.compress(msgspec.json.encode(columns), compresslevel=6, mtime=0)
    return base64.b64encode(packed).decode()


def _bars(sums: dict[str, Totals], names: int, bar: int) -> str:
    ordered = sorted(sums.items(), key=lambda entry: (-entry[1].bytes, entry[0]))
    rows = [
        (name, totals.bytes, f"{size(totals.bytes)}, {number(totals.items)}")
        for name, totals in ordered[:_BARS]
    ]
    rest = sum((totals for _, totals in ordered[_BARS:]), Totals())
    if rest.items:
        words = f"{size(rest.bytes)}, {number(rest.items)}"
        rows.append((f"{number(len(ordered) - _BARS)} more", rest.bytes, words))
    return bars_picture(rows, names=names, bar=bar)


def _changed_lines(action: Configure) -> Iterator[str]:
    for line in document_lines(action):
        text = _text(line.plain)
        sign = line.plain.lstrip()[:1]
        name = {"+": "add", "-": "del"}.get(sign)
        yield f'<span class="{name}">{text}</span>\n' if name else f"{text}\n"


def _commands(label: str, commands: Iterable[CommandRef]) -> Iterator[tuple[str, str]]:
    for command in commands:
        words = _text(words_of_command(command))
        yield label, f"<code>{_text(argv_of(command))}</code><br>{words}"


def _tag(step: Step) -> str:
    symbol = words_of(step.action).symbol
    return f'<span class="tag {effect_of(step.action)}">{symbol} {step.verb}</span>'


def _document(step: Step) -> str:
    if isinstance(step.action, RunCommand):
        return step.action.command.name
    return step.action.document if isinstance(step.action, Configure) else ""


def _amount(step: Step) -> str:
    if isinstance(step.action, Configure):
        return step.action.document
    if isinstance(step.action, RunCommand):
        return step.action.command.name
    things = words_of(step.action).things
    if things is None:
        return "the bucket itself"
    return f"{counted(step.totals.items, things)}, {size(step.totals.bytes)}"


def _text(value: str) -> str:
    return escape(visible(value))


def _resource(name: str) -> str:
    return (files("s3plan.views") / "page" / name).read_text(encoding="utf-8")
