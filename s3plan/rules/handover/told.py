"""What other programs tell of objects that they failed with: reasons, by key. Pure.

Nothing here makes an object done: only looking at S3 does. Read are the lines of ``s5cmd --json``,
of rclone's ``--use-json-log``, and of the completion reports of S3 Batch Operations ("Examples: S3
Batch Operations completion reports", Amazon S3 User Guide).
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

from msgspec import Struct

from s3plan.rules.handover.batch import encoded

_STATUS = re.compile(r"[1-5][0-9][0-9]")
_SOURCE = re.compile(r"cp (?:--\S+ )*s3://[^/]+/(.*?) (?:s3://|/)")
_COLUMNS = 7


class Failure(Struct, frozen=True):
    """An object that a program failed with. ``name`` is the key as that program writes it."""

    name: str
    code: str
    message: str


class ReportFile(Struct, frozen=True):
    """One file of a completion report: where it lies, and the MD5 of it in hex."""

    bucket: str
    key: str
    md5: str


def report_files(manifest: bytes) -> tuple[ReportFile, ...]:
    """The files that the manifest.json of a completion report names. Raises ValueError."""
    told = json.loads(manifest)
    if not isinstance(told, dict) or told.get("Format") != "Report_CSV_20180820":
        raise ValueError("it is no manifest of a completion report")
    try:
        return tuple(
            ReportFile(str(one["Bucket"]), str(one["Key"]), str(one["MD5Checksum"]))
            for one in told["Results"]
        )
    except (KeyError, TypeError) as error:
        raise ValueError(f"it does not say where the report's files are: {error}") from error


def report_failures(lines: Iterable[str]) -> Iterator[Failure]:
    """Failed tasks in a file of a completion report. Raises ValueError.

    The schema says that the error code comes before the status, AWS's own example has them the
    other way round: the one that is three digits is the status.
    """
    for row in csv.reader(lines, strict=True):
        if not row:
            continue
        if len(row) != _COLUMNS:
            raise ValueError(f"a row of {len(row)} columns instead of {_COLUMNS}")
        _, key, _, task, first, second, message = row
        if task == "succeeded":
            continue
        code = second if _STATUS.fullmatch(first) else first
        yield Failure(key, code or "failed", message or task)


def log_failures(lines: Iterable[str]) -> Iterator[Failure]:
    """Failures in the JSON lines of s5cmd or rclone; lines that are neither say nothing."""
    for line in lines:
        try:
            told = json.loads(line)
        except ValueError:
            continue
        found = _logged(told) if isinstance(told, dict) else None
        if found is not None:
            yield found


def _logged(told: dict[str, Any]) -> Failure | None:
    if told.get("level") == "error" and told.get("object"):
        return Failure(str(told["object"]), "rclone", str(told.get("msg", "")))
    command, error = told.get("command"), told.get("error")
    if isinstance(command, str) and isinstance(error, str):
        source = _SOURCE.match(command)
        return Failure(source[1] if source else command, "s5cmd", error)
    return None


class Reasons:
    """Failures by the name of the object, at most so many.

    A name that no object has exactly is tried as a key in URL encoding, and as the end of a key:
    rclone tells names below the place that its list is about.
    """

    def __init__(self, failures: Iterable[Failure], most: int) -> None:
        """Raises OverflowError where there are more failures than ``most``."""
        self._by_name: dict[str, Failure] = {}
        for failure in failures:
            self._by_name[failure.name] = failure
            if len(self._by_name) > most:
                raise OverflowError

    def __len__(self) -> int:
        return len(self._by_name)

    def of(self, key: str, *, below: str = "") -> Failure | None:
        """Why the object ``key`` failed; ``below`` is the name that a list has for it."""
        found = self._by_name.get(encoded(key)) or self._by_name.get(key)
        return found or (self._by_name.get(below) if below else None)
