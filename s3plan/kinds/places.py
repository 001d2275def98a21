"""Values of a manifest that still know where they stand in which file."""

from __future__ import annotations

from dataclasses import dataclass, field

Plain = bool | int | float | str | None | tuple["Plain", ...] | dict[str, "Plain"]
Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Place:
    """A position in a file; line and column count from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class Document:
    """One YAML document as plain values; ``places`` and ``written`` are by path into it.

    ``places`` of a mapping's entry is that of its key. ``written`` holds scalars as the file
    spells them, variables unresolved, so that errors never quote what a variable held.
    """

    value: Plain
    place: Place
    places: dict[Path, Place] = field(repr=False)
    written: dict[Path, str] = field(repr=False)

    def place_of(self, path: Path) -> Place:
        """The place of ``path``, or of the nearest thing around it that is there."""
        while path:
            if path in self.places:
                return self.places[path]
            path = path[:-1]
        return self.place
