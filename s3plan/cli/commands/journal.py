"""``s3plan journal``: put the journal of the working directory aside."""

from __future__ import annotations

import click

from s3plan.cli.command import Command, Group
from s3plan.cli.exits import HELD
from s3plan.cli.settings import settings
from s3plan.errors import HeldError

_COMMAND = "s3plan journal reset --approve"


@click.group(cls=Group, name="journal")
def command() -> None:
    """Put the journal aside."""


@command.command(cls=Command, name="reset", exits=(0, 1, 4, 6))
@click.option("--approve", is_flag=True, help="Do not ask.")
def reset(approve: bool) -> int:
    """Archive the journal, so that the next apply starts afresh; touches no downloaded file."""
    from s3plan import api
    from s3plan.views.text import visible

    view = settings().view()
    if not approve:
        answer = view.confirm("Archive the journal? Downloaded files stay as they are. (yes/no)")
        if answer is None:
            raise HeldError("nobody is here to ask", next_step=f"`{_COMMAND}`")
        if not answer:
            view.told("Not approved: nothing was changed.", {"type": "not-approved"})
            return HELD
    path = str(api.journal_reset())
    view.told(f"The journal is now {visible(path)}", {"type": "journal-reset", "path": path})
    return 0
