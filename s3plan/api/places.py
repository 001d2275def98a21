"""Where this user's and this directory's things are, and what the other modules open them with."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from s3plan import __version__
from s3plan.engine.approval import House
from s3plan.engine.livefiles import Outlets
from s3plan.engine.probe import Memory
from s3plan.engine.surroundings import Surroundings
from s3plan.errors import ProblemsError
from s3plan.model.capabilities import UNPROBED, Capabilities
from s3plan.model.commands import Command
from s3plan.model.connection import Connection
from s3plan.model.events import AnyEvent, Warned
from s3plan.rules.prices import PriceList
from s3plan.store import Store

if TYPE_CHECKING:
    from s3plan.kinds.project import Project


PROJECT_FILE = "s3plan.yaml"
"""What holds for every plan of the working directory (``kinds.project`` reads it)."""


Observer = Callable[[AnyEvent], None]
"""Called with every event, on the calling thread; must return quickly."""


def ignore(event: AnyEvent) -> None:
    """An observer that does nothing."""


def load_connection(manifest: Path) -> Connection:
    """The one connection that a manifest file holds. Raises ProblemsError or UsageError."""
    from s3plan import kinds

    return kinds.load_connection(manifest, environ=os.environ)


def project_file() -> Project:
    """The project file of the working directory."""
    from s3plan.kinds.project import Project, read_project

    return read_project(Path()) if os.path.lexists(PROJECT_FILE) else Project()


def house() -> House:
    """What the project file asks of every apply."""
    # pydantic takes a tenth of a second to import, and few directories have a project file.
    if not os.path.lexists(PROJECT_FILE):
        return House()
    project = project_file()
    return House(
        project.limits,
        project.required_approvals,
        project.approvers,
        project.commands,
        project.runners,
    )


def commands(observer: Observer) -> Mapping[str, Command]:
    """The commands that the project file defines; none, and a warning, where it is not right.

    For what must go on all the same.
    """
    try:
        return house().commands
    except ProblemsError as error:
        observer(Warned(f"no command is run: {error}"))
        return {}


def price_list(path: Path | None) -> PriceList:
    """The list that is shipped, with what a file of the user's says in its place."""
    from s3plan.kinds.prices import read_prices
    from s3plan.rules.pricelist import shipped

    return shipped() if path is None else read_prices(path)


def connection_in(manifest: Path | None) -> Connection:
    """The connection of a manifest file; without one, what the usual AWS chain finds."""
    return load_connection(manifest) if manifest is not None else Connection()


def remembered_capabilities(store: Store, now: datetime) -> Capabilities:
    """What the endpoint was last seen to do; planning itself never probes, which would write."""
    scratch = store.connection.scratch
    memory = Memory(state_home() / "capabilities")
    return (memory.recall(store.target, scratch, now) if scratch else None) or UNPROBED


def around_here(
    observer: Observer, log: Path | None, outlets: Outlets | None = None
) -> Surroundings:
    """What a run in the working directory is given; ``log`` takes a line an item, ``outlets`` are
    files that tell of it while it goes on.
    """
    return Surroundings(
        directory=Path(),
        state_home=state_home(),
        clock=lambda: datetime.now(UTC),
        open_store=open_store,
        observer=observer,
        tool=__version__,
        item_log=log,
        outlets=outlets or Outlets(),
    )


def state_home() -> Path:
    """This user's state folder, as the XDG base directory specification says."""
    state = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(state) / "s3plan"


def open_store(connection: Connection) -> Store:
    """The S3 of a connection, to be entered; every function of the library opens it here."""
    return Store(connection)
