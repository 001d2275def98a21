"""``s3plan signoff``: somebody signs for a finished run."""

from __future__ import annotations

from pathlib import Path

import click

from s3plan.cli.approval import approver
from s3plan.cli.command import Command
from s3plan.cli.settings import settings


@click.command(
    cls=Command,
    name="signoff",
    short_help="Sign for a finished run.",
    exits=(0, 1, 5, 6),
)
@click.argument("journal", type=click.Path(path_type=Path))
@click.option("--name", required=True, metavar="NAME", help="Who signs.")
@click.option("--role", required=True, metavar="ROLE", help="As what, such as data owner.")
@click.option("--note", default="", metavar="TEXT", help="What is to be said with it.")
def command(journal: Path, *, name: str, role: str, note: str) -> int:
    """Record beside JOURNAL that NAME signs for its run, with the SHA-256 of the journal.

    Sources are not deleted without it.
    """
    from s3plan import api
    from s3plan.views.soak import signed

    for option, text in (("--name", name), ("--role", role)):
        if not text.strip():
            message = f"{option} says nothing"
            raise click.UsageError(message)
    found = api.sign_off(
        journal, by=approver(), name=name.strip(), role=role.strip(), note=note.strip()
    )
    sentence, record = signed(found)
    settings().view().told(sentence, record)
    return 0
