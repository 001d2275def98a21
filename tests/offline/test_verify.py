"""`s3plan verify`: evacuated files read again, years later, without S3."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from s3plan import api
from s3plan.errors import CatalogueError, DestinationError, UsageError
from s3plan.model.events import AnyEvent, Progressed, StepBegan
from s3plan.model.local import CatalogueBucket, CatalogueRemoved
from s3plan.model.verification import TreeProblem, TreeVerified
from s3plan.rules.systemfiles import SYSTEM_FILES
from tests.offline.evacuated import RUN, append, evacuate, rot

PHOTOS = {
    "2019/a.jpg": b"a" * 5000,
    "2019/b c.jpg": b"",
    "..": b"dots",
    "x//y": b"slashes",
    "2019/": b"",
    "wide \U0001f600": b"wide",
}


@pytest.fixture
def destination(tmp_path: Path) -> Path:
    """Two buckets, one with hostile keys."""
    evacuate(tmp_path / "archive", "photos", PHOTOS)
    evacuate(tmp_path / "archive", "logs", {"2020/log": b"log", "%2F": b"percent"}, algorithm="MD5")
    return tmp_path / "archive"


def faults(verified: TreeVerified) -> list[tuple[str, str, str]]:
    return [(problem.fault, problem.bucket, problem.path) for problem in verified.problems]


def test_every_file_is_read_and_counted_by_the_names_of_the_replaced_tool(
    destination: Path,
) -> None:
    """Requirement A28: the metrics of the replaced migrator under their names; A29."""
    events: list[AnyEvent] = []
    verified = api.verify(destination, observer=events.append)
    assert verified.passes
    logs, photos = verified.buckets
    assert (logs.bucket, photos.bucket) == ("logs", "photos")
    assert photos.file_count == photos.local_file_count == len(PHOTOS)
    assert photos.size_verified_count == photos.checksum_verified_count == len(PHOTOS)
    assert photos.verified_file_count == len(PHOTOS)
    assert photos.total_size == photos.total_bytes_verified == sum(map(len, PHOTOS.values()))
    assert (photos.size_only_count, photos.extra, photos.missing, photos.mismatched) == (0,) * 4
    assert photos.account == "123456789012"
    # Progress: everything that began was accounted for.
    began = sum(event.totals.items for event in events if isinstance(event, StepBegan))
    done = sum(event.items for event in events if isinstance(event, Progressed))
    assert began == done == len(PHOTOS) + 2


def test_missing_extra_rotten_cut_and_replaced_files_are_each_named(destination: Path) -> None:
    """Requirements A29 and A38: exactly the recorded keys, and a problem names its key."""
    (destination / "photos/2019/b c.jpg").unlink()
    rot(destination / "photos/2019/a.jpg")
    (destination / "photos/%2E%2E").write_bytes(b"do")
    (destination / "photos/stranger").write_bytes(b"")
    (destination / "photos/x/%2F/y").unlink()
    (destination / "photos/x/%2F/y").symlink_to("/etc/hostname")
    verified = api.verify(destination)
    assert faults(verified) == [
        ("mismatched", "photos", "photos/%2E%2E"),
        ("mismatched", "photos", "photos/2019/a.jpg"),
        ("missing", "photos", "photos/2019/b c.jpg"),
        ("missing", "photos", "photos/x/%2F/y"),
        ("extra", "photos", "photos/stranger"),
    ]
    cut, rotten, gone, link, extra = verified.problems
    assert (cut.key, cut.expected, cut.found) == ("..", "4 bytes", "2 bytes")
    assert rotten.key == "2019/a.jpg"
    assert rotten.expected.startswith("CRC64NVME ")
    assert rotten.found.startswith("CRC64NVME ")
    assert rotten.expected != rotten.found
    assert gone.found == "nothing"
    assert "link" in link.found
    assert extra.key == ""
    photos = verified.buckets[1]
    assert (photos.missing, photos.mismatched, photos.extra) == (2, 2, 1)
    assert photos.local_file_count == len(PHOTOS) - 2
    assert photos.size_verified_count == len(PHOTOS) - 3
    assert photos.verified_file_count == photos.checksum_verified_count == len(PHOTOS) - 4


def test_a_folder_marker_that_is_gone_is_missing(destination: Path) -> None:
    evacuate(destination, "markers", {"empty/": b""})
    assert api.verify(destination).passes
    (destination / "markers/empty").rmdir()
    assert faults(api.verify(destination)) == [("missing", "markers", "markers/empty/")]


@pytest.mark.parametrize("stored", ["CRC64NVME", "CRC32C", "CRC32", "SHA256", "SHA1"])
def test_every_digest_that_was_recorded_is_computed_again(tmp_path: Path, stored: str) -> None:
    """A row holds the download's own digest and what S3 stored; one that differs is a mismatch."""
    evacuate(tmp_path, "b", {"k": b"content"}, algorithm="MD5", stored=(stored,))  # type: ignore[arg-type]
    assert api.verify(tmp_path).passes
    catalogue = tmp_path / ".s3plan/catalogue/b.jsonl"
    text = catalogue.read_text()
    assert f'"algorithm":"{stored}"' in text
    # The same file, and a row that remembers another checksum of S3's.
    shutil.rmtree(tmp_path / ".s3plan")
    shutil.rmtree(tmp_path / "b")
    evacuate(tmp_path, "b", {"k": b"another"}, algorithm="MD5", stored=(stored,))  # type: ignore[arg-type]
    (tmp_path / "b/k").write_bytes(b"content")
    [problem] = api.verify(tmp_path).problems
    assert problem.fault == "mismatched"


