"""Evidence and catalogues that were changed: never a deletion on what was not verified."""

from __future__ import annotations

import json
import os
from collections.abc import Callable

import pytest

from tests.tamper.conftest import Desk
from tests.tamper.forge import Record, edit_log, flip


def _evidence(desk: Desk) -> list[Record]:
    (path,) = (desk.run.folder / "evidence").glob("*.jsonl")
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def _forge_evidence(desk: Desk, edit: Callable[[list[Record]], None]) -> None:
    (path,) = (desk.run.folder / "evidence").glob("*.jsonl")
    made = _evidence(desk)
    edit(made)
    path.write_text("".join(json.dumps(r, separators=(",", ":")) + "\n" for r in made))


def _another_file(desk: Desk) -> Record:
    """Change a verified copy, size and time kept, and return its stat."""
    path = min(p for p in desk.scene.copies.rglob("*") if p.is_file())
    stat = path.stat()
    path.write_bytes(b"X" * stat.st_size)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns + 10**9))
    found = path.stat()
    return {
        "device": found.st_dev,
        "inode": found.st_ino,
        "size": found.st_size,
        "mtime_ns": found.st_mtime_ns,
    }


def test_evidence_forged_to_vouch_for_a_changed_file_deletes_nothing(desk: Desk) -> None:
    """The digest that people approve holds no inodes and times: the journal covers them."""
    stat = _another_file(desk)
    _forge_evidence(desk, lambda made: made[0].update(file=stat))
    said = desk.s3plan("apply", "--approve", "--approve-delete", desk.approval)
    # Its being asked for anew is not a deletion either: the fixture compares every object.
    assert said.code in {3, 4}, said


@pytest.mark.parametrize(
    "edit",
    [
        lambda made: made[0].update(verdict="unverifiable"),
        lambda made: made[0].update(n=made[1]["n"]),
        lambda made: made.pop(),
        lambda made: made.append(made[-1]),
        lambda made: made[0].update(key="another"),
        lambda made: made.clear(),
    ],
)
def test_changed_evidence_is_made_anew(desk: Desk, edit: Callable[[list[Record]], None]) -> None:
    """A32: without its figures and the digest of what was verified nothing is deleted."""
    before = _evidence(desk)
    _forge_evidence(desk, edit)
    said = desk.s3plan("apply", "--approve")
    assert said.code == 4, said
    assert _evidence(desk) == before, "verified again, with the same findings"


@pytest.mark.long
def test_no_flipped_bit_of_the_evidence_deletes_anything_by_itself(desk: Desk) -> None:
    (path,) = (desk.run.folder / "evidence").glob("*.jsonl")
    before = _evidence(desk)
    for offset in range(0, path.stat().st_size, 101):
        flip(path, offset, offset % 8)
        said = desk.s3plan("apply", "--approve")
        assert said.code == 4, (offset, said)
        assert _evidence(desk) == before


def test_a_flipped_bit_in_the_catalogue_is_refused_naming_the_line(desk: Desk) -> None:
    lines = desk.catalogue.read_bytes().splitlines(keepends=True)
    flip(desk.catalogue, len(lines[0]) + len(lines[1]) // 2)
    for command in (
        ["plan", "manifest.yaml", "--out", "again.json"],
        ["apply", "--approve", "--approve-delete", desk.approval],
    ):
        said = desk.s3plan(*command)
        assert said.code in {1, 3}, said
        assert "line 2 of the catalogue is damaged" in said.err, said.err
        assert f"{desk.scene.bucket}.jsonl:2" in said.err


def test_a_torn_last_line_of_the_catalogue_is_dropped(desk: Desk) -> None:
    with desk.catalogue.open("ab") as stream:
        stream.write(b'{"seq":99,"type":"obj')
    assert desk.s3plan("plan", "manifest.yaml", "--out", "again.json").code == 0


@pytest.mark.parametrize(
    ("edit", "told"),
    [
        (lambda made: made[0].update(endpoint="http://elsewhere"), "from another S3"),
        (lambda made: made[0].update(account="999999999999"), "from another S3"),
        (lambda made: made[0].update(format="s3plan.catalogue/2"), "s3plan.catalogue/2"),
        (lambda made: made[1].update(type="hologram"), "hologram"),
        (lambda made: made[1].update(size=-1), "size"),
        (lambda made: made[1].update(size=10**30), "size"),
        (lambda made: made[1]["file"].update(inode=2**70), "64 bits"),
        (lambda made: made[1]["file"].update(mtime_ns=2**70), "mtime_ns"),
        (lambda made: made.insert(2, made[0]), "second header"),
    ],
)
def test_a_forged_catalogue_is_refused(
    desk: Desk, edit: Callable[[list[Record]], None], told: str
) -> None:
    edit_log(desk.catalogue, edit)
    said = desk.s3plan("plan", "manifest.yaml", "--out", "again.json")
    assert said.code == 1, said
    assert told in said.err, said.err


@pytest.mark.parametrize("path", ["../../../etc/passwd", "/etc/passwd", "a\0b", "", "x/"])
def test_a_path_in_the_catalogue_leads_nowhere_else(desk: Desk, path: str) -> None:
    edit_log(desk.catalogue, lambda made: made[1].update(path=path))
    said = desk.s3plan("apply", "--approve", "--approve-delete", desk.approval)
    assert said.code in {1, 3, 4}, said
    assert "root:" not in said.out + said.err
