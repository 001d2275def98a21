"""``reencrypt``: another key for each object, in place; nothing is copied and nothing is moved.

Each is looked at before, and after: it must have the key then, and be the same object otherwise. An
update of the key leaves ETag and dates as they are, so the key that it had is looked at as well:
one that somebody else gave it stays.
"""

from __future__ import annotations

from s3plan.engine.context import Context
from s3plan.engine.layout.failing import Differs
from s3plan.engine.layout.forms import check_planned
from s3plan.engine.layout.worklist import Worklist
from s3plan.errors import NotSupportedError, PreconditionFailedError
from s3plan.model.objects import ObjectHead
from s3plan.model.steps import Item, Reencrypt, Step
from s3plan.rules.endpoints import is_aws


class _Reencrypter:
    """One reencrypt step."""

    def __init__(self, context: Context, step: Step, action: Reencrypt) -> None:
        self.context = context
        self.step = step
        self.action = action
        self.bucket = context.bucket(step)

    async def one(self, item: Item) -> None:
        """Give one object its key."""
        before = await self.bucket.head(item.key, if_match=item.etag)
        check_planned(item, before)
        if not self._has_key(before):
            self._check_key(before)
            await self.bucket.update_encryption(
                item.key, kms_key=self.action.kms_key, version=item.version_id
            )
            after = await self.bucket.head(item.key, if_match=item.etag)
            check_planned(item, after)
            if not self._has_key(after):
                raise Differs("the endpoint said that it has another key, and it has not")
        self.context.receive(
            self.step, "done", [item.n], item.size, [item.key] if self.context.item_log else ()
        )

    def _has_key(self, head: ObjectHead) -> bool:
        known = head.attributes
        return (known.encryption, known.kms_key) == ("aws:kms", self.action.kms_key)

    def _check_key(self, head: ObjectHead) -> None:
        """Raise PreconditionFailedError unless it has the key that it had when this was planned."""
        found = head.attributes.kms_key
        if found != self.action.before:
            own = "S3's own encryption"
            raise PreconditionFailedError(
                "the object has another key than was planned",
                address=head.key,
                expected=self.action.before or own,
                found=found or own,
            )


async def reencrypt(context: Context, step: Step, action: Reencrypt) -> None:
    """Run a reencrypt step. Raises NotSupportedError, before any request, anywhere but at AWS: a
    server that does not know the request may take its body for the object's.
    """
    if not is_aws(context.store.target.endpoint):
        raise NotSupportedError(
            "the encryption of an object can be updated in place at AWS only",
            address=context.store.target.endpoint,
            next_step="s3plan plan again",
        )
    await Worklist(context, step, writes=True).run(_Reencrypter(context, step, action).one)
