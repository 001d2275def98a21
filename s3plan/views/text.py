"""Untrusted text: what may come from S3 or a file name is made visible before it reaches a screen.

A key can hold terminal escapes, line ends, or marks that reorder what is read. Each such character
is shown as an escape, never acted on. A backslash stays as it is, so that a command inside a
message can be copied; a key that spells an escape out therefore looks like one that holds it.
"""

from __future__ import annotations

import re

from rich.cells import cell_len, set_cell_size

from s3plan.rules.characters import is_unsafe

# Quick path: nearly every key is printable ASCII.
_PLAIN = re.compile(r"[ -~]*\Z")

_ELLIPSIS = "…"


def visible(text: str) -> str:
    r"""Return ``text`` with every character that is not plainly visible written as an escape.

    ``\n``, ``\r`` and ``\t`` for those three, ``\x1b``, ``\u202e`` or ``\U000e0001`` for the
    others.
    """
    if _PLAIN.match(text):
        return text
    return "".join(_escape(char) if is_unsafe(char) else char for char in text)


def _escape(char: str) -> str:
    named = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}.get(char)
    if named:
        return named
    code = ord(char)
    if code <= 0xFF:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def without_name(message: str, name: str) -> str:
    """What is said of a thing, where its name stands before it anyway."""
    return message.removeprefix(f"{name}: ")


def shorten(text: str, width: int) -> str:
    """Return visible ``text`` in at most ``width`` terminal cells, its middle left out.

    Both ends stay, since keys differ at the end and belong together by their beginning.
    """
    shown = visible(text)
    if cell_len(shown) <= width:
        return shown
    tail = max(0, (width - 1) // 2)
    head = max(0, width - 1 - tail)
    end = shown[len(shown) - tail :] if tail else ""
    while cell_len(end) > tail:
        end = end[1:]
    return set_cell_size(shown, head).rstrip() + _ELLIPSIS + end
