"""Evidence of a verification: one line an item, and the digest that a person approves.

The digest covers the plan, the subject, the bucket's saved configuration where the bucket goes too,
the attributes that nothing saves, and every key's verdict with the checksum it rests on; it holds
no times and no inodes, so looking again at unchanged reality gives the same digest. The SHA-256 of
the file's bytes, which the journal keeps beside it, covers the rest.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

import msgspec
from msgspec import Struct

from s3plan.errors import JournalError
from s3plan.localfs.refusals import next_step_of
from s3plan.model.journal import GateRecord, Loss, LossReason
from s3plan.model.local import FileStat
from s3plan.model.objects import Checksum, Verdict


class EvidenceLine(Struct, frozen=True, gc=False):
    """What was found of item ``n``; ``file`` is what the local file must still be at deletion."""

    n: int
    key: str
    verdict: Verdict
    checksum: Checksum
    file: FileStat


class Sealed(NamedTuple):
    """What identifies evidence: the digest to approve, and the SHA-256 of its file; in hex."""

    digest: str
    content: str


OF_ATTRIBUTES: frozenset[LossReason] = frozenset({"annotations", "metadata", "grants"})
"""Losses of what belongs to objects besides their content."""

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(EvidenceLine)


class EvidenceWriter:
    """Writes lines in worklist order to a temporary file that gets its name at :meth:`seal`."""

    def __init__(
        self,
        path: Path,
        plan_digest: str,
        subject: str,
        configuration: str = "",
        losses: Sequence[Loss] = (),
    ) -> None:
        """``configuration`` is the digest of what was saved of the bucket itself, if anything;
        ``losses`` are attributes of objects that nothing can save.
        """
        self._path = path
        self._temporary = path.with_suffix(".partial")
        with mapped(path):
            self._file = self._temporary.open("wb")
        self._hash = _begun(plan_digest, subject, configuration, losses)
        self._content = hashlib.sha256()

    def add(self, lines: Sequence[EvidenceLine]) -> None:
        """The next items, in the order of ``n``."""
        raw = _encoder.encode_lines(lines)
        self._file.write(raw)
        self._content.update(raw)
        said = [
            (line.key, line.verdict, line.checksum.algorithm, line.checksum.value) for line in lines
        ]
        self._hash.update(_encoder.encode_lines(said))

    def seal(self) -> Sealed:
        """Make the file durable under its name."""
        with mapped(self._path):
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            self._temporary.replace(self._path)
            # A deletion rests on this name: it must outlast a power cut.
            folder = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        return Sealed(self._hash.hexdigest(), self._content.hexdigest())

    def __enter__(self) -> EvidenceWriter:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if not self._file.closed:
            with suppress(OSError):  # closing writes what is buffered, which may be what failed
                self._file.close()
            with suppress(OSError):
                self._temporary.unlink(missing_ok=True)


def read_evidence(path: Path, plan_digest: str, gate: GateRecord) -> Iterator[EvidenceLine]:
    """The lines of an evidence file. Raises JournalError at its end if it is not the one that the
    gate's record names; a caller that acts on lines calls :func:`check_evidence` first.
    """
    running = _begun(plan_digest, gate.subject, gate.configuration, gate.losses)
    content = hashlib.sha256()
    try:
        with path.open("rb") as file:
            for raw in file:
                content.update(raw)
                line = _decoder.decode(raw)
                said = [line.key, line.verdict, line.checksum.algorithm, line.checksum.value]
                running.update(_encoder.encode(said) + b"\n")
                yield line
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise _outdated(path) from error
    # A journal of before there was `content` says nothing of it.
    if running.hexdigest() != gate.evidence or gate.content not in ("", content.hexdigest()):
        raise _outdated(path)


def _begun(
    plan_digest: str, subject: str, configuration: str, losses: Sequence[Loss]
) -> hashlib._Hash:
    """The digest so far, over what no line of the file says."""
    about: list[object] = [plan_digest, subject, *([configuration] if configuration else [])]
    # Losses that lines or the plan tell of are in them; attributes stand nowhere else.
    told = [loss for loss in losses if loss.reason in OF_ATTRIBUTES]
    about += [[loss.reason, loss.totals.items, loss.names] for loss in told]
    return hashlib.sha256(_encoder.encode(about) + b"\n")


def check_evidence(path: Path, plan_digest: str, gate: GateRecord) -> bool:
    """Whether the file is there, whole, and the one that the gate's record names."""
    try:
        for _ in read_evidence(path, plan_digest, gate):
            pass
    except JournalError:
        return False
    return True


@contextmanager
def mapped(path: Path) -> Iterator[None]:
    """What the disk of the run folder refuses, as an error that stops the run."""
    try:
        yield
    except OSError as error:
        raise JournalError(
            f"the evidence cannot be written: {error.strerror}",
            address=str(path),
            next_step=next_step_of(error, "look at its disk, then run the same command again"),
        ) from error


def _outdated(path: Path) -> JournalError:
    return JournalError(
        "the evidence of the verification is missing or was changed",
        address=str(path),
        next_step="run the same command again: it is made anew",
    )
