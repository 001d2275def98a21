"""``s3plan approvals``: a pull request's reviews as a file that ``apply --approvals`` takes."""

from __future__ import annotations

from pathlib import Path

import click

from s3plan.cli.command import Command
from s3plan.cli.settings import settings


@click.command(
    cls=Command,
    name="approvals",
    short_help="Turn a pull request's reviews into approvals of a plan.",
    exits=(0, 1),
)
@click.argument("reviews", metavar="REVIEWS", type=click.Path(path_type=Path))
@click.option(
    "--plan",
    type=click.Path(path_type=Path),
    default=Path("plan.json"),
    show_default=True,
    help="The plan that was reviewed.",
)
@click.option(
    "--commit",
    metavar="SHA",
    help="The head of the pull request; GitHub's reviews of other commits do not count.",
)
def command(*, reviews: Path, plan: Path, commit: str | None) -> int:
    """Read REVIEWS, JSON as GitHub or GitLab gives it, and print approvals of the plan.

    GitHub: GET /repos/OWNER/REPO/pulls/NUMBER/reviews. GitLab: GET
    /projects/ID/merge_requests/NUMBER/approvals. Only approvals that still stand are printed.
    """
    from s3plan import api

    settings().view().document(api.approvals_from(reviews, plan, commit=commit))
    return 0
