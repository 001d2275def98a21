"""``stage``: the new form of each object beside it, and its old form too where nothing else keeps
that.

Nobody reads what is staged: shadow keys are in no listing of ours, and the object itself is not
touched. Each request that reads the source pins it.
"""

from __future__ import annotations

from collections.abc import Sequence

from s3plan.engine.context import Context
from s3plan.engine.layout.building import Builder, abandon
from s3plan.engine.layout.coding import Coder
from s3plan.engine.layout.exchange import permitted, unlocked
from s3plan.engine.layout.failing import Refused
from s3plan.engine.layout.forms import Form, check_planned, old_key, read_form, source_of
from s3plan.engine.layout.worklist import Worklist
from s3plan.errors import OutcomeUnknownError, PreconditionFailedError
from s3plan.model.objects import ChecksumAlgorithm, ObjectAttributes
from s3plan.model.steps import Item, Stage, Step
from s3plan.rules.codecs import is_coded_anew
from s3plan.rules.recipes import attributes_after, parts_after, same_attributes
from s3plan.store import LARGEST_COPY, CopyOptions

_MISSING = Refused(
    "missing-metadata", "it has metadata that S3 cannot send, so it cannot be made anew"
)


class _Stager:
    """One stage step."""

    def __init__(self, context: Context, step: Step, action: Stage) -> None:
        self.context = context
        self.step = step
        self.action = action
        self.bucket = context.bucket(step)
        self.builder = Builder(context, step, self.bucket)
        self.coder = Coder(context, step, self.bucket, action.recipe)
        self.pinning = context.capabilities.get("copy-source-if-match").standing != "refused"

    async def one(self, item: Item) -> None:
        """Stage one item."""
        action, bucket = self.action, self.bucket
        form = await read_form(bucket, item.key, if_match=item.etag)
        check_planned(item, form.head)
        parts = parts_after(action.recipe, item.size, form.parts)
        # What could never take its place is not even staged.
        permitted(
            self.context,
            size=item.size,
            parts=len(parts),
            largest_put=action.largest_put,
            window=action.window,
        )
        await abandon(self.context, self.step, item.n, bucket, item.path, old_key(item))
        wanted = attributes_after(action.recipe, form.attributes)
        if is_coded_anew(action.recipe, form.attributes):
            await self._code(item, form, wanted)
        else:
            await self._build(item, item.path, form, parts, wanted, action.recipe.checksum)
        if action.keeps_old:
            await self._build(item, old_key(item), form, form.parts, unlocked(form.attributes))
        self.context.receive(
            self.step, "done", [item.n], item.size, [item.key] if self.context.item_log else ()
        )

    async def _code(self, item: Item, form: Form, wanted: ObjectAttributes) -> None:
        """The same content in other bytes."""
        if form.head.missing_metadata:
            raise _MISSING
        if await self.builder.is_there(item.path):
            return  # of an earlier attempt; whether it is right its verification tells
        try:
            await self.coder.write(item.n, item.path, form, wanted)
        except (PreconditionFailedError, OutcomeUnknownError):
            if not await self.builder.is_there(item.path):
                raise

    async def _build(
        self,
        item: Item,
        key: str,
        form: Form,
        parts: Sequence[int],
        wanted: ObjectAttributes,
        checksum: ChecksumAlgorithm | None = None,
    ) -> None:
        head = form.head
        # CopyObject carries what is not replaced along by itself, also what no header can carry.
        in_parts = bool(parts) or item.size > LARGEST_COPY
        again = in_parts or not same_attributes(wanted, form.attributes)
        if again and head.missing_metadata:
            raise _MISSING
        options = CopyOptions(
            attributes=wanted if again or wanted.website_redirect is not None else None,
            encryption=wanted.encryption,
            kms_key=wanted.kms_key,
            checksum=None if in_parts else checksum,
        )
        kept = head.checksums[0].algorithm if head.checksums else None
        source = source_of(self.bucket, item.key, head, pinned=self.pinning)
        await self.builder.build(item.n, key, source, item.size, parts, options, checksum or kept)


async def stage(context: Context, step: Step, action: Stage) -> None:
    """Run a stage step."""
    stager = _Stager(context, step, action)
    try:
        await Worklist(context, step, writes=True).run(stager.one)
    finally:
        stager.coder.close()
