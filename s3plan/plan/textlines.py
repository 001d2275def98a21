"""The text of a plan file line by line; what cannot be read is a PlanFileError with its line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Never, TypeVar

import msgspec

from s3plan.errors import PlanFileError

_BLOCK = 1024 * 1024
_LONGEST_LINE = 16 * 1024 * 1024

AGAIN = "copy the file again, or make a new plan with s3plan plan"
"""What to do about a plan file that is not whole."""

T = TypeVar("T")


def blocks(path: Path, stream: BinaryIO, number: int) -> Iterator[tuple[int, int, list[bytes]]]:
    """Complete lines in lists, each with the offset and number of its first line."""
    offset = 0
    rest = b""
    while chunk := stream.read(_BLOCK):
        data = rest + chunk
        cut = data.rfind(b"\n") + 1
        if cut:
            lines = data[: cut - 1].split(b"\n")
            yield offset, number, lines
            number += len(lines)
            offset += cut
        rest = data[cut:]
        if len(rest) > _LONGEST_LINE:
            refuse(path, number, f"a line is longer than {_LONGEST_LINE} bytes")
    if rest:
        refuse(path, number, "the last line is cut off", expected="a newline at its end")


def numbered(path: Path, stream: BinaryIO, number: int) -> Iterator[tuple[int, bytes]]:
    """Complete lines, each with its number."""
    for _, first, lines in blocks(path, stream, number):
        yield from enumerate(lines, first)


def decode(decoder: msgspec.json.Decoder[T], line: bytes, path: Path, number: int) -> T:
    """One line as a record."""
    try:
        return decoder.decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise PlanFileError(
            "a line of the plan file cannot be read",
            address=f"{path}:{number}",
            found=str(error),
            next_step=AGAIN,
        ) from error


def refuse(
    path: Path, number: int, what: str, *, expected: str | None = None, found: str | None = None
) -> Never:
    """Say what is wrong with a line."""
    raise PlanFileError(
        what, address=f"{path}:{number}", expected=expected, found=found, next_step=AGAIN
    )
