"""``remove-archive``: archives of a run taken away again, each only if it is ours and not the last.

An archive goes when it is still as the run left it and every file that went into it is there, as it
was. Then its index goes. In a bucket that keeps versions exactly the run's versions go, so what
they replaced is what the keys hold again. Everything else is kept and said.
"""

from __future__ import annotations

from pathlib import Path

from s3plan.engine.archiving.keeping import LocalCopy
from s3plan.engine.archiving.packing import SourceChanged, check_source
from s3plan.engine.archiving.proof import compared
from s3plan.engine.archiving.sending import Made, make_archive
from s3plan.engine.context import Context
from s3plan.engine.removal import Kept, Removal, head_of
from s3plan.errors import (
    NoSuchKeyError,
)
from s3plan.localfs.tree import Tree
from s3plan.model.archivesteps import Adopt
from s3plan.model.journal import StoredObject
from s3plan.model.objects import ObjectHead
from s3plan.model.steps import Archive, Item, RemoveArchive, Step
from s3plan.plan.reading import PlanFile
from s3plan.rules.archiveindex import BadIndex, read_index


class _Remover:
    """One remove-archive step."""

    def __init__(self, context: Context, step: Step, action: RemoveArchive) -> None:
        self.context = context
        self.step = step
        self.keep = action.keep
        self.bucket = context.bucket(step)
        self.made = PlanFile.open(context.run.plan)
        self.before = context.run.state()
        self.archives = {
            made.action.key: made
            for made in self.made.steps
            if isinstance(made.action, Archive | Adopt)
            and made.subject == step.subject
            and (made.action.keep if isinstance(made.action, Archive) else None) == action.keep
        }
        self._removal = Removal(context, step)

    async def run(self) -> None:
        await self._removal.each(self._one)

    async def _one(self, item: Item) -> None:
        made = self.archives[item.key]
        if isinstance(made.action, Adopt):
            await self._adopted(item, made)
            return
        assert isinstance(made.action, Archive)
        begun = self.before.uploads.get((made.id, 0))
        if begun is not None:
            await self.bucket.upload(item.key, begun).abort()
        known = self.before.archives.get(made.id)
        if known is None:
            if (there := await self._unrecorded(made, made.action)) is not None:
                await self._check_files(made, made.action)
                await self._removal.remove(item, there)
            return
        old = made.action.replaces
        if not known.archive.adopted and (
            there := await self._ours(item.key, known.archive, old.etag if old else None)
        ):
            await self._check_files(made, made.action)
            await self._removal.remove(item, there)
        if known.index is None:
            beside = await self._unrecorded_index(item, known.archive)
        else:
            before = old.index_etag if old else None
            adopted = known.index.adopted
            beside = None if adopted else await self._ours(item.path, known.index, before)
        if beside is not None:
            await self._removal.remove(item, beside)
        if self.keep is not None:
            await self._remove_copy(item, self.keep)

    async def _adopted(self, item: Item, made: Step) -> None:
        """The index that the run put beside an archive of somebody else's, and that alone."""
        known = self.before.archives.get(made.id)
        if known is None:
            return
        if known.index is None:
            beside = await self._unrecorded_index(item, known.archive)
        elif not known.index.adopted:
            beside = await self._ours(item.path, known.index, None)
        else:
            beside = None
        if beside is not None:
            await self._removal.remove(item, beside)

    async def _remove_copy(self, item: Item, keep: str) -> None:
        tree = self.context.destination(keep).tree
        began, run = self.before.started.time, self.context.run.id
        if not await self.context.in_thread(LocalCopy(tree, item.key, began, run).remove):
            raise Kept("not-ours", f"the copy of {item.key} in {keep} was changed since the run")

    async def _ours(
        self, key: str, recorded: StoredObject, before: str | None
    ) -> ObjectHead | None:
        """What is under the key, as the run left it. Raises Kept.

        None where nothing is, or again what was there ``before``, by its ETag.
        """
        there = await head_of(self.bucket, key)
        if there is not None and there.version_id != recorded.version_id and there.etag == before:
            return None
        if there is not None and there.etag != recorded.etag:
            raise Kept("not-ours", f"{key} was changed since the run")
        return there

    async def _unrecorded(self, made: Step, action: Archive) -> ObjectHead | None:
        """The archive, where the process was killed between making it and saying so.

        It is told from a stranger's by its content. None where there is none.
        """
        there = await head_of(self.bucket, action.key)
        old = action.replaces
        if there is None or (
            old is not None
            and there.etag == old.etag
            and old.version_id in (None, there.version_id)
        ):
            return None
        try:
            verdict, _ = await compared(self.bucket, there, await self._made_again(made, action))
        except SourceChanged as changed:
            raise Kept("last-copy", f"{changed}, so nothing tells whose {there.key} is") from None
        if verdict != "verified":
            raise Kept("not-ours", f"{there.key} is not what the run would have made")
        return there

    async def _unrecorded_index(self, item: Item, archive: StoredObject) -> ObjectHead | None:
        """The index, where the process was killed between making it and saying so: it is of that
        archive, and of when the run began.
        """
        try:
            head, data = await self.bucket.get(item.path, if_match=None)
            header = read_index(data).header
        except (NoSuchKeyError, BadIndex):
            return None
        mine = (item.key, archive.etag, self.before.started.time)
        return head if (header.key, header.etag, header.made) == mine else None

    async def _made_again(self, made: Step, action: Archive) -> Made:
        items = list(self.made.items(made.id))
        with Tree.open(Path(action.source), create=False) as tree:
            return await make_archive(self.context, tree, action, items)

    async def _check_files(self, made: Step, action: Archive) -> None:
        """Raise Kept unless every file that is in the archive is there, as it was."""

        def check() -> None:
            with Tree.open(Path(action.source), create=False) as tree:
                for item in self.made.items(made.id):
                    check_source(tree, item)

        try:
            await self.context.in_thread(check)
        except SourceChanged as changed:
            raise Kept(
                "last-copy", f"{changed}, so {action.key} may be the last copy of it"
            ) from None


async def remove_archive(context: Context, step: Step, action: RemoveArchive) -> None:
    """Run a remove-archive step."""
    await _Remover(context, step, action).run()