def test_system_files_do_not_count_unless_they_are_keys(tmp_path: Path) -> None:
    """Requirement A30."""
    evacuate(tmp_path, "b", {"d/.DS_Store": b"an object", "d/k": b"k", "._x": b"another"})
    for name in ("Thumbs.db", "desktop.ini", "._k", ".DS_Store", "d/._anything"):
        (tmp_path / "b" / name).write_bytes(b"system")
    for folder in (".Spotlight-V100", ".TemporaryItems", ".Trashes"):
        (tmp_path / "b" / folder / "deep").mkdir(parents=True)
        (tmp_path / "b" / folder / "deep/file").write_bytes(b"system")
    assert len(SYSTEM_FILES) == 7
    assert api.verify(tmp_path).passes
    (tmp_path / "b/not.DS_Store").write_bytes(b"")
    assert faults(api.verify(tmp_path)) == [("extra", "b", "b/not.DS_Store")]
    (tmp_path / "b/not.DS_Store").unlink()
    rot(tmp_path / "b/d/.DS_Store")
    (tmp_path / "b/._x").unlink()
    assert faults(api.verify(tmp_path)) == [
        ("missing", "b", "b/._x"),
        ("mismatched", "b", "b/d/.DS_Store"),
    ]


def test_a_bucket_without_a_directory_of_its_own_owns_the_destination(tmp_path: Path) -> None:
    evacuate(tmp_path, "b", {"a/k": b"k"}, root="")
    assert api.verify(tmp_path).passes
    (tmp_path / "stray").write_bytes(b"")
    assert faults(api.verify(tmp_path)) == [("extra", "b", "stray")]


def test_files_beside_the_buckets_belong_to_somebody_else(destination: Path) -> None:
    (destination / "README").write_text("hello")
    (destination / "other").mkdir()
    (destination / "other/file").write_text("hello")
    assert api.verify(destination).passes


def test_the_directory_is_known_where_every_key_is_encoded(tmp_path: Path) -> None:
    evacuate(tmp_path, "b", {"..": b"1", "x//y": b"2"})
    (tmp_path / "b/stray").write_bytes(b"")
    assert faults(api.verify(tmp_path)) == [("extra", "b", "b/stray")]


