"""``--journal-mirror``: the run's folder copied to S3 at gates, for machines that vanish.

Copied when a step ends, before the first request of a step that changes S3, and at the end. What
is in the mirror is only ever replaced by what this run wrote after it: a journal there that is no
beginning of ours went on elsewhere, and this run must not.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import IO

from msgspec import Struct

from s3plan.engine.lease import split
from s3plan.engine.runs import STAGES, STATE_DIRECTORY, Run, link_latest
from s3plan.errors import (
    JournalError,
    LockLostError,
    NoSuchKeyError,
    PreconditionFailedError,
    StaleError,
    UsageError,
)
from s3plan.model.objects import ObjectAttributes
from s3plan.store import Bucket, ChunkedSource, Store

_JOURNALS = ("journal.json", "rollback.json", *(f"rollback-{stage}.json" for stage in STAGES))

_ROLLBACK = r"rollback(?:-(?:catalog|sources|copies|backup))?"

_NAMES = re.compile(
    rf"(?:plan|journal|soak|{_ROLLBACK}(?:-plan)?)\.json"
    r"|evidence/[A-Za-z0-9_.-]{1,200}\.jsonl"
    rf"|(?:{_ROLLBACK}-)?plan\.json\.parts/[a-z0-9-]{{1,200}}\.parquet"
)
"""Files of a run folder. Only these are taken from a mirror: what lies there is untrusted."""

_RUN = re.compile(r"[0-9]{8}T[0-9]{6}Z-[0-9a-f]{8}")

_CHUNK = 1 << 20

_JSON = ObjectAttributes(headers={"content-type": "application/json"})
_PARQUET = ObjectAttributes(headers={"content-type": "application/vnd.apache.parquet"})


class Mirror:
    """The copy of one run's folder."""

    def __init__(self, bucket: Bucket, prefix: str, run: Run) -> None:
        """``prefix`` ends in ``/`` or is empty; see :func:`open_mirror`."""
        self._bucket = bucket
        self._prefix = f"{prefix}{run.id}/"
        self._run = run
        self._etags: dict[str, str] = {}
        self._copied: dict[str, tuple[int, int]] = {}
        self._lock = asyncio.Lock()

    async def open(self) -> None:
        """Look at what is there. Raises StaleError where the run went on elsewhere."""
        async for page in self._bucket.pages(prefix=self._prefix):
            self._etags |= zip(page.keys, page.etags, strict=True)
        for name in _JOURNALS:
            key = self._prefix + name
            if key not in self._etags:
                continue
            _, there = await self._bucket.get(key, if_match=self._etags[key])
            if not await asyncio.to_thread(_begins_with, self._run.folder / name, there):
                raise StaleError(
                    "the run went on on another machine: its mirror holds a journal that is not "
                    "the beginning of this one",
                    address=f"s3://{self._bucket.name}/{key}",
                    expected=f"the beginning of {self._run.folder / name}",
                    found="records that are not in it",
                    next_step="go on where it went on, or move this run folder away and "
                    "`s3plan runs recover` it",
                )

    async def copy(self) -> None:
        """Copy every file that is new or has changed. Raises LockLostError or a StoreError."""
        async with self._lock:
            for path in await asyncio.to_thread(_files, self._run.folder):
                await self._copy(path)

    async def _copy(self, path: Path) -> None:
        name = path.relative_to(self._run.folder).as_posix()
        status = await asyncio.to_thread(path.stat)
        state = (status.st_size, status.st_mtime_ns)
        if self._copied.get(name) == state:
            return
        chunks = partial(_beginning, path, status.st_size)
        md5 = await asyncio.to_thread(_md5, chunks())
        key = self._prefix + name
        known = self._etags.get(key)
        if known == md5.hex():  # an earlier session copied it
            self._copied[name] = state
            return
        try:
            result = await self._bucket.put(
                key,
                ChunkedSource(chunks),
                size=status.st_size,
                attributes=_PARQUET if name.endswith(".parquet") else _JSON,
                content_md5=md5,
                checksum=None,
                if_none_match=known is None,
                if_match=known,
            )
        except PreconditionFailedError as error:
            head = await self._bucket.head(key)
            if head.etag != md5.hex():  # else it was our own first attempt, whose answer was lost
                raise LockLostError(
                    "the run's mirror was written by another machine",
                    address=f"s3://{self._bucket.name}/{key}",
                    expected=f"what this run wrote, ETag {known or 'none'}",
                    found=f"ETag {head.etag}",
                    next_step="end the run on one of the two machines",
                ) from error
            self._etags[key] = head.etag
        else:
            self._etags[key] = result.etag
        self._copied[name] = state


