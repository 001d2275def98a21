"""``verify-staged``: what was staged against its object, right before it may take its place.

Nothing is taken from the step that staged it: both are looked at again, and compared by the
cheapest evidence that proves the content, by headers, metadata and tags, and by their parts. It
changes nothing.
"""

from __future__ import annotations

import asyncio

from s3plan.engine.comparing import Compared, compare_heads
from s3plan.engine.context import Context
from s3plan.engine.layout.coding import Coder, coded
from s3plan.engine.layout.facts import Found
from s3plan.engine.layout.failing import Differs
from s3plan.engine.layout.forms import Form, check_planned, old_key, read_form
from s3plan.engine.layout.worklist import Worklist
from s3plan.errors import NoSuchKeyError
from s3plan.model.journal import CopyFacts
from s3plan.model.objects import ObjectAttributes, ObjectHead
from s3plan.model.steps import Item, Step, VerifyStaged
from s3plan.rules.codecs import codecs_after, coded_attributes, content_of, is_coded_anew
from s3plan.rules.integrity import FALLBACK, evidence_of
from s3plan.rules.recipes import algorithms, attributes_after, parts_after, same_attributes


class _Verifier:
    """One verify-staged step."""

    def __init__(self, context: Context, step: Step, action: VerifyStaged) -> None:
        self.context = context
        self.step = step
        self.action = action
        self.bucket = context.bucket(step)
        self.found = Found(context, step.id)
        self.kept = Found(context, action.staged)
        self.coder = Coder(context, step, self.bucket, action.recipe)

    async def one(self, item: Item) -> None:
        """Compare one item."""
        form, staged = await asyncio.gather(
            read_form(self.bucket, item.key, if_match=item.etag), self._staged(item.path)
        )
        check_planned(item, form.head)
        try:
            compared = await self._compared(item, form, staged)
        except Differs:
            # Its headers and its tags are two requests: somebody may have written between them.
            check_planned(item, await self.bucket.head(item.key, if_match=item.etag))
            raise
        self.found.note(_facts(item, compared))
        self.context.receive(
            self.step, "verified", [item.n], item.size, [item.key] if self.context.item_log else ()
        )

    async def _compared(self, item: Item, form: Form, staged: Form) -> Compared:
        """How the staged form was found to be right; raises Differs where anything is not."""
        if is_coded_anew(self.action.recipe, form.attributes):
            compared = await self._coded(form, staged)
        else:
            self._check_form(item, form, staged)
            compared = await compare_heads(self.bucket, form.head, self.bucket, staged.head)
            _check_content(compared, "what was staged")
        if self.action.keeps_old:
            old = await self._kept(old_key(item))
            kept = await compare_heads(self.bucket, form.head, self.bucket, old)
            _check_content(kept, "the old form that is kept")
            self.kept.note(_facts(item, kept))
        return compared

    async def _coded(self, form: Form, staged: Form) -> Compared:
        """Both are decoded, and their contents compared, unless S3 keeps the digest of one."""
        recipe = self.action.recipe
        told = content_of(staged.attributes)
        kind = told.kind if told else FALLBACK
        theirs = await self.coder.content(staged, kind)
        ours = await self.coder.content(form, kind)
        if ours != theirs or told not in (None, ours.digest):
            raise Differs("what was staged does not hold its content")
        wanted = coded_attributes(
            attributes_after(recipe, form.attributes),
            codecs_after(recipe, coded(form)),
            ours.digest,
            ours.size,
            recipe.recipients or (),
        )
        self._check_attributes(wanted, staged)
        kept = evidence_of(staged.head, staged.parts)
        return Compared("verified", kept, staged.head, form.head)

    async def _staged(self, key: str) -> Form:
        try:
            return await read_form(self.bucket, key)
        except NoSuchKeyError as error:
            raise Differs("what was staged is gone") from error

    async def _kept(self, key: str) -> ObjectHead:
        try:
            return await self.bucket.head(key)
        except NoSuchKeyError as error:
            raise Differs("the old form that was kept is gone") from error

    def _check_form(self, item: Item, form: Form, staged: Form) -> None:
        recipe = self.action.recipe
        self._check_attributes(attributes_after(recipe, form.attributes), staged)
        if staged.parts != parts_after(recipe, item.size, form.parts):
            raise Differs("what was staged is cut into other parts")

    def _check_attributes(self, wanted: ObjectAttributes, staged: Form) -> None:
        recipe = self.action.recipe
        if not same_attributes(wanted, staged.attributes):
            raise Differs("what was staged has other headers, metadata, tags or encryption")
        if recipe.checksum is not None and recipe.checksum not in algorithms(staged.head):
            raise Differs(f"the endpoint keeps no {recipe.checksum} of what was staged")


def _check_content(compared: Compared, what: str) -> None:
    if compared.verdict != "verified":
        raise Differs(f"{what} does not have its content")


def _facts(item: Item, compared: Compared) -> CopyFacts:
    copy = compared.copy
    return CopyFacts(item.n, copy.etag, copy.modified, compared.checksum, copy.version_id)


async def verify_staged(context: Context, step: Step, action: VerifyStaged) -> None:
    """Run a verify-staged step."""
    verifier = _Verifier(context, step, action)
    try:
        await Worklist(context, step, writes=False).run(verifier.one)
    finally:
        verifier.coder.close()
