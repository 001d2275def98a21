"""The verb ``extract`` against a real server, and what removes the files again."""

from __future__ import annotations

import os
import random
from typing import Any

import pytest
from msgspec.structs import replace

from s3plan.engine.archiving import sending
from s3plan.model.archives import Compression
from s3plan.rules.archiveindex import read_index, write_index
from s3plan.store import Bucket
from tests.engine.archiving import TIME, plan_archives, plan_extracts, session
from tests.engine.scene import Scene

MIB = 1 << 20
FILES = {
    "a.fits": random.Random(1).randbytes(3 * MIB + 17),
    "b/c.fits": random.Random(2).randbytes(9 * MIB),
    "b/ä ö.txt": b"notes",
    "empty": b"",
}
NIGHT = "night"
KEY, INDEX = "raw/night.tar", "raw/night.tar.index.jsonl"
MS = TIME // 10**6 * 10**6


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "PART", 5 * MIB)
    monkeypatch.setattr(sending, "PACKED_PART", 6 * MIB)


@pytest.fixture
def archived(scene: Scene) -> Scene:
    """A session that is archived, and is to be extracted into ``here``."""
    session(scene, NIGHT, FILES)
    plan_archives(scene, [NIGHT])
    assert scene.apply().exit_code == 0
    plan_extracts(scene, [KEY])
    return scene


def extracted(scene: Scene) -> dict[str, bytes]:
    root = scene.here / NIGHT
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}


def rollback(scene: Scene) -> int:
    finished = scene.rollback()
    assert finished is not None
    return finished.exit_code


def test_members_become_files_as_they_were_and_go_again(archived: Scene) -> None:
    """D44: with their content and times, and nothing left after a rollback."""
    finished = archived.apply()
    assert (finished.exit_code, finished.done) == (0, len(FILES)), archived.problems()
    assert extracted(archived) == FILES
    assert (archived.here / NIGHT / "a.fits").stat().st_mtime_ns == MS
    assert rollback(archived) == 0
    assert [path.name for path in archived.here.iterdir()] == [".s3plan"]


@pytest.mark.parametrize("compression", ["zstd", pytest.param("gzip", marks=pytest.mark.long)])
def test_members_of_a_compressed_archive_are_read_out_of_their_frames(
    scene: Scene, compression: Compression
) -> None:
    """D2: one member needs the frames that it is in, not the archive."""
    session(scene, NIGHT, FILES)
    plan_archives(scene, [NIGHT], compression=compression)
    assert scene.apply().exit_code == 0, scene.problems()
    plan_extracts(scene, [KEY])
    assert scene.apply().exit_code == 0, scene.problems()
    assert extracted(scene) == FILES


