"""``copy``: objects to new keys within S3, nothing written over, each compared before it counts.

The worklist goes in ranges. Before a range both sides are looked at; keys that are in use then are
not this run's, and are said so in the intent. Each request pins its source and, where the endpoint
is known to honour it, is refused where the key was taken meanwhile; elsewhere the window between
look and request remains, which the plan names. An answer that was lost is settled by looking.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from typing import TypedDict

from msgspec import Struct, structs

from s3plan.engine.comparing import Compared, compare_objects, is_md5, same_by_etag
from s3plan.engine.context import Context, Interrupted
from s3plan.engine.copytags import CopyTags
from s3plan.engine.looking import Seen, look_at
from s3plan.engine.partwise import begin_upload, copy_parts
from s3plan.engine.probe import how_copies_are_guarded
from s3plan.engine.state import SETTLED, ItemState
from s3plan.engine.together import together
from s3plan.errors import (
    EndpointError,
    NoSuchKeyError,
    OutcomeUnknownError,
    PreconditionFailedError,
    StoreError,
)
from s3plan.model.events import Warned
from s3plan.model.journal import Copied, CopyFacts
from s3plan.model.objects import ObjectAttributes, ObjectHead
from s3plan.model.steps import Copy, Item, Step
from s3plan.rules.endpoints import is_aws
from s3plan.rules.grouping.tags import MOST_TAGS
from s3plan.rules.integrity import FALLBACK
from s3plan.rules.parts import cut
from s3plan.store import (
    LARGEST_COPY,
    CopyOptions,
    CopyResult,
    CopySource,
    HashSink,
    part_size,
)

RANGE = 1_000
"""Items that one look and one intent cover: a page of a listing, where the keys lie together.

What a look tells is a moment old when it is used.
"""

FIRST_RANGE = 100
"""Items of the first one, so that copying begins soon; the next is looked at meanwhile."""

BATCH = 50
"""Copies whose receipts are written together."""


class _Refused(Exception):
    """An item cannot be copied as it shall be; the reason is for the person, the code for tools."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class _Acl(TypedDict, total=False):
    """One of the two, as CopyOptions has them."""

    acl: str | None
    grants: dict[str, str]


class Begun(Struct, frozen=True):
    """An item whose intent is durable, and what was at its source and at its new key."""

    item: Item
    source: Seen | None
    target: Seen | None
    stranger: bool


class _Made(Struct, frozen=True):
    """A copy whose content was proved, and whether a stranger had made it before."""

    item: Item
    facts: CopyFacts


