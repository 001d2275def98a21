"""After a sync point everything that was written before is on disk, or the run stops."""

from __future__ import annotations

import errno
import os

import pytest

from s3plan.errors import DestinationError
from s3plan.localfs import kernel
from s3plan.localfs.syncing import SyncPoint
from s3plan.localfs.tree import Tree


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Inodes that fsync was asked for, on a filesystem whose syncfs says nothing."""
    inodes: list[int] = []
    monkeypatch.setattr(kernel, "has_trustworthy_syncfs", lambda descriptor: False)
    monkeypatch.setattr(os, "fsync", lambda fd: inodes.append(os.fstat(fd).st_ino))
    return inodes


def inode(tree: Tree, path: str) -> int:
    return (tree.root / path).stat().st_ino


def test_a_local_filesystem_of_a_recent_kernel_is_synced_at_once(
    tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    point = SyncPoint(tree)
    if point.method != "syncfs":
        pytest.skip("neither a recent Linux nor a local filesystem")
    tree.write_new("a", b"x", 0)
    point.sync()

    def fail(descriptor: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(kernel, "syncfs", fail)
    with pytest.raises(DestinationError, match="make files durable") as caught:
        point.sync()
    assert "do not trust the disk" in (caught.value.next_step or "")
    point.close()


@pytest.mark.parametrize(
    ("release", "trusted"), [("5.7.19", False), ("5.8.0-rc1", True), ("6.18.44", True)]
)
def test_before_linux_5_8_syncfs_says_nothing(
    tree: Tree, monkeypatch: pytest.MonkeyPatch, release: str, trusted: bool
) -> None:
    here = kernel.has_trustworthy_syncfs(tree.confinement.root)
    name = os.uname()
    faked = os.uname_result((name.sysname, name.nodename, release, name.version, name.machine))
    monkeypatch.setattr(os, "uname", lambda: faked)
    assert kernel.has_trustworthy_syncfs(tree.confinement.root) is (here and trusted)


def test_elsewhere_each_file_and_every_directory_above_it_is_synced(
    tree: Tree, synced: list[int]
) -> None:
    point = SyncPoint(tree)
    assert point.method == "fsync"
    tree.write_new("a/b/c", b"x", 0)
    tree.make_marker("m/")
    synced.clear()
    point.sync()
    assert set(synced) == {inode(tree, path) for path in ("a/b/c", "a/b", "a", "m", "")}
    synced.clear()
    point.sync()
    assert set(synced) == {inode(tree, "")}
    point.close()


def test_a_removed_file_has_its_directory_synced(tree: Tree, synced: list[int]) -> None:
    point = SyncPoint(tree)
    stat = tree.write_new("a/b", b"x", 0)
    tree.remove("a/b", stat)
    synced.clear()
    point.sync()
    assert set(synced) == {inode(tree, "a"), inode(tree, "")}
    point.close()


def test_what_could_not_be_synced_is_tried_again(
    tree: Tree, synced: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    point = SyncPoint(tree)
    tree.write_new("a", b"x", 0)

    def fail(descriptor: int) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as broken:
        broken.setattr(os, "fsync", fail)
        with pytest.raises(DestinationError, match="make files durable"):
            point.sync()
    synced.clear()
    point.sync()
    assert inode(tree, "a") in synced
    point.close()


def test_a_file_written_past_the_tree_can_be_noted(tree: Tree, synced: list[int]) -> None:
    point = SyncPoint(tree)
    (tree.root / "other").write_bytes(b"x")
    point.noted("other")
    point.sync()
    assert inode(tree, "other") in synced
    point.close()