async def open_mirror(store: Store, address: str, run: Run, subjects: set[str]) -> Mirror:
    """The mirror of ``run`` at ``s3://bucket/prefix``. Raises UsageError and StaleError."""
    bucket, prefix = split(address)
    if bucket in subjects:
        raise UsageError(
            "the journal's mirror is in a bucket that the plan works on",
            address=address,
            next_step="name a bucket of its own for --journal-mirror",
        )
    mirror = Mirror(store.bucket(bucket), prefix, run)
    await mirror.open()
    return mirror


class Mirrored(Struct, frozen=True):
    """A run in a mirror; ``keys`` are those of its files, by name in the run folder."""

    id: str
    keys: dict[str, str]


async def runs_in_mirror(store: Store, address: str) -> list[Mirrored]:
    """The runs below ``s3://bucket/prefix``, oldest first."""
    bucket, prefix = split(address)
    runs: dict[str, dict[str, str]] = {}
    async for page in store.bucket(bucket).pages(prefix=prefix):
        for key in page.keys:
            run, _, name = key.removeprefix(prefix).partition("/")
            if _RUN.fullmatch(run) and _NAMES.fullmatch(name):
                runs.setdefault(run, {})[name] = key
    return [Mirrored(run, keys) for run, keys in sorted(runs.items()) if _JOURNALS[0] in keys]


async def recover(store: Store, address: str, mirrored: Mirrored, directory: Path) -> Run:
    """Bring a run's folder here, whole or not at all. Raises JournalError where it is here."""
    bucket = store.bucket(split(address)[0])
    run = Run(directory / STATE_DIRECTORY / "runs" / mirrored.id)
    if run.folder.exists():
        raise JournalError(
            "the run is in this directory already",
            address=str(run.folder),
            next_step=f"s3plan status {run.journal}",
        )
    partial = run.folder.with_name(f"{mirrored.id}.partial")
    try:
        await asyncio.to_thread(shutil.rmtree, partial, ignore_errors=True)
        await asyncio.to_thread((partial / "evidence").mkdir, parents=True)
        for name, key in mirrored.keys.items():
            await asyncio.to_thread((partial / name).parent.mkdir, exist_ok=True)
            with (partial / name).open("xb") as file:
                await bucket.get_to(key, _Into(file), if_match=None)
        partial.rename(run.folder)
        link_latest(directory, run)
    except NoSuchKeyError as error:
        raise JournalError(
            "the mirror changed while it was read", address=address, next_step="try again"
        ) from error
    except OSError as error:
        raise JournalError(
            f"the run folder cannot be made: {error.strerror}",
            address=str(run.folder),
            next_step="make the working directory writable",
        ) from error
    return run


class _Into:
    """A sink into a file."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def start(self, head: object) -> None:
        self._file.seek(0)
        self._file.truncate()

    def feed(self, chunk: bytes) -> None:
        self._file.write(chunk)


def _beginning(path: Path, size: int) -> Iterator[bytes]:
    """The first bytes of a file that may grow meanwhile."""
    left = size
    with path.open("rb") as file:
        while left and (chunk := file.read(min(_CHUNK, left))):
            left -= len(chunk)
            yield chunk


def _md5(chunks: Iterator[bytes]) -> bytes:
    digest = hashlib.md5(usedforsecurity=False)
    for chunk in chunks:
        digest.update(chunk)
    return digest.digest()


def _files(folder: Path) -> list[Path]:
    return sorted(
        path
        for path in folder.rglob("*")
        if path.is_file() and _NAMES.fullmatch(path.relative_to(folder).as_posix())
    )


def _begins_with(path: Path, beginning: bytes) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(beginning)) == beginning
    except FileNotFoundError:
        return not beginning
