"""How it reads what was given to another program, and what that one was found to have done."""

from __future__ import annotations

from collections.abc import Iterator

from s3plan.model.handover import Exported, Looked
from s3plan.views.quantities import counted, number, size
from s3plan.views.text import visible

_IMPORTED = (
    ("missing", "not there"),
    ("differing", "there, but not as planned"),
    ("failed", "failed"),
    ("drifted", "changed or gone since the plan, or in use by somebody else"),
)


def exported_lines(exported: Exported) -> Iterator[str]:
    """The worklists, what stays here and why, then the commands, each on a line of its own."""
    given = exported.given
    yield (
        f"{exported.folder}: {counted(given.items, 'object')} ({size(given.bytes)}) for"
        f" {exported.tool}"
    )
    for left in exported.left:
        yield (
            f"  left out, s3plan apply does them: {counted(left.totals.items, 'object')}"
            f" ({left.reason}), such as {visible(left.example)}"
        )
    if exported.after:
        yield f"Run it when these steps are done: {', '.join(exported.after)}"
    if not given.items:
        return
    yield "With the credentials that s3plan has:"
    yield ""
    yield from (f"  {visible(command)}" for command in exported.commands)
    yield ""
    if exported.remark:
        yield visible(exported.remark)
    yield f"Then: {exported.next_step}"


def looked_lines(looked: Looked) -> Iterator[str]:
    """How many objects are as planned, and what is not; then what to type."""
    yield (
        f"{looked.subject}: {number(looked.verified)} of {counted(looked.totals.items, 'object')}"
        f" found as planned; the receipts are in {looked.journal}"
    )
    for name, words in _IMPORTED:
        count: int = getattr(looked, name)
        if count:
            yield f"  {counted(count, 'object')} {words}"
    if looked.interrupted:
        yield "Interrupted: what was looked at is written down."
    if looked.next_step:
        yield f"Next: {looked.next_step}"
