"""The verb ``archive`` against a real server, and what takes it back."""

from __future__ import annotations

import hashlib
import io
import os
import random
import subprocess
import tarfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from s3plan import api
from s3plan.engine.archiving import sending
from s3plan.errors import AccessDeniedError, EndpointError, OutcomeUnknownError
from s3plan.model.archives import Compression, Index
from s3plan.model.connection import Limits
from s3plan.model.events import UnderWay
from s3plan.model.journal import Archived
from s3plan.model.steps import Replaced
from s3plan.rules.archiveindex import read_index
from s3plan.rules.frames import SUFFIXES, unpack
from s3plan.store.multipart import Upload
from tests.engine.archiving import TIME, plan_archives, session
from tests.engine.scene import Scene

MIB = 1 << 20
FILES = {
    "a.fits": random.Random(1).randbytes(3 * MIB + 17),
    "b/c.fits": random.Random(2).randbytes(9 * MIB),
    "b/ä ö.txt": b"notes",
    "empty": b"",
    "z.fits": bytes(2 * MIB),
}
NIGHT = "night"
KEY, INDEX = "raw/night.tar", "raw/night.tar.index.jsonl"
SMALL = Limits(parts=1)


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "PART", 5 * MIB)
    monkeypatch.setattr(sending, "PACKED_PART", 6 * MIB)


@pytest.fixture
def night(scene: Scene) -> Scene:
    """A library of one session that is planned to be archived in three parts."""
    session(scene, NIGHT, FILES)
    plan_archives(scene, [NIGHT], limits=SMALL)
    return scene


def stored(scene: Scene, key: str = KEY) -> bytes:
    body: bytes = scene.s3.get_object(Bucket=scene.bucket, Key=key)["Body"].read()
    return body


def index_of(scene: Scene, key: str = INDEX) -> Index:
    return read_index(stored(scene, key))


def uploads(scene: Scene) -> list[dict[str, Any]]:
    found = scene.s3.list_multipart_uploads(Bucket=scene.bucket).get("Uploads", [])
    assert isinstance(found, list)
    return found


def rollback(scene: Scene) -> int:
    finished = scene.rollback()
    assert finished is not None
    return finished.exit_code


def sent_parts(
    monkeypatch: pytest.MonkeyPatch, before: Callable[[int], None] = lambda number: None
) -> list[int]:
    """The numbers of the parts that are sent; ``before`` gets each and may raise."""
    numbers: list[int] = []
    send_part = Upload.send_part

    async def spy(self: Upload, number: int, *given: Any, **more: Any) -> Any:
        before(number)
        numbers.append(number)
        return await send_part(self, number, *given, **more)

    monkeypatch.setattr(Upload, "send_part", spy)
    return numbers


def fails_at(wanted: int, error: Exception) -> Callable[[int], None]:
    def check(number: int) -> None:
        if number == wanted:
            raise error

    return check


def test_a_session_becomes_one_tar_with_an_index_beside_it(scene: Scene, tmp_path: Path) -> None:
    """D1, D2, D6, D9, D11: uncompressed, under its top folder, verified, without a local copy."""
    session(scene, NIGHT, FILES)
    plan_archives(
        scene,
        [NIGHT],
        keywords={"night/a.fits": {"OBJECT": "M 31", "EXPTIME": "300"}},
        tags={"archive_policy": "fast"},
        metadata={"session": NIGHT},
    )
    finished = scene.apply()
    assert (finished.exit_code, finished.done) == (0, len(FILES)), scene.problems()
    # D7: how far it is shows part by part, though its files end together.
    moved = [event.bytes for event in scene.events if isinstance(event, UnderWay)]
    assert moved == sorted(moved)
    assert len(moved) == 3
    tar = stored(scene)
    head = scene.s3.head_object(Bucket=scene.bucket, Key=KEY)
    assert (head["ContentType"], head["Metadata"]) == ("application/x-tar", {"session": NIGHT})
    assert scene.objects()[KEY].tags == {"archive_policy": "fast"}

    path = tmp_path / "night.tar"
    path.write_bytes(tar)
    subprocess.run(["tar", "-xf", path], cwd=tmp_path, check=True)
    extracted = tmp_path / NIGHT
    found = {
        str(p.relative_to(extracted)): p.read_bytes() for p in extracted.rglob("*") if p.is_file()
    }
    assert found.pop("SHA256SUMS")
    assert found == FILES
    subprocess.run(
        ["sha256sum", "--quiet", "--strict", "-c", "SHA256SUMS"], cwd=extracted, check=True
    )

    index = index_of(scene)
    assert (index.header.size, index.header.etag) == (len(tar), head["ETag"].strip('"'))
    assert index.header.bucket == scene.bucket
    for member in index.members:
        content = tar[member.offset : member.offset + member.size]
        assert hashlib.sha256(content).hexdigest() == member.sha256, member
    assert index.members[0].keywords == {"OBJECT": "M 31", "EXPTIME": "300"}
    assert index.members[0].modified == "2026-01-01T00:00:00.123Z"
    with tarfile.open(fileobj=io.BytesIO(tar)) as archive:
        assert archive.getnames() == [member.name for member in index.members]

    assert rollback(scene) == 0
    assert scene.keys() == []
    assert (scene.directory / "library" / NIGHT / "a.fits").read_bytes() == FILES["a.fits"]


