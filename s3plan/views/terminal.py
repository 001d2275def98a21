"""The two streams as rich consoles: whether they are terminals, their width and colours.

Colour follows ``--no-color``, then NO_COLOR (https://no-color.org), then FORCE_COLOR
(https://force-color.org), then whether the stream is a terminal; it is never the only signal.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import TextIO

from rich.console import Console, RenderableType
from rich.text import Text

FIXED_WIDTH = 100
"""Columns where the output is no terminal, so that the same plan gives the same text anywhere."""

_WIDEST = 120  # longer lines are hard to follow from the left column to the right one
_NARROWEST = 60


class Screen(Console):
    """A console that prints only what it is handed: no markup, no emoji codes, no highlighting."""

    def __init__(self, stream: TextIO, *, color: bool, environ: Mapping[str, str]) -> None:
        """``color`` False is ``--no-color``; True leaves it to the environment and the stream."""
        self.interactive = stream.isatty() and environ.get("TERM", "") not in {"dumb", "unknown"}
        forced = bool(environ.get("FORCE_COLOR"))
        colored = color and not environ.get("NO_COLOR") and (self.interactive or forced)
        super().__init__(
            file=stream,
            markup=False,
            emoji=False,
            highlight=False,
            force_terminal=self.interactive,
            # The views use sixteen colours; every colour terminal has them.
            color_system="standard" if colored else None,
            no_color=not colored,
            width=None if self.interactive else FIXED_WIDTH,
            _environ=environ,
        )

    @property
    def columns(self) -> int:
        """Columns to lay text out in."""
        return max(_NARROWEST, min(self.width, _WIDEST))

    def say(self, text: str | Text = "") -> None:
        """Print one line as it is: never wrapped, so that it can be copied and grepped."""
        self.print(text, soft_wrap=True)

    def show(self, part: RenderableType) -> None:
        """Print a text or table, wrapped to ``columns``, without blanks at the ends of lines."""
        options = self.options.update(width=self.columns)
        for segments in self.render_lines(part, options, pad=False):
            line = Text.assemble(*((text, style or "") for text, style, _ in segments))
            line.rstrip()
            self.say(line)

    def show_cursor(self, show: bool = True) -> bool:
        """Leave the cursor alone: rich hides it beside bars, and a killed process keeps it so."""
        return False

    def on_broken_pipe(self) -> None:
        """Let the caller know that nobody reads any more; rich would exit the process."""
        # Called from rich's own except block: this passes the BrokenPipeError on.
        raise  # noqa: PLE0704


def screens(*, color: bool) -> tuple[Screen, Screen]:
    """Return the screens of standard output and standard error."""
    return (
        Screen(sys.stdout, color=color, environ=os.environ),
        Screen(sys.stderr, color=color, environ=os.environ),
    )
