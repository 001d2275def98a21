"""``s3plan demo``: the whole way once, on a server of its own or a bucket of its own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from s3plan.cli.command import Command
from s3plan.cli.settings import settings

if TYPE_CHECKING:
    from s3plan.model.connection import Connection


@click.command(
    cls=Command,
    name="demo",
    short_help="Show the whole way on a server of its own.",
    exits=(0, 1, 4),
)
@click.option(
    "--connection",
    type=click.Path(dir_okay=False, path_type=Path),
    help="A manifest of kind Connection: use a new bucket there, and remove it afterwards.",
)
def command(connection: Path | None) -> int:
    """Fill a bucket, evacuate it and take that back, each command echoed before its output.

    Starts an S3 server on this machine unless --connection names another one. Succeeds only if
    every object is as it was.
    """
    from s3plan import demo

    view = settings().view()
    demo.run(
        None if connection is None else _read(connection),
        lambda line: view.told(line, {"type": "demo", "line": line}),
    )
    return 0


def _read(path: Path) -> tuple[Connection, str]:
    """Return the connection and the text of its manifest."""
    from s3plan import api

    connection = api.load_connection(path)
    return connection, path.read_text(encoding="utf-8")
