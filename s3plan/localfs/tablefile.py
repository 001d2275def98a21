"""A file of a person that s3plan may replace: read by lines, kept aside, replaced as a whole.

Nothing here writes into the file itself: a new one takes its place, or nothing does.
"""

from __future__ import annotations

import gzip
import hashlib
import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from msgspec import Struct

from s3plan.errors import DestinationError
from s3plan.localfs.refusals import refusal

_BLOCK = 1024 * 1024
LONGEST_LINE = 16 * 1024 * 1024
"""Bytes that are read at once in search of a line's end."""


class FileDigests(Struct, frozen=True):
    """What a file is recognised by: its size in bytes and digests in hex."""

    size: int
    sha256: str
    md5: str


def digests(path: Path) -> FileDigests | None:
    """The digests of a regular file; None where there is none. Raises DestinationError."""
    sha256, md5 = hashlib.sha256(), hashlib.md5(usedforsecurity=False)
    size = 0
    try:
        if not path.is_file():
            return None
        with path.open("rb") as file:
            while block := file.read(_BLOCK):
                sha256.update(block)
                md5.update(block)
                size += len(block)
    except OSError as error:
        raise refusal(error, str(path), "read the file") from error
    return FileDigests(size, sha256.hexdigest(), md5.hexdigest())


def lines(path: Path) -> Iterator[bytes]:
    """The lines of a file with their endings. Raises DestinationError."""
    try:
        with path.open("rb") as file:
            while line := file.readline(LONGEST_LINE):
                yield line
    except OSError as error:
        raise refusal(error, str(path), "read the file") from error


def keep_aside(path: Path, known: FileDigests, backup: Path, *, compressed: bool) -> None:
    """Copy ``path`` to ``backup``, with ``.md5`` and ``.sha256`` beside it, durably.

    With ``compressed`` a ``.gz`` as well. Doing it again is fine; another file that has the name
    is not replaced: DestinationError.
    """
    try:
        backup.parent.mkdir(parents=True, exist_ok=True)
        found = digests(backup)
        temporary = _unfinished(backup)
        if found is None:
            shutil.copyfile(path, temporary)
            _sync(temporary)
            copied = digests(temporary)
            if copied != known:
                temporary.unlink()
                raise _changed(path)
            os.link(temporary, backup)  # never over another file
        elif found != known:
            raise DestinationError(
                "another file has the name of the backup",
                address=str(backup),
                expected=f"sha256 {known.sha256}",
                found=f"sha256 {found.sha256}",
                next_step="move it away, then run the same command again",
            )
        temporary.unlink(missing_ok=True)
        for suffix, value in (("md5", known.md5), ("sha256", known.sha256)):
            # As md5sum and sha256sum write and check it.
            _write(backup.with_name(f"{backup.name}.{suffix}"), f"{value}  {backup.name}\n")
        if compressed:
            _compress(backup)
        _sync(backup.parent)
    except OSError as error:
        raise refusal(error, str(backup), "keep a backup") from error


def drop_unfinished(backup: Path) -> None:
    """Remove what :func:`keep_aside` had not finished when its process was killed."""
    for path in (backup, backup.with_name(f"{backup.name}.gz")):
        _unfinished(path).unlink(missing_ok=True)


def _unfinished(path: Path) -> Path:
    """Where a backup is before it is whole and durable."""
    return path.with_name(f".{path.name}.tmp")


def write_new(path: Path, blocks: Iterable[bytes]) -> FileDigests:
    """Write a whole new file, durably; one of that name is written anew. DestinationError."""
    sha256, md5 = hashlib.sha256(), hashlib.md5(usedforsecurity=False)
    size = 0
    try:
        with path.open("wb") as file:
            for block in blocks:
                file.write(block)
                sha256.update(block)
                md5.update(block)
                size += len(block)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise refusal(error, str(path), "write the file") from error
    return FileDigests(size, sha256.hexdigest(), md5.hexdigest())


def replace_by(path: Path, new: Path, before: str) -> None:
    """Give ``new`` the name ``path`` if what is there still has the SHA-256 ``before``, durably.

    It gets the rights that the old one had. Raises DestinationError, also where it was changed.
    """
    found = digests(path)
    if found is None or found.sha256 != before:
        raise _changed(path)
    try:
        shutil.copymode(path, new)
        new.replace(path)
        _sync(path.parent)
    except OSError as error:
        raise refusal(error, str(path), "replace the file") from error


def _changed(path: Path) -> DestinationError:
    return DestinationError(
        "the file was changed meanwhile",
        address=str(path),
        next_step="see who else writes it, then plan again",
    )


def _compress(backup: Path) -> None:
    target = backup.with_name(f"{backup.name}.gz")
    if target.exists():
        return
    temporary = _unfinished(target)
    # Without time and name inside, the same file gives the same bytes.
    with (
        backup.open("rb") as source,
        temporary.open("wb") as raw,
        gzip.GzipFile(filename="", fileobj=raw, mode="wb", mtime=0) as packed,
    ):
        shutil.copyfileobj(source, packed, _BLOCK)
    _sync(temporary)
    temporary.replace(target)


def _write(path: Path, text: str) -> None:
    path.write_text(text)
    _sync(path)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
