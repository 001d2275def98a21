"""``s3plan journal``: put the journal of the working directory aside, or make lost ones again."""

from __future__ import annotations

import os
from pathlib import Path

import click

from s3plan.cli.approval import approver
from s3plan.cli.command import Command, Group
from s3plan.cli.exits import HELD, INCOMPLETE
from s3plan.cli.settings import settings
from s3plan.errors import HeldError

_COMMAND = "s3plan journal reset --approve"


@click.group(cls=Group, name="journal")
def command() -> None:
    """Put the journal aside, or make journals again that were lost."""


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


@command.command(cls=Command, name="rebuild", exits=(0, 1, 3, 6, 130))
@click.option(
    "--from-local",
    "directory",
    required=True,
    metavar="DIRECTORY",
    type=click.Path(path_type=Path),
    help="The destination whose catalogues tell.",
)
@click.option(
    "--connection",
    metavar="MANIFEST",
    type=click.Path(path_type=Path),
    help="A manifest file whose Connection a rollback shall use.",
)
def rebuild(directory: Path, connection: Path | None) -> int:
    """Make lost runs again from the catalogues of a destination.

    Reads every file and sends no request. A rebuilt run says what its files prove: it can be looked
    at and rolled back, never gone on with. Approvals, evidence and failures are lost. Ends with 3
    where files are not as their catalogue says.
    """
    from s3plan import api
    from s3plan.views.quantities import counted
    from s3plan.views.text import visible

    view = settings().view()
    with view.look() as watch:
        found = api.journal_rebuild(
            directory, approver=approver(), connection=connection, observer=watch
        )
    for rebuilt in found.made:
        journal = os.path.relpath(rebuilt.run.journal)
        wrong = f", {rebuilt.wrong:,} of them not as recorded" if rebuilt.wrong else ""
        view.told(
            f"run {rebuilt.run.id} is here again: {visible(', '.join(rebuilt.buckets))}, "
            f"{counted(rebuilt.files, 'file')}{wrong}\n"
            f"  look: s3plan status {visible(journal)}\n"
            f"  take back: s3plan rollback {visible(journal)}",
            {
                "type": "run-rebuilt",
                "run": rebuilt.run.id,
                "journal": journal,
                "buckets": rebuilt.buckets,
                "files": rebuilt.files,
                "wrong": rebuilt.wrong,
            },
        )
    for run in found.here:
        view.told(f"run {run} is here already", {"type": "run-here", "run": run})
    if not found.made and not found.here:
        view.told("The catalogues name no run.", {"type": "runs", "count": 0})
    return INCOMPLETE if any(rebuilt.wrong for rebuilt in found.made) else 0
