"""Keys of extras: files that are kept in all their versions, each version under a key of its own.

A key names the file (``{file}``, or ``{stem}`` and ``{ext}``) and the version, by what its content
was (``{digest}``) or when it was last changed (``{modified}``). So a key is enough to tell both.
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from msgspec import Struct

from s3plan.rules.braces import Pieces, names_of, pieces_of

DEFAULT = "backups/database/{stem}_{modified}_{digest}{ext}"

PARTS = ("file", "stem", "ext", "digest", "modified")
"""What keys are made of: the name, its stem and extension, the first digits of its SHA-256, and
when it was last changed as YYYYMMDD_HHMMSS, in UTC."""

_SPELLED = {
    "file": "[^/]+",
    "stem": "[^/]+",
    "ext": r"(?:\.[^./]+)?",
    "digest": "[0-9a-f]{12}",
    "modified": "[0-9]{8}_[0-9]{6}",
}
_FILE = ("file", "stem")
_VERSION = ("modified", "digest")


class ExtraKey(Struct, frozen=True):
    """Keys of the versions of some files."""

    text: str
    pieces: Pieces

    @classmethod
    def parse(cls, text: str) -> ExtraKey:
        """Raises ValueError with what is wrong with it."""
        pieces = pieces_of(text)
        names = set(names_of(pieces))
        if not names <= set(PARTS):
            raise ValueError(f"it is made of {', '.join(f'{{{name}}}' for name in PARTS)}")
        if not names & set(_VERSION) or not names & set(_FILE):
            raise ValueError("it names the file, and the version by its digest or time")
        return cls(text, pieces)

    @property
    def head(self) -> str:
        """What every key starts with."""
        name, literal = self.pieces[0]
        return "" if name else literal

    @property
    def names(self) -> tuple[str, ...]:
        """The parts in their order, each as often as it is there: the groups of the ``regex``."""
        return names_of(self.pieces)

    @property
    def regex(self) -> str:
        """A regular expression of keys, whole, with a group for each of the ``names``."""
        pieces = (
            f"({_SPELLED[name]})" if name else re.escape(literal) for name, literal in self.pieces
        )
        return f"^{''.join(pieces)}$"

    @property
    def of_file(self) -> tuple[str, ...]:
        """The parts that make the name of the file, in their order; without ``{ext}`` its stem."""
        if "file" in self.names:
            return ("file",)
        return tuple(name for name in ("stem", "ext") if name in self.names)

    @property
    def of_version(self) -> tuple[str, ...]:
        """The parts that tell versions apart, the time first: joined by ``_`` they name one."""
        return tuple(name for name in _VERSION if name in self.names)

    def key(self, name: str, sha256: str, modified: str) -> str:
        """The key of a file of that name, with that SHA-256 in hex, changed then (RFC 3339, UTC).

        >>> key = ExtraKey.parse("db/{stem}_{modified}_{digest}{ext}")
        >>> key.key("cat.sqlite", "0123456789abcdef", "2024-03-15T20:11:05.250Z")
        'db/cat_20240315_201105_0123456789ab.sqlite'
        """
        path, digits = PurePosixPath(name), re.sub(r"\D", "", modified)
        parts = {
            "file": name,
            "stem": path.stem,
            "ext": path.suffix,
            "digest": sha256[:12],
            "modified": f"{digits[:8]}_{digits[8:14]}",
        }
        return "".join(parts[part] if part else literal for part, literal in self.pieces)
