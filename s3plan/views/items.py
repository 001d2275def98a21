"""The worklist of a step as lines, one item each, streamed so that any number can be listed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from s3plan.model.steps import Item
from s3plan.views.quantities import size
from s3plan.views.text import visible


def item_lines(items: Iterable[Item]) -> Iterator[str]:
    """Yield a heading and a line for each item: size, last modified, class, key.

    The local path follows where it is not simply the key below some directory.
    """
    yield f"{'size':>10}  {'last modified':<24}  {'class':<12}  key"
    for item in items:
        line = (
            f"{size(item.size):>10}  {visible(item.modified):<24}"
            f"  {visible(item.storage_class):<12}  {visible(item.key)}"
        )
        if not f"/{item.path}".endswith(f"/{item.key}"):
            line += f"  -> {visible(item.path)}"
        yield line