def test_what_a_rollback_removed_is_not_missing(destination: Path) -> None:
    (destination / "photos/2019/a.jpg").unlink()
    append(destination, "photos", [CatalogueRemoved(key="2019/a.jpg", run=RUN)])
    verified = api.verify(destination)
    assert verified.passes
    assert verified.buckets[1].file_count == len(PHOTOS) - 1


def test_only_copies_are_counted_as_retained(destination: Path) -> None:
    append(destination, "photos", [CatalogueBucket("deleted", RUN, "2026-11-20T05:00:00.000Z")])
    logs, photos = api.verify(destination).buckets
    assert (logs.state, logs.retained) == ("", 0)
    assert (photos.state, photos.retained) == ("deleted", len(PHOTOS))


def test_content_that_s3_stored_no_checksum_of_is_told_apart(tmp_path: Path) -> None:
    """Requirement A28: `size_only_count`. That it is as downloaded is all there is to say."""
    evacuate(tmp_path, "b", {"k": b"content"}, verdict="unverifiable")
    verified = api.verify(tmp_path)
    [b] = verified.buckets
    assert verified.passes
    assert (b.size_only_count, b.checksum_verified_count, b.verified_file_count) == (1, 0, 1)
    rot(tmp_path / "b/k")
    assert not api.verify(tmp_path).passes


def test_many_problems_are_all_in_the_report_and_the_first_in_the_result(tmp_path: Path) -> None:
    """Requirement A75: ten on the screen, all in the report."""
    evacuate(tmp_path / "d", "b", {f"k{n:03}": b"content" for n in range(300)})
    for number in range(0, 300, 2):
        (tmp_path / f"d/b/k{number:03}").unlink()
    report = tmp_path / "report.jsonl"
    report.write_text("an older report")
    verified = api.verify(tmp_path / "d", report=report)
    assert verified.problem_count == 150
    assert len(verified.problems) == 10
    *problems, last = [json.loads(line) for line in report.read_text().splitlines()]
    assert [problem["key"] for problem in problems] == [f"k{n:03}" for n in range(0, 300, 2)]
    assert {problem["type"] for problem in problems} == {"tree-problem"}
    assert last["type"] == "tree-verified"
    assert last["buckets"][0]["missing"] == last["problem_count"] == 150
    assert len(api.verify(tmp_path / "d", most_problems=3).problems) == 3


def test_a_report_appears_whole_or_not_at_all(destination: Path, tmp_path: Path) -> None:
    report = tmp_path / "report.jsonl"
    catalogue = destination / ".s3plan/catalogue/photos.jsonl"
    catalogue.write_bytes(catalogue.read_bytes().replace(b"2019", b"2018", 1))
    with pytest.raises(CatalogueError):
        api.verify(destination, report=report)
    assert list(tmp_path.iterdir()) == [destination]


def test_a_damaged_catalogue_is_one_error_that_names_the_line(destination: Path) -> None:
    catalogue = destination / ".s3plan/catalogue/photos.jsonl"
    lines = catalogue.read_bytes().splitlines(keepends=True)
    lines[2] = lines[2].replace(b"verified", b"veriphied")
    catalogue.write_bytes(b"".join(lines))
    problems: list[AnyEvent] = []
    with pytest.raises(CatalogueError) as caught:
        api.verify(destination, observer=problems.append)
    assert "photos.jsonl:3" in str(caught.value)
    assert not [event for event in problems if isinstance(event, TreeProblem)]


def test_a_torn_last_line_is_no_damage(destination: Path) -> None:
    """A process was killed while it wrote: what it had not said, nobody relies on."""
    catalogue = destination / ".s3plan/catalogue/photos.jsonl"
    with catalogue.open("ab") as file:
        file.write(b'{"seq":8,"type":"obj')
    assert api.verify(destination).passes


