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


def type_of(
    rules: Sequence[TypeRule], default: str, name: str, size: int, content_type: str | None = None
) -> str:
    """The type of an object whose key ends in the component ``name``.

    ``content_type`` is the header as it stands; without it rules about it do not fit.

    >>> type_of(FILETYPE_BASIC, UNKNOWN, "Talk.MP4", 1)
    'video'
    >>> type_of(FILETYPE_BASIC, UNKNOWN, "movie.mkv", 1)
    '_unknown'
    >>> heard = TypeRule("audio", content_types=("audio/*",))
    >>> type_of((heard,), UNKNOWN, "talk.bin", 1, "Audio/MPEG; rate=1")
    'audio'
    """
    for rule in rules:
        if _fits(rule, name, size) and (
            not rule.content_types or _is_of(rule.content_types, content_type)
        ):
            return rule.type
    return default


def type_of_object(
    rules: Sequence[TypeRule], default: str, key: str, size: int, label: str | None
) -> str:
    """The type of an object of a worklist: its label, where it has one, else what name and size
    say.
    """
    return label or type_of(rules, default, key.rpartition("/")[2], size)


def asks_for_content_type(rules: Sequence[TypeRule], name: str, size: int) -> bool:
    """Whether the first rule that name and size fit is about the content type too."""
    fitting = next((rule for rule in rules if _fits(rule, name, size)), None)
    return fitting is not None and bool(fitting.content_types)


def content_type_pattern(content_types: Sequence[str]) -> str:
    """A regular expression (of RE2 and of Python) for media types in lower case, without their
    parameters, that ``content_types`` mean.
    """
    return "|".join(
        re.escape(one.removesuffix("*")) + ("[^/]+" if one.endswith("/*") else "")
        for one in content_types
    )


def _fits(rule: TypeRule, name: str, size: int) -> bool:
    """Whether everything fits that a listing tells."""
    return (
        (not rule.extensions or extension_of(name) in rule.extensions)
        and (not rule.globs or any(_matches(glob, name) for glob in rule.globs))
        and (rule.regex is None or re.fullmatch(rule.regex, name, re.DOTALL) is not None)
        and (rule.min_size is None or size >= rule.min_size)
        and (rule.max_size is None or size <= rule.max_size)
    )


def _is_of(content_types: Sequence[str], header: str | None) -> bool:
    # RFC 9110, 8.3.1: type and subtype are case-insensitive, parameters follow a semicolon.
    bare = (header or "").partition(";")[0].strip().lower()
    return re.fullmatch(content_type_pattern(content_types), bare) is not None


def _matches(glob: str, name: str) -> bool:
    pattern = "".join(
        ".*" if part == "*" else "." if part == "?" else re.escape(part)
        for part in re.split(r"([*?])", glob)
    )
    return re.fullmatch(pattern, name, re.DOTALL) is not None