class Copier:
    """One copy step."""

    def __init__(self, context: Context, step: Step, action: Copy) -> None:
        self.context = context
        self.step = step
        self.action = action
        self.target = context.bucket(step)
        self.source = context.store.bucket(action.source)
        self.state = context.step_state(step)
        known = context.capabilities
        self.guarded = known.holds("copy-if-none-match")
        # Sent also where it is not known to be honoured, unless requests that carry it fail.
        self.conditional = known.get("copy-if-none-match").standing != "refused"
        self.pinning = known.get("copy-source-if-match").standing != "refused"
        self.tags = CopyTags(action, context.state.started.time[:10])
        # Ceph 16.2 drops the tags of a CopyObject that replaces any attribute.
        self.loses_tags = bool(action.headers or self.tags) and not is_aws(
            context.plan.header.target.endpoint
        )
        self.made: list[_Made] = []

    async def run(self) -> None:
        """Ranges are looked at and begun while those before them are copied, without a pause.

        The queue holds one range, so that what was seen of an item is a moment old.
        """
        queue: asyncio.Queue[Begun | None] = asyncio.Queue(RANGE)
        connections = self.context.plan.header.connection.limits.connections
        count = self.context.objects_at_once(connections)
        try:
            await together([self._begin(queue, count), *[self._work(queue) for _ in range(count)]])
        finally:
            self._flush()

    async def _begin(self, queue: asyncio.Queue[Begun | None], workers: int) -> None:
        """Look at one range after the other and say in the journal that it begins."""
        items = self.context.plan.items(self.step.id, self.state.first_open())
        size = FIRST_RANGE
        while not self.context.stopping and (ready := await self._next(items, size)) is not None:
            size = RANGE
            todo, sources, targets = ready
            taken = tuple(
                item.n for item in todo if item.path in targets and not self.state.begun(item.n)
            )
            await self.context.intend(self.step, todo[0].n, todo[-1].n, taken)
            self.state.take(taken)
            strangers = frozenset(taken)
            for item in todo:
                await queue.put(
                    Begun(item, sources.get(item.key), targets.get(item.path), item.n in strangers)
                )
        for _ in range(workers):
            await queue.put(None)

    async def _work(self, queue: asyncio.Queue[Begun | None]) -> None:
        while (begun := await queue.get()) is not None:
            if not self.context.stopping:
                self.context.began(self.step, begun.item.n, begun.item.key)
                with self.context.one_object():
                    await self._one(begun)

    async def _next(
        self, items: Iterator[Item], size: int = RANGE
    ) -> tuple[list[Item], dict[str, Seen], dict[str, Seen]] | None:
        """Of the next ``size`` items those that are not settled, and what is at their sources and
        new keys.
        """
        while chunk := await self.context.in_thread(_take, items, min(size, RANGE)):
            todo = [item for item in chunk if self.state.of(item.n) not in SETTLED]
            if todo:
                sources, targets = await asyncio.gather(
                    look_at(self.source, [item.key for item in todo]),
                    look_at(self.target, [item.path for item in todo]),
                )
                return todo, sources, targets
        return None

    async def _one(self, begun: Begun) -> None:
        item, source, target = begun.item, begun.source, begun.target
        try:
            if source is None:
                self._drifted(item, "source-gone", "the object is gone from the source")
            elif not source.is_like(item.size, item.etag, item.modified):
                self._drifted(item, "source-changed", "the object was changed after the plan")
            elif target is not None:
                await self._settle(item, stranger=begun.stranger)
            elif self.action.shared:
                self._failed(item, "copy-missing", f"{item.path} is not there to be shared")
            else:
                await self._copy(item)
        except NoSuchKeyError:
            self._drifted(item, "source-gone", "the object is gone from the source")
        except PreconditionFailedError:
            self._drifted(item, "source-changed", "the object was changed after the plan")
        except Interrupted:
            return  # in the middle of its parts; what was copied of it is gone
        except _Refused as refused:
            self._failed(item, refused.code, str(refused))
        except StoreError as error:
            self._failed(item, error.code, str(error))

    # -- one copy ------------------------------------------------------------------------------

    async def _copy(self, item: Item) -> None:
        try:
            try:
                result = await self._send(item, if_none_match=self.conditional)
            except PreconditionFailedError:
                if await self._settle_if_there(item):
                    return
                await self._check_source(item)
                # Refused although the source is as planned and nothing is at the new key: SeaweedFS
                # says so of `a` once `a/b` exists. We have just looked, and the bucket is locked.
                result = await self._send(item, if_none_match=False)
        except OutcomeUnknownError:
            if not await self._settle_if_there(item):
                raise
            return
        if same_by_etag(item.etag, result.etag):
            await self._done(
                item, CopyFacts(item.n, result.etag, result.modified, None, result.version_id)
            )
        else:
            await self._settle(item, stranger=False)

    async def _send(self, item: Item, *, if_none_match: bool) -> CopyResult:
        source = CopySource(self.action.source, item.key, item.etag if self.pinning else None)
        if item.size > LARGEST_COPY:
            return await self._in_parts(item, source, if_none_match=if_none_match)
        options = await self._options(item)
        # With a condition that holds, sending again cannot write over anything.
        return await self.target.copy(
            item.path,
            source,
            options,
            if_none_match=if_none_match,
            repeatable=if_none_match and self.guarded,
        )

    async def _options(self, item: Item) -> CopyOptions:
        """What the copy has that its source has not; asks for the source's own where needed."""
        action = self.action
        options = CopyOptions(
            storage_class=action.storage_class or item.storage_class,
            encryption=action.encryption if action.encryption != "keep" else None,
            kms_key=action.kms_key,
            **await self._acl(item),
        )
        if action.encryption != "keep" and not action.headers and not self.tags:
            return options
        head = await self.source.head(item.key, if_match=item.etag)
        if action.headers or self.tags:
            options = structs.replace(options, attributes=await self._attributes(item, head))
        return self._encrypted(options, head)

    async def _acl(self, item: Item) -> _Acl:
        """The ACL that the copy is to have: S3 copies none."""
        if self.action.acl == "keep":
            return {"grants": await self.source.grants(item.key)}
        return {"acl": self.action.acl}

    def _encrypted(self, options: CopyOptions, head: ObjectHead) -> CopyOptions:
        if self.action.encryption != "keep":
            return options
        known = head.attributes
        return structs.replace(options, encryption=known.encryption, kms_key=known.kms_key)

    async def _attributes(self, item: Item, head: ObjectHead) -> ObjectAttributes:
        """The source's headers, metadata and tags, with what the manifest changes about them."""
        if head.missing_metadata:
            raise _Refused(
                "missing-metadata",
                f"{item.key} has metadata that S3 cannot send, so it cannot be written anew;"
                " leave out target.headers and target.tags",
            )
        tags = {} if head.tag_count == 0 else await self.source.tags(item.key)
        tags = self._tagged(item, tags)
        if len(tags) > MOST_TAGS:
            raise _Refused(
                "too-many-tags",
                f"{item.key} would have {len(tags)} tags with those of target.tags;"
                f" S3 allows {MOST_TAGS}",
            )
        return structs.replace(
            head.attributes, headers=head.attributes.headers | self.action.headers, tags=tags
        )

    def _tagged(self, item: Item, theirs: dict[str, str]) -> dict[str, str]:
        return self.tags.over(theirs, item.key, item.size, item.label)

    async def _keep_tags(self, item: Item) -> None:
        """Look whether a copy that we made has its tags, and put them there if not."""
        wanted = self._tagged(item, await self.source.tags(item.key))
        try:
            kept = await self.target.tags(item.path) == wanted
        except EndpointError:
            kept = False  # what Ceph makes of them it cannot spell itself
        if not kept:
            await self.target.put_tags(item.path, wanted)

    async def _in_parts(self, item: Item, source: CopySource, *, if_none_match: bool) -> CopyResult:
        """A multipart copy: everything that CopyObject carries along is sent again."""
        await self._abandon(item)
        head = await self.source.head(item.key, if_match=item.etag)
        options = CopyOptions(
            attributes=await self._attributes(item, head),
            storage_class=self.action.storage_class or item.storage_class,
            encryption=self.action.encryption if self.action.encryption != "keep" else None,
            kms_key=self.action.kms_key,
            **await self._acl(item),
        )
        place = (self.target, item.path)
        options = self._encrypted(options, head)
        upload = await begin_upload(self.context, self.step, item.n, place, options, FALLBACK[0])
        sizes = cut(item.size, part_size(item.size))
        try:
            parts = await copy_parts(self.context, upload, source, sizes)
            if not self.context.capabilities.holds("complete-if-none-match"):
                # Hours may have passed since the look at the range.
                await self._check_free(item)
            return await upload.complete(parts, if_none_match=if_none_match)
        except OutcomeUnknownError:
            raise  # it may be complete: looking tells, and abandoning it comes with trying again
        except BaseException:
            with suppress(StoreError):  # the record of it stays: trying again aborts it first
                await upload.abort()
            raise

    async def _abandon(self, item: Item) -> None:
        """Abort what an earlier session began for this item and did not complete."""
        begun = self.context.state.uploads.pop((self.step.id, item.n), None)
        if begun is not None:
            await self.target.upload(item.path, begun).abort()

    async def _check_free(self, item: Item) -> None:
        try:
            await self.target.head(item.path)
        except NoSuchKeyError:
            return
        raise _Refused("key-taken", f"{item.path} was written by somebody while it was copied")

    async def _check_source(self, item: Item) -> None:
        """Raises PreconditionFailedError or NoSuchKeyError where the source is another one."""
        head = await self.source.head(item.key, if_match=item.etag)
        if head.size != item.size or head.etag != item.etag:
            raise PreconditionFailedError("the object was changed", address=item.key)

    # -- how it ended --------------------------------------------------------------------------

    async def _settle_if_there(self, item: Item) -> bool:
        """Compare what is at the new key, where something is."""
        try:
            await self.target.head(item.path)
        except NoSuchKeyError:
            return False
        await self._settle(item, stranger=False)
        return True

    async def _settle(self, item: Item, *, stranger: bool) -> None:
        """What is at the new key counts where its content is the source's; it is never replaced."""
        compared = await compare_objects(self.source, item.key, item.etag, self.target, item.path)
        if compared.verdict == "verified":
            await self._accept(item, compared)
        elif stranger:
            self._drifted(item, "key-taken", f"{item.path} is in use by another object")
        else:
            self.context.problem(
                self.step, item.n, item.key, item.path, "mismatched", "copy-differs",
                f"{item.path} does not have the content of {item.key}; it was left as it is",
                "look at both objects; remove the copy if it is yours, then run again",
            )  # fmt: skip

    async def _accept(self, item: Item, compared: Compared) -> None:
        """What is at the new key has the source's content."""
        copy = compared.copy
        facts = CopyFacts(item.n, copy.etag, copy.modified, compared.checksum, copy.version_id)
        await self._done(item, facts)

    async def _done(self, item: Item, facts: CopyFacts) -> None:
        if self.loses_tags and not self.state.was_taken(item.n):
            await self._keep_tags(item)
        if self.action.checksums and not is_md5(item.etag):
            facts = structs.replace(facts, md5=await self._md5(item))
        self.made.append(_Made(item, facts))
        if len(self.made) >= BATCH:
            self._flush()

    async def _md5(self, item: Item) -> str:
        """The MD5 of the source, which its ETag does not tell: all of it is read."""
        sink = HashSink(("MD5", ""))
        async with self.context.streams:
            await self.source.get_to(item.key, sink, if_match=item.etag)
        return sink.checksum().value

    def _flush(self) -> None:
        """Facts before receipts: a receipt promises that the copy can be recognised."""
        if not self.made:
            return
        made, self.made = self.made, []
        record = Copied(step=self.step.id, copies=tuple(one.facts for one in made))
        self.context.journal.note(record)
        self.context.state.apply(self.context.journal.seq, record)
        self.context.receive(
            self.step,
            "verified",
            [one.item.n for one in made],
            sum(one.item.size for one in made),
            [one.item.key for one in made] if self.context.item_log else (),
        )

    def _drifted(self, item: Item, reason: str, message: str) -> None:
        # A rollback copies back: what it cannot is kept as it is, and the rollback ends.
        back = self.context.plan.header.rollback_of is not None
        self.context.problem(
            self.step, item.n, item.key, item.path, "kept" if back else "drifted", reason,
            f"{item.key}: {message}; it was left alone",
            "look at it yourself; s3plan will not touch it" if back
            else "s3plan plan again, and review what changed",
        )  # fmt: skip

    def _failed(self, item: Item, code: str, message: str) -> None:
        self.context.problem(self.step, item.n, item.key, item.path, "failed", code, message)


def _take(items: Iterator[Item], size: int) -> list[Item]:
    return list(islice(items, size))


async def keys_in_use(context: Context, step: Step) -> tuple[int, ...]:
    """Items that nobody began whose new key is in use: what is there is not this run's."""
    state = context.step_state(step)
    items = context.plan.items(step.id)
    found: list[int] = []
    while chunk := await context.in_thread(_take, items, RANGE):
        fresh = [item for item in chunk if state.of(item.n) is ItemState.PENDING]
        there = await look_at(context.bucket(step), [item.path for item in fresh])
        found += [item.n for item in fresh if item.path in there]
    return tuple(found)


async def copy(context: Context, step: Step, action: Copy) -> None:
    """Run a copy step."""
    guard = how_copies_are_guarded(context.capabilities)
    if guard.startswith("look"):
        context.observer(Warned(f"copies to {step.subject}: {guard}"))
    await Copier(context, step, action).run()
    context.check_stop()
