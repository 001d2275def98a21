"""``s3plan runs``: the runs of the working directory: listed, given up, brought from a mirror."""

from __future__ import annotations

import os
import shlex
from pathlib import Path

import click

from s3plan.cli.approval import approver
from s3plan.cli.command import Command, Group
from s3plan.cli.exits import HELD
from s3plan.cli.settings import settings
from s3plan.errors import HeldError


@click.group(cls=Group, name="runs")
def command() -> None:
    """List runs, give one up, or bring one from its mirror."""


@command.command(cls=Command, name="list", exits=(0, 1))
def list_() -> int:
    """List every run of the working directory, oldest first."""
    import msgspec

    from s3plan import api
    from s3plan.views.text import visible

    view = settings().view()
    found = api.list_runs()
    for run in found:
        words = [f"{run.id}  {run.command or 'run'} {run.outcome}", ", ".join(run.buckets)]
        if run.started:
            words.append(f"started {run.started}, last record {run.updated}")
        words += [f"running: {run.running}"] if run.running else []
        words += [run.problem] if run.problem else []
        words += [f"next: {run.next_step}"] if run.next_step else []
        sentence = "; ".join(word for word in words if word)
        view.told(visible(sentence), {"type": "run", **msgspec.structs.asdict(run)})
    if not found:
        view.told("No runs here.", {"type": "runs", "count": 0})
    return 0


@command.command(cls=Command, name="abandon", exits=(0, 1, 4, 5, 6))
@click.argument("run")
@click.option("--approve", is_flag=True, help="Do not ask.")
def abandon(run: str, approve: bool) -> int:
    """Give RUN up: it is never resumed. Its files stay, and a rollback still takes it back.

    RUN is an id as `s3plan runs list` shows it, or enough of its beginning.
    """
    from s3plan import api
    from s3plan.views.text import visible

    view = settings().view()
    if not approve:
        answer = view.confirm(f"Give up run {visible(run)}? Downloaded files stay. (yes/no)")
        if answer is None:
            again = shlex.join(["s3plan", "runs", "abandon", run, "--approve"])
            raise HeldError("nobody is here to ask", next_step=f"`{again}`")
        if not answer:
            view.told("Not approved: nothing was changed.", {"type": "not-approved"})
            return HELD
    journal = str(api.abandon_run(run, approver=approver()))
    view.told(
        f"The run is given up; `s3plan rollback {visible(journal)}` takes back what it did",
        {"type": "run-abandoned", "journal": journal},
    )
    return 0


@command.command(cls=Command, name="recover", exits=(0, 1))
@click.argument("mirror")
@click.option("--run", metavar="ID", help="Which run, where the mirror holds several.")
@click.option(
    "--connection",
    metavar="MANIFEST",
    type=click.Path(path_type=Path),
    help="A manifest file whose Connection reaches the mirror.",
)
def recover(mirror: str, run: str | None, connection: Path | None) -> int:
    """Bring a run from MIRROR, as `s3plan apply --journal-mirror` wrote it, to go on with it here.

    The disk with the destination must be mounted at the same path; its marker proves that it is
    the one the run began with.
    """
    from s3plan import api
    from s3plan.rules.commands import apply_command
    from s3plan.views.text import visible

    journal, plan = api.recover_run(mirror, run=run, connection=connection)
    path = os.path.relpath(journal.parent / "plan.json")
    following = apply_command(path, plan.digest)
    settings().view().told(
        f"The run is here: {visible(str(journal))}\nTo go on with it: {visible(following)}",
        {"type": "run-recovered", "journal": str(journal), "next": following},
    )
    return 0