def test_only_the_ranges_of_what_is_wanted_are_read(
    archived: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """D44: one file of a warm archive, without the rest of it."""
    asked: list[int] = []
    get_range = Bucket.get_range

    async def spy(self: Bucket, key: str, sink: Any, first: int, end: int, **more: Any) -> None:
        asked.append(end - first)
        await get_range(self, key, sink, first, end, **more)

    monkeypatch.setattr(Bucket, "get_range", spy)
    index = read_index(stored(archived, INDEX))
    (wanted,) = [m for m in index.members if m.name == "night/b/ä ö.txt"]
    one = {
        "n": [0], "key": [wanted.name], "path": [wanted.name], "size": [wanted.size],
        "etag": [""], "modified": [wanted.modified], "storage_class": ["STANDARD"],
    }  # fmt: skip
    plan_extracts(archived, [KEY], **one)
    assert archived.apply().exit_code == 0, archived.problems()
    assert extracted(archived) == {"b/ä ö.txt": b"notes"}
    assert asked == [5]


def test_a_file_that_is_there_with_the_content_is_adopted_and_never_removed(
    archived: Scene,
) -> None:
    """D44: present files are compared."""
    path = archived.here / NIGHT / "a.fits"
    path.parent.mkdir(parents=True)
    path.write_bytes(FILES["a.fits"])
    assert archived.apply().exit_code == 0, archived.problems()
    assert extracted(archived) == FILES
    assert rollback(archived) == 0
    assert extracted(archived) == {"a.fits": FILES["a.fits"]}


def test_a_file_that_is_there_with_other_content_is_left_alone(archived: Scene) -> None:
    """Invariant 3."""
    path = archived.here / NIGHT / "a.fits"
    path.parent.mkdir(parents=True)
    path.write_bytes(bytes(len(FILES["a.fits"])))
    assert archived.apply().exit_code == 3
    assert [(p.path, p.reason) for p in archived.problems()] == [("night/a.fits", "occupied")]
    assert extracted(archived) == FILES | {"a.fits": bytes(len(FILES["a.fits"]))}
    assert rollback(archived) == 0
    assert set(extracted(archived)) == {"a.fits"}


def test_a_link_in_the_destination_is_not_followed(archived: Scene) -> None:
    """Invariant 6: CVE-2025-4517 and its kin need a link to walk through."""
    outside = archived.directory / "outside"
    outside.mkdir()
    archived.here.mkdir()
    (archived.here / NIGHT).symlink_to(outside)
    assert archived.apply().exit_code == 3
    assert {p.reason for p in archived.problems()} == {"occupied"}
    assert list(outside.iterdir()) == []


@pytest.mark.parametrize(
    "what",
    [
        "archive",
        *[pytest.param(w, marks=pytest.mark.long) for w in ("index", "no index", "no archive")],
    ],
)
def test_what_is_not_what_was_planned_with_is_not_read(archived: Scene, what: str) -> None:
    """Decision 1: the plan is data."""
    match what:
        case "archive":
            archived.put(KEY, b"other")
        case "index":
            index = read_index(stored(archived, INDEX))
            later = replace(index.header, made="2027-01-01T00:00:00.000Z")
            archived.put(INDEX, write_index(later, index.members))
        case "no index":
            archived.delete(INDEX)
        case _:
            archived.delete(KEY)
    assert archived.apply().exit_code == 3
    assert {(p.outcome, p.reason) for p in archived.problems()} == {("drifted", "source-changed")}
    assert not (archived.here / NIGHT).exists()


def test_content_that_is_not_what_the_index_says_never_gets_a_name(
    archived: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Invariant 2: a server or a disk may have changed it, under an ETag that is the same."""
    get_range = Bucket.get_range

    async def other(self: Bucket, key: str, sink: Any, first: int, end: int, **more: Any) -> None:
        shift = 512 if end - first == len(FILES["a.fits"]) else 0
        of = more["of"]
        await get_range(self, key, sink, first + shift, end + shift, of=of)

    monkeypatch.setattr(Bucket, "get_range", other)
    assert archived.apply().exit_code == 3
    assert [(p.path, p.outcome) for p in archived.problems()] == [("night/a.fits", "mismatched")]
    assert set(extracted(archived)) == set(FILES) - {"a.fits"}


def test_files_are_kept_where_the_archive_is_gone(archived: Scene) -> None:
    """Invariant 5."""
    assert archived.apply().exit_code == 0
    archived.delete(KEY)
    assert rollback(archived) == 7
    assert extracted(archived) == FILES


def test_a_file_that_was_changed_is_kept(archived: Scene) -> None:
    """Invariant 5: also where its size and time are the same."""
    assert archived.apply().exit_code == 0
    path = archived.here / NIGHT / "a.fits"
    path.write_bytes(bytes(len(FILES["a.fits"])))
    os.utime(path, ns=(MS, MS))
    assert rollback(archived) == 7
    assert set(extracted(archived)) == {"a.fits"}


def stored(scene: Scene, key: str) -> bytes:
    body: bytes = scene.s3.get_object(Bucket=scene.bucket, Key=key)["Body"].read()
    return body
