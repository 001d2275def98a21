"""All of s3plan as one command of another click program: ``main.add_command(mounted)``.

Options, errors and exit codes are s3plan's own, whatever the other program does with its context.
"""

from __future__ import annotations

import click

from s3plan.cli.program import main


@click.command(
    name="s3plan",
    short_help="Plan and apply, for the data in S3.",
    add_help_option=False,
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@click.pass_context
def mounted(context: click.Context, arguments: tuple[str, ...]) -> None:
    """Run s3plan with these arguments, and end with its exit code."""
    context.exit(main(arguments))
