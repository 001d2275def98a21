"""``python -m tests.crash.doomed``: runs the command line in children that die where they are told.

The real program is wrapped from outside: s3plan holds no line that exists for this. Everything it
writes (a log line, a file, a name, a request that changes S3) is a *point*, passed in two or three
*moments*: ``before``, ``after``, and ``torn`` where half of the bytes can be written. A child kills
itself there with SIGKILL, which no handler sees and after which no buffer is flushed.

Imports take longer than a run does, so this process imports once and forks for each command. It
reads one JSON request a line and answers each with one line.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import json
import os
import signal
import sys
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from s3plan.cli import main
from s3plan.plan.seal import seal
from tests.crash.memory import Recorder
from tests.crash.small_batches import shrink

LIMIT = 240.0
"""Seconds after which a command is called stuck; a machine may have others to serve."""

_POLL = 0.001

# Module, name in it, and what the point is called. Names ending in "()" tear what write_all writes.
_POINTS = (
    ("s3plan.engine.runs", "new_run", "run folder"),
    ("s3plan.engine.runs", "create_journal", "new log"),
    ("s3plan.engine.runs", "link_latest", "link"),
    ("s3plan.engine.rollback", "seal", "rollback plan"),
    ("s3plan.engine.evidence", "EvidenceWriter.seal", "evidence"),
    ("s3plan.localfs.locks", "_lock", "lock"),
    ("s3plan.localfs.syncing", "SyncPoint.sync", "syncfs"),
    ("s3plan.localfs.tree", "Tree._place", "rename"),
    ("s3plan.localfs.resumable", "Resumable.write", "part of a range"),
    ("s3plan.localfs.resumable", "Resumable.finish", "range"),
    ("s3plan.localfs.tree", "Tree.make_marker", "marker"),
    ("s3plan.localfs.tree", "Tree.remove", "remove file"),
    ("s3plan.localfs.tree", "Tree.prune_empty", "prune"),
    ("s3plan.localfs.tree", "Tree.set_aside", "set aside"),
    ("s3plan.store", "Bucket.delete_many", "delete objects"),
    ("s3plan.store", "Bucket.put", "upload"),
    ("s3plan.store", "Bucket.mark_deleted", "delete marker"),
    ("s3plan.store", "Bucket.abort", "abort upload"),
    ("s3plan.store", "Bucket.begin_upload", "begin upload"),
    ("s3plan.store.multipart", "Upload.abort", "abort parts"),
    ("s3plan.store.multipart", "Upload.send_part", "send part"),
    ("s3plan.store.multipart", "Upload.complete", "complete"),
    ("s3plan.store", "Bucket.copy", "copy object"),
    ("s3plan.store", "Bucket.put_tags", "put tags"),
    ("s3plan.store", "Bucket.restore", "restore"),
    ("s3plan.store", "Bucket.update_encryption", "update encryption"),
    ("s3plan.store.control", "Control.delete_bucket", "delete bucket"),
    ("s3plan.store.control", "Control.create_bucket", "create bucket"),
    ("s3plan.store.jobs", "Jobs.create", "create job"),
    ("s3plan.store.jobs", "Jobs.confirm", "confirm job"),
    ("s3plan.store.jobs", "Jobs.cancel", "cancel job"),
    ("s3plan.localfs.tablefile", "keep_aside", "backup of the table"),
    ("s3plan.localfs.tablefile", "write_new", "new table"),
    ("s3plan.localfs.tablefile", "replace_by", "table"),
    ("os", "link", "link file"),
    ("os", "fsync", "fsync"),
    ("os", "replace", "replace"),
)

_WRITERS = (("s3plan.localfs.tree", "file"), ("s3plan.localfs.partial", "stream"))
"""Modules whose write_all writes content."""

_ASKS_FOR_AWS = ("s3plan.kinds.layout.steps", "s3plan.engine.handlers.reencrypt")
"""Modules that do at AWS what they do nowhere else; a request may name an endpoint that counts."""

_LOGS = {"journal.json": "journal", "rollback.json": "rollback", "soak.json": "soak"}


class _Doom:
    """Which point is the last of this process."""

    def __init__(self) -> None:
        self.last = ""
        self.trace = -1
        self.seen: Counter[str] = Counter()
        self.lock = threading.Lock()

    def reach(self, moment: str, point: str) -> bool:
        """Pass a moment; True where the process is to die there."""
        with self.lock:
            name = f"{moment} {point}"
            self.seen[name] += 1
            position = f"{name} #{self.seen[name]}"
        os.write(self.trace, position.encode() + b"\n")
        return position == self.last

    def die(self) -> None:
        os.write(self.trace, b"killed\n")
        os.kill(os.getpid(), signal.SIGKILL)

    def pass_by(self, moment: str, point: str) -> None:
        if self.reach(moment, point):
            self.die()


_doom = _Doom()
_recorder = Recorder()


def _around(function: Callable[..., Any], point: str) -> Callable[..., Any]:
    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def waiting(*values: Any, **named: Any) -> Any:
            _doom.pass_by("before", point)
            result = await function(*values, **named)
            _doom.pass_by("after", point)
            return result

        return waiting

    @functools.wraps(function)
    def calling(*values: Any, **named: Any) -> Any:
        _doom.pass_by("before", point)
        result = function(*values, **named)
        _doom.pass_by("after", point)
        return result

    return calling


def _tearing(write_all: Callable[[int, Any], None], point: str) -> Callable[[int, Any], None]:
    def writing(descriptor: int, data: Any) -> None:
        if _doom.reach("torn", point):
            write_all(descriptor, data[: len(data) // 2])
            _doom.die()
        write_all(descriptor, data)

    return writing


def _wrap() -> None:
    for module, path, point in _POINTS:
        holder: Any = importlib.import_module(module)
        *above, name = path.split(".")
        for part in above:
            holder = getattr(holder, part)
        setattr(holder, name, _around(getattr(holder, name), point))
    for module, point in _WRITERS:
        loaded = importlib.import_module(module)
        loaded.write_all = _tearing(loaded.write_all, point)  # type: ignore[attr-defined]
    _wrap_logs()


def _wrap_logs() -> None:
    """Journals and catalogues: one point for each type of record in a batch, and the batch torn."""
    appendlog: Any = importlib.import_module("s3plan.localfs.appendlog")
    log = appendlog.AppendLog
    append, sync, write_all = log.append, log.sync, appendlog.write_all
    tearing = threading.local()

    def appending(self: Any, bodies: list[bytes]) -> Any:
        kinds = dict.fromkeys(json.loads(body)["type"] for body in bodies)
        points = [f"{_log_name(self.path)} {kind}" for kind in kinds]
        for point in points:
            _doom.pass_by("before", point)
        torn = [_doom.reach("torn", point) for point in points]  # every one is counted
        tearing.now = any(torn)
        seq = append(self, bodies)
        for point in points:
            _doom.pass_by("after", point)
        return seq

    def syncing(self: Any) -> None:
        point = f"{_log_name(self.path)} fdatasync"
        _doom.pass_by("before", point)
        sync(self)
        _doom.pass_by("after", point)

    def writing(descriptor: int, data: bytes) -> None:
        if getattr(tearing, "now", False):
            write_all(descriptor, data[: len(data) // 2])
            _doom.die()
        write_all(descriptor, data)

    log.append, log.sync, appendlog.write_all = appending, syncing, writing


def _log_name(path: Path) -> str:
    return "parts" if path.suffix == ".log" else _LOGS.get(path.name, "catalogue")


def _child(request: dict[str, Any]) -> None:
    """Be the command. Never returns."""
    code = 70
    try:
        os.chdir(request["directory"])
        os.environ.clear()
        os.environ.update(request["environ"])
        log = os.open(request["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(log, 1)
        os.dup2(log, 2)
        _doom.trace = os.open(request["trace"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
        _doom.last = request["last"]
        _recorder.open(request["memory"])
        if request["aws"]:
            for module in map(importlib.import_module, _ASKS_FOR_AWS):
                vars(module)["is_aws"] = request["aws"].__eq__
        if request["files_from"]:
            seal.__kwdefaults__ = dict(seal.__kwdefaults__ or {}, parted_from=request["files_from"])
        code = main(request["arguments"])
        sys.stdout.flush()
        sys.stderr.flush()
    except BaseException:  # noqa: BLE001 - this child has nobody else to tell
        traceback.print_exc()
    finally:
        os._exit(code)


def _serve(request: dict[str, Any]) -> dict[str, Any]:
    began = time.monotonic()
    child = os.fork()
    if child == 0:
        _child(request)
    ended = 0
    while not ended:
        ended, status = os.waitpid(child, os.WNOHANG)
        seconds = time.monotonic() - began
        if ended:
            code = os.waitstatus_to_exitcode(status)
            return {"code": code if code >= 0 else None, "seconds": seconds}
        if seconds > request["after"] or seconds > LIMIT:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return {"code": None, "seconds": seconds}
        time.sleep(_POLL)
    raise AssertionError


def _prepare() -> None:
    """Import what commands import late, once for all children."""
    for module in (
        "s3plan.api", "s3plan.cli.commands.apply", "s3plan.cli.commands.rollback",
        "s3plan.cli.commands.plan", "s3plan.engine.session", "s3plan.kinds", "s3plan.store.control",
        "s3plan.views.human", "boto3", "botocore.session", "duckdb", "arro3.core",
        "concurrent.futures.thread",
    ):  # fmt: skip
        importlib.import_module(module)
    shrink()
    _recorder.wrap()  # inside the points: a kill before a point leaves no trace of it
    _wrap()


if __name__ == "__main__":
    _prepare()
    for line in sys.stdin:
        sys.stdout.write(json.dumps(_serve(json.loads(line))) + "\n")
        sys.stdout.flush()
