"""What the URLs of a table turned out to be: counts, then the first problems, then the verdict."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from s3plan.model.verification import UrlProblem, UrlsVerified
from s3plan.views.findings import ending, figures, verdict_of
from s3plan.views.quantities import counted, elapsed, number, size
from s3plan.views.text import visible

_FAULTS = {
    "unreachable": "do not answer with 200",
    "foreign": "are of no object in these buckets",
    "old": "name keys from before the grouping",
    "misplaced": "are not of their row",
    "missing": "files without a URL",
    "mismatched": "downloads that differ",
}


def url_parts(verified: UrlsVerified) -> Iterator[RenderableType]:
    """Yield the parts of the result, top to bottom; the verdict comes last."""
    yield Text(visible(verified.table), style="bold")
    yield _figures(verified)
    asked = f"{counted(verified.urls, 'URL')} in {elapsed(verified.seconds)}"
    good = "every URL answers and is of its row"
    verdict = verdict_of(verified.problem_count, good, "Not as it should be", asked)
    yield from ending(verified, _problem, verdict)


def _figures(verified: UrlsVerified) -> Table:
    table = figures()
    table.add_row(number(verified.rows), "rows")
    table.add_row(number(verified.rows_with_files), "of them with files")
    complete = verified.rows_complete
    table.add_row(number(complete), "of these with every file reachable and in its place")
    table.add_row(number(verified.urls), "URLs")
    asked = " without credentials" if verified.anonymous else ""
    for status, count in verified.statuses.items():
        style = "" if status == "200" else "bold red"
        table.add_row(Text(number(count), style=style), f"answered with {visible(status)}{asked}")
    for fault, words in _FAULTS.items():
        if fault != "unreachable" and fault in verified.faults:
            table.add_row(Text(number(verified.faults[fault]), style="bold red"), words)
    if verified.downloaded:
        read = f"downloaded ({size(verified.downloaded_bytes)})"
        table.add_row(number(verified.downloaded), read)
        table.add_row(number(verified.download_verified), "of them with the checksum expected")
    if verified.download_unverifiable:
        unknown = number(verified.download_unverifiable)
        table.add_row(unknown, "of them with nothing to be compared with")
    return table


def _problem(problem: UrlProblem) -> Iterator[Text]:
    line = Text(problem.fault, style="red")
    row = f"row {number(problem.row)} ({problem.row_id}), {problem.column}"
    yield line.append(visible(f": {row}: {problem.message}"), style="default")
    yield Text(visible(f"  {problem.url or problem.key}"))
