"""``archive``: files as one tar in S3, streamed there, verified, and an index beside it.

Nothing is on disk in between. Every file is looked at before the upload is begun, while it is read,
and after: where one is not as planned there is no archive. The archive counts once what S3 stored
was compared with what was sent; then its index follows, and only then its files' receipts.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from s3plan.engine.archiving.indexing import put_index
from s3plan.engine.archiving.keeping import LocalCopy
from s3plan.engine.archiving.packing import SourceChanged, check_source, open_source
from s3plan.engine.archiving.proof import compared
from s3plan.engine.archiving.replacing import keeps_versions
from s3plan.engine.archiving.sending import Made, make_archive
from s3plan.engine.context import Context
from s3plan.engine.hours import wait_for_hours
from s3plan.engine.removal import head_of
from s3plan.engine.state import SETTLED, ItemState
from s3plan.errors import (
    DestinationError,
    EndpointError,
    OutcomeUnknownError,
    PreconditionFailedError,
    StoreError,
    ThrottledError,
)
from s3plan.localfs.tree import Occupied, Tree
from s3plan.model.archives import INDEX_FORMAT, IndexHeader
from s3plan.model.capabilities import CapabilityName
from s3plan.model.events import UnderWay, Warned
from s3plan.model.journal import Archived, Outcome, StoredObject, UploadBegan
from s3plan.model.objects import ObjectAttributes, ObjectHead, Rung
from s3plan.model.steps import Archive, Item, Step
from s3plan.rules.archiveindex import content_of, write_index
from s3plan.rules.integrity import FALLBACK
from s3plan.store import CopyOptions, Upload
from s3plan.store.incomplete import StoredPart

_TYPES = {"none": "application/x-tar", "gzip": "application/gzip", "zstd": "application/zstd"}


class _Taken(Exception):
    """A key holds what is neither ours nor what was to be replaced."""

    def __init__(self, key: str) -> None:
        super().__init__(f"{key} holds something else; it was left alone")


class _Archiver:
    """One archive step."""

    def __init__(self, context: Context, step: Step, action: Archive, tree: Tree) -> None:
        self.context = context
        self.step = step
        self.action = action
        self.tree = tree
        self.bucket = context.bucket(step)
        self.state = context.step_state(step)
        self.items = list(context.plan.items(step.id))
        keep = action.keep
        self.local = LocalCopy(
            context.destination(keep).tree if keep is not None else None,
            action.key,
            context.state.started.time,
            context.run.id,
        )
        # Nothing under the key can be the run's unless an upload was begun.
        known = context.state.archives.get(step.id)
        self.begun = (step.id, 0) in context.state.uploads or (
            known is not None and not known.archive.adopted
        )

    async def run(self) -> None:
        """The files end together, as they are one object; one that drifted ends it."""
        states = {self.state.of(item.n) for item in self.items}
        if ItemState.DRIFTED in states or states <= SETTLED:
            return
        if not await self.context.in_thread(self._check_sources):
            await self._abandon()
            return
        self.context.began(self.step, self.items[0].n, self.action.key)
        try:
            with self.local:
                await self._archive()
        except SourceChanged as changed:
            self._drifted(changed.item, changed.reason, str(changed))
            await self._abandon()
        except _Taken as taken:
            self._whole("drifted", "key-taken", str(taken))
            await self._abandon()
        except DestinationError as error:
            self._whole("failed", "source-unreadable", f"{error.address}: {error.what}")
        except (EndpointError, ThrottledError, OutcomeUnknownError) as error:
            self._whole("failed", error.code, str(error))  # what was sent stays for the next try
        except StoreError as error:
            self._whole("failed", error.code, str(error))
            await self._abandon()

    # -- the files -----------------------------------------------------------------------------

    def _check_sources(self) -> bool:
        """Whether every file is as planned; tells of all that are not."""
        good = True
        for item in self.items:
            try:
                check_source(self.tree, item)
            except SourceChanged as changed:
                self._drifted(item, changed.reason, str(changed))
                good = False
        return good

    async def _make(
        self, upload: Upload | None = None, stored: Mapping[int, StoredPart] = {}
    ) -> Made:
        copy = await self.context.in_thread(self.local.begin, self.action.tar)
        return await make_archive(
            self.context, self.tree, self.action, self.items, upload, stored, copy, self._moved
        )

    def _moved(self, size: int) -> None:
        """The files end together, and that may take hours."""
        self.context.observer(UnderWay(self.step.id, size))

    # -- the archive ---------------------------------------------------------------------------

    async def _archive(self) -> None:
        action = self.action
        there = await head_of(self.bucket, action.key)
        if there is None or self._is_replaced(there):
            made, there = await self._upload(there)
            adopted = False
        else:
            # Ours, and an earlier session was stopped before it was done; or somebody else's.
            adopted = not self.begun
            made = await self._make()
            await self._intend()
        verdict, rung = await compared(self.bucket, there, made)
        if verdict == "mismatched":
            raise _Taken(action.key)
        await self._keep(made)
        if not adopted:
            await self._keep_tags(there)
        archive = StoredObject(there.etag, there.size, made.checksum, there.version_id, adopted)
        await self._record(archive, rung, None)
        await self._record(archive, rung, await self._put_index(archive, made))
        self.context.receive(
            self.step,
            verdict,
            [item.n for item in self.items],
            self.step.totals.bytes,
            [action.key],
        )

    async def _upload(self, there: ObjectHead | None) -> tuple[Made, ObjectHead]:
        """Make the object in the place of nothing, or of ``there``; it, as S3 has it then."""
        index = await head_of(self.bucket, self.action.index)
        if index is not None and index.etag != self._old_index:
            raise _Taken(self.action.index)
        await self._intend()
        upload, stored = await self._begun()
        made = await self._make(upload, stored)
        if there is not None and not await keeps_versions(self.context, self.step.subject):
            # Hours may have passed since the gate.
            raise _Taken(self.action.key)
        known = self.context.capabilities
        condition: CapabilityName = "complete-if-match" if there else "complete-if-none-match"
        if not known.holds(condition) and _etag(
            await head_of(self.bucket, self.action.key)
        ) != _etag(there):
            # Hours may have passed since the key was looked at.
            raise _Taken(self.action.key)
        sends = known.get(condition).standing != "refused"
        try:
            await upload.complete(
                made.parts,
                if_none_match=sends and there is None,
                if_match=there.etag if sends and there is not None else None,
                checksum=made.checksum,
            )
        except PreconditionFailedError:
            raise _Taken(self.action.key) from None
        except OutcomeUnknownError:
            # Looking tells: what is there now is compared with what was sent.
            if _etag(await head_of(self.bucket, self.action.key)) == _etag(there):
                raise
        return made, await self.bucket.head(self.action.key)

    async def _keep_tags(self, there: ObjectHead) -> None:
        """Tag the archive where the endpoint did not: lifecycle rules go by its tags.

        Ceph's RGW 16 takes the tags of a multipart upload, and forgets them. Where the count is not
        told nobody knows, and putting the same tags once more does no harm.
        """
        if self.action.tags and there.tag_count != len(self.action.tags):
            await self.bucket.put_tags(self.action.key, self.action.tags)

    async def _begun(self) -> tuple[Upload, dict[int, StoredPart]]:
        """The upload that an earlier session began, with its parts; or a new one."""
        action = self.action
        known = self.context.state.uploads.get((self.step.id, 0))
        if known is not None:
            upload = self.bucket.upload(action.key, known)
            stored = await upload.stored()
            if stored is not None:
                return upload, stored
        options = CopyOptions(
            attributes=ObjectAttributes(
                headers={"content-type": _TYPES[action.compression]},
                metadata=action.metadata,
                tags=action.tags,
            ),
            storage_class=action.storage_class,
            encryption=action.encryption,
            kms_key=action.kms_key,
        )
        upload = await self.bucket.begin_upload(action.key, options, FALLBACK[0])
        await self._commit(UploadBegan(step=self.step.id, n=0, upload=upload.id))
        return upload, {}

    async def _abandon(self) -> None:
        """Abort what was begun for an archive that will not be made."""
        begun = self.context.state.uploads.pop((self.step.id, 0), None)
        if begun is not None:
            # What cannot be aborted now a rollback aborts, and `doctor` names.
            with suppress(StoreError):
                await self.bucket.upload(self.action.key, begun).abort()

    async def _keep(self, made: Made) -> None:
        """Only what is in S3 is worth a name on disk; what has that name already stays."""
        try:
            await self.context.in_thread(
                self.local.finish, made.checksum, self.action.replaces is not None
            )
        except Occupied as error:
            self.context.observer(
                Warned(f"the copy of {self.action.key} was not kept: {error.address} is in use")
            )

    # -- the index -----------------------------------------------------------------------------

    async def _put_index(self, archive: StoredObject, made: Made) -> StoredObject:
        """Put the index beside the archive, unless the same is there."""
        data = self._index(archive, made)
        put = await put_index(self.bucket, self.action, data, old=self._old_index)
        if put is None:
            raise _Taken(self.action.index)
        return put

    def _index(self, archive: StoredObject, made: Made) -> bytes:
        """The same bytes in every session of the run."""
        header = IndexHeader(
            format=INDEX_FORMAT,
            bucket=self.step.subject,
            key=self.action.key,
            name=self.action.name,
            size=made.size,
            etag=archive.etag,
            checksum=made.checksum,
            tar=self.action.tar,
            content=content_of(made.members),
            made=self.context.state.started.time,
            compression=self.action.compression,
            storage_class=self.action.storage_class,
            version_id=archive.version_id,
            metadata=self.action.metadata,
        )
        return write_index(header, made.members, made.frames)

    # -- looking and telling -------------------------------------------------------------------

    def _is_replaced(self, there: ObjectHead) -> bool:
        """Whether it is the archive that this one takes the place of."""
        old = self.action.replaces
        if old is None or there.etag != old.etag:
            return False
        return old.version_id is None or there.version_id == old.version_id

    @property
    def _old_index(self) -> str | None:
        """The ETag of the index that this one takes the place of."""
        return self.action.replaces.index_etag if self.action.replaces is not None else None

    async def _intend(self) -> None:
        await self.context.intend(self.step, 0, self.items[-1].n)

    async def _record(self, archive: StoredObject, rung: Rung, index: StoredObject | None) -> None:
        await self._commit(Archived(step=self.step.id, archive=archive, rung=rung, index=index))

    async def _commit(self, record: Archived | UploadBegan) -> None:
        await self.context.journal.commit(record)
        self.context.state.apply(self.context.journal.seq, record)

    def _drifted(self, item: Item, reason: str, message: str) -> None:
        self.context.problem(
            self.step, item.n, item.key, item.path, "drifted", reason,
            f"{message}; the archive {self.action.key} was not made", "plan again",
        )  # fmt: skip

    def _whole(self, outcome: Outcome, reason: str, message: str) -> None:
        """What became of the archive as a whole is told once, of its first file."""
        next_step = "plan again" if outcome == "drifted" else None
        first = self.items[0]
        self.context.problem(
            self.step, first.n, self.action.key, first.path, outcome, reason, message, next_step
        )


async def archive(context: Context, step: Step, action: Archive) -> None:
    """Run an archive step."""
    await wait_for_hours(context, action.window)
    with open_source(Path(action.source)) as tree:
        await _Archiver(context, step, action, tree).run()
    context.check_stop()


def _etag(there: ObjectHead | None) -> str | None:
    return None if there is None else there.etag
