"""A scan shows every file, of whatever kind, and follows nothing."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from s3plan.errors import DestinationError
from s3plan.localfs.tree import Tree


def sizes(tree: Tree, root: str = "") -> dict[str, int]:
    return {file.path: file.stat.size for file in tree.scan(root)}


def test_files_with_their_stat_and_directories_without_entries(tree: Tree) -> None:
    stat = tree.write_new("a/b/雪", b"123", 5)
    tree.make_marker("a/empty/")
    tree.make_marker("m/n/")
    found = {file.path: file.stat for file in tree.scan("")}
    assert found["a/b/雪"] == stat
    assert sizes(tree) == {"a/b/雪": 3, "a/empty/": 0, "m/n/": 0}


def test_a_part_of_the_tree(tree: Tree) -> None:
    tree.write_new("bucket/a", b"1", 0)
    tree.write_new("bucket2/a", b"2", 0)
    assert sizes(tree, "bucket") == {"bucket/a": 1}
    assert sizes(tree, "none") == {}


def test_only_our_own_directory_at_the_top_is_left_out(tree: Tree) -> None:
    tree.write_new("a/.s3plan/x", b"", 0)
    assert (tree.root / ".s3plan").is_dir()
    (tree.root / ".S3PLAN").write_bytes(b"theirs")
    assert sizes(tree) == {"a/.s3plan/x": 0, ".S3PLAN": 6}


def test_what_is_no_regular_file_has_no_size(tree: Tree, place: Path) -> None:
    (place / "outside").mkdir()
    (place / "outside/file").write_bytes(b"secret")
    (tree.root / "link").symlink_to(place / "outside")
    (tree.root / "dangling").symlink_to("nowhere")
    os.mkfifo(tree.root / "pipe")
    with socket.socket(socket.AF_UNIX) as unix:
        unix.bind(str(tree.root / "socket"))
    assert sizes(tree) == {"link": -1, "dangling": -1, "pipe": -1, "socket": -1}
    for path in sizes(tree):
        stat = tree.stat(path)
        assert stat is not None
        assert stat.size == -1


def test_a_name_that_is_no_utf8_is_shown_and_harms_nothing(tree: Tree) -> None:
    directory = tree.root / os.fsdecode(b"d\xff")
    directory.mkdir()
    (directory / os.fsdecode(b"\xfe")).write_bytes(b"x")
    found = sizes(tree)
    assert found == {"d\\xff/\\xfe": 1}
    assert all(path.encode() for path in found)


def test_a_directory_that_cannot_be_read_fails_the_scan(tree: Tree) -> None:
    if os.geteuid() == 0:
        pytest.skip("root reads everything")
    tree.write_new("closed/a", b"", 0)
    (tree.root / "closed").chmod(0)
    try:
        with pytest.raises(DestinationError, match="cannot read"):
            list(tree.scan(""))
    finally:
        (tree.root / "closed").chmod(0o755)


def test_an_error_of_the_disk_fails_the_scan(tree: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    tree.write_new("a/b", b"", 0)

    def fail(descriptor: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "scandir", fail)
    with pytest.raises(DestinationError, match="Input/output error"):
        list(tree.scan(""))
