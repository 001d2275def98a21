"""Evidence of a verification: one line an item, and the digest that a person approves.

The digest covers the plan, the subject and every key's verdict with the checksum it rests on; it
holds no times and no inodes, so looking again at unchanged reality gives the same digest.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

import msgspec
from msgspec import Struct

from s3plan.errors import JournalError
from s3plan.model.local import FileStat
from s3plan.model.objects import Checksum, Verdict


class EvidenceLine(Struct, frozen=True, gc=False):
    """What was found of item ``n``; ``file`` is what the local file must still be at deletion."""

    n: int
    key: str
    verdict: Verdict
    checksum: Checksum
    file: FileStat


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(EvidenceLine)


class EvidenceWriter:
    """Writes lines in worklist order to a temporary file that gets its name at :meth:`seal`."""

    def __init__(self, path: Path, plan_digest: str, subject: str) -> None:
        self._path = path
        self._temporary = path.with_suffix(".partial")
        self._file = self._temporary.open("wb")
        self._hash = hashlib.sha256(_encoder.encode([plan_digest, subject]) + b"\n")

    def add(self, line: EvidenceLine) -> None:
        """One item, in the order of ``n``."""
        self._file.write(_encoder.encode(line) + b"\n")
        said = [line.key, line.verdict, line.checksum.algorithm, line.checksum.value]
        self._hash.update(_encoder.encode(said) + b"\n")

    def seal(self) -> str:
        """Make the file durable under its name; the digest in hex."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        self._temporary.replace(self._path)
        return self._hash.hexdigest()

    def __enter__(self) -> EvidenceWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if not self._file.closed:
            self._file.close()
            self._temporary.unlink(missing_ok=True)


def read_evidence(
    path: Path, plan_digest: str, subject: str, expected: str
) -> Iterator[EvidenceLine]:
    """The lines of an evidence file. Raises JournalError at its end if it is not the one whose
    digest is ``expected``; a caller that acts on lines calls :func:`check_evidence` first.
    """
    running = hashlib.sha256(_encoder.encode([plan_digest, subject]) + b"\n")
    try:
        with path.open("rb") as file:
            for raw in file:
                line = _decoder.decode(raw)
                said = [line.key, line.verdict, line.checksum.algorithm, line.checksum.value]
                running.update(_encoder.encode(said) + b"\n")
                yield line
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise _outdated(path) from error
    if running.hexdigest() != expected:
        raise _outdated(path)


def check_evidence(path: Path, plan_digest: str, subject: str, expected: str) -> bool:
    """Whether the file is there, whole, and the one whose digest is ``expected``."""
    try:
        for _ in read_evidence(path, plan_digest, subject, expected):
            pass
    except JournalError:
        return False
    return True


def _outdated(path: Path) -> JournalError:
    return JournalError(
        "the evidence of the verification is missing or was changed",
        address=str(path),
        next_step="run the same command again: it is made anew",
    )
