"""Keys made of named parts: a pattern that takes a source key apart, a template that makes one.

Both are spelled with braces, ``{row_id}/{name}/{file}``. ``{row_id}`` is digits, ``{path}`` may
cross ``/``, every other part is text within one component; the first part that can take a
character takes it, except that ``{row_id}`` never takes more than its digits.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from itertools import pairwise

from msgspec import Struct

from s3plan.rules.grouping.filetypes import extension_of, stem_of

_PIECES = re.compile(r"\{([a-z][a-z0-9_]*)\}|([^{}]+)|(.)", re.DOTALL)

_PARTS = {"row_id": "[0-9]+", "path": ".+"}
_PART = "[^/]+"

TYPE = "type"
DERIVED = ("ext", "stem")
"""Parts that follow from the last component of the key: its extension with the dot, the rest."""

# AWS, "Naming Amazon S3 objects": characters that are safe in key names; "/" separates components.
_UNSAFE = r"[^A-Za-z0-9!_.*'()/-]"
SANITIZE = _UNSAFE
"""What ``sanitize: safe`` replaces by ``_``, as a regular expression."""


class KeyPattern(Struct, frozen=True):
    """A source key below the prefix, taken apart. ``pieces`` are (part, literal), one empty."""

    text: str
    pieces: tuple[tuple[str, str], ...]

    @classmethod
    def parse(cls, text: str) -> KeyPattern:
        """Raises ValueError with what is wrong with it."""
        pieces = _pieces(text)
        names = [name for name, _ in pieces if name]
        if len(set(names)) != len(names):
            raise ValueError("a part is there twice")
        if not names or names[-1] not in ("file", "path"):
            raise ValueError("a pattern ends in {file} or {path}")
        if pieces[-1][1]:
            raise ValueError("nothing may follow {file} or {path}")
        if TYPE in names or any(name in DERIVED for name in names):
            raise ValueError("{type}, {ext} and {stem} follow from the key, and are no parts")
        for (one, _), (other, _) in pairwise(pieces):
            if one and other:
                raise ValueError(f"something must stand between {{{one}}} and {{{other}}}")
        return cls(text, pieces)

    @property
    def names(self) -> tuple[str, ...]:
        """The parts in their order."""
        return tuple(name for name, _ in self.pieces if name)

    @property
    def groups(self) -> tuple[str, ...]:
        """The parts that say to whom a key belongs: all but the file."""
        return self.names[:-1]

    @property
    def regex(self) -> str:
        """A regular expression (of RE2 and of Python) with one group a part, for whole keys."""
        return "".join(
            f"({_PARTS.get(name, _PART)})" if name else re.escape(literal)
            for name, literal in self.pieces
        )

    def parts(self, key: str) -> dict[str, str] | None:
        """The parts of ``key``, None where it is not of this pattern.

        >>> KeyPattern.parse("{row_id}_{name}/{file}").parts("472_Kaioxys_DarkMacro/a.mp3")
        {'row_id': '472', 'name': 'Kaioxys_DarkMacro', 'file': 'a.mp3'}
        >>> KeyPattern.parse("{row_id}/{name}/{file}").parts("notes/readme.txt") is None
        True
        """
        found = re.fullmatch(self.regex, key, re.DOTALL)
        return dict(zip(self.names, found.groups(), strict=True)) if found else None


class KeyTemplate(Struct, frozen=True):
    """A new key, made of the parts of the old one and of ``type``, ``ext`` and ``stem``."""

    text: str
    pieces: tuple[tuple[str, str], ...]

    @classmethod
    def parse(cls, text: str, known: Iterable[str]) -> KeyTemplate:
        """``known`` are the pattern's parts. Raises ValueError with what is wrong with it."""
        pieces = _pieces(text)
        allowed = [*known, TYPE, *DERIVED]
        for name, _ in pieces:
            if name and name not in allowed:
                raise ValueError(f"there is no part {{{name}}}; there are {', '.join(allowed)}")
        if text.startswith("/") or text.endswith("/") or "//" in text:
            raise ValueError("a key neither begins nor ends with / and has none of them twice")
        if not {name for name, _ in pieces} & {"file", "path", "stem"}:
            raise ValueError("a key without {file}, {path} or {stem} would be that of many objects")
        return cls(text, pieces)

    @property
    def head(self) -> str:
        """What every key starts with."""
        name, literal = self.pieces[0]
        return "" if name else literal

    def regex(self, types: Iterable[str]) -> str:
        """A regular expression that every key of these ``types`` matches, and little else."""
        alternatives = "|".join(re.escape(one) for one in sorted(set(types)))
        spelled = {TYPE: f"(?:{alternatives})", "row_id": "[0-9]+", "ext": r"(?:\.[^./]+)?"}
        return "".join(
            spelled.get(name, ".+") if name else re.escape(literal) for name, literal in self.pieces
        )

    def key(self, parts: Mapping[str, str], kind: str, *, sanitize: bool) -> str:
        """The key of an object of type ``kind`` whose old key had these parts."""
        name = (parts.get("file") or parts.get("path", "")).rpartition("/")[2]
        known = {**parts, TYPE: kind, "ext": extension_of(name), "stem": stem_of(name)}
        if sanitize:
            known = {part: sanitized(value) for part, value in known.items()}
        return "".join(known[part] if part else literal for part, literal in self.pieces)


def sanitized(text: str) -> str:
    """``text`` with every character that is not safe in a key replaced by ``_``.

    >>> sanitized("Björn & Ann's talk (1).mp3")
    "Bj_rn___Ann's_talk_(1).mp3"
    """
    return re.sub(_UNSAFE, "_", text)


def _pieces(text: str) -> tuple[tuple[str, str], ...]:
    pieces: list[tuple[str, str]] = []
    for found in _PIECES.finditer(text):
        if found[3]:
            raise ValueError("a part is {name} in lower case; braces stand for nothing else")
        pieces.append((found[1] or "", found[2] or ""))
    if not pieces:
        raise ValueError("it is empty")
    return tuple(pieces)
