"""The words of a grouping: rules that give types, and what becomes of single keys."""

from __future__ import annotations

from typing import Literal

from msgspec import UNSET, Struct, UnsetType

Standing = Literal[
    "to copy",
    "here",
    "shared",
    "unproven",
    "conflict",
    "no digest",
    "orphan",
    "incomplete",
    "in the new layout",
    "folder",
]
"""``unproven`` is an object of the right size whose content nothing in S3 tells; ``shared`` one
whose content another source has too, and whose key is that of both; ``no digest`` one whose new
key is made of a digest that nobody knows.
"""


class ResolvedKey(Struct, frozen=True):
    """One key, the type of its object, its new key (None where it gets none), and how it stands."""

    key: str
    new_key: str | None
    type: str
    standing: Standing


class TypeRule(Struct, frozen=True):
    """``type`` is given to objects that fit everything that is said here.

    ``extensions`` are lower-case with their dot, of the key's last component; ``globs`` and
    ``regex`` are about the whole of it (``*`` is any text); sizes are bytes, inclusive.
    ``content_types`` are media types in lower case, ``type/*`` any of that type.
    """

    type: str
    extensions: tuple[str, ...] = ()
    globs: tuple[str, ...] = ()
    regex: str | None = None
    min_size: int | None = None
    max_size: int | None = None
    content_types: tuple[str, ...] | UnsetType = UNSET


class GroupingRules(Struct, frozen=True):
    """How keys were taken apart and typed: enough to say of whom and of which type an object is."""

    prefix: str
    pattern: str
    rules: tuple[TypeRule, ...]
    default: str
