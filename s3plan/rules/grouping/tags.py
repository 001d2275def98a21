"""Tags that copies get: texts with braces, filled in for each object."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from unicodedata import category

from msgspec import Struct

from s3plan.rules.braces import pieces_of
from s3plan.rules.grouping.keys import TYPE

DATE = "date"
SOURCE = "source"

MOST_TAGS = 10
LONGEST_VALUE = 256
"""Tags of an object, and characters of a value
(https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-tagging.html)."""

# The same page: besides letters and numbers representable in UTF-8. All else becomes "_".
_ALLOWED = frozenset(" +-=._:/@")


class TagTemplate(Struct, frozen=True):
    """A value made of the pattern's parts, of ``type``, of ``source`` (the old key's directory) and
    of ``date`` (the day on which the run began, in UTC). ``pieces`` are (part, literal), one empty.
    """

    pieces: tuple[tuple[str, str], ...]

    @classmethod
    def parse(cls, text: str, known: Iterable[str]) -> TagTemplate:
        """``known`` are the pattern's parts. Raises ValueError with what is wrong with it."""
        allowed = [*known, TYPE, SOURCE, DATE]
        pieces = pieces_of(text)
        for name, _ in pieces:
            if name and name not in allowed:
                raise ValueError(f"there is no part {{{name}}}; there are {', '.join(allowed)}")
        return cls(pieces)

    def value(self, parts: Mapping[str, str], key: str, kind: str, date: str) -> str:
        """The value for the object ``key`` of type ``kind``. An orphan has no parts: empty text.

        >>> template = TagTemplate.parse("{source} ({row_id})", ["row_id"])
        >>> template.value({"row_id": "7"}, "7/Ann Lee/a.mp3", "audio", "2026-11-20")
        '7/Ann Lee _7_'
        """
        known = {**parts, TYPE: kind, SOURCE: key.rpartition("/")[0], DATE: date}
        text = "".join(known.get(part, "") if part else literal for part, literal in self.pieces)
        return "".join(one if one in _ALLOWED or category(one)[0] in "LN" else "_" for one in text)


def is_template(text: str) -> bool:
    """Whether a tag's value is to be filled in: S3 allows no braces in one."""
    return re.search(r"[{}]", text) is not None
