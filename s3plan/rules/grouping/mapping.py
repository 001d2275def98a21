"""From one source key to its new key, with everything a manifest says about it."""

from __future__ import annotations

from msgspec import Struct

from s3plan.model.grouping import TypeRule
from s3plan.rules.grouping.filetypes import FILETYPE_BASIC, UNKNOWN, type_of
from s3plan.rules.grouping.keys import KeyPattern, KeyTemplate


class Regrouping(Struct, frozen=True):
    """How objects below ``prefix`` are regrouped. ``default`` is the type of what no rule names."""

    prefix: str
    pattern: KeyPattern
    template: KeyTemplate
    rules: tuple[TypeRule, ...] = FILETYPE_BASIC
    default: str = UNKNOWN
    sanitize: bool = False

    @property
    def types(self) -> tuple[str, ...]:
        """Every type there can be, the default last."""
        return tuple(dict.fromkeys([*(rule.type for rule in self.rules), self.default]))

    @property
    def is_about_content_types(self) -> bool:
        """Whether a listing does not tell every type."""
        return any(rule.content_types for rule in self.rules)

    def parts(self, key: str) -> dict[str, str] | None:
        """The parts of a source key; None for an orphan."""
        if not key.startswith(self.prefix):
            return None
        return self.pattern.parts(key[len(self.prefix) :])

    def type_of(self, key: str, size: int, content_type: str | None = None) -> str:
        """The type of an object."""
        return type_of(self.rules, self.default, key.rpartition("/")[2], size, content_type)

    def new_key(self, key: str, size: int = 0) -> str | None:
        """The new key of a source key; None for an orphan.

        >>> people = Regrouping(
        ...     "",
        ...     KeyPattern.parse("{row_id}/{name}/{file}"),
        ...     KeyTemplate.parse("{type}/{row_id}_{name}_{file}", ("row_id", "name", "file")),
        ... )
        >>> people.new_key("472/Kaioxys_DarkMacro/youtube_69XL3TrD6mE.mp3")
        'audio/472_Kaioxys_DarkMacro_youtube_69XL3TrD6mE.mp3'
        >>> people.new_key("472/Kaioxys_DarkMacro/youtube_69XL3TrD6mE.MP4")
        'video/472_Kaioxys_DarkMacro_youtube_69XL3TrD6mE.MP4'
        """
        parts = self.parts(key)
        if parts is None:
            return None
        return self.template.key(parts, self.type_of(key, size), sanitize=self.sanitize)
