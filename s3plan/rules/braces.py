"""Texts with parts in braces: ``{year}/{session}.tar``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import pairwise

_PIECES = re.compile(r"\{([a-z][a-z0-9_]*)\}|([^{}]+)|(.)", re.DOTALL)

Pieces = tuple[tuple[str, str], ...]
"""(part, literal) in their order, one of the two empty."""


def pieces_of(text: str) -> Pieces:
    """The text taken apart. Raises ValueError where braces stand for nothing."""
    pieces: list[tuple[str, str]] = []
    for found in _PIECES.finditer(text):
        if found[3]:
            raise ValueError("a part is {name} in lower case; braces stand for nothing else")
        pieces.append((found[1] or "", found[2] or ""))
    if not pieces:
        raise ValueError("it is empty")
    return tuple(pieces)


def names_of(pieces: Pieces) -> tuple[str, ...]:
    """The parts in their order."""
    return tuple(name for name, _ in pieces if name)


def check_parts(pieces: Pieces) -> None:
    """That a text can be taken apart by ``pieces``. Raises ValueError where it cannot."""
    names = names_of(pieces)
    if len(set(names)) != len(names):
        raise ValueError("a part is there twice")
    for (one, _), (other, _) in pairwise(pieces):
        if one and other:
            raise ValueError(f"something must stand between {{{one}}} and {{{other}}}")


def regex_of(pieces: Pieces, spelled: Mapping[str, str]) -> str:
    """A regular expression with a group a part: as it is ``spelled``, else within a component."""
    return "".join(
        f"({spelled.get(name, '[^/]+')})" if name else re.escape(literal)
        for name, literal in pieces
    )
