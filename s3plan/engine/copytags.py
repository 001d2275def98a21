"""The tags that a copy gets besides its source's, as the copy step says."""

from __future__ import annotations

from msgspec import UnsetType

from s3plan.model.steps import Copy
from s3plan.rules.grouping.filetypes import type_of_object
from s3plan.rules.grouping.keys import KeyPattern
from s3plan.rules.grouping.tags import TagTemplate


class CopyTags:
    """Of one copy step. ``date`` is the day on which its run began (YYYY-MM-DD, UTC)."""

    def __init__(self, action: Copy, date: str) -> None:
        self._literal = action.tags
        self._dropped = frozenset(action.without_tags or ())
        self._date = date
        self._templates: dict[str, TagTemplate] = {}
        if isinstance(action.tag_templates, UnsetType) or isinstance(action.grouping, UnsetType):
            return
        self._rules = action.grouping
        self._pattern = KeyPattern.parse(self._rules.pattern)
        self._templates = {
            name: TagTemplate.parse(text, self._pattern.names)
            for name, text in action.tag_templates.items()
        }

    def __bool__(self) -> bool:
        return bool(self._literal or self._templates or self._dropped)

    def over(
        self, theirs: dict[str, str], key: str, size: int, label: str | None
    ) -> dict[str, str]:
        """The tags of the copy of one object that has ``theirs``."""
        kept = {name: value for name, value in theirs.items() if name not in self._dropped}
        return kept | self._given(key, size, label)

    def _given(self, key: str, size: int, label: str | None) -> dict[str, str]:
        if not self._templates:
            return self._literal
        rules = self._rules
        kind = type_of_object(rules.rules, rules.default, key, size, label)
        parts = self._pattern.parts(key.removeprefix(rules.prefix)) or {}
        return self._literal | {
            name: template.value(parts, key, kind, self._date)
            for name, template in self._templates.items()
        }