@pytest.mark.parametrize("compression", ["gzip", pytest.param("zstd", marks=pytest.mark.long)])
def test_a_compressed_archive_is_ordinary_and_read_frame_by_frame(
    scene: Scene, tmp_path: Path, compression: Compression
) -> None:
    """D2, E15: its name says what it is."""
    session(scene, NIGHT, FILES)
    key = f"raw/night{SUFFIXES[compression]}"
    plan_archives(scene, [NIGHT], compression=compression, key=key, index=f"{key}.index.jsonl")
    assert scene.apply().exit_code == 0, scene.problems()
    packed = stored(scene, key)
    index = index_of(scene, f"{key}.index.jsonl")
    tar = b"".join(
        unpack(compression, packed[frame.offset : frame.offset + frame.size], frame.raw)
        for frame in index.frames
    )
    assert len(index.frames) == 3
    assert (len(tar), len(packed)) == (index.header.tar, index.header.size)
    path = tmp_path / f"night{SUFFIXES[compression]}"
    path.write_bytes(packed)
    tool = {"gzip": ["gzip", "-dc"], "zstd": ["zstd", "-dcq"]}[compression]
    listed = subprocess.run(f"{' '.join(tool)} {path} | tar -tf -", shell=True, check=False,
                            capture_output=True, text=True)  # fmt: skip
    if "not found" not in listed.stderr:
        assert listed.stdout.splitlines()[0] == "night/a.fits", listed.stderr
    with tarfile.open(fileobj=io.BytesIO(tar)) as archive:
        assert archive.getnames() == [member.name for member in index.members]


@pytest.mark.long
def test_the_same_files_make_the_same_archive(scene: Scene) -> None:
    """Owner, times, order and the machine are not in it."""
    session(scene, NIGHT, FILES)
    plan_archives(scene, [NIGHT])
    assert scene.apply().exit_code == 0
    first = stored(scene)
    assert rollback(scene) == 0
    for path in (scene.directory / "library" / NIGHT).rglob("*"):
        os.utime(path, ns=(TIME + 10**9, TIME + 10**9))
        path.chmod(0o755)
    plan_archives(scene, [NIGHT])
    assert scene.apply().exit_code == 0
    assert stored(scene) == first


# -- what is not as planned ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "how",
    [
        "changed",
        *[pytest.param(how, marks=pytest.mark.long) for how in ("touched", "gone", "link")],
    ],
)
def test_a_file_that_is_not_as_planned_stops_its_archive(night: Scene, how: str) -> None:
    """D50, E16: never an archive of what was not planned."""
    path = night.directory / "library" / NIGHT / "z.fits"
    if how == "changed":
        path.write_bytes(b"x" * 2 * MIB)
    elif how == "touched":
        os.utime(path, ns=(TIME + 10**6, TIME + 10**6))
    else:
        path.unlink()
        if how == "link":
            path.symlink_to("a.fits")
    assert night.apply().exit_code == 3
    problem = night.problems()[0]
    assert (problem.path, problem.outcome) == ("night/z.fits", "drifted")
    assert night.keys() == []
    assert uploads(night) == []


