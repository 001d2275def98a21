"""What a disk was told and what it promised: the memory of a machine that loses its power.

A child writes down each file that gets its name, each that is removed (with a second name, so that
it can come back), and each sync that began and that ended. From that, :func:`lose` knows what a
power cut at the moment of the kill may have taken, and takes some of it: names and their removal,
blocks of files, and tails of logs. What a completed sync promised is left alone.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import tempfile
from pathlib import Path
from typing import Any

from s3plan.localfs.appendlog import AppendLog
from s3plan.localfs.syncing import SyncPoint
from s3plan.localfs.tree import Tree


class Recorder:
    """Of one child: wraps what touches the disk, from outside."""

    def __init__(self) -> None:
        self._file = -1
        self._stash = Path()
        self._numbers = itertools.count()

    def open(self, path: str) -> None:
        """Begin to write down, in the child."""
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o666)
        self._stash = Path(tempfile.mkdtemp(prefix="stash-", dir=Path(path).parent))

    def wrap(self) -> None:
        """Wrap, before any child is made."""
        place, remove, marker = Tree._place, Tree.remove, Tree.make_marker
        sync, log_sync = SyncPoint.sync, AppendLog.sync

        def placing(tree: Tree, path: str, directory: int, name: bytes) -> None:
            # Written down first: a kill in between leaves nothing that needs no looking at.
            self._note(placed=str(tree.root / path))
            place(tree, path, directory, name)

        def marking(tree: Tree, path: str) -> Any:
            self._note(placed=str(tree.root / path) + "/")
            return marker(tree, path)

        def removing(tree: Tree, path: str, expect: Any) -> None:
            kept = self._stash / str(next(self._numbers))
            if (tree.root / path).is_file():
                os.link(tree.root / path, kept)
            self._note(removed=str(tree.root / path), kept=str(kept))
            remove(tree, path, expect)

        def syncing(point: SyncPoint) -> None:
            number = next(self._numbers)
            self._note(sync=number)
            sync(point)
            self._note(synced=number)

        def syncing_log(log: AppendLog) -> None:
            path = str(Path(f"/proc/self/fd/{log._descriptor}").readlink())
            size = log._size
            log_sync(log)
            self._note(log=path, size=size)

        patched: list[tuple[Any, str, Any]] = [
            (Tree, "_place", placing),
            (Tree, "make_marker", marking),
            (Tree, "remove", removing),
            (SyncPoint, "sync", syncing),
            (AppendLog, "sync", syncing_log),
        ]
        for holder, name, function in patched:
            setattr(holder, name, function)

    def _note(self, **facts: object) -> None:
        os.write(self._file, json.dumps(facts).encode() + b"\n")


def lose(memory: Path, logs: list[Path], chance: random.Random) -> list[str]:
    """Take what no sync covers, by chance; what was done to which path, for messages.

    ``logs`` are all journals and catalogues there are.
    """
    lines = memory.read_text().splitlines() if memory.exists() else []
    facts = [json.loads(line) for line in lines]
    done = [fact["synced"] for fact in facts if "synced" in fact]
    # What came before the beginning of a sync that ended is on disk.
    covered = max((i for i, fact in enumerate(facts) if fact.get("sync") in done), default=-1)
    harmed: list[str] = []
    for fact in facts[covered + 1 :]:
        if "placed" in fact:
            harmed += _harm(Path(fact["placed"]), fact["placed"].endswith("/"), chance)
        elif "removed" in fact:
            harmed += _bring_back(Path(fact["removed"]), Path(fact["kept"]), chance)
    sizes: dict[str, int] = {}
    for fact in facts:
        if "log" in fact:
            sizes[fact["log"]] = max(fact["size"], sizes.get(fact["log"], 0))
    for log in logs:
        # A log that this child did not sync was not written by it, or holds nothing it promised.
        path = str(log.resolve())
        harmed += _cut_tail(log, sizes.get(path, _whole(path, memory)), chance)
    return harmed


def _whole(path: str, memory: Path) -> int:
    """Bytes of a log that earlier children promised: all it held when this one began."""
    before = json.loads(memory.with_suffix(".before").read_text())
    return int(before.get(path, 0))


def _harm(path: Path, marker: bool, chance: random.Random) -> list[str]:
    harm = chance.choice((_truncate, _cut, _zero, _remove, _remove, _spare))
    if marker or not path.is_file():
        if not marker or not path.is_dir() or any(path.iterdir()):
            return []
        path.rmdir()
        return [f"rmdir {path}"]
    stat = path.stat()
    harm(path)
    if path.exists():  # an inode keeps its time when it loses blocks
        os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    return [f"{harm.__name__[1:]} {path}"]


def _truncate(path: Path) -> None:
    os.truncate(path, 0)


def _cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def _zero(path: Path) -> None:
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.write(bytes(size))


def _remove(path: Path) -> None:
    path.unlink()


def _spare(path: Path) -> None:
    pass


def _bring_back(path: Path, kept: Path, chance: random.Random) -> list[str]:
    if path.exists() or not kept.exists() or chance.random() < 0.3:
        return []
    path.parent.mkdir(parents=True, exist_ok=True)
    os.link(kept, path)
    return [f"bring back {path}"]


def _cut_tail(log: Path, promised: int, chance: random.Random) -> list[str]:
    size = log.stat().st_size
    if size <= promised:
        return []
    end = chance.randint(promised, size)
    zeros = chance.choice((0, size - end))
    with log.open("r+b") as file:
        file.truncate(end)
        file.truncate(end + zeros)
    return [f"keep {end} of {size} bytes of {log.name}, {promised} promised, {zeros} zeros"]
