"""Keys made of named parts: a pattern that takes a source key apart, a template that makes one.

Both are spelled with braces, ``{row_id}/{name}/{file}``. ``{row_id}`` is digits, ``{path}`` may
cross ``/``, every other part is text within one component; the first part that can take a
character takes it, except that ``{row_id}`` never takes more than its digits.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from uuid import NAMESPACE_URL, uuid5

from msgspec import Struct

from s3plan.rules.braces import Pieces, check_parts, names_of, pieces_of, regex_of
from s3plan.rules.grouping.filetypes import extension_of, stem_of

_PARTS = {"row_id": "[0-9]+", "path": ".+"}

TYPE = "type"
DERIVED = ("ext", "stem")
"""Parts that follow from the last component of the key: its extension with the dot, the rest."""

SHA256 = "sha256"
UUID = "uuid"
IDENTITIES = (SHA256, UUID)
"""Parts that say which object it is: the digest of its content in hex, or a name for where it
was."""

# AWS, "Naming Amazon S3 objects": characters that are safe in key names; "/" separates components.
_UNSAFE = r"[^A-Za-z0-9!_.*'()/-]"
SANITIZE = _UNSAFE
"""What ``sanitize: safe`` replaces by ``_``, as a regular expression."""


class KeyPattern(Struct, frozen=True):
    """A source key below the prefix, taken apart."""

    text: str
    pieces: Pieces

    @classmethod
    def parse(cls, text: str) -> KeyPattern:
        """Raises ValueError with what is wrong with it."""
        pieces = pieces_of(text)
        check_parts(pieces)
        names = names_of(pieces)
        if not names or names[-1] not in ("file", "path"):
            raise ValueError("a pattern ends in {file} or {path}")
        if pieces[-1][1]:
            raise ValueError("nothing may follow {file} or {path}")
        if {TYPE, *DERIVED, *IDENTITIES} & {*names}:
            raise ValueError(
                "{type}, {ext}, {stem}, {sha256} and {uuid} follow from the object, and are no"
                " parts"
            )
        return cls(text, pieces)

    @property
    def names(self) -> tuple[str, ...]:
        """The parts in their order."""
        return names_of(self.pieces)

    @property
    def groups(self) -> tuple[str, ...]:
        """The parts that say to whom a key belongs: all but the file."""
        return self.names[:-1]

    @property
    def regex(self) -> str:
        """A regular expression (of RE2 and of Python) with one group a part, for whole keys."""
        return regex_of(self.pieces, _PARTS)

    def parts(self, key: str) -> dict[str, str] | None:
        """The parts of ``key``, None where it is not of this pattern.

        >>> KeyPattern.parse("{row_id}_{name}/{file}").parts("472_Kaioxys_DarkMacro/a.mp3")
        {'row_id': '472', 'name': 'Kaioxys_DarkMacro', 'file': 'a.mp3'}
        >>> KeyPattern.parse("{row_id}/{name}/{file}").parts("notes/readme.txt") is None
        True
        """
        found = re.fullmatch(self.regex, key, re.DOTALL)
        return dict(zip(self.names, found.groups(), strict=True)) if found else None

    def key(self, parts: Mapping[str, str]) -> str:
        """The key below the prefix that these parts would have been taken from."""
        return "".join(parts[name] if name else literal for name, literal in self.pieces)


class KeyTemplate(Struct, frozen=True):
    """A new key, made of the parts of the old one, of ``type``, ``ext`` and ``stem``, and of
    ``sha256`` or ``uuid``.
    """

    text: str
    pieces: Pieces

    @classmethod
    def parse(cls, text: str, known: Iterable[str]) -> KeyTemplate:
        """``known`` are the pattern's parts. Raises ValueError with what is wrong with it."""
        pieces = pieces_of(text)
        allowed = [*known, TYPE, *DERIVED, *IDENTITIES]
        for name, _ in pieces:
            if name and name not in allowed:
                raise ValueError(f"there is no part {{{name}}}; there are {', '.join(allowed)}")
        if text.startswith("/") or text.endswith("/") or "//" in text:
            raise ValueError("a key neither begins nor ends with / and has none of them twice")
        if not {*names_of(pieces)} & {"file", "path", "stem", *IDENTITIES}:
            raise ValueError(
                "a key without {file}, {path}, {stem}, {sha256} or {uuid} would be that of many"
                " objects"
            )
        return cls(text, pieces)

    @property
    def head(self) -> str:
        """What every key starts with."""
        name, literal = self.pieces[0]
        return "" if name else literal

    @property
    def by_digest(self) -> bool:
        """Whether equal content gets equal keys, so that objects may share a copy."""
        return SHA256 in self.names

    @property
    def names(self) -> frozenset[str]:
        """The parts that it is made of."""
        return frozenset(names_of(self.pieces))

    def regex(self, types: Iterable[str]) -> str:
        """A regular expression that every key of these ``types`` matches, and little else. Its one
        group, if it has one, is the digest.
        """
        alternatives = "|".join(re.escape(one) for one in sorted(set(types)))
        spelled = {
            TYPE: f"(?:{alternatives})",
            "row_id": "[0-9]+",
            "ext": r"(?:\.[^./]+)?",
            SHA256: "([0-9a-f]{64})",
            UUID: "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}",
        }
        return "".join(
            spelled.get(name, ".+") if name else re.escape(literal) for name, literal in self.pieces
        )

    def key(self, parts: Mapping[str, str], kind: str, *, sanitize: bool) -> str:
        """The key of an object of type ``kind`` whose old key had these parts.

        Where it is made of ``sha256`` or ``uuid`` they are among the parts.
        """
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


def uuid_of(bucket: str, key: str) -> str:
    """A name for the place where an object was, the same whenever it is asked for.

    Version 5 of RFC 9562, 5.5, of its address in the namespace of URLs.

    >>> uuid_of("people", "7/Ann/a.mp3")
    'ae64d706-45fd-52c1-8a9b-5d9ecdf7f915'
    """
    return str(uuid5(NAMESPACE_URL, f"s3://{bucket}/{key}"))
