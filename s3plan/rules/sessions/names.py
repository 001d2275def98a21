"""Where a session lies on disk, and under which keys what is made of it is stored.

Both are spelled with braces: ``{year}/{session}`` is the directory of a session below the library,
``backups/raw/{year}/{session}.tar`` the key of its archive.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from msgspec import Struct

from s3plan.rules.braces import Pieces, check_parts, names_of, pieces_of, regex_of

_PARTS = {"year": r"(?:19|20)\d\d"}
_YEAR = re.compile(r"(?:19|20)\d\d(?=\D|$|[01]\d[0-3]\d(?!\d))")
_DAY = re.compile(r"(?<!\d)((?:19|20)\d\d)-?([01]\d)-?([0-3]\d)(?!\d)")


class SessionPattern(Struct, frozen=True):
    """The directories that are sessions."""

    text: str
    pieces: Pieces

    @classmethod
    def parse(cls, text: str) -> SessionPattern:
        """Raises ValueError with what is wrong with it."""
        pieces = pieces_of(text.removesuffix("/"))
        check_parts(pieces)
        if "session" not in names_of(pieces):
            raise ValueError("one part is {session}")
        if text.startswith("/") or "//" in text:
            raise ValueError("it is a path below source.path, and begins with no /")
        return cls(text, pieces)

    @property
    def names(self) -> tuple[str, ...]:
        """The parts in their order."""
        return names_of(self.pieces)

    @property
    def regex(self) -> str:
        """A regular expression for paths of files, with a group a part and one for the rest."""
        return f"{regex_of(self.pieces, _PARTS)}/(.+)"


class SessionKey(Struct, frozen=True):
    """Keys made of the parts of a session: ``session``, ``year``, and those of the pattern."""

    text: str
    pieces: Pieces

    @classmethod
    def parse(cls, text: str, known: Iterable[str]) -> SessionKey:
        """``known`` are the parts there are. Raises ValueError with what is wrong with it."""
        pieces = pieces_of(text)
        allowed = tuple(known)
        for name, _ in pieces:
            if name and name not in allowed:
                raise ValueError(f"there is no part {{{name}}}; there are {', '.join(allowed)}")
        if "session" not in names_of(pieces):
            raise ValueError("a key without {session} would be that of many sessions")
        if text.startswith("/") or text.endswith("/") or "//" in text:
            raise ValueError("a key neither begins nor ends with / and has none of them twice")
        return cls(text, pieces)

    @property
    def head(self) -> str:
        """What every key starts with."""
        name, literal = self.pieces[0]
        return "" if name else literal

    @property
    def regex(self) -> str:
        """A regular expression for whole keys, with a group named for each part."""
        text = ""
        seen: set[str] = set()
        for name, literal in self.pieces:
            part = _PARTS.get(name, "[^/]+")
            group = f"(?:{part})" if name in seen else f"(?P<{name}>{part})"
            text += group if name else re.escape(literal)
            seen.add(name)
        return text

    @property
    def names(self) -> frozenset[str]:
        """The parts that it is made of."""
        return frozenset(names_of(self.pieces))

    def key(self, parts: Mapping[str, str]) -> str:
        """The key of a session with these parts. Raises KeyError for one that it does not have."""
        return "".join(parts[name] if name else literal for name, literal in self.pieces)


def year_of(name: str) -> str | None:
    """The year with which the name of a session begins.

    >>> year_of("20170811_4B772986"), year_of("2024-03-15 M31"), year_of("M31")
    ('2017', '2024', None)
    """
    found = _YEAR.match(name)
    return found[0] if found else None


def day_of(name: str) -> str | None:
    """The day that stands in the name of a session, as YYYY-MM-DD.

    >>> day_of("20170811_4B772986"), day_of("M31 2024-03-15"), day_of("2024")
    ('2017-08-11', '2024-03-15', None)
    """
    found = _DAY.search(name)
    return "-".join(found.groups()) if found else None
