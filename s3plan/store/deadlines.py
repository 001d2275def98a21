"""How long the requests for one object may take, all of them together.

What belongs together is told by where it runs: a block, and every task begun in it. So an object of
many parts has one deadline, and its requests end by themselves; nothing is cancelled in the middle
of what it holds.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar

_ENDS: ContextVar[float | None] = ContextVar("object_ends", default=None)


_UNLIMITED = nullcontext()


def one_object(seconds: float) -> AbstractContextManager[None]:
    """The requests of this block are for one object and may take ``seconds``; 0 is no limit."""
    return _limited(seconds) if seconds else _UNLIMITED


@contextmanager
def _limited(seconds: float) -> Iterator[None]:
    token = _ENDS.set(time.monotonic() + seconds)
    try:
        yield
    finally:
        _ENDS.reset(token)


def object_deadline(seconds: float) -> float | None:
    """When the object that is worked on here must be done, by time.monotonic(); None without limit.

    Outside of a block each request is an object by itself, of ``seconds``.
    """
    if not seconds:
        return None
    ends = _ENDS.get()
    return time.monotonic() + seconds if ends is None else ends
