"""A destination that cannot be used says why, and what to type."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from s3plan.errors import DestinationError
from s3plan.localfs import roots
from s3plan.localfs.tree import RootMissingError, Tree


def test_only_the_last_directory_is_made(tmp_path: Path) -> None:
    with Tree.open(tmp_path / "new", create=True):
        assert (tmp_path / "new").is_dir()
    with pytest.raises(DestinationError) as caught:
        Tree.open(tmp_path / "none/new", create=True)
    assert not isinstance(caught.value, RootMissingError)
    assert f"mkdir -p {tmp_path / 'none'}" in (caught.value.next_step or "")
    assert not (tmp_path / "none").exists()


def test_looking_makes_nothing(tmp_path: Path) -> None:
    with pytest.raises(RootMissingError) as caught:
        Tree.open(tmp_path / "new", create=False)
    assert caught.value.address == str(tmp_path / "new")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("create", [True, False])
def test_a_file_is_no_destination(tmp_path: Path, create: bool) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(DestinationError, match="not a directory"):
        Tree.open(tmp_path / "file", create=create)


def test_a_directory_that_may_not_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(DestinationError, match="cannot be written") as caught:
        Tree.open(tmp_path, create=True)
    assert caught.value.found == "no right to write"
    with Tree.open(tmp_path, create=False) as tree:
        assert list(tree.scan("")) == []


def test_a_disk_that_is_not_mounted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    point = tmp_path / "usb disk"
    point.mkdir()
    table = tmp_path / "fstab"
    escaped = str(point).replace(" ", "\\040")
    table.write_text(f"# comment\nUUID=1 / ext4 defaults 0 1\nUUID=2 {escaped} ext4 noauto 0 0\n")
    monkeypatch.setattr(roots, "FSTAB", table)
    with pytest.raises(DestinationError, match="not mounted") as caught:
        Tree.open(point / "backup", create=True)
    assert caught.value.next_step == f"mount {point}"
    assert list(point.iterdir()) == []

    monkeypatch.setattr(os.path, "ismount", lambda path: path == point)
    with Tree.open(point / "backup", create=True):
        pass
