"""The change of a configuration document as lines: what goes, what comes, a little around it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import suppress
from difflib import unified_diff
from itertools import chain, repeat

from rich.text import Text

from s3plan.errors import PlanningError
from s3plan.model.buckets import Document
from s3plan.model.steps import Configure
from s3plan.rules.bucketdocuments import completed, same
from s3plan.rules.policies.difference import StatementChange, policy_changes
from s3plan.views.text import visible
from s3plan.views.wording import PROBES

_AROUND = 2
"""Unchanged lines shown before and after each change."""

_STYLES = {"-": "red", "+": "green", "~": "yellow"}


def change_rows(action: Configure) -> Iterator[tuple[str, Text]]:
    """Yield a configure step's rows of a review: its change, and what is tried afterwards."""
    yield from zip(chain(["change"], repeat("")), document_lines(action), strict=False)
    if action.temporary:
        yield (
            "until",
            Text("the deletion is done, is declined or fails; then the old is back"),
        )
    if action.probe:
        tried = ", ".join(PROBES[probe] for probe in action.probe)
        yield "then", Text(f"puts the old one back unless this still works: {tried}")


def document_lines(action: Configure) -> Iterator[Text]:
    """Yield the difference line by line: ``-`` goes, ``+`` comes, ``...`` is left out.

    Keys are sorted, so that only what is said differently differs.
    """
    after = completed(action.document, action.after)
    if action.fresh and after is None:
        yield Text("removed, where S3 gives the new bucket one unasked", style="yellow")
    elif after is None:
        yield Text("removed; it was:", style="red")
    elif action.before is None:
        yield Text("made; there is none now:", style="green")
    elif same(action.document, action.before, after):
        yield Text("says the same in other words")
        return
    if action.document == "policy":
        with suppress(PlanningError):  # what is no policy is shown as it is written
            changes = policy_changes(action.before, after)
            yield from _by_statement(changes)
            return
    # The first two lines name files, of which there are none.
    lines = list(unified_diff(_lines(action.before), _lines(after), n=_AROUND, lineterm=""))[2:]
    for number, line in enumerate(lines):
        if line.startswith("@@"):
            if number:
                yield Text("...", style="dim")
        else:
            yield Text(visible(line), style=_STYLES.get(line[0], ""))


def _by_statement(changes: Iterable[StatementChange]) -> Iterator[Text]:
    for change in changes:
        yield Text(visible(f"{change.change}: {change.name}"))
        for line in change.lines:
            yield Text(visible(f"  {line}"), style=_STYLES.get(line[:1], ""))


def _lines(document: Document) -> list[str]:
    if document is None:
        return []
    return json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False).splitlines()
