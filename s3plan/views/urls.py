"""What the URLs of a table turned out to be: counts, then the first problems, then the verdict."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from s3plan.model.verification import UrlProblem, UrlsVerified
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
    if verified.problems:
        yield Text()
    for problem in verified.problems:
        yield from _problem(problem)
    more = verified.problem_count - len(verified.problems)
    if more:
        yield Text(f"... and {number(more)} more")
    if verified.report:
        yield Text(f"report: {visible(verified.report)}")
    yield Text()
    yield _verdict(verified)


def _figures(verified: UrlsVerified) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(justify="right")
    table.add_column(overflow="fold")
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


def _verdict(verified: UrlsVerified) -> Text:
    what = f"{counted(verified.urls, 'URL')} in {elapsed(verified.seconds)}"
    if verified.passes:
        return Text("Verified", style="bold green").append(
            f": every URL answers and is of its row: {what}", style="default"
        )
    problems = counted(verified.problem_count, "problem")
    return Text("Not as it should be", style="bold red").append(
        f": {problems}; {what}", style="default"
    )
