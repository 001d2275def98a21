"""Texts with parts in braces: ``{year}/{session}.tar``."""

from __future__ import annotations

import re

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