def test_a_file_that_changes_while_it_is_read_stops_its_archive(
    night: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """D50: what was sent of it already is aborted."""
    path = night.directory / "library" / NIGHT / "z.fits"

    def change(number: int) -> None:
        if number == 2:
            path.write_bytes(bytes(2 * MIB))

    sent_parts(monkeypatch, change)
    assert night.apply().exit_code == 3
    assert [p.reason for p in night.problems()] == ["source-changed"]
    assert night.keys() == []
    assert uploads(night) == []


def test_a_file_put_in_the_place_of_another_is_seen(
    night: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same size and time, another inode: a rename while its first bytes were read."""
    path = night.directory / "library" / NIGHT / "b" / "c.fits"

    def change(number: int) -> None:
        if number == 1:
            other = path.with_name("other")
            other.write_bytes(bytes(9 * MIB))
            os.utime(other, ns=(TIME, TIME))
            other.rename(path)

    sent_parts(monkeypatch, change)
    assert night.apply().exit_code == 3
    assert [p.reason for p in night.problems()] == ["source-changed"]
    assert night.keys() == []


def test_a_key_that_is_in_use_is_left_alone(night: Scene) -> None:
    """Invariant 3."""
    night.put(KEY, b"somebody's")
    assert night.apply().exit_code == 3
    assert [(p.outcome, p.reason) for p in night.problems()] == [("drifted", "key-taken")]
    assert stored(night) == b"somebody's"
    assert night.keys() == [KEY]
    assert night.rollback() is None
    assert stored(night) == b"somebody's"


@pytest.mark.long
def test_an_index_key_that_is_in_use_is_left_alone(night: Scene) -> None:
    night.put(INDEX, b"somebody's")
    assert night.apply().exit_code == 3
    assert [p.reason for p in night.problems()] == ["key-taken"]
    assert night.keys() == [INDEX]


def test_a_key_that_is_taken_while_parts_are_sent_is_left_alone(
    night: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Invariant 3."""

    def take(number: int) -> None:
        if number == 3:
            night.put(KEY, b"somebody's")

    sent_parts(monkeypatch, take)
    assert night.apply().exit_code == 3
    assert stored(night) == b"somebody's"
    assert uploads(night) == []


def test_an_archive_of_the_same_bytes_is_adopted_and_never_removed(night: Scene) -> None:
    """D49: what is there already counts once its content was compared."""
    assert night.apply().exit_code == 0
    tar = stored(night)
    assert rollback(night) == 0
    night.put(KEY, tar)
    plan_archives(night, [NIGHT])
    assert night.apply().exit_code == 0, night.problems()
    records = [r for r in night.journal() if isinstance(r, Archived)]
    assert records[-1].archive.adopted
    assert sorted(night.keys()) == [KEY, INDEX]
    assert rollback(night) == 0
    assert night.keys() == [KEY]


@pytest.mark.long
def test_the_bandwidth_that_is_allowed_is_what_is_used(scene: Scene) -> None:
    """D41, E14: limits act on archives too."""
    session(scene, NIGHT, FILES)
    plan_archives(scene, [NIGHT], limits=Limits(bandwidth=6_000_000))
    began = time.monotonic()
    assert scene.apply().exit_code == 0, scene.problems()
    assert time.monotonic() - began > 0.7 * len(stored(scene)) / 6_000_000


# -- failures and going on -------------------------------------------------------------------------


def test_parts_that_are_there_are_not_sent_again(
    night: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """D8: an upload goes on where it was stopped."""
    with monkeypatch.context() as patch:
        sent_parts(patch, fails_at(3, EndpointError("no answer", address="s3://b/k")))
        assert night.apply().exit_code == 3
    assert len(uploads(night)) == 1
    sent = sent_parts(monkeypatch)
    assert night.apply().exit_code == 0, night.problems()
    assert sent == [3]
    assert uploads(night) == []
    assert index_of(night).header.size == len(stored(night))


@pytest.mark.long
def test_an_upload_that_s3_refuses_is_aborted(
    night: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent_parts(monkeypatch, fails_at(2, AccessDeniedError("no", address="s3://b/k", status=403)))
    assert night.apply().exit_code == 3
    assert uploads(night) == []
    assert night.keys() == []


@pytest.mark.parametrize("arrived", [True, pytest.param(False, marks=pytest.mark.long)])
def test_a_lost_answer_is_settled_by_looking(
    night: Scene, monkeypatch: pytest.MonkeyPatch, *, arrived: bool
) -> None:
    complete = Upload.complete

    async def loses(self: Upload, *given: Any, **more: Any) -> Any:
        if arrived:
            await complete(self, *given, **more)
        raise OutcomeUnknownError("the answer was lost", address="s3://b/k")

    with monkeypatch.context() as patch:
        patch.setattr(Upload, "complete", loses)
        assert night.apply().exit_code == (0 if arrived else 3)
    if not arrived:
        assert night.apply().exit_code == 0, night.problems()
    assert uploads(night) == []
    assert index_of(night).header.size == len(stored(night))


def test_a_run_that_was_stopped_is_rolled_back_with_its_upload(
    night: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        sent_parts(patch, fails_at(3, EndpointError("no answer", address="s3://b/k")))
        assert night.apply().exit_code == 3
    assert rollback(night) == 0
    assert uploads(night) == []
    assert night.keys() == []


def test_an_archive_larger_than_the_memory_that_is_allowed_is_held(scene: Scene) -> None:
    """Invariant 8."""
    session(scene, NIGHT, FILES)
    plan_archives(scene, [NIGHT], limits=Limits(memory=8 * MIB))
    assert scene.apply().exit_code == 4
    assert scene.keys() == []


# -- replacing -------------------------------------------------------------------------------------


def test_a_changed_session_replaces_its_archive_and_gives_it_back(
    versioned: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """D26: the old archive stays as a version, and is what the key holds after a rollback."""
    session(versioned, NIGHT, FILES)
    plan_archives(versioned, [NIGHT])
    assert versioned.apply().exit_code == 0
    old = {key: stored(versioned, key) for key in (KEY, INDEX)}
    session(versioned, NIGHT, {"new.fits": b"more"})
    plan_archives(versioned, [NIGHT], replaces=replaced(versioned))
    assert versioned.apply().exit_code == 0, versioned.problems()
    assert [m.name for m in index_of(versioned).members][-2:] == [
        "night/z.fits",
        "night/SHA256SUMS",
    ]
    assert "night/new.fits" in {member.name for member in index_of(versioned).members}
    assert stored(versioned) != old[KEY]
    assert rollback(versioned) == 0
    assert {key: stored(versioned, key) for key in (KEY, INDEX)} == old


@pytest.mark.parametrize("classes", [{"archive"}, {"archive", "replace-archive"}])
def test_a_replacement_is_a_class_of_its_own(versioned: Scene, classes: set[str]) -> None:
    """D26, D37: who lets archives be added unattended has not let them be changed."""
    session(versioned, NIGHT, {"a.fits": b"old"})
    plan_archives(versioned, [NIGHT])
    assert versioned.apply().exit_code == 0
    session(versioned, NIGHT, {"a.fits": b"new"})
    plan_archives(versioned, [NIGHT], replaces=replaced(versioned))
    before = stored(versioned)
    approval = api.Approval("cron", classes=frozenset(classes))
    finished = api.apply(Path("plan.json"), approval=approval, observer=versioned.events.append)
    assert finished.exit_code == (0 if "replace-archive" in classes else 4)
    assert (stored(versioned) == before) == (finished.exit_code == 4)


def test_what_is_not_what_was_to_be_replaced_is_left_alone(versioned: Scene) -> None:
    """Invariant 3."""
    session(versioned, NIGHT, FILES)
    versioned.put(KEY, b"old")
    plan_archives(versioned, [NIGHT], replaces=replaced(versioned, index=False))
    versioned.put(KEY, b"newer")
    assert versioned.apply().exit_code == 3
    assert stored(versioned) == b"newer"
    assert uploads(versioned) == []


def replaced(scene: Scene, *, index: bool = True) -> Replaced:
    """What the keys hold now."""
    head = scene.s3.head_object(Bucket=scene.bucket, Key=KEY)
    beside = scene.s3.head_object(Bucket=scene.bucket, Key=INDEX) if index else None
    return Replaced(
        head["ETag"].strip('"'),
        head["ContentLength"],
        head["VersionId"],
        beside["ETag"].strip('"') if beside else None,
    )


# -- taking it back --------------------------------------------------------------------------------


def test_an_archive_whose_files_are_gone_is_the_last_copy(night: Scene) -> None:
    """Invariant 5."""
    assert night.apply().exit_code == 0
    (night.directory / "library" / NIGHT / "b" / "c.fits").unlink()
    assert rollback(night) == 7
    assert sorted(night.keys()) == [KEY, INDEX]


@pytest.mark.long
def test_an_archive_that_was_changed_is_kept(night: Scene) -> None:
    """Invariant 5."""
    assert night.apply().exit_code == 0
    night.put(KEY, b"other")
    assert rollback(night) == 7
    assert stored(night) == b"other"


def test_what_the_plan_says_of_keywords_is_what_msgspec_would_write(night: Scene) -> None:
    plan = plan_archives(night, [NIGHT], keywords={"night/a.fits": {"Ö\n": '"\x01'}})
    lines = (night.directory / "plan.json").read_bytes().splitlines()
    items = list(plan.items(plan.steps[0].id))
    assert items[0].keywords == {"Ö\n": '"\x01'}
    assert [line for line in lines if b'"type":"item"' in line] == [
        msgspec.json.encode(item) for item in items
    ]
