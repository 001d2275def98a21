"""``remove-extracted``: files taken out of an archive removed again, each only if it is ours.

A file goes when it still has the member's time and content, and the archive that it came from is
there. Everything else is kept and said.
"""

from __future__ import annotations

from itertools import islice

from s3plan.engine.archiving.fetching import Members
from s3plan.engine.archiving.opening import ArchiveChanged, open_archive
from s3plan.engine.context import Context, Destination
from s3plan.engine.handlers.placing import mtime_of
from s3plan.engine.state import SETTLED
from s3plan.localfs.digests import digest_of_file
from s3plan.localfs.tree import Changed
from s3plan.model.steps import Item, RemoveExtracted, Step
from s3plan.rules.hashing import spell

RANGE = 500
"""Files that one intent covers."""


async def remove_extracted(context: Context, step: Step, action: RemoveExtracted) -> None:
    """Run a remove-extracted step."""
    state = context.step_state(step)
    items = (item for item in context.plan.items(step.id) if state.of(item.n) not in SETTLED)
    destination = context.destination(action.destination)
    try:
        opened = await open_archive(context.bucket(step), action)
    except ArchiveChanged as changed:
        for item in items:
            _kept(context, step, item, "last-copy", f"{changed}, so {item.path} may be the last")
        return
    archive = Members(context.bucket(step), opened)
    while batch := list(islice(items, RANGE)):
        context.check_stop()
        await context.intend(step, batch[0].n, batch[-1].n)
        for item in batch:
            context.check_stop()
            context.began(step, item.n, item.key)
            expected = await archive.digest(opened.members[item.key])
            if await context.in_thread(_remove, destination, item, expected):
                context.receive(step, "done", [item.n], item.size, [item.key])
            else:
                message = f"{item.path} is not as the run left it"
                _kept(context, step, item, "not-ours", message)


def _remove(destination: Destination, item: Item, expected: str) -> bool:
    """Whether the file is gone; on a disk thread."""
    tree = destination.tree
    stat = tree.stat(item.path)
    if stat is None:
        return True
    if (stat.size, stat.mtime_ns) != (item.size, mtime_of(item)):
        return False
    found = digest_of_file(tree, item.path, ("SHA256", ""))
    if found is None or found[0].value != spell("SHA256", bytes.fromhex(expected)):
        return False
    try:
        tree.remove(item.path, found[1])
    except Changed:
        return False
    tree.prune_empty(item.path)
    return True


def _kept(context: Context, step: Step, item: Item, reason: str, message: str) -> None:
    context.problem(
        step, item.n, item.key, item.path, "kept", reason, f"{message}; it was kept",
        "look at it yourself; s3plan will not touch it",
    )  # fmt: skip
