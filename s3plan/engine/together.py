"""Several coroutines as one: where one of them fails, none of the others is left under way."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any


async def together(workers: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Wait for all; the first error ends the others, and is raised once they have ended.

    Raised as it is: an asyncio.TaskGroup would hand on an ExceptionGroup, and what a step fails
    with is one error of s3plan's own. Cancelled, it ends them too before it ends itself.
    """
    tasks = [asyncio.create_task(worker) for worker in workers]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
