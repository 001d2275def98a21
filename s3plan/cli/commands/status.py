"""``s3plan status``: how far a run is, bucket by bucket; or how far archiving is."""

from __future__ import annotations

from pathlib import Path

import click

from s3plan.cli.command import Command
from s3plan.cli.settings import settings
from s3plan.cli.tables import MANIFESTS, chosen_format, put_out
from s3plan.cli.variables import read_variables, variable_options


@click.command(
    cls=Command,
    name="status",
    short_help="Show how far a run is, or the archives of a manifest.",
    exits=(0, 1),
)
@click.argument(
    "journal", metavar="[JOURNAL|MANIFEST]", required=False, type=click.Path(path_type=Path)
)
@variable_options
def command(*, journal: Path | None, var: tuple[str, ...], var_file: tuple[Path, ...]) -> int:
    """Show how far a run is (that of journal.json unless named); works while it runs.

    Of a manifest with a SessionArchive: which sessions are archived, in which storage class their
    archives are and should be, and when the next one moves.
    """
    from s3plan import api

    view = settings().view()
    if journal is None or journal.suffix not in MANIFESTS:
        view.status(api.status(journal))
        return 0
    from s3plan.views.tabular import report_lines

    with view.look() as watch:
        found = api.sessions_standing(
            journal, variables=read_variables(var, var_file), observer=watch
        )
    put_out(report_lines(found, chosen_format(None, None), most_rows=None), None)
    return 0
