"""``s3plan lock``: who holds what, and taking a lock from a holder that is gone."""

from __future__ import annotations

import shlex

import click

from s3plan.cli.command import Command, Group
from s3plan.cli.exits import HELD
from s3plan.cli.settings import settings
from s3plan.errors import HeldError


@click.group(cls=Group, name="lock")
def command() -> None:
    """Show locks, and break one whose holder is gone."""


@command.command(cls=Command, name="status", exits=(0, 1))
def status() -> int:
    """Show the locks that are held: destinations, buckets, runs, and leases in S3.

    Leases are those of the latest run here, or of plan.json. A lock of this machine is free as
    soon as its process ends, in any way.
    """
    import msgspec

    from s3plan import api
    from s3plan.views.text import visible

    view = settings().view()
    found = api.locks()
    for lock in found:
        alive = {True: "", False: ", which is gone", None: ", on another machine"}[lock.is_alive]
        sentence = f"{lock.what}: held by {lock.holder}{alive}; the lock is {lock.address}"
        view.told(visible(sentence), {"type": "lock", **msgspec.structs.asdict(lock)})
    if not found:
        view.told("No locks are held.", {"type": "locks", "held": 0})
    return 0


@command.command(cls=Command, name="break", exits=(0, 1, 4, 6))
@click.argument("lock")
@click.option("--approve", is_flag=True, help="Do not ask.")
def break_(lock: str, approve: bool) -> int:
    """Break LOCK, as `s3plan lock status` names it.

    For a holder that cannot be reached: a machine that vanished. If it lives after all, it stops
    before its next write. A living process of this machine is ended instead, not robbed.
    """
    from s3plan import api
    from s3plan.views.text import visible

    view = settings().view()
    if not approve:
        answer = view.confirm(f"Break the lock {visible(lock)}? Its holder must be gone. (yes/no)")
        if answer is None:
            again = shlex.join(["s3plan", "lock", "break", lock, "--approve"])
            raise HeldError("nobody is here to ask", next_step=f"`{again}`")
        if not answer:
            view.told("Not approved: nothing was changed.", {"type": "not-approved"})
            return HELD
    api.break_lock(lock)
    view.told(f"The lock {visible(lock)} is free.", {"type": "lock-broken", "address": lock})
    return 0
