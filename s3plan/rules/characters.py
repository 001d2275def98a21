"""Characters that are not plainly visible: those that act on a terminal, reorder text or hide.

Object keys may hold any of them. What is shown to people writes them as escapes (``views.text``);
JSON that a terminal may show writes them with JSON's own, which changes nothing for a parser.
"""

from __future__ import annotations

import re
import unicodedata

# Control and format characters (bidi controls and zero-width marks among them), lone surrogates,
# and the two Unicode line separators. Categories as in UAX #44, table 12.
_UNSAFE = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})

# A JSON text has no control characters below U+0020: all that can be unsafe in ASCII is DEL.
_MAYBE_UNSAFE = re.compile("[\x7f-\U0010ffff]")


def is_unsafe(character: str) -> bool:
    """Whether a terminal or a reader could be misled by it."""
    return unicodedata.category(character) in _UNSAFE


def harmless_json(line: bytes) -> bytes:
    r"""The same JSON (RFC 8259, section 7) in UTF-8 with every such character as ``\\uXXXX``."""
    if line.isascii() and b"\x7f" not in line:
        return line
    return _MAYBE_UNSAFE.sub(_json_escape, line.decode()).encode()


def _json_escape(match: re.Match[str]) -> str:
    character = match[0]
    if not is_unsafe(character):
        return character
    units = character.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))
