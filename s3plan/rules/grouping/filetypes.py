"""Types of objects by name and size: a list of rules, of which the first that fits wins."""

from __future__ import annotations

import re
from collections.abc import Sequence

from s3plan.model.grouping import TypeRule

UNKNOWN = "_unknown"
"""The type of what no rule names."""

INCOMPLETE = (".part", ".crdownload")
"""Names that browsers and downloaders give to what is not all there yet."""


FILETYPE_BASIC = (
    TypeRule("audio", (".mp3", ".m4a")),
    TypeRule("video", (".mp4", ".webm")),
    TypeRule("documents", (".pdf", ".doc", ".docx")),
    TypeRule("transcripts", (".srt", ".vtt")),
    TypeRule("images", (".jpg", ".png")),
)
"""The preset ``filetype-basic``."""


def extension_of(name: str) -> str:
    """The extension with its dot, in lower case; empty where there is none.

    >>> [extension_of(name) for name in ("a.MP3", "a.webm.part", "README", ".hidden", "a.")]
    ['.mp3', '.part', '', '', '']
    """
    found = re.search(r"[^/](\.[^./]+)\Z", name)
    return found[1].lower() if found else ""


def stem_of(name: str) -> str:
    """The name without its extension."""
    return name[: len(name) - len(extension_of(name))]


def type_of(rules: Sequence[TypeRule], default: str, name: str, size: int) -> str:
    """The type of an object whose key ends in the component ``name``.

    >>> type_of(FILETYPE_BASIC, UNKNOWN, "Talk.MP4", 1)
    'video'
    >>> type_of(FILETYPE_BASIC, UNKNOWN, "movie.mkv", 1)
    '_unknown'
    """
    for rule in rules:
        if (
            (not rule.extensions or extension_of(name) in rule.extensions)
            and (not rule.globs or any(_matches(glob, name) for glob in rule.globs))
            and (rule.regex is None or re.fullmatch(rule.regex, name, re.DOTALL))
            and (rule.min_size is None or size >= rule.min_size)
            and (rule.max_size is None or size <= rule.max_size)
        ):
            return rule.type
    return default


def _matches(glob: str, name: str) -> bool:
    pattern = "".join(
        ".*" if part == "*" else "." if part == "?" else re.escape(part)
        for part in re.split(r"([*?])", glob)
    )
    return re.fullmatch(pattern, name, re.DOTALL) is not None
