"""``remove-put``: objects that were put from files, taken away again, each only if it is ours and
not the last copy of its file.

In a bucket that keeps versions exactly the run's versions go, so that what they replaced is what
the keys hold again. Everything else is kept and said.
"""

from __future__ import annotations

from pathlib import Path

from s3plan.engine.archiving.packing import SourceChanged, check_source
from s3plan.engine.context import Context
from s3plan.engine.handlers.putting import content_verdict
from s3plan.engine.removal import Kept, Removal, head_of
from s3plan.localfs.digests import digests_of_file
from s3plan.localfs.tree import RootMissingError, Tree
from s3plan.model.journal import StoredObject
from s3plan.model.objects import Checksum
from s3plan.model.steps import Item, RemovePut, Step
from s3plan.plan.reading import PlanFile
from s3plan.rules.integrity import FALLBACK


class _Remover:
    """One remove-put step."""

    def __init__(self, context: Context, step: Step, action: RemovePut) -> None:
        self.context = context
        self.step = step
        self.action = action
        self.bucket = context.bucket(step)
        made = PlanFile.open(context.run.plan)
        before = context.run.state()
        self.uploads = {n: i for (put, n), i in before.uploads.items() if put == action.put}
        numbers = {item.key: item.n for item in made.items(action.put)}
        self.numbers = numbers
        self.stored: dict[str, StoredObject] = {
            key: before.puts[action.put, n]
            for key, n in numbers.items()
            if (action.put, n) in before.puts
        }
        self._removal = Removal(context, step)

    async def run(self) -> None:
        await self._removal.each(self._one)

    async def _one(self, item: Item) -> None:
        begun = self.uploads.get(self.numbers[item.key])
        if begun is not None:
            await self.bucket.upload(item.key, begun).abort()
        there = await head_of(self.bucket, item.key)
        known = self.stored.get(item.key)
        if there is None or (known is not None and known.adopted):
            return
        if item.etag and there.etag == item.etag:
            return  # what it was to replace is there still
        if known is not None and (there.etag, there.version_id) != (known.etag, known.version_id):
            raise Kept("not-ours", f"{item.key} was changed since the run")
        whole, md5 = await self.context.in_thread(self._file, item)
        if known is None:
            # Killed between sending and saying so: it is told from a stranger's by its content.
            verdict = await content_verdict(self.bucket, item.key, item.size, whole, md5)
            if verdict != "verified":
                raise Kept("not-ours", f"{item.key} is not what the run would have put there")
        await self._removal.remove(item, there)

    def _file(self, item: Item) -> tuple[Checksum, Checksum]:
        """Digests of the file. Raises Kept unless it is there as it was."""
        try:
            with Tree.open(Path(self.action.source), create=False) as tree:
                check_source(tree, item)
                (whole, md5), _ = digests_of_file(tree, item.path, [FALLBACK, ("MD5", "")])
                return whole, md5
        except (SourceChanged, RootMissingError) as error:
            raise Kept(
                "last-copy", f"{item.path} is not as it was, so {item.key} may be its last copy"
            ) from error


async def remove_put(context: Context, step: Step, action: RemovePut) -> None:
    """Run a remove-put step."""
    await _Remover(context, step, action).run()
