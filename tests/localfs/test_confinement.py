"""No link leads out of a tree, whenever it was planted."""

from __future__ import annotations

import shutil
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from s3plan.errors import DestinationError
from s3plan.localfs.tree import Changed, Missing, Occupied, Tree
from s3plan.model.local import FileStat


@pytest.fixture
def outside(place: Path) -> Path:
    """A directory beside the tree with one file, neither of which may ever change."""
    directory = place / "outside"
    directory.mkdir()
    (directory / "file").write_bytes(b"theirs")
    return directory


def untouched(outside: Path) -> bool:
    return [p.name for p in outside.iterdir()] == ["file"] and (
        outside / "file"
    ).read_bytes() == b"theirs"


@pytest.mark.parametrize("path", ["link/x", "link/d/x", "a/link/x"])
def test_a_link_that_was_there_before(tree: Tree, outside: Path, path: str) -> None:
    above = tree.root / path[: path.index("link")]
    above.mkdir(exist_ok=True)
    (above / "link").symlink_to(outside)
    theirs = path[: path.index("link")] + "link/file"
    with pytest.raises(Occupied):
        tree.write_new(path, b"x", 0)
    with pytest.raises(Occupied):
        tree.make_marker(path + "/")
    with pytest.raises(Missing):
        tree.open_read(theirs, drop_cache=False)
    assert tree.stat(theirs) is None
    assert not tree.is_marker(theirs.removesuffix("file"))
    with pytest.raises(Changed):
        tree.remove(theirs, FileStat(0, 0, 6, 0))
    with pytest.raises(DestinationError):
        tree.set_aside(theirs, "run")
    tree.prune_empty(theirs)
    with pytest.raises(DestinationError):
        list(tree.scan(theirs.removesuffix("/file")))
    assert untouched(outside)


def test_a_link_to_inside_is_not_followed_either(tree: Tree) -> None:
    tree.write_new("real/a", b"", 0)
    (tree.root / "link").symlink_to("real")
    with pytest.raises(Occupied):
        tree.write_new("link/b", b"", 0)
    assert tree.stat("link/a") is None


def test_a_directory_that_becomes_a_link_between_two_writes(tree: Tree, outside: Path) -> None:
    tree.write_new("d/one", b"1", 0)
    (tree.root / "d").rename(tree.root / "moved")
    (tree.root / "d").symlink_to(outside)
    with pytest.raises(Occupied):
        tree.write_new("d/two", b"2", 0)
    assert untouched(outside)
    assert [path.name for path in (tree.root / "moved").iterdir()] == ["one"]


def test_a_link_planted_between_writing_and_renaming(tree: Tree, outside: Path) -> None:
    with tree.partial("d/big", 3) as partial:
        partial.write(b"big")
        (tree.root / "d").symlink_to(outside)
        with pytest.raises(Occupied):
            partial.commit(0)
    assert untouched(outside)


def test_our_own_directory_may_not_be_a_link(place: Path, outside: Path) -> None:
    root = place / "root"
    root.mkdir()
    (root / ".s3plan").symlink_to(outside)
    with Tree.open(root, create=True) as tree, pytest.raises(Occupied):
        tree.write_new("a", b"", 0)
    assert untouched(outside)


def test_a_directory_that_flickers_while_we_write(tree: Tree, outside: Path) -> None:
    ended = threading.Event()
    flickering = tree.root / "d"

    def flicker() -> None:
        while not ended.is_set():
            with suppress(OSError):
                flickering.symlink_to(outside)
            with suppress(OSError):
                flickering.unlink()
            with suppress(OSError):
                shutil.rmtree(flickering)

    thread = threading.Thread(target=flicker)
    thread.start()
    try:
        for number in range(500):
            with suppress(DestinationError):
                tree.write_new(f"d/e/{number}", b"x", 0)
    finally:
        ended.set()
        thread.join()
    assert untouched(outside)


def test_the_root_itself_may_be_reached_through_a_link(place: Path) -> None:
    (place / "real").mkdir()
    (place / "link").symlink_to("real")
    with Tree.open(place / "link", create=True) as tree:
        tree.write_new("a", b"x", 0)
    assert (place / "real/a").read_bytes() == b"x"
