"""``s3plan export``: the worklist of one step for another program to run."""

from __future__ import annotations

from pathlib import Path

import click

from s3plan.cli.command import Command
from s3plan.cli.exits import INCOMPLETE
from s3plan.cli.settings import settings
from s3plan.rules.handover.tools import TOOLS, Tool


@click.command(
    cls=Command,
    name="export",
    short_help="Write the worklist of a step for rclone, s5cmd or S3 Batch Operations.",
    exits=(0, 1, 3),
)
@click.argument("tool", metavar="s3-batch|rclone|s5cmd", type=click.Choice(TOOLS))
@click.argument(
    "plan", metavar="[PLAN]", type=click.Path(path_type=Path), default=Path("plan.json")
)
@click.option("--step", metavar="ID", required=True, help="The step, as `s3plan show` names it.")
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="A new directory for the files; without it TOOL-ID, beside the plan.",
)
def command(*, tool: Tool, plan: Path, step: str, out: Path | None) -> int:
    """Write the worklist of one step of PLAN (plan.json unless named) for another program.

    Prints the commands that run it, and runs none. Copies and downloads can be given to rclone and
    s5cmd, copies and restores to S3 Batch Operations; deletions to nobody. What a program cannot be
    told exactly is left out, said so, and left to `s3plan apply` (exit code 3). Afterwards
    `s3plan import receipts` looks at what was done (docs/handover.md).
    """
    from s3plan import api

    exported = api.export(tool, plan, step, out=out)
    settings().view().exported(exported)
    return INCOMPLETE if exported.left else 0
