"""A tree makes, shows, moves and removes files, and replaces none."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from s3plan.errors import DestinationError
from s3plan.localfs import kernel
from s3plan.localfs.tree import Changed, Missing, Occupied, Tree
from s3plan.model.local import FileStat

SHARED_MEMORY = Path("/dev/shm")
TIME = 1_700_000_000_123_000_000


def unfinished(tree: Tree) -> list[str]:
    """Temporary files that are there now."""
    place = tree.root / ".s3plan" / "tmp"
    return [path.name for path in place.rglob("*") if path.is_file() and path.name != "lock"]


def test_a_new_file_has_its_content_its_time_and_the_stat_that_was_told(tree: Tree) -> None:
    stat = tree.write_new("a/b/c.txt", b"content", TIME)
    assert (tree.root / "a/b/c.txt").read_bytes() == b"content"
    assert (stat.size, stat.mtime_ns) == (7, TIME)
    assert tree.stat("a/b/c.txt") == stat
    assert stat.device == tree.device
    assert unfinished(tree) == []


def test_an_empty_file_and_one_at_the_top(tree: Tree) -> None:
    assert tree.write_new("empty", b"", TIME).size == 0
    assert tree.stat("empty") is not None


def test_a_name_of_255_bytes_fits_and_a_longer_one_is_refused(tree: Tree) -> None:
    tree.write_new("雪" * 85, b"x", TIME)
    with pytest.raises(DestinationError, match="too long") as caught:
        tree.write_new("x" * 256, b"x", TIME)
    assert caught.value.next_step
    assert unfinished(tree) == []


@pytest.mark.parametrize("there", ["file", "directory", "link", "dangling link"])
def test_what_is_there_is_not_replaced(tree: Tree, place: Path, there: str) -> None:
    path = tree.root / "a"
    match there:
        case "file":
            path.write_bytes(b"mine")
        case "directory":
            path.mkdir()
        case "link":
            (place / "outside").write_bytes(b"mine")
            path.symlink_to(place / "outside")
        case _:
            path.symlink_to(place / "nowhere")
    with pytest.raises(Occupied):
        tree.write_new("a", b"new", TIME)
    with tree.partial("a", 3) as partial:
        partial.write(b"new")
        with pytest.raises(Occupied):
            partial.commit(TIME)
    assert unfinished(tree) == []
    assert not (place / "nowhere").exists()
    if there in ("file", "link"):
        assert path.read_bytes() == b"mine"


def test_a_file_where_a_directory_must_be_is_left_alone(tree: Tree) -> None:
    tree.write_new("a", b"file", TIME)
    with pytest.raises(Occupied):
        tree.write_new("a/b", b"x", TIME)
    with pytest.raises(Occupied):
        tree.make_marker("a/")
    assert tree.stat("a/b") is None
    assert (tree.root / "a").read_bytes() == b"file"


@pytest.mark.parametrize("path", ["../up", "a/../../up", "/etc/x", "a//b", "./x", "", "a\0b"])
def test_a_path_that_no_key_can_have_is_refused(tree: Tree, path: str) -> None:
    with pytest.raises(DestinationError, match="not a path below"):
        tree.write_new(path, b"x", TIME)
    assert unfinished(tree) == []


@pytest.mark.parametrize("way", ["hard links", "nothing"])
def test_without_the_rename_that_never_replaces_nothing_is_replaced_either(
    tree: Tree, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    def refuse(number: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(
        "s3plan.localfs.renaming.kernel.rename_without_replacing",
        lambda *_: refuse(errno.EINVAL),
    )
    if way == "nothing":
        monkeypatch.setattr(os, "link", lambda *_, **__: refuse(errno.EPERM))
    with Tree.open(tree.root, create=False) as poor:
        poor.write_new("a/b", b"first", TIME)
        with pytest.raises(Occupied):
            poor.write_new("a/b", b"second", TIME)
        poor.write_new("a/c", b"third", TIME)
        assert unfinished(poor) == []
    assert (tree.root / "a/b").read_bytes() == b"first"
    assert (tree.root / "a/c").read_bytes() == b"third"


def test_a_large_file_has_its_name_only_when_all_of_it_is_there(tree: Tree) -> None:
    with tree.partial("big/file", 9) as partial:
        partial.write(b"wrong beginning")
        partial.restart()
        partial.write(b"abc")
        partial.write(memoryview(b"defghi"))
        assert tree.stat("big/file") is None
        stat = partial.commit(TIME)
    assert (stat.size, stat.mtime_ns) == (9, TIME)
    with tree.open_read("big/file", drop_cache=False) as file:
        assert b"".join(map(bytes, file.chunks())) == b"abcdefghi"
    assert tree.stat("big/file") == stat


def test_a_large_file_that_is_given_up_leaves_nothing(tree: Tree) -> None:
    with tree.partial("big", None) as partial:
        partial.write(b"half")
    partial.abort()
    assert tree.stat("big") is None
    assert unfinished(tree) == []


def test_a_commit_may_be_repeated_once_the_way_is_free(tree: Tree) -> None:
    tree.write_new("a", b"old", TIME)
    with tree.partial("a", 3) as partial:
        partial.write(b"new")
        with pytest.raises(Occupied):
            partial.commit(TIME)
        assert tree.set_aside("a", "run-1") == ".s3plan/set-aside/run-1/a"
        partial.commit(TIME)
    assert (tree.root / "a").read_bytes() == b"new"
    assert (tree.root / ".s3plan/set-aside/run-1/a").read_bytes() == b"old"


def test_a_disk_that_is_too_small_says_so_before_the_first_byte() -> None:
    # On a memory disk, which refuses at once: others would be filled up first.
    if not SHARED_MEMORY.is_dir():
        pytest.skip("no memory disk here")
    with (
        tempfile.TemporaryDirectory(dir=SHARED_MEMORY) as directory,
        Tree.open(directory, create=True) as tree,
    ):
        with pytest.raises(DestinationError, match="cannot reserve") as caught:
            tree.partial("big", 1 << 50)
        assert "make room" in (caught.value.next_step or "")
        assert unfinished(tree) == []


def test_a_write_that_fails_leaves_nothing_and_says_what_to_do(
    tree: Tree, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as broken:
        broken.setattr(os, "write", full)
        with pytest.raises(DestinationError, match="No space left") as caught:
            tree.write_new("a", b"x", TIME)
    assert "make room" in (caught.value.next_step or "")
    assert tree.stat("a") is None
    assert unfinished(tree) == []


def test_markers_are_directories(tree: Tree) -> None:
    stat = tree.make_marker("a/b/")
    assert stat.size == 0
    assert tree.make_marker("a/b/") == stat
    assert tree.is_marker("a/b/")
    assert tree.is_marker("a/")
    assert not tree.is_marker("a")
    tree.write_new("file", b"", TIME)
    assert not tree.is_marker("file/")
    assert not tree.is_marker("none/")


def test_a_file_is_removed_only_as_it_was_left(tree: Tree) -> None:
    stat = tree.write_new("a/b", b"content", TIME)
    os.utime(tree.root / "a/b", ns=(TIME, TIME + 1))
    with pytest.raises(Changed) as caught:
        tree.remove("a/b", stat)
    assert caught.value.actual is not None
    assert caught.value.actual.mtime_ns == TIME + 1
    os.utime(tree.root / "a/b", ns=(TIME, TIME))
    tree.remove("a/b", stat)
    assert tree.stat("a/b") is None
    assert tree.is_marker("a/")
    with pytest.raises(Changed) as caught:
        tree.remove("a/b", stat)
    assert caught.value.actual is None


def test_pruning_stops_at_the_first_directory_that_is_not_empty(tree: Tree) -> None:
    stat = tree.write_new("a/b/c/file", b"", TIME)
    tree.write_new("a/other", b"", TIME)
    tree.prune_empty("a/b/c/file")
    assert tree.is_marker("a/b/c/")
    tree.remove("a/b/c/file", stat)
    tree.prune_empty("a/b/c/file")
    assert not tree.is_marker("a/b/")
    assert tree.is_marker("a/")
    tree.make_marker("m/n/")
    tree.prune_empty("m/n/")
    tree.prune_empty("top")
    assert not tree.is_marker("m/")
    assert tree.root.is_dir()


def test_setting_aside_overwrites_nothing_and_needs_something(tree: Tree) -> None:
    for _ in range(2):
        if tree.stat("d/a") is None:
            tree.write_new("d/a", b"", TIME)
    tree.set_aside("d/a", "run")
    tree.write_new("d/a", b"2", TIME)
    with pytest.raises(Occupied):
        tree.set_aside("d/a", "run")
    with pytest.raises(Missing):
        tree.set_aside("d/none", "run")


def test_reading_tells_the_stat_of_what_is_read(tree: Tree) -> None:
    content = os.urandom(3 << 20)
    stat = tree.write_new("a", content, TIME)
    with tree.open_read("a", drop_cache=True) as file:
        assert file.stat == stat
        chunks = [bytes(chunk) for chunk in file.chunks()]
    assert b"".join(chunks) == content
    assert max(map(len, chunks)) <= 1 << 20


def test_a_file_that_grew_after_it_was_opened_is_read_to_its_end(tree: Tree) -> None:
    tree.write_new("a", b"ab", TIME)
    with tree.open_read("a", drop_cache=False) as file:
        (tree.root / "a").write_bytes(b"abcdef")
        assert b"".join(map(bytes, file.chunks())) == b"abcdef"


@pytest.mark.parametrize("there", ["nothing", "link", "directory", "pipe", "file above"])
def test_only_a_regular_file_is_read(tree: Tree, place: Path, there: str) -> None:
    path = tree.root / "a"
    name = "a"
    match there:
        case "link":
            (place / "outside").write_bytes(b"secret")
            path.symlink_to(place / "outside")
        case "directory":
            path.mkdir()
        case "pipe":
            os.mkfifo(path)
        case "file above":
            path.write_bytes(b"")
            name = "a/b"
        case _:
            pass
    with pytest.raises(Missing):
        tree.open_read(name, drop_cache=False)
    with pytest.raises(FileNotFoundError):
        tree.open_read(name, drop_cache=False)


def test_space_is_what_a_user_may_fill(tree: Tree) -> None:
    space = tree.space()
    assert space.bytes > 0
    assert space.inodes is None or space.inodes > 0


def test_every_change_is_told(tree: Tree) -> None:
    told: list[str] = []
    tree.on_written(told.append)
    stat = tree.write_new("a/b", b"", TIME)
    tree.make_marker("m/")
    with tree.partial("p", 0) as partial:
        partial.commit(TIME)
    tree.remove("a/b", stat)
    tree.prune_empty("a/b")
    tree.set_aside("p", "run")
    assert told == ["a/b", "m/", "p", "a/b", "", ".s3plan/set-aside/run/p", "p"]


WRITER = """
import os, signal, sys
from s3plan.localfs.tree import Tree
tree = Tree.open(sys.argv[1], create=False)
tree.write_new("done", b"done", 0)
partial = tree.partial("half", 100)
partial.write(b"half")
print("ready", flush=True)
signal.pause()
"""


@pytest.fixture
def writer(tree: Tree) -> Iterator[subprocess.Popen[str]]:
    """Another process that is in the middle of a file."""
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tree.root)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield process
        process.kill()


def test_what_a_killed_process_left_is_removed_and_nothing_else(
    tree: Tree, writer: subprocess.Popen[str]
) -> None:
    with tree.partial("mine", None) as mine:
        mine.write(b"mine")
        assert tree.clean_temporary() == 0
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        assert len(unfinished(tree)) == 2
        assert tree.clean_temporary() == 1
        mine.commit(TIME)
    assert sorted(path.name for path in tree.root.iterdir()) == [".s3plan", "done", "mine"]
    assert tree.clean_temporary() == 0


def test_closing_leaves_no_temporary_directory(place: Path) -> None:
    with Tree.open(place / "root", create=True) as tree:
        assert tree.clean_temporary() == 0
        tree.write_new("a", b"", TIME)
    assert list((place / "root/.s3plan/tmp").iterdir()) == []


def test_threads_share_a_tree(tree: Tree) -> None:
    stats: dict[str, FileStat] = {}
    taken: list[str] = []

    def write(first: int) -> None:
        for number in range(200):
            for path in (f"d{number % 7}/own-{first}-{number}", f"d{number % 7}/both-{number}"):
                try:
                    stats[path] = tree.write_new(path, path.encode(), TIME)
                except Occupied:
                    taken.append(path)

    threads = [threading.Thread(target=write, args=(first,)) for first in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(taken) == 200
    assert len(stats) == 600
    assert all(tree.stat(path) == stat for path, stat in stats.items())


def test_the_kernel_here_is_not_silently_the_slow_way(place: Path) -> None:
    if sys.platform != "linux":
        pytest.skip("openat2 is Linux's")
    descriptor = os.open(place, os.O_RDONLY)
    try:
        assert kernel.has_openat2(descriptor)
    finally:
        os.close(descriptor)
