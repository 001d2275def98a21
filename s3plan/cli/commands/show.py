"""``s3plan show``: the review of a plan file in several forms, or the items of one of its steps."""

from __future__ import annotations

import os
import re
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import click

from s3plan.cli.command import Command
from s3plan.cli.settings import settings

if TYPE_CHECKING:
    from s3plan.views.review import PlanDocument

_BEGINNING = b"<!doctype html>\n"
_COMMIT = re.compile(r"[0-9A-Za-z._/-]{1,100}")


@click.command(
    cls=Command,
    name="show",
    short_help="Show a plan, or every item of one of its steps.",
    exits=(0, 1),
)
@click.argument(
    "plan", metavar="[PLAN]", type=click.Path(path_type=Path), default=Path("plan.json")
)
@click.option("--step", metavar="ID", help="List every item of this step instead.")
@click.option(
    "--filter",
    "filters",
    multiple=True,
    metavar="CONDITION",
    help="With --step: only items such as key=*.jpg, size>1GB, class!=STANDARD; all of them hold.",
)
@click.option(
    "--start", type=click.IntRange(min=0), default=0, help="With --step: leave out so many first."
)
@click.option("--limit", type=click.IntRange(min=1), help="With --step: list at most so many.")
@click.option(
    "--markdown",
    is_flag=True,
    help="Print Markdown for a pull request; what cannot be undone is never cut.",
)
@click.option(
    "--html",
    "page",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write one self-contained page: graph, charts, cost, worklists to filter and sort.",
)
@click.option(
    "--budget",
    type=click.IntRange(min=4_000),
    default=60_000,
    show_default=True,
    help="Bytes that --markdown may take.",
)
@click.option("--commit", metavar="SHA", help="Goes into the hidden header of --markdown.")
def command(
    *,
    plan: Path,
    step: str | None,
    filters: tuple[str, ...],
    start: int,
    limit: int | None,
    markdown: bool,
    page: Path | None,
    budget: int,
    commit: str | None,
) -> int:
    """Show a plan file (plan.json unless named), or every item of one step.

    Items are listed through a pager on a terminal, and streamed everywhere else, however many they
    are.
    """
    from s3plan import api
    from s3plan.rules.commands import apply_command

    if sum((step is not None, markdown, page is not None)) > 1:
        message = "--step, --markdown and --html show different things: give one of them"
        raise click.UsageError(message)
    if step is None and (filters or start or limit is not None):
        message = "--filter, --start and --limit choose items: name their step with --step ID"
        raise click.UsageError(message)
    from s3plan.cli.itemfilter import read_filter

    conditions = [read_filter(text) for text in filters]
    if commit is not None and not _COMMIT.fullmatch(commit):
        message = f"`{commit}` is no commit"
        raise click.UsageError(message)
    view = settings().view()
    found = api.show(plan)
    if markdown:
        from s3plan.views.markdown import markdown as render

        view.document(render(found, str(plan), budget=budget, commit=commit))
    elif page is not None:
        _write_page(found, str(plan), page)
        view.told(f"written: {page}", {"type": "page", "path": str(page)})
    elif step is not None:
        named = found.step(step)
        items = found.items(step) if named.worklist else iter(())
        chosen = (item for item in items if all(holds(item) for holds in conditions))
        view.items(named, islice(chosen, start, None if limit is None else start + limit))
    else:
        view.plan(found, str(plan), apply_command(str(plan), found.digest))
    return 0


def _write_page(plan: PlanDocument, name: str, path: Path) -> None:
    """Write the page; an older page is replaced, anything else at its place is not."""
    from s3plan.localfs.newfile import whole_file
    from s3plan.views.html import write_html

    if os.path.lexists(path) and not _is_page(path):
        message = f"`{path}` is there and is no page of s3plan: choose another name"
        raise click.UsageError(message)
    with whole_file(path) as file:
        write_html(plan, name, file)


def _is_page(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(_BEGINNING)) == _BEGINNING
    except OSError:
        return False
