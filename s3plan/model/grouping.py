"""What a grouping makes of single keys, for people who look before they plan."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

Standing = Literal[
    "to copy", "here", "unproven", "conflict", "orphan", "incomplete", "in the new layout", "folder"
]
"""``unproven`` is an object of the right size whose content a listing does not tell."""


class ResolvedKey(Struct, frozen=True):
    """One key, the type of its object, its new key (None where it gets none), and how it stands."""

    key: str
    new_key: str | None
    type: str
    standing: Standing