def test_a_directory_without_a_catalogue_says_where_there_is_one(destination: Path) -> None:
    with pytest.raises(DestinationError) as caught:
        api.verify(destination / "photos/2019")
    assert str(destination) in (caught.value.next_step or "")
    with pytest.raises(DestinationError):
        api.verify(destination.parent)


def test_buckets_can_be_chosen(destination: Path) -> None:
    rot(destination / "photos/2019/a.jpg")
    assert api.verify(destination, only=["bucket=lo*"]).passes
    assert api.verify(destination, exclude=["bucket=photos"]).passes
    assert not api.verify(destination, only=["bucket=photos"]).passes
    with pytest.raises(UsageError, match="no bucket is left"):
        api.verify(destination, only=["bucket=nothing"])


def test_a_file_that_cannot_be_read_is_not_called_missing(
    destination: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    readv = os.readv

    def failing(descriptor: int, buffers: list[memoryview]) -> int:
        if "a.jpg" in str(Path(f"/proc/self/fd/{descriptor}").readlink()):
            raise OSError(5, "Input/output error")
        return readv(descriptor, buffers)

    monkeypatch.setattr(os, "readv", failing)
    verified = api.verify(destination)
    assert faults(verified) == [("unreadable", "photos", "photos/2019/a.jpg")]
    assert "Input/output error" in verified.problems[0].found
    assert verified.buckets[1].unreadable == 1


def test_a_destination_that_vanishes_is_no_thousand_missing_files(
    destination: Path, tmp_path: Path
) -> None:
    def pull_out(event: AnyEvent) -> None:
        if isinstance(event, StepBegan) and event.subject == "photos":
            destination.rename(tmp_path / "elsewhere")

    with pytest.raises(DestinationError, match="not at its path"):
        api.verify(destination, observer=pull_out)


def test_nothing_is_written(destination: Path) -> None:
    before = sorted((p, p.lstat().st_mtime_ns) for p in destination.rglob("*"))
    api.verify(destination)
    assert sorted((p, p.lstat().st_mtime_ns) for p in destination.rglob("*")) == before


def test_a_manifest_says_where_and_how_exactly(destination: Path, tmp_path: Path) -> None:
    """Requirement A29: `verify.inventory` and `verify.ignore` of the manifest count here too."""
    (destination / "photos/stray.tmp").write_bytes(b"")
    manifest = tmp_path / "manifest.yaml"

    def verified(verify: str, include: str = "photos") -> TreeVerified:
        manifest.write_text(
            "apiVersion: s3plan/v1\nkind: BucketEvacuation\nmetadata: {name: n}\nspec:\n"
            f"  buckets: {{include: [{include}]}}\n  destination: {{path: ./archive}}\n{verify}"
        )
        return api.verify(manifest)

    assert faults(verified("")) == [("extra", "photos", "photos/stray.tmp")]
    assert verified("  verify: {inventory: superset}\n").passes
    assert verified('  verify: {ignore: ["stray*"]}\n').passes
    assert [b.bucket for b in verified("", '"*o*"').buckets] == ["logs", "photos"]
    with pytest.raises(CatalogueError, match="no catalogue of never"):
        verified("", "photos, never")


def test_a_million_rows_need_no_memory_to_speak_of() -> None:
    """Invariant 8: threads are handed no more than a window of rows."""
    from s3plan.engine.offline.reading import CHUNK_FILES, THREADS, Reader, Recorded
    from s3plan.localfs.tree import Tree

    taken = 0

    def rows() -> object:
        nonlocal taken
        for number in range(100_000):
            taken += 1
            yield Recorded(f"k{number}", f"k{number}", 0, (), "verified")

    with Tree.open("/", create=False) as tree, Reader(tree) as reader:
        next(iter(reader.read(rows())))  # type: ignore[arg-type]
    assert taken <= (2 * THREADS + 2) * CHUNK_FILES
