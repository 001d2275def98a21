"""Files that desktop systems leave in every directory they look at, and patterns for such names."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

SYSTEM_FILES = (
    ".DS_Store",
    "._*",
    "Thumbs.db",
    "desktop.ini",
    ".Spotlight-V100",
    ".TemporaryItems",
    ".Trashes",
)
"""What macOS and Windows make by themselves. They count where their name is an object's."""


class IgnoredNames(Struct, frozen=True):
    """Patterns taken apart: whole ``names`` (of a file, or of a directory and all in it), and
    ``prefixes`` of file names.
    """

    names: tuple[str, ...]
    prefixes: tuple[str, ...]


def ignored_names(patterns: Sequence[str]) -> IgnoredNames:
    """What ``patterns`` mean: a name, or the start of one and ``*`` (``._*``)."""
    return IgnoredNames(
        names=tuple(pattern for pattern in patterns if not pattern.endswith("*")),
        prefixes=tuple(pattern[:-1] for pattern in patterns if pattern.endswith("*")),
    )
