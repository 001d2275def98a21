"""A plan held against reality again, and what drifted since the last apply."""

from __future__ import annotations

from msgspec import Struct

from s3plan.model.steps import Totals


class StepRecheck(Struct, frozen=True):
    """One step: items still ``as_planned``, ``changed`` since, ``gone``, or ``in_the_way``.

    What a step makes must not be there yet; what ``appeared`` since holds a gate. ``first``
    names a few that are not as planned; ``remark`` says the same of a step without items, empty
    where all is well. What is only on this machine is not ``looked`` at.
    """

    step: str
    verb: str
    subject: str
    as_planned: int = 0
    changed: int = 0
    gone: int = 0
    in_the_way: int = 0
    appeared: int = 0
    first: tuple[str, ...] = ()
    remark: str = ""
    looked: bool = True

    @property
    def holds(self) -> bool:
        """Whether everything that was looked at is as it was when the plan was made."""
        return not (self.changed or self.gone or self.in_the_way or self.appeared or self.remark)


class PlanRecheck(Struct, frozen=True):
    """A whole plan. ``reasons`` say why it could not be applied whatever the items are."""

    plan: str
    digest: str
    reasons: tuple[str, ...]
    steps: tuple[StepRecheck, ...]

    @property
    def holds(self) -> bool:
        """Whether it could be applied, and everything is as planned."""
        return not self.reasons and all(step.holds for step in self.steps)


class Drifted(Struct, frozen=True):
    """What one verb would do to one subject now, and why it is not as the last apply left it.

    ``appeared`` was not there then; ``changed`` was, as something else; ``undone`` was dealt with
    and has to be again; ``gone`` was in S3 when it was applied and is not any more. ``remark`` is
    for what has no items: configuration and buckets.
    """

    verb: str
    subject: str
    appeared: Totals = Totals()
    changed: Totals = Totals()
    undone: Totals = Totals()
    gone: Totals = Totals()
    first: tuple[str, ...] = ()
    remark: str = ""


class Drift(Struct, frozen=True):
    """Three ways: what was last ``applied`` (a run and its time, None: never), what lives now, what
    the manifests declare. Without ``lines`` all three agree.
    """

    applied: str | None
    time: str | None
    lines: tuple[Drifted, ...]
    summary: str
