"""A terminal that can be asked what it shows, and the names that try to take it over."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyte

from tests.secrets.watching import LEAKS

COLUMNS = 120
LINES = 400

HOSTILE = (
    "\x1b[2J\x1b[Hgone",
    "\x1b[1A\x1b[2Kthe line above is gone",
    "\x1b]0;title\x07",
    "\x1b]8;;http://evil\x1b\\link\x1b]8;;\x1b\\",
    "\x1b[?1049h",
    "\x1bcreset",
    "\x1b[8mhidden",
    "\x1b(0lines",
    "back\b\b\b\bspace",
    "over\rwritten",
    "two\nlines",
    "down\x0b\x0c",
    "tab\tstop",
    "bell\x07",
    "delete\x7f",
    "shift\x0e\x0f",
    "c1 \x9b2J \x85 \x90q\x9c",
    "photo\u202egpj.exe",
    "isolate\u2066\u2069",
    "zero\u200bwidth\ufeff",
    "line\u2028separator\u2029",
    "tag\U000e0041",
    "[red]markup[/red] [/] [link=http://evil]x[/link]",
    ":smile: {braces} %s",
    "wide 写真 \U0001f600 e\u0301",
    "  blanks  ",
)

# What rich writes for colours and to draw bars over themselves; nothing else may ever be sent.
_OURS = re.compile(r"\x1b\[[0-9;]*m|\x1b\[2K|\x1b\[1A|\r")
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


@dataclass(frozen=True)
class Shown:
    """A screen after some output: its lines down to the cursor, and what was sent to it."""

    lines: tuple[str, ...]
    sent: str
    code: int = 0


def displayed(text: str) -> Shown:
    """What a terminal shows that was empty before."""
    screen = pyte.Screen(COLUMNS, LINES)
    stream = pyte.Stream(screen)
    # As the line discipline of a real terminal does.
    stream.feed(re.sub("(?<!\r)\n", "\r\n", text))
    assert screen.cursor.y < LINES - 1, "the screen is too small to compare"
    assert not screen.title
    lines = [line.rstrip() for line in screen.display]
    assert not any(lines[screen.cursor.y + 1 :]), "the cursor is above what is shown"
    return Shown(tuple(lines[: screen.cursor.y + 1]), text)


def literally(text: str) -> tuple[str, ...]:
    """The lines of a text as they are, folded at the width of the screen; colours left out."""
    found: list[str] = []
    for line in _COLOURS.sub("", text).split("\n"):
        row, used = "", 0
        for character in line:
            width = _width(character)
            if used + width > COLUMNS:
                found.append(row)
                row, used = "", 0
            row += character
            used += width
        found.append(row)
    return tuple(unicodedata.normalize("NFC", line).rstrip() for line in found)


def _width(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def misleading(text: str) -> list[str]:
    """Characters that act on a terminal or a reader, besides what the views send themselves."""
    left = _OURS.sub("", text)
    return [
        f"U+{ord(character):04X}"
        for character in left
        if character != "\n" and unicodedata.category(character) in {"Cc", "Cf", "Cs", "Zl", "Zp"}
    ]


def on_a_terminal(
    command: Sequence[str], directory: Path, environ: Mapping[str, str], answer: str = ""
) -> Shown:
    """Run a command on a pseudo-terminal that showed a line before and shows one after it.

    ``answer`` is typed when a question is asked.
    """
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
    process = subprocess.Popen(
        command, stdin=slave, stdout=slave, stderr=slave, cwd=directory, env=dict(environ)
    )
    os.close(slave)
    data = b""
    while True:
        try:
            chunk = os.read(master, 65536)
        except OSError:  # Linux: the other end is closed
            break
        if not chunk:
            break
        data += chunk
        if answer and b"(yes/no)" in data:
            os.write(master, answer.encode())
            answer = ""
    os.close(master)
    code = process.wait(60)
    LEAKS.look(data, f"what {list(command)} showed")
    shown = displayed("BEFORE\n" + data.decode() + "AFTER\n")
    return Shown(shown.lines, data.decode(), code)
