"""``s3plan drift``: what is no longer as it was applied, and why."""

from __future__ import annotations

from pathlib import Path

import click

from s3plan.cli.command import Command
from s3plan.cli.exits import CHANGES
from s3plan.cli.settings import settings
from s3plan.cli.variables import read_variables, variable_options

_BUDGET = 30_000
"""Bytes of Markdown: half of what GitHub takes as a comment."""


@click.command(
    cls=Command,
    name="drift",
    short_help="Compare what was applied, what lives and what is declared.",
    exits=(0, 1, 2),
)
@click.argument(
    "manifests",
    metavar="MANIFEST...",
    nargs=-1,
    required=True,
    type=click.Path(path_type=Path),
)
@click.option(
    "--detailed-exitcode", is_flag=True, help="Exit with 2 instead of 0 when something drifted."
)
@click.option("--markdown", is_flag=True, help="Print Markdown, for an issue or a comment.")
@variable_options
def command(
    *,
    manifests: tuple[Path, ...],
    detailed_exitcode: bool,
    markdown: bool,
    var: tuple[str, ...],
    var_file: tuple[Path, ...],
) -> int:
    """Compare three ways: the last apply of these manifests, what lives, and what they declare.

    Only reads, and writes no plan. Says of everything that is not as declared whether it appeared,
    changed, or was undone since the last apply.
    """
    from s3plan import api

    variables = read_variables(var, var_file)
    view = settings().view()
    with view.look() as watch:
        found = api.drift(manifests, variables=variables, observer=watch)
    if markdown:
        from s3plan.views.drift import markdown_drift

        view.document(markdown_drift(found, budget=_BUDGET))
    else:
        view.drift(found)
    return CHANGES if detailed_exitcode and found.lines else 0
