"""A lock has one holder, says who, and is free once the holder is gone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from s3plan.errors import DestinationError, LockedError
from s3plan.localfs.locks import Holder, hold, hold_in, holder_of
from s3plan.localfs.tree import Tree

ME = Holder(host="here", pid=4711, since="2026-11-20T04:00:00.000Z", journal="run/journal.json")

HOLDER = """
import signal, sys
from s3plan.localfs.locks import Holder, hold
with hold(sys.argv[1], Holder("there", 42, "2026-11-20T04:00:00.000Z", "other.json")):
    print("ready", flush=True)
    signal.pause()
"""


def test_a_second_holder_is_told_who_the_first_is(place: Path) -> None:
    lock = place / "state/lock"
    with hold(lock, ME):
        with pytest.raises(LockedError) as caught, hold(lock, ME):
            pass
        assert holder_of(lock) == ME
    assert caught.value.exit_code == 6
    assert "4711" in (caught.value.found or "")
    assert "run/journal.json" in (caught.value.found or "")


def test_a_lock_that_was_let_go_can_be_taken(place: Path) -> None:
    lock = place / "lock"
    assert holder_of(lock) is None
    with pytest.raises(ValueError, match="inside"), hold(lock, ME):
        raise ValueError("inside")
    assert holder_of(lock) is None
    with hold(lock, ME):
        assert holder_of(lock) == ME


def test_a_killed_holder_holds_nothing(place: Path) -> None:
    lock = place / "lock"
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(lock)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        other = holder_of(lock)
        assert other is not None
        assert (other.host, other.pid) == ("there", 42)
        with pytest.raises(LockedError, match="another run"), hold(lock, ME):
            pass
        process.kill()
    assert holder_of(lock) is None
    with hold(lock, ME):
        assert holder_of(lock) == ME


def test_a_lock_that_cannot_be_made_says_so(place: Path) -> None:
    (place / "link").symlink_to(place / "elsewhere")
    with pytest.raises(DestinationError, match="lock cannot be taken"), hold(place / "link", ME):
        pass
    assert not (place / "elsewhere").exists()


def test_a_lock_in_a_tree_is_the_same_lock_and_follows_no_link(tree: Tree, place: Path) -> None:
    lock = tree.root / ".s3plan/lock"
    with hold_in(tree, ".s3plan/lock", ME):
        assert holder_of(lock) == ME
        with pytest.raises(LockedError), hold(lock, ME):
            pass
    outside = place / "outside"
    outside.mkdir()
    (tree.root / ".s3plan").rename(tree.root / "moved")
    (tree.root / ".s3plan").symlink_to(outside)
    with (
        pytest.raises(DestinationError, match="lock cannot be taken"),
        hold_in(tree, ".s3plan/lock", ME),
    ):
        pass
    assert list(outside.iterdir()) == []
