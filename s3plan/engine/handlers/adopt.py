"""``adopt``: the index that an archive of another program lacks, once its content is known.

The archive is read whole, before anything is written, and held against itself and against the files
on disk. Where anything differs there is no index, and every difference is told. The archive itself
is never touched; a rollback removes the index alone.
"""

from __future__ import annotations

from pathlib import Path

from s3plan.engine.archiving.examining import (
    Disagreement,
    Examined,
    LocalMember,
    examine,
    unlike_files,
)
from s3plan.engine.archiving.indexing import put_index
from s3plan.engine.archiving.packing import SourceChanged, check_source, open_source
from s3plan.engine.context import Context
from s3plan.engine.state import SETTLED
from s3plan.errors import ArchivedObjectError, NoSuchKeyError, PreconditionFailedError, StoreError
from s3plan.localfs.tree import Tree
from s3plan.model.archives import INDEX_FORMAT, IndexHeader, IndexMember
from s3plan.model.archivesteps import Adopt
from s3plan.model.journal import Archived, Outcome, StoredObject
from s3plan.model.objects import ObjectHead, Rung
from s3plan.model.steps import Item, Step
from s3plan.rules.archiveindex import content_of, write_index
from s3plan.rules.filetimes import modified_of

_NANO = 1_000_000_000


class _Wrong(Exception):
    """Why there is no index: one sentence, and how the step's files end."""

    def __init__(self, outcome: Outcome, reason: str, message: str) -> None:
        super().__init__(message)
        self.outcome: Outcome = outcome
        self.reason = reason


class _Adopter:
    """One adopt step."""

    def __init__(self, context: Context, step: Step, action: Adopt, tree: Tree) -> None:
        self.context = context
        self.step = step
        self.action = action
        self.tree = tree
        self.bucket = context.bucket(step)
        self.items = list(context.plan.items(step.id))

    async def run(self) -> None:
        """The files end together, but for those that differ: each of these is told."""
        states = {self.context.step_state(self.step).of(item.n) for item in self.items}
        if states <= SETTLED:
            return
        self.context.began(self.step, self.items[0].n, self.action.key)
        try:
            await self._adopt()
        except _Wrong as wrong:
            self._problem(self.items[0], wrong.outcome, wrong.reason, str(wrong))
        except (NoSuchKeyError, PreconditionFailedError):
            message = f"{self.action.key} was changed since the plan"
            self._problem(self.items[0], "drifted", "source-changed", message)
        except ArchivedObjectError:
            message = f"{self.action.key} is asleep, and cannot be read before it is restored"
            self._problem(self.items[0], "failed", "not-restored", message)
        except StoreError as error:
            self._problem(self.items[0], "failed", error.code, str(error))

    async def _adopt(self) -> None:
        head = await self.bucket.head(self.action.key, if_match=self.action.etag)
        await self.context.in_thread(self._check_sources)
        async with self.context.streams:
            try:
                found = await examine(self.bucket, head, self.step.totals.bytes)
            except Disagreement as error:
                raise _Wrong("mismatched", "damaged", f"{head.key}: {error}") from error
        self.context.check_stop()
        self._check_shape(found)
        if not await self.context.in_thread(self._compare, found):
            return
        # The files may have been changed while they were read.
        await self.context.in_thread(self._check_sources)
        archive = StoredObject(head.etag, head.size, found.checksum, head.version_id, adopted=True)
        await self.context.intend(self.step, 0, self.items[-1].n)
        rung: Rung = "full-object" if found.stored else "size"
        await self._commit(Archived(step=self.step.id, archive=archive, rung=rung))
        index = await self._put_index(self._index(head, found))
        await self._commit(Archived(step=self.step.id, archive=archive, rung=rung, index=index))
        self.context.receive(
            self.step,
            "verified",
            [item.n for item in self.items],
            self.step.totals.bytes,
            [self.action.key],
        )

    def _check_sources(self) -> None:
        for item in self.items:
            try:
                check_source(self.tree, item)
            except SourceChanged as changed:
                raise _Wrong("drifted", changed.reason, str(changed)) from changed

    def _check_shape(self, found: Examined) -> None:
        """Raise _Wrong for what is a tar, and no index can describe."""
        key, folder = self.action.key, f"{self.action.name}/"
        others = [one for one in found.tar.entries if one.kind not in ("file", "directory")]
        if others:
            raise _Wrong(
                "mismatched", "not-files", f"{key} holds what is no file, such as {others[0].name}"
                f" ({others[0].kind}); it gets no index",
            )  # fmt: skip
        outside = next((one for one in found.tar.files() if not one.name.startswith(folder)), None)
        if outside is not None:
            raise _Wrong(
                "mismatched", "another-folder", f"{key} holds {outside.name}, which is not below"
                f" {folder}; it gets no index",
            )  # fmt: skip

    def _compare(self, found: Examined) -> bool:
        """Whether the archive holds every file as it is on disk; tells of all that it does not."""
        by_path = {item.path: item for item in self.items}
        files = [LocalMember(item.key, item.path, item.size) for item in self.items]
        good = True
        for file, why in unlike_files(self.tree, files, found.tar, self.context.check_stop):
            good = False
            message = f"{why}; {self.action.key} was left without an index"
            self._problem(by_path[file.path], "mismatched", "differs-from-disk", message)
        return good

    def _index(self, head: ObjectHead, found: Examined) -> bytes:
        """The same bytes in every session of the run."""
        items = {item.key: item for item in self.items}
        members = []
        for entry in sorted(found.tar.files(), key=lambda one: one.name.encode()):
            item = items.get(entry.name)
            members.append(
                IndexMember(
                    entry.name,
                    entry.offset,
                    entry.size,
                    found.tar.digests[entry.name],
                    item.modified if item is not None else modified_of(int(entry.mtime * _NANO)),
                    item.keywords if item is not None else {},
                )
            )
        header = IndexHeader(
            format=INDEX_FORMAT,
            bucket=self.step.subject,
            key=self.action.key,
            name=self.action.name,
            size=head.size,
            etag=head.etag,
            checksum=found.checksum,
            tar=found.tar.size,
            content=content_of(members),
            made=self.context.state.started.time,
            compression=found.tar.compression,
            storage_class=head.attributes.storage_class,
            version_id=head.version_id,
            metadata=head.attributes.metadata,
        )
        return write_index(header, members)

    async def _put_index(self, data: bytes) -> StoredObject:
        """Put the index, unless the same is there."""
        put = await put_index(self.bucket, self.action, data)
        if put is None:
            raise _Wrong(
                "drifted", "key-taken", f"{self.action.index} holds something else; it was left"
            )
        return put

    async def _commit(self, record: Archived) -> None:
        await self.context.journal.commit(record)
        self.context.state.apply(self.context.journal.seq, record)

    def _problem(self, item: Item, outcome: Outcome, reason: str, message: str) -> None:
        next_step = "plan again" if outcome == "drifted" else None
        self.context.problem(
            self.step, item.n, item.key, item.path, outcome, reason, message, next_step
        )


async def adopt(context: Context, step: Step, action: Adopt) -> None:
    """Run an adopt step."""
    with open_source(Path(action.source)) as tree:
        await _Adopter(context, step, action, tree).run()
    context.check_stop()
