"""What Dask calls on a worker: plain functions of plain values. Nothing here imports Dask."""

from __future__ import annotations

import asyncio
import signal
import threading
from pathlib import Path

from msgspec import Struct

from s3plan import __version__
from s3plan.engine.context import Interrupted
from s3plan.engine.runners.dask.parcels import Failure, Outcome, Partition, pack, unpack_partition
from s3plan.engine.runners.dask.permits import Permit, Running
from s3plan.engine.runners.dask.recording import Recorder
from s3plan.engine.runners.dask.shared import read_token
from s3plan.engine.runners.dask.working import work
from s3plan.errors import LockLostError, S3PlanError

_PERMITS: dict[str, Permit] = {}
"""By session. A process outlives sessions, and a task may come when its session is over."""

_TURN = threading.Lock()
"""One partition at a time in a process, however many threads Dask gives it: it has one share."""

_PATIENCE = 30.0
"""Seconds that a partition waits for the first permission."""


class Ask(Struct, frozen=True):
    """What the process that has the run says to every worker, once a second.

    ``mark`` is the worker's last answer, ``taken_over`` is how much of what each partition told is
    in the journal.
    """

    session: str
    seconds: float
    mark: float | None
    taken_over: dict[str, int]
    stopping: bool = False


class Answer(Struct, frozen=True):
    """How a worker is. ``told`` is packed, and follows on what was taken over."""

    mark: float
    permitted: bool
    running: tuple[str, ...]
    told: dict[str, bytes]


def dask_setup(worker: object) -> None:
    """Called by Dask in each process of ``local:N`` as it begins.

    Ctrl-C on a terminal reaches these processes as well. What they do about it the process that has
    the run tells them: to begin nothing more, and to say what they have done.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def version() -> str:
    """The version of s3plan that is installed on the worker."""
    return __version__


def sees(path: str, session: str, token: str) -> bool:
    """Whether the worker finds the session's token at a destination."""
    return read_token(Path(path), session) == token


def answer(ask: Ask) -> Answer:
    """Take note of a permission, and tell what there is. Runs on the worker's own thread."""
    permit = _PERMITS.setdefault(ask.session, Permit())
    mark = permit.asked(ask.mark, ask.seconds, stopping=ask.stopping)
    told: dict[str, bytes] = {}
    running = dict(permit.running)
    for name, one in running.items():
        if one.recorder is not None:
            entries = one.recorder.after(ask.taken_over.get(name, 0))
            if entries:
                told[name] = pack(entries)
    return Answer(mark, permit.seconds_left() > 0, tuple(running), told)


def run_partition(parcel: bytes) -> bytes:
    """Run a partition with the handler of its verb; its outcome, packed."""
    part = unpack_partition(parcel)
    permit = _PERMITS.setdefault(part.session, Permit())
    running = permit.running[part.name] = Running()
    try:
        with _TURN:
            return pack(asyncio.run(_outcome(part, permit, running)))
    finally:
        del permit.running[part.name]


async def _outcome(part: Partition, permit: Permit, running: Running) -> Outcome:
    recorder = running.recorder = Recorder(files=part.files)
    lapses = permit.lapses
    failure: Failure | None = None
    stopped = lapsed = False
    taken: tuple[int, ...] = ()
    try:
        if not await asyncio.to_thread(permit.wait, _PATIENCE):
            raise LockLostError("nobody gave leave to begin")
        if part.until is not None and permit.clock() > part.until:
            raise LockLostError("what was looked at for this has become too old")
        taken = await work(part, permit, running, recorder)
    except Interrupted:
        stopped = True
    except LockLostError:
        lapsed = True
    except S3PlanError as error:
        failure = Failure(
            error.code, error.what, error.address, error.expected, error.found, error.next_step
        )
    lapsed = lapsed or permit.lapses != lapses or permit.seconds_left() <= 0
    first, told = recorder.rest()
    warnings = tuple(dict.fromkeys(recorder.warnings))
    return Outcome(first, told, warnings, lapsed, stopped, failure, taken)
