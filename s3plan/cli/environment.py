"""What the environment says where nobody types: containers and cron (docs/unattended.md).

``S3PLAN_BUCKET``, ``S3PLAN_KEY``, ``S3PLAN_DRY_RUN`` and ``S3PLAN_CONCURRENCY``, and for those who
come from the tool that s3plan replaces the same with ``MIGRATE_`` in front. Empty is not set; what
is typed on the command line comes first.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from s3plan.errors import UsageError

if TYPE_CHECKING:
    from s3plan.api import Worklist

DRY_RUN = "Dry run (S3PLAN_DRY_RUN): nothing was changed."
"""What apply and rollback say then."""

_PREFIXES = ("S3PLAN_", "MIGRATE_")
_TRUTH = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
_MOST_OBJECTS = 1024


@dataclass(frozen=True, slots=True)
class Unattended:
    """What is said. ``notes`` are sentences about it, for whoever reads the output."""

    bucket: str | None = None
    key: str | None = None
    is_dry: bool = False
    objects: int | None = None
    notes: tuple[str, ...] = ()

    def worklist(self) -> Worklist | None:
        """The one object that is named; None where none is."""
        from s3plan import api

        if self.bucket is None or self.key is None:
            return None
        return api.worklist_of_object(self.bucket, self.key)


def unattended(environ: Mapping[str, str] | None = None) -> Unattended:
    """Read the variables of this process. Raises UsageError for one that says nothing sensible."""
    given = os.environ if environ is None else environ
    bucket, key = _text(given, "BUCKET"), _text(given, "KEY")
    if key is not None and bucket is None:
        raise _refused("KEY", key, "S3PLAN_BUCKET besides: a key alone names no object")
    notes = []
    if key is not None:
        notes.append(f"S3PLAN_BUCKET and S3PLAN_KEY name one object: s3://{bucket}/{key}")
    elif bucket is not None:
        notes.append(f"S3PLAN_BUCKET names the bucket {bucket}")
    return Unattended(bucket, key, _truth(given), _objects(given), tuple(notes))


def _text(environ: Mapping[str, str], name: str) -> str | None:
    found = {prefix + name: environ.get(prefix + name, "") for prefix in _PREFIXES}
    said = {value for value in found.values() if value}
    if len(said) > 1:
        raise UsageError(
            " and ".join(found) + " say different things",
            found=", ".join(f"{variable}={value}" for variable, value in found.items()),
            next_step=f"set S3PLAN_{name} alone",
        )
    return said.pop() if said else None


def _truth(environ: Mapping[str, str]) -> bool:
    text = _text(environ, "DRY_RUN")
    if text is None:
        return False
    if text.lower() not in _TRUTH:
        # Nothing may be changed because a word was misspelt.
        raise _refused("DRY_RUN", text, "true or false")
    return _TRUTH[text.lower()]


def _objects(environ: Mapping[str, str]) -> int | None:
    text = _text(environ, "CONCURRENCY")
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= _MOST_OBJECTS):
        raise _refused("CONCURRENCY", text, f"a number of objects from 1 to {_MOST_OBJECTS:,}")
    return int(text)


def _refused(name: str, found: str, expected: str) -> UsageError:
    return UsageError(
        f"S3PLAN_{name} does not say what it must",
        expected=expected,
        found=found,
        next_step="correct the variable, or unset it",
    )
