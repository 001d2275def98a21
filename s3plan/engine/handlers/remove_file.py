"""``remove-file``: local copies taken away again, each only if it is ours and not the last copy.

A file is removed when it is still exactly as the run left it and the object it came from is in S3
with the same fingerprint or, failing that, the same content. Everything else is kept and said.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from s3plan.engine.context import Context, Destination
from s3plan.engine.gate import load_items
from s3plan.engine.handlers.placing import mtime_of
from s3plan.engine.handlers.putting import content_verdict
from s3plan.engine.state import SETTLED
from s3plan.errors import NoSuchBucketError, NoSuchKeyError, StoreError
from s3plan.inventory.catalogue import observe_catalogue
from s3plan.inventory.local import recorded_stat
from s3plan.inventory.s3 import observe_bucket
from s3plan.localfs.digests import digest_of_file
from s3plan.localfs.tree import Changed
from s3plan.model.local import CatalogueRemoved, FileStat
from s3plan.model.objects import Checksum
from s3plan.model.steps import Item, RemoveFile, Step
from s3plan.rules.integrity import FALLBACK, evidence_of
from s3plan.rules.versioning import same_entry
from s3plan.tables import Database

BATCH = 500
"""Files that one intent covers."""

LOOKS = 16
"""Originals looked at at once."""

_ROWS = """
    SELECT i.n, i.key, i.path, i.size, c.algorithm, c.value, c.parts, c.device, c.inode, c.mtime_ns,
           c.key IS NOT NULL,
           (l.size, l.etag, l.modified) IS NOT DISTINCT FROM (i.size, i.etag, i.modified),
           l.key IS NOT NULL, i.etag, i.modified, NULL, NULL
    FROM items i LEFT JOIN catalogue c ON {same} LEFT JOIN listing l ON l.key = i.key
    ORDER BY i.n"""

# A version that was put back has another id: any version of the key may be the original.
_VERSION_ROWS = """
    SELECT i.n, i.key, i.path, i.size, c.algorithm, c.value, c.parts, c.device, c.inode, c.mtime_ns,
           c.key IS NOT NULL,
           (l.size, l.etag, l.modified) IS NOT DISTINCT FROM (i.size, i.etag, i.modified),
           i.key IN (SELECT key FROM listing WHERE NOT marker), i.etag, i.modified,
           i.version_id, i.history
    FROM items i LEFT JOIN catalogue c ON {same}
    LEFT JOIN listing l ON l.key = i.key AND l.version_id = i.version_id
    ORDER BY i.n"""

_CANDIDATES = """
    SELECT version_id FROM listing WHERE key = ? AND size = ? AND NOT marker ORDER BY newer"""

Row = tuple[Any, ...]
"""A row of the query above; DuckDB's own types are not known to the type checker."""


