"""``delete`` on a worker: what it was told may go, looked at by its keys, a range at a time.

Its local copies were looked at by who told of it (``delete.Deleter.judge``), right before. There is
no listing of all here: objects are those of a bucket that keeps no versions.
"""

from __future__ import annotations

from itertools import islice

from s3plan.engine.context import Context
from s3plan.engine.evidence import EvidenceLine
from s3plan.engine.handlers.delete import Deleter, Doomed, Live, Name, open_gate
from s3plan.engine.looking import Seen, look_at
from s3plan.engine.state import SETTLED, ItemState
from s3plan.errors import NoSuchBucketError
from s3plan.model.steps import Delete, Item, Step

RANGE = 1_000
"""Objects that one look and one request are for."""


class _Told(Deleter):
    """One partition of a delete step."""

    async def run(self) -> None:
        """Delete what it was told of, as far as it is there as it was verified."""
        assert self.context.records is not None
        lines = {line.n: line for line in self.context.records.evidence}
        items = iter(
            _of_item(item, lines[item.n])
            for item in self.context.plan.items(self.step.id)
            if self.state.of(item.n) not in SETTLED and item.n in lines
        )
        while batch := list(islice(items, RANGE)):
            self.context.check_stop()
            live = await self._looked_at(batch)
            self.done([(i.n, i.key, i.size) for i in batch if i.name not in live])
            await self.page(live, [item for item in batch if item.name in live])
            after = await self._looked_at(
                [item for item in batch if self.state.of(item.n) is ItemState.DONE]
            )
            for item in batch:
                if item.name in after and after[item.name].is_like(item):
                    self.still_there(item.n, item.key, item.path)

    async def _looked_at(self, batch: list[Doomed]) -> dict[Name, Live]:
        try:
            seen = await look_at(self.bucket, [item.key for item in batch])
        except NoSuchBucketError:
            return {}
        return {item.name: _seen(item, seen[item.key]) for item in batch if item.key in seen}


def _of_item(item: Item, line: EvidenceLine) -> Doomed:
    return Doomed(
        n=item.n,
        key=item.key,
        path=item.path,
        size=item.size,
        etag=item.etag,
        modified=item.modified,
        version=None,
        newer=0,
        checksum=line.checksum,
        file=line.file,
    )


def _seen(item: Doomed, seen: Seen) -> Live:
    """HEAD tells times to the second only, which is as good."""
    same = seen.is_like(item.size, item.etag, item.modified)
    modified = item.modified if same and seen.by_head else seen.modified
    return Live((seen.size, seen.etag, modified), 0)


async def delete_told(context: Context, step: Step, action: Delete) -> None:
    """Run a partition of a delete step whose gate is open."""
    gate = open_gate(context, step, action)
    await _Told(context, step, action, gate, None).run()
    context.check_stop()
