"""Files of lines, many of which can be written side by side without being open."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from s3plan.localfs.refusals import refusal

_KEPT = 200
"""Lines of one file that wait in memory."""


class Lines:
    """A new file of lines. Raises DestinationError where the disk refuses."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.count = 0
        self._waiting: list[str] = []
        save(path, "")

    def __enter__(self) -> Lines:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def add(self, line: str) -> None:
        """Add a line, without its end."""
        self.count += 1
        self._waiting.append(f"{line}\n")
        if len(self._waiting) >= _KEPT:
            self.close()

    def close(self) -> None:
        """Write what waits."""
        if self._waiting:
            save(self.path, "".join(self._waiting), mode="ab")
            self._waiting.clear()


def save(path: Path, text: str, *, mode: Literal["xb", "ab"] = "xb") -> None:
    """Write a new file, or more of one. Raises DestinationError."""
    try:
        with path.open(mode) as file:
            file.write(text.encode("utf-8"))
    except OSError as error:
        raise refusal(error, str(path), "write the file") from error
