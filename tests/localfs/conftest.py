"""A tree on each filesystem there is to try, reached in each way there is."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from s3plan.localfs import kernel
from s3plan.localfs.tree import Tree

SHARED_MEMORY = Path("/dev/shm")


@pytest.fixture(params=["disk", "memory"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """An empty directory, on the filesystem of temporary files and on a memory disk."""
    if request.param == "disk":
        yield tmp_path
        return
    if not SHARED_MEMORY.is_dir():
        pytest.skip("no memory disk here")
    directory = Path(tempfile.mkdtemp(prefix="s3plan-test-", dir=SHARED_MEMORY))
    yield directory
    shutil.rmtree(directory)


@pytest.fixture(params=["openat2", "walk"])
def tree(
    request: pytest.FixtureRequest, place: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Tree]:
    """A tree at ``place/root``; beside it there is room for what must not be touched."""
    if request.param == "walk":
        monkeypatch.setattr(kernel, "has_openat2", lambda directory: False)
    with Tree.open(place / "root", create=True) as tree:
        yield tree
