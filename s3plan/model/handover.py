"""What was handed over to another program, and what stays here."""

from __future__ import annotations

from msgspec import Struct

from s3plan.model.steps import Totals


class LeftOut(Struct, frozen=True):
    """Items that a format or a service cannot say, with one of their keys."""

    reason: str
    totals: Totals
    example: str


class Exported(Struct, frozen=True):
    """Worklists written to ``folder``, and the ``commands`` to run, one a line.

    ``after`` are steps that have to be done before; ``next_step`` is what to type afterwards.
    ``remark`` is what has to be done by hand besides, if anything.
    """

    tool: str
    step: str
    folder: str
    given: Totals
    left: tuple[LeftOut, ...]
    commands: tuple[str, ...]
    next_step: str
    after: tuple[str, ...] = ()
    remark: str = ""


class Looked(Struct, frozen=True):
    """What looking at the items of a step showed: how many ended how, in the run of ``journal``.

    ``missing`` are not there, or not readable yet; ``next_step`` is the command that does the rest,
    empty where nothing is left.
    """

    step: str
    subject: str
    journal: str
    totals: Totals
    verified: int
    missing: int
    differing: int
    failed: int
    drifted: int
    interrupted: bool
    next_step: str

    @property
    def done(self) -> bool:
        """Whether every item is as planned."""
        return self.verified == self.totals.items
