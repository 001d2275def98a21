"""The record of a soak on disk: appended to, chained, and read whole.

It stands in the folder of the finished run (``soak.json``) and is made by the first check, note or
signature. A line is durable before anybody is told of it; a torn last line was never told of, and
is dropped.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator

import msgspec

from s3plan.engine.runs import Run
from s3plan.engine.state import RunState
from s3plan.errors import JournalError, StaleError
from s3plan.localfs.appendlog import AppendLog, BrokenLine, read_log
from s3plan.localfs.refusals import next_step_of
from s3plan.localfs.tablefile import digests
from s3plan.model.soak import (
    SOAK_FORMAT,
    AnySoakRecord,
    Checked,
    Noted,
    SignedOff,
    SoakBegan,
    SoakStanding,
    SoakTerms,
)
from s3plan.model.steps import Copy
from s3plan.plan.reading import PlanFile

_encoder = msgspec.json.Encoder()
_decoder: msgspec.json.Decoder[AnySoakRecord] = msgspec.json.Decoder(AnySoakRecord)


def standing(run: Run, plan: PlanFile, state: RunState) -> SoakStanding:
    """How far the soak of a run is; of one that nobody has looked at yet too.

    Raises StaleError where the run did not end or was taken back, so that there is nothing to
    watch, and JournalError where the record is damaged or belongs to another run.
    """
    began = _ended(run, state)
    found = SoakStanding(run.id, os.path.relpath(run.journal), began, terms_of(plan))
    checks: list[Checked] = []
    notes: list[Noted] = []
    signatures: list[SignedOff] = []
    chain = ""
    for record in read_soak(run):
        chain = record.chain
        match record:
            case Checked():
                checks.append(record)
            case Noted():
                notes.append(record)
            case SignedOff():
                signatures.append(record)
    return msgspec.structs.replace(
        found,
        checks=tuple(checks),
        notes=tuple(notes),
        signatures=tuple(signatures),
        chain=chain,
    )


def terms_of(plan: PlanFile) -> SoakTerms:
    """What the run's plan says of its soak; the longest, where it says several things."""
    said = [
        step.action.soak
        for step in plan.steps
        if isinstance(step.action, Copy) and isinstance(step.action.soak, SoakTerms)
    ]
    return max(said, key=lambda terms: terms.days, default=SoakTerms())


def append(run: Run, soak: SoakStanding, record: AnySoakRecord, *, tool: str, time: str) -> str:
    """Add a record, durable when this returns, and return its chain. The run's lock is held.

    ``soak`` is what was just read. Raises JournalError where the disk refuses.
    """
    chain = soak.chain
    new: list[AnySoakRecord] = [record]
    if not chain:
        state = run.state()
        new.insert(
            0,
            SoakBegan(
                format=SOAK_FORMAT,
                run=run.id,
                digest=state.started.digest,
                began=soak.began,
                terms=soak.terms,
                time=time,
                tool=tool,
            ),
        )
    bodies = []
    for one in new:
        chain = _chained(one, chain)
        bodies.append(_encoder.encode(msgspec.structs.replace(one, chain=chain)))
    try:
        log = AppendLog.open(run.soak) if run.soak.exists() else AppendLog.create(run.soak)
        try:
            log.append(bodies)
            log.sync()
        finally:
            log.close()
    except OSError as error:
        raise JournalError(
            f"the record of the soak cannot be written: {error.strerror}",
            address=str(run.soak),
            next_step=next_step_of(error, "look at its disk, then run the same command again"),
        ) from error
    return chain


def read_soak(run: Run) -> Iterator[AnySoakRecord]:
    """The records of a run's soak; none where nothing was recorded. Raises JournalError."""
    chain = ""
    try:
        for seq, body in read_log(run.soak):
            record = _decode(run, seq, body)
            if seq == 1:
                _check_header(run, record)
            if record.chain != _chained(record, chain):
                raise _damaged(run, seq, "the digest of all lines up to it")
            chain = record.chain
            yield record
    except FileNotFoundError:
        return
    except BrokenLine as error:
        raise _damaged(run, error.line, "a line with its sequence number and checksum") from error
    except OSError as error:
        raise JournalError(
            f"the record of the soak cannot be read: {error.strerror}", address=str(run.soak)
        ) from error


def digest_of_journal(run: Run) -> str:
    """The SHA-256 of a run's journal, in hex: what a signature is for."""
    found = digests(run.journal)
    assert found is not None, "a journal that was just read"
    return found.sha256


def _chained(record: AnySoakRecord, before: str) -> str:
    return hashlib.sha256(
        _encoder.encode(msgspec.structs.replace(record, chain=before))
    ).hexdigest()


def _ended(run: Run, state: RunState) -> str:
    """When the run ended for good."""
    if state.rolled_back is not None or run.taken_back("copies"):
        raise StaleError(
            "the run was taken back",
            address=str(run.journal),
            expected="a run that finished",
            next_step="name the journal of another run; `s3plan runs list` shows all",
        )
    if not state.finished or state.ended is None:
        raise StaleError(
            "the run is not finished",
            address=str(run.journal),
            next_step=f"s3plan status {run.journal} says how to go on",
        )
    return state.ended.time


def _decode(run: Run, seq: int, body: bytes) -> AnySoakRecord:
    try:
        return _decoder.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise JournalError(
            "this line is not a record that this version knows",
            address=f"{run.soak}:{seq}",
            expected=f"a record of {SOAK_FORMAT}",
            found=str(error),
            next_step="use the version of s3plan that wrote it, or a newer one",
        ) from error


def _check_header(run: Run, record: AnySoakRecord) -> None:
    if not isinstance(record, SoakBegan) or record.format != SOAK_FORMAT:
        raise JournalError(
            "this is not a record of a soak that this version reads",
            address=f"{run.soak}:1",
            expected=f"a header of format {SOAK_FORMAT}",
            found=record.format if isinstance(record, SoakBegan) else "another record",
            next_step="use the version of s3plan that wrote it, or a newer one",
        )
    if (record.run, record.digest) != (run.id, run.state().started.digest):
        raise JournalError(
            "the record of the soak belongs to another run",
            address=str(run.soak),
            expected=f"run {run.id}",
            found=f"run {record.run}",
            next_step="put every file back into the run folder it comes from",
        )


def _damaged(run: Run, line: int, expected: str) -> JournalError:
    return JournalError(
        f"line {line} of the record of the soak is damaged",
        address=f"{run.soak}:{line}",
        expected=expected,
        next_step="restore the run folder from a copy; never edit its files",
    )
