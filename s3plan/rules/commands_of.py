"""Which commands of the project file a step starts, so that nothing starts that was defined anew.

A kind that lets a verb of its own start one adds a case here.
"""

from __future__ import annotations

from msgspec import UNSET

from s3plan.model.commands import CommandRef
from s3plan.model.steps import AnyAction, Purge, RunCommand


def commands_of(action: AnyAction) -> tuple[CommandRef, ...]:
    """The commands that a step may start."""
    match action:
        case RunCommand():
            return (action.command,)
        case Purge():
            return (action.before_delete,) if action.before_delete is not UNSET else ()
        case _:
            return ()
