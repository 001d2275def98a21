"""How an item of a layout step ends that does not end well, said the same way by every verb."""

from __future__ import annotations

from s3plan.engine.context import Context, Interrupted
from s3plan.errors import CodecError, NoSuchKeyError, PreconditionFailedError, StoreError
from s3plan.model.steps import Item, Step


class Refused(Exception):
    """An item cannot be done as it shall be; the reason is for the person, the code for tools."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Differs(Exception):
    """What was made is not what it was to be."""


def note(context: Context, step: Step, item: Item, error: Exception) -> None:
    """Report what became of one item; the step goes on with the others. Raises what is no item's.

    An object that changed is left as it is, what was staged of it as well: a LayoutCleanup removes
    that.
    """
    match error:
        case NoSuchKeyError():
            _drifted(context, step, item, "source-gone", "the object is gone")
        case PreconditionFailedError():
            _drifted(context, step, item, "source-changed", "the object was changed after the plan")
        case Differs():
            context.problem(
                step, item.n, item.key, item.path, "mismatched", "staged-differs",
                f"{item.key}: {error}; the object was left as it is",
                "apply a LayoutCleanup for the bucket, then s3plan plan again",
            )  # fmt: skip
        case Refused():
            context.problem(
                step, item.n, item.key, item.path, "failed", error.code, f"{item.key}: {error}"
            )
        case StoreError() | CodecError():
            context.problem(step, item.n, item.key, item.path, "failed", error.code, str(error))
        case Interrupted():
            return  # in the middle of its parts; nothing of them counts
        case _:
            raise error


def _drifted(context: Context, step: Step, item: Item, reason: str, message: str) -> None:
    # What a rollback cannot take back is kept as it is, and the rollback ends.
    back = context.plan.header.rollback_of is not None
    context.problem(
        step, item.n, item.key, item.path, "kept" if back else "drifted",
        "not-ours" if back else reason, f"{item.key}: {message}; it was left alone",
        "look at it yourself; s3plan will not touch it" if back
        else "s3plan plan again, and review what changed",
    )  # fmt: skip
