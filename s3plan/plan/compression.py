"""Plan files by name: ``.zst`` and ``.gz`` are compressed, everything else is plain text.

Compressing the same plan twice gives the same bytes: no names and no times go into the frames.
"""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

import zstandard

from s3plan.errors import PlanFileError

_ZSTD_LEVEL = 3
_READ_AT_ONCE = 1024 * 1024


@contextmanager
def compressed(raw: BinaryIO, name: str) -> Iterator[BinaryIO]:
    """A stream into ``raw``, compressed as ``name`` says; complete when the context ends."""
    if name.endswith(".zst"):
        writer = zstandard.ZstdCompressor(level=_ZSTD_LEVEL).stream_writer(raw, closefd=False)
        stream = cast("BinaryIO", writer)
    elif name.endswith(".gz"):
        stream = cast("BinaryIO", gzip.GzipFile("", "wb", fileobj=raw, mtime=0))
    else:
        yield raw
        return
    with stream:
        yield stream


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """The text of a plan file from its start. Damage found while reading is PlanFileError."""
    try:
        with path.open("rb") as raw:
            if path.name.endswith(".zst"):
                # A plan may have been compressed by another tool, in several frames.
                reader = zstandard.ZstdDecompressor().stream_reader(raw, read_across_frames=True)
                yield cast("BinaryIO", reader)
            elif path.name.endswith(".gz"):
                yield cast("BinaryIO", gzip.GzipFile(fileobj=raw, mode="rb"))
            else:
                yield raw
    except FileNotFoundError as error:
        raise PlanFileError(
            "there is no such plan file",
            address=str(path),
            next_step="s3plan plan MANIFEST --out " + str(path),
        ) from error
    except (OSError, EOFError, zlib.error, zstandard.ZstdError) as error:
        raise PlanFileError(
            "the plan file cannot be read",
            address=str(path),
            found=str(error) or type(error).__name__,
            next_step="copy it again, or make a new plan with s3plan plan",
        ) from error


def text_of(path: Path) -> Iterator[bytes]:
    """The text of a plan file in pieces. Damage is PlanFileError."""
    with opened(path) as stream:
        while chunk := stream.read(_READ_AT_ONCE):
            yield chunk


def skip(stream: BinaryIO, offset: int) -> None:
    """Move a stream that stands at its start to ``offset`` bytes of its text."""
    if isinstance(stream, io.BufferedReader):
        stream.seek(offset)
        return
    # Compressed text has no places to jump to.
    while offset > 0 and (chunk := stream.read(min(offset, _READ_AT_ONCE))):
        offset -= len(chunk)
