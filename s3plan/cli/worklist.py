"""The options of ``plan`` that name the objects it is for: a worklist, or an earlier run's."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from s3plan.api import Worklist

_STANDARD_INPUT = "-"

F = TypeVar("F", bound=Callable[..., Any])


def worklist_options(function: F) -> F:
    """Add ``--items``, ``--from-journal`` and ``--failed`` to a command."""
    for option in (
        click.option(
            "--failed",
            is_flag=True,
            help="With --from-journal: only objects that failed, drifted or were found to differ.",
        ),
        click.option(
            "--from-journal",
            type=click.Path(path_type=Path),
            metavar="JOURNAL",
            help="Plan only for the objects of an earlier run.",
        ),
        click.option(
            "--items",
            metavar="FILE|-",
            help="Plan only for the objects of a worklist: a JSON array, JSON Lines or"
            " bucket|key lines (docs/worklists.md); - is standard input.",
        ),
    ):
        function = option(function)
    return function


@contextmanager
def read_worklist(
    items: str | None, from_journal: Path | None, failed: bool
) -> Iterator[Worklist | None]:
    """Yield what the options name; None where the plan is for everything."""
    from s3plan import api

    if items is not None and from_journal is not None:
        raise click.UsageError("--items and --from-journal both say what the plan is for")
    if failed and from_journal is None:
        raise click.UsageError("--failed needs --from-journal: failed in which run?")
    if from_journal is not None:
        yield api.worklist_of_run(from_journal, failed=failed)
    elif items == _STANDARD_INPUT:
        with tempfile.TemporaryDirectory(prefix="s3plan-") as directory:
            spooled = Path(directory) / "items"
            with spooled.open("wb") as file:
                shutil.copyfileobj(sys.stdin.buffer, file)
            yield api.worklist_of_file(spooled, "standard input")
    else:
        yield None if items is None else api.worklist_of_file(Path(items), items)
