"""``s3plan graph``: the steps of a plan and what they wait for, for Mermaid or Graphviz to draw."""

from __future__ import annotations

from pathlib import Path

import click

from s3plan.cli.command import Command
from s3plan.cli.settings import settings


@click.command(
    cls=Command,
    name="graph",
    short_help="Print the step graph for Mermaid or Graphviz.",
    exits=(0, 1),
)
@click.argument(
    "plan", metavar="[PLAN]", type=click.Path(path_type=Path), default=Path("plan.json")
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["mermaid", "dot"]),
    default="mermaid",
    show_default=True,
    help="What to print; GitHub and GitLab draw Mermaid in Markdown.",
)
def command(plan: Path, form: str) -> int:
    """Print the steps of a plan file (plan.json unless named) as a graph."""
    from s3plan import api
    from s3plan.views.graph import dot, mermaid

    steps = api.show(plan).steps
    settings().view().document(dot(steps) if form == "dot" else mermaid(steps))
    return 0
