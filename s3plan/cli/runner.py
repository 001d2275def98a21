"""``--runner`` and ``--scheduler``: who sends the requests."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

from s3plan.model.runners import SCHEDULER

if TYPE_CHECKING:
    from s3plan.model.runners import RunnerName

Decorated = TypeVar("Decorated", bound=Callable[..., Any])


def runner_options(names: Sequence[RunnerName], otherwise: str) -> Callable[[Decorated], Decorated]:
    """Both options, for runners of these names; ``otherwise`` says who it is without the option."""

    def decorate(command: Decorated) -> Decorated:
        scheduler = click.option(
            "--scheduler",
            metavar="ADDRESS",
            callback=_checked,
            help="The scheduler of the runner dask: tcp://HOST:PORT, or local:N for N processes"
            " here.",
        )
        runner = click.option(
            "--runner",
            type=click.Choice(names),
            help="Who sends the requests of the steps it carries (docs/scale.md); else "
            f"{otherwise}.",
        )
        return runner(scheduler(command))

    return decorate


def _checked(_: click.Context, __: click.Parameter, value: str | None) -> str | None:
    if value is not None and not re.fullmatch(SCHEDULER, value):
        message = f"`{value}` is no scheduler such as tcp://host:8786 or local:4"
        raise click.UsageError(message)
    return value
