"""``s3plan monitor``: the copies of a finished run, looked at on the days that the plan says."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

from s3plan.cli.approval import approver
from s3plan.cli.command import Command
from s3plan.cli.exits import CHANGES
from s3plan.cli.settings import settings

if TYPE_CHECKING:
    from collections.abc import Sequence

    from s3plan.model.soak import NoteKind

KINDS = ("errors", "access", "performance", "feedback")
"""What a note can be about (``model.soak.NoteKind``)."""


@click.command(
    cls=Command,
    name="monitor",
    short_help="Check the copies of a finished run, when a check is due.",
    exits=(0, 1, 2, 5, 6),
)
@click.argument("journal", type=click.Path(path_type=Path))
@click.option("--full", is_flag=True, help="Check everything now, content too, due or not.")
@click.option(
    "--note",
    "notes",
    multiple=True,
    metavar="KIND=TEXT",
    help=f"Write down what you saw; KIND is one of {', '.join(KINDS)}. May be repeated.",
)
def command(journal: Path, *, full: bool, notes: Sequence[str]) -> int:
    """Run the check that is due of the run that wrote JOURNAL, and record it beside the journal.

    Made for cron, once a day: it does nothing on days without a check. Compares fresh listings with
    what the run copied, finds new objects in the old layout, and in the last week compares the
    content of every copy. Ends with 2 where something was found.
    """
    from s3plan import api
    from s3plan.views.soak import monitored

    found = api.monitor(journal, by=approver(), full=full, notes=[_note(text) for text in notes])
    sentence, record = monitored(found)
    settings().view().told(sentence, record)
    return CHANGES if found.check is not None and not found.check.passes else 0


def _note(text: str) -> tuple[NoteKind, str]:
    kind, _, said = text.partition("=")
    if kind not in KINDS or not said.strip():
        message = f"`{text}` is not KIND=TEXT with a KIND of {', '.join(KINDS)}"
        raise click.UsageError(message)
    return cast("NoteKind", kind), said.strip()
