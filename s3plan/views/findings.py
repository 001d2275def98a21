"""The end of every verification: the first problems, where all of them are, and the verdict."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, TypeVar

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from s3plan.views.quantities import counted, number
from s3plan.views.text import visible

Problem_co = TypeVar("Problem_co", covariant=True)


class Verified(Protocol[Problem_co]):
    """What a verification came to, of whatever."""

    @property
    def problems(self) -> Sequence[Problem_co]: ...
    @property
    def problem_count(self) -> int: ...
    @property
    def report(self) -> str | None: ...


def ending(
    verified: Verified[Problem_co], shown: Callable[[Problem_co], Iterator[Text]], verdict: Text
) -> Iterator[RenderableType]:
    """The problems, each as ``shown`` shows it, how many more there are, and the verdict last."""
    if verified.problems:
        yield Text()
    for problem in verified.problems:
        yield from shown(problem)
    more = verified.problem_count - len(verified.problems)
    if more:
        yield Text(f"... and {number(more)} more")
    if verified.report:
        yield Text(f"report: {visible(verified.report)}")
    yield Text()
    yield verdict


def verdict_of(problem_count: int, good: str, bad: str, read: str) -> Text:
    """``good`` is what is true where there are no problems, ``bad`` how it is called otherwise."""
    if not problem_count:
        return Text("Verified", style="bold green").append(f": {good}: {read}", style="default")
    problems = counted(problem_count, "problem")
    return Text(bad, style="bold red").append(f": {problems}; {read}", style="default")


def figures() -> Table:
    """A table of counts and what they are of."""
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(justify="right")
    table.add_column(overflow="fold")
    return table
