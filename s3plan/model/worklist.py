"""Worklists of a user's: objects that a plan is asked to be for, and what became of each.

Not the worklists of steps, which are of :class:`s3plan.model.steps.Item`: an entry here is a bucket
and a key that somebody wrote down, with whatever else stood beside them.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import msgspec
from msgspec import Struct

from s3plan.model.objects import Count

SkipReason = Literal["duplicate", "not-found", "not-eligible"]
"""Why an entry is not planned for: it was named before; no object has that key; or no manifest has
anything to do for it, because it does not select it or because all is as it should be."""


class Entry(NamedTuple):
    """One entry as it was given. ``fields`` is the JSON object of its other members, or empty."""

    bucket: str
    key: str
    fields: str = ""


class Asked(Struct, frozen=True, gc=False, tag_field="type", tag="asked", omit_defaults=True):
    """Entry ``n`` (from 0, in the order given) of the worklist that a plan was made for.

    Without ``reason`` it is planned for; ``fields`` are the members that s3plan does not know, as
    they were. At apply only snapshots read these records.
    """

    n: Count
    bucket: str
    key: str
    reason: SkipReason | None = None
    fields: dict[str, msgspec.Raw] = {}


Standing = Literal["planned", "running", "succeeded", "failed", "skipped"]
"""How an object of a run stands, whichever steps it goes through."""
