"""Errors as people read them: what, at which address, expected, found, and what to type next."""

from __future__ import annotations

from collections.abc import Iterator

from rich.text import Text

from s3plan.errors import ProblemsError, S3PlanError, StoreError
from s3plan.views.text import visible

_LONGEST = 2_000
"""Characters of one part: what is wrong with a file of one endless line fits on a screen."""


def error_lines(error: S3PlanError) -> Iterator[Text]:
    """Yield the lines of an error; of a ``ProblemsError`` every problem, then the way on."""
    yield _headline(error.code, error.what)
    if isinstance(error, ProblemsError):
        for problem in error.problems:
            yield Text()
            yield from error_lines(problem)
        if error.next_step:
            yield Text()
    yield from _parts(error)


def _headline(code: str, what: str) -> Text:
    return Text(f"error[{code}]", style="bold red").append(f": {_readable(what)}", style="default")


def _parts(error: S3PlanError) -> Iterator[Text]:
    parts = [
        ("at", error.address),
        ("expected", error.expected),
        ("found", error.found),
        ("s3", _answer(error)),
        ("next", error.next_step),
    ]
    for label, value in parts:
        if value:
            yield Text(f"  {label}: ", style="dim").append(_readable(value), style="default")


def _readable(text: str) -> str:
    more = len(text) - _LONGEST
    return visible(text) if more <= 0 else f"{visible(text[:_LONGEST])}… ({more:,} more characters)"


def _answer(error: S3PlanError) -> str | None:
    """What S3 said, for whoever has to ask the operator of the endpoint."""
    if not isinstance(error, StoreError):
        return None
    said = [
        error.s3_code,
        f"status {error.status}" if error.status else None,
        f"request {error.request_id}" if error.request_id else None,
    ]
    return ", ".join(part for part in said if part) or None
