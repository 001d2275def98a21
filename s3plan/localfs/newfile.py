"""A file of results that appears complete under its name, or not at all."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from s3plan.localfs.refusals import refusal


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """A file to write to; when the block ends well, it takes the place of what is at ``path``.

    Raises DestinationError where the disk refuses.
    """
    # In the same directory, so that the rename cannot be a copy.
    temporary = path.absolute().with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        file = temporary.open("xb")
    except OSError as error:
        raise refusal(error, str(path), "make the file") from error
    try:
        with file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise refusal(error, str(path), "write the file") from error
        raise
