"""Documents that a manifest names by file: ``from: FILE`` or a glob, relative to the manifest."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from s3plan.errors import ManifestError

LARGEST = 1024 * 1024
"""Bytes of one document; a bucket policy may have 20 KB, 1,000 lifecycle rules have less."""


def is_pattern(source: str) -> bool:
    """Whether ``source`` is a glob, not one file."""
    return any(mark in source for mark in "*?[")


def files_of(source: str, directory: Path) -> list[Path]:
    """The files that a glob or a name means, in order of name; none where nothing is there."""
    if not is_pattern(source):
        return [directory / source]
    base = Path(source)
    root = Path(base.anchor) if base.is_absolute() else directory
    pattern = str(base.relative_to(base.anchor)) if base.is_absolute() else source
    return sorted(path for path in root.glob(pattern) if path.is_file())


def read_json(path: Path) -> Any:
    """The JSON document in a file. Raises ManifestError with the place of what is wrong."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise ManifestError(
            f"the file cannot be read: {error.strerror}",
            address=str(path),
            next_step="correct from: in the manifest, or make the file",
        ) from error
    if len(raw) > LARGEST:
        raise ManifestError(
            "the file is too large for such a document",
            address=str(path),
            expected=f"at most {LARGEST:,} bytes",
            found=f"{len(raw):,}",
            next_step="name the file that holds the document alone",
        )
    try:
        return json.loads(raw)
    except json.JSONDecodeError as error:
        raise ManifestError(
            "the file is not JSON",
            address=f"{path}:{error.lineno}:{error.colno}",
            found=error.msg,
            next_step="correct it there",
        ) from error
    except (UnicodeDecodeError, RecursionError) as error:
        raise ManifestError(
            "the file is not JSON", address=str(path), next_step="write it as UTF-8 text"
        ) from error


def as_json(value: Any) -> Any:
    """A value of a manifest as JSON has it: the loader's lists cannot be changed, JSON's can."""
    if isinstance(value, dict):
        return {key: as_json(one) for key, one in value.items()}
    return [as_json(one) for one in value] if isinstance(value, list | tuple) else value
