"""What every verb is: a name, which is its tag, and its parameters."""

from __future__ import annotations

from msgspec import Struct


class Action(Struct, frozen=True, tag_field="verb"):
    """One verb with its parameters; which there are says :data:`s3plan.model.steps.AnyAction`."""