class _Remover:
    """One remove-file step."""

    def __init__(
        self, context: Context, step: Step, action: RemoveFile, destination: Destination
    ) -> None:
        self.context = context
        self.versions = bool(action.versions)
        self.step = step
        self.destination = destination
        self.bucket = context.bucket(step)
        self.state = context.step_state(step)

    async def run(self) -> None:
        await self.context.catalogue(self.destination, self.step.subject)
        with self.context.tables() as database:
            await self._load(database)
            query = _VERSION_ROWS if self.versions else _ROWS
            same = same_entry("i", "c", versions=self.versions)
            rows = database.rows(query.format(same=same))
            while batch := await self.context.in_thread(self._take, rows):
                self.context.check_stop()
                await self._batch(batch, database)

    async def _load(self, database: Database) -> None:
        # Without a bucket every file is the last copy, and is kept.
        with suppress(NoSuchBucketError):
            await observe_bucket(
                self.bucket,
                database,
                prefix="",
                observer=lambda _: None,
                versions=self.versions,
            )
        await self.context.in_thread(
            observe_catalogue, self.destination.tree, self.step.subject, database
        )
        await self.context.in_thread(load_items, self.context, self.step, database)

    def _take(self, rows: Iterator[Row]) -> list[Row]:
        batch: list[Row] = []
        for row in rows:
            if self.state.of(row[0]) not in SETTLED:
                batch.append(row)
            if len(batch) == BATCH:
                break
        return batch

    async def _batch(self, batch: list[Row], database: Database) -> None:
        await self.context.intend(self.step, batch[0][0], batch[-1][0])
        gate = asyncio.Semaphore(LOOKS)

        async def look(row: Row) -> Row | None:
            async with gate:
                self.context.began(self.step, row[0], row[1])
                return None if self.context.stopping else await self._looked_at(row, database)

        ours = [row for row in await asyncio.gather(*map(look, batch)) if row is not None]
        removed, changed = await self.context.in_thread(self._remove, ours)
        self.context.receive(
            self.step,
            "done",
            [row[0] for row in removed],
            sum(row[3] for row in removed),
            [row[1] for row in removed] if self.context.item_log else (),
        )
        for row in changed:
            self._kept(row, "not-ours", f"{row[2]} was changed since the run; it was kept")

    async def _looked_at(self, row: Row, database: Database) -> Row | None:
        """The row of a file to remove, None for a file that is gone or kept."""
        known = row[10]
        if known and not row[2]:
            return row  # a delete marker has no file, and is only to be forgotten
        try:
            found = row if known else await self._recognised(row)
            if found is None:
                return None
            return found if await self._original_matches(found, database) else None
        except NoSuchKeyError:
            key, path = row[1:3]
            self._kept(row, "last-copy", f"{key} is not in S3, so {path} may be the last copy")
        except StoreError as error:
            self.context.problem(
                self.step, row[0], row[1], row[2], "failed", error.code, str(error)
            )
        return None

    async def _recognised(self, row: Row) -> Row | None:
        """The row of a file that has none in the catalogue.

        A process was killed between giving it its name and recording it, or a power cut took its
        removal and not the record of that. It is ours if it bears the object's time, and it gets
        the digest of its bytes, to be compared with the object's. None where there is no file: an
        earlier session removed it. A folder marker's directory stays where other things are in it.
        """
        n, key, path, size, *_, etag, modified, version, _ = row
        stat = None
        if path and not path.endswith("/"):
            stat = await self.context.in_thread(self.destination.tree.stat, path)
        if stat is None:
            self.context.receive(self.step, "done", [n], size, [key])
            return None
        item = Item(self.step.id, n, key, path, size, etag, modified)
        if (stat.size, stat.mtime_ns) == (size, mtime_of(item)):
            offered = evidence_of(await self.bucket.head(key, version=version))
            kind = offered.kind if offered else FALLBACK
            read = await self.context.in_thread(digest_of_file, self.destination.tree, path, kind)
            if read is not None:
                checksum, stat = read
                digest = (checksum.algorithm, checksum.value, checksum.parts)
                return (
                    n,
                    key,
                    path,
                    size,
                    *digest,
                    stat.device,
                    stat.inode,
                    stat.mtime_ns,
                    True,
                    False,
                    True,
                    *row[13:],
                )
        self._kept(row, "not-ours", f"{path} is not a file that this run left")
        return None

    async def _original_matches(self, row: Row, database: Database) -> bool:
        """Whether S3 holds what the file holds. Raises StoreError."""
        _, key, path, size, algorithm, value, parts, _, _, _, _, same, listed, *_ = row
        if same:
            return True
        if not listed:
            self._kept(row, "last-copy", f"{key} is not in S3, so {path} may be the last copy")
            return False
        evidence = Checksum(algorithm, value, parts)
        candidates: list[str | None] = [None]
        if self.versions:
            found = await self.context.in_thread(
                lambda: list(database.rows(_CANDIDATES, [key, size]))
            )
            candidates = [version for (version,) in found]
        for version in candidates:
            verdict = await content_verdict(self.bucket, key, size, evidence, None, version=version)
            if verdict == "verified":
                return True
        self._kept(
            row, "original-changed", f"{key} has other content in S3 now, so {path} was kept"
        )
        return False

    def _remove(self, rows: list[Row]) -> tuple[list[Row], list[Row]]:
        """Remove files that are as the run left them; those gone, and those that were changed.

        Runs on a disk thread.
        """
        tree = self.destination.tree
        tree.check_place()
        removed: list[Row] = []
        changed: list[Row] = []
        for row in rows:
            path, size, device, inode, mtime_ns = row[2], row[3], *row[7:10]
            if not path:
                removed.append(row)
                continue
            try:
                # A folder marker is pruned below, if nothing is in it.
                if not path.endswith("/"):
                    recorded = recorded_stat(device, inode, size, mtime_ns)
                    tree.remove(path, self._expected(row, recorded))
            except Changed as error:
                # Gone already: removed before the process died, or by its owner.
                if error.actual is not None:
                    changed.append(row)
                    continue
            removed.append(row)
            tree.prune_empty(path)
        run = self.context.run.id
        self.destination.record(
            self.step.subject,
            [CatalogueRemoved(key=row[1], run=run, version_id=row[-1]) for row in removed],
        )
        return removed, changed

    def _expected(self, row: Row, recorded: FileStat) -> FileStat:
        """The stat to hold the file against: its record, or today's if the bytes are the same."""
        path, like = row[2], Checksum(*row[4:7])
        if self.destination.tree.stat(path) == recorded:
            return recorded
        found = digest_of_file(self.destination.tree, path, like.kind)
        return found[1] if found is not None and found[0] == like else recorded

    def _kept(self, row: Row, reason: str, message: str) -> None:
        self.context.problem(
            self.step,
            row[0],
            row[1],
            row[2],
            "kept",
            reason,
            message,
            "look at it yourself; s3plan will not touch it",
        )


async def remove_file(context: Context, step: Step, action: RemoveFile) -> None:
    """Run a remove-file step."""
    await _Remover(context, step, action, context.destination(action.destination)).run()
    context.check_stop()
