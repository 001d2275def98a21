"""``kind: LayoutCleanup`` as people write it: which leftovers of which objects, of what age."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from s3plan.kinds.fields import CommandName, Fields, Frame, Moment, ObjectFields, Text


class SelectFields(ObjectFields):
    """Of which objects."""

    prefix: str = Field("", description="The objects' own keys start with it, literally.")
    key: Text | None = Field(None, description="Exactly this object; needs a bucket by its name.")


class CleanupSpec(Fields):
    """What of changes of layout is no longer wanted."""

    select: SelectFields = Field(description="Of which objects.")
    what: Literal["superseded", "stale", "both"] = Field(
        "both",
        description="superseded: old forms whose object was swapped, and staged forms that took"
        " their place; then no swap can be taken back. stale: what was staged and never swapped.",
    )
    older_than: Moment = Field(
        "30m",
        description="Only what stands there since: a date, a time, or a duration back from the"
        " start of the current day (30d, 4w), hour (12h) or minute (30m), UTC.",
    )
    limit: int = Field(
        1000, ge=1, description="At most so many forms of a bucket in one plan, the oldest first."
    )
    before_delete: CommandName | None = Field(
        None,
        description="A command of the project file that runs for each form before it is deleted;"
        " where it fails the form stays.",
    )
    connection: Text | None = Field(
        None, description="The name of a Connection; without it, the only one or 'default'."
    )


class CleanupDocument(Frame):
    """Leftovers of ObjectLayout removed for good: superseded forms, and what was never swapped."""

    kind: Literal["LayoutCleanup"] = Field(description="This kind.")
    spec: CleanupSpec = Field(description="What shall be gone.")

    @property
    def command_names(self) -> tuple[str, ...]:
        """That of ``beforeDelete`` besides."""
        name = self.spec.before_delete
        return (*super().command_names, *((name,) if name is not None else ()))
