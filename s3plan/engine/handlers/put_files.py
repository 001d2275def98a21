"""``put-files``: local files to objects, each as it was planned, verified by what S3 stored of it.

A file that changed since the plan, or while it was sent, makes no object that anybody counts on; a
key that somebody took is left alone. Small files stay in memory between hashing and sending, large
ones are streamed, and those of over 5 GiB go in parts.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

from s3plan.engine.archiving.packing import SourceChanged, check_source, open_source
from s3plan.engine.context import Context
from s3plan.engine.handlers import sending
from s3plan.engine.handlers.putting import SMALL, content_verdict
from s3plan.engine.handlers.sending import LargeFile, PartSender
from s3plan.engine.state import SETTLED, ItemState
from s3plan.errors import (
    DestinationError,
    NoSuchKeyError,
    OutcomeUnknownError,
    PreconditionFailedError,
    StoreError,
)
from s3plan.localfs.digests import digests_of_file
from s3plan.localfs.tree import Tree
from s3plan.model.journal import Outcome, PutDone, StoredObject
from s3plan.model.objects import Checksum, ObjectAttributes
from s3plan.model.steps import Item, PutFiles, Step
from s3plan.rules.integrity import FALLBACK
from s3plan.store import ChunkedSource

RANGE = 100
"""Files that one intent covers."""

WORKERS = 8


class _Putter:
    """One put-files step."""

    def __init__(self, context: Context, step: Step, action: PutFiles, tree: Tree) -> None:
        self.context = context
        self.step = step
        self.tree = tree
        self.bucket = context.bucket(step)
        self.state = context.step_state(step)
        self.sender = PartSender(context, step, self.bucket, tree)
        headers = {"content-type": action.content_type} if action.content_type else {}
        self.fresh: set[int] = set()
        self.attributes = ObjectAttributes(
            headers=headers,
            tags=action.tags,
            storage_class=action.storage_class,
            encryption=action.encryption,
            kms_key=action.kms_key,
        )

    async def run(self) -> None:
        items = [
            item
            for item in self.context.plan.items(self.step.id)
            if self.state.of(item.n) not in SETTLED
        ]
        for start in range(0, len(items), RANGE):
            self.context.check_stop()
            some = items[start : start + RANGE]
            self.fresh |= {i.n for i in some if self.state.of(i.n) is ItemState.PENDING}
            await self.context.intend(self.step, some[0].n, some[-1].n)
            rest = iter(some)
            await asyncio.gather(*[self._work(rest) for _ in range(WORKERS)])

    async def _work(self, items: Iterator[Item]) -> None:
        for item in items:
            if self.context.stopping:
                return
            self.context.began(self.step, item.n, item.key)
            try:
                await self._one(item)
            except SourceChanged as changed:
                self._problem(item, "drifted", changed.reason, str(changed), "plan again")
            except (StoreError, DestinationError) as error:
                self._problem(item, "failed", error.code, str(error), None)

    async def _one(self, item: Item) -> None:
        whole, md5 = await self.context.in_thread(self._digests, item)
        # What has the key already is ours only where an earlier session may have sent it.
        theirs = item.n in self.fresh
        if not self.context.capabilities.holds("put-if-none-match") and await self._settled(
            item, whole, md5, adopted=theirs
        ):
            return
        try:
            await self._put(item, whole, md5)
        except PreconditionFailedError:
            if not await self._settled(item, whole, md5, adopted=theirs):
                raise
            return
        except OutcomeUnknownError:
            pass  # looking tells
        if not await self._settled(item, whole, md5, adopted=False):
            message = f"{item.key} is not what was sent"
            self._problem(item, "failed", "outcome-unknown", message, None)

    def _digests(self, item: Item) -> tuple[Checksum, Checksum]:
        """Of the file as it was planned. Raises SourceChanged."""
        check_source(self.tree, item)
        (whole, md5), _ = digests_of_file(self.tree, item.path, [FALLBACK, ("MD5", "")])
        check_source(self.tree, item)
        return whole, md5

    async def _put(self, item: Item, whole: Checksum, md5: Checksum) -> None:
        if item.size > sending.LARGEST_PUT:
            large = LargeFile(item.n, item.key, item.path, item.size, self.attributes, whole)
            await self.sender.send(large, if_none_match=True)
            return
        await self.bucket.put(
            item.key,
            await self._body(item),
            size=item.size,
            attributes=self.attributes,
            content_md5=bytes.fromhex(md5.value),
            checksum=whole,
            if_none_match=not item.etag,
            if_match=item.etag or None,
        )

    async def _body(self, item: Item) -> bytes | ChunkedSource:
        if item.size <= SMALL:
            return await self.context.in_thread(lambda: b"".join(map(bytes, self._chunks(item))))
        return ChunkedSource(lambda: self._chunks(item))

    def _chunks(self, item: Item) -> Iterator[memoryview]:
        with self.tree.open_read(item.path, drop_cache=False) as file:
            yield from file.chunks()

    async def _settled(self, item: Item, whole: Checksum, md5: Checksum, *, adopted: bool) -> bool:
        """Whether it is known how the item ended: by the content of what the key holds.

        Not where the key holds nothing, or still what is to be replaced.
        """
        try:
            head = await self.bucket.head(item.key)
        except NoSuchKeyError:
            return False
        if item.etag and head.etag == item.etag:
            return False
        verdict = await content_verdict(self.bucket, item.key, item.size, whole, md5)
        if verdict != "verified":
            message = f"{item.key} holds something else; it was left alone"
            self._problem(item, "drifted", "key-taken", message, "plan again")
            return True
        stored = StoredObject(head.etag, head.size, whole, head.version_id, adopted)
        record = PutDone(step=self.step.id, n=item.n, stored=stored)
        await self.context.journal.commit(record)
        self.context.state.apply(self.context.journal.seq, record)
        self.context.receive(self.step, "verified", [item.n], item.size, [item.key])
        return True

    def _problem(
        self, item: Item, outcome: Outcome, reason: str, message: str, next_step: str | None
    ) -> None:
        self.context.problem(
            self.step, item.n, item.key, item.path, outcome, reason, message, next_step
        )


async def put_files(context: Context, step: Step, action: PutFiles) -> None:
    """Run a put-files step."""
    with open_source(Path(action.source)) as tree:
        await _Putter(context, step, action, tree).run()
    context.check_stop()
