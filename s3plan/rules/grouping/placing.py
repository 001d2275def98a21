"""Which object a text of a table names, and whether its key says whose it is."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from msgspec import Struct

from s3plan.rules.grouping.keys import KeyTemplate, sanitized
from s3plan.rules.grouping.rewriting import GroupedFile
from s3plan.rules.grouping.urls import UrlReader

LONGEST_KEY = 1024
"""Bytes of a key (AWS, "Naming Amazon S3 objects")."""


class Named(Struct, frozen=True):
    """What a text names. ``file`` is the object that is regrouped, where it is one of these.

    ``copied`` tells the bucket of the copies from that of the sources. ``keys`` are the readings
    of the text that may be meant, the most literal first; none: it names nothing in these buckets.
    """

    copied: bool
    keys: tuple[str, ...]
    file: GroupedFile | None = None

    @property
    def is_old(self) -> bool:
        """Whether it is the key from before the grouping."""
        return self.file is not None and self.keys == (self.file.key,) != (self.file.new_key,)


def named_by(
    text: str, sources: UrlReader, copies: UrlReader, known: Mapping[str, GroupedFile]
) -> Named:
    """What ``text`` names; ``known`` are the objects that are regrouped, by old and new key."""
    for reading in copies.candidates(text):
        file = known.get(reading.key)
        if file is not None and file.new_key == reading.key:
            return Named(True, (reading.key,), file)
    for reading in sources.candidates(text):
        file = known.get(reading.key)
        if file is not None and file.key == reading.key:
            return Named(False, (reading.key,), file)
    # A key alone may be of either bucket: what the table is to hold is meant.
    copied = copies.is_of_bucket(text) or not sources.is_of_bucket(text)
    readings = (copies if copied else sources).candidates(text)
    keys = dict.fromkeys(reading.key for reading in readings if _is_key(reading.key))
    return Named(copied, tuple(keys))


def _is_key(text: str) -> bool:
    """Whether an object may have it; what decodes to no UTF-8 is the key of none."""
    try:
        return 0 < len(text.encode()) <= LONGEST_KEY
    except UnicodeEncodeError:
        return False


def key_of_group(
    template: KeyTemplate,
    types: Iterable[str],
    group: Mapping[str, str],
    *,
    sanitize: bool,
) -> re.Pattern[str] | None:
    """What every key of a group is like; None where keys do not tell whose they are.

    ``group`` are the parts that are known of it, such as ``row_id`` and ``name``.

    >>> template = KeyTemplate.parse("{type}/{row_id}_{name}_{file}", ("row_id", "name", "file"))
    >>> like = key_of_group(template, ["audio"], {"row_id": "7", "name": "Ann"}, sanitize=False)
    >>> [bool(like.fullmatch(f"audio/{name}")) for name in ("7_Ann_a.mp3", "8_Bob_a.mp3")]
    [True, False]
    """
    if not any(name in group for name, _ in template.pieces):
        return None
    spelled = {
        name: re.escape(sanitized(value) if sanitize else value) for name, value in group.items()
    }
    alternatives = "|".join(re.escape(one) for one in sorted(set(types)))
    spelled |= {"type": f"(?:{alternatives})", "ext": r"(?:\.[^./]+)?"}
    return re.compile(
        "".join(
            spelled.get(name, ".+") if name else re.escape(literal)
            for name, literal in template.pieces
        ),
        re.DOTALL,
    )
