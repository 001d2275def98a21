"""What a session is given from outside."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from msgspec import Struct

from s3plan.engine.context import Observer
from s3plan.engine.livefiles import Outlets
from s3plan.model.connection import Connection
from s3plan.store import Store


class Surroundings(Struct, frozen=True):
    """What a session is given from outside: the places, the clock, and who listens."""

    directory: Path
    state_home: Path
    clock: Callable[[], datetime]
    open_store: Callable[[Connection], Store]
    observer: Observer
    tool: str
    item_log: Path | None = None
    outlets: Outlets = Outlets()
