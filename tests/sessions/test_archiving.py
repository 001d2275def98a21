"""SessionArchive from the manifest to the rollback: on SeaweedFS, which keeps checksums and
versions, and on moto, which knows access blocks and lifecycle documents.
"""

from __future__ import annotations

import io
import json
import os
import tarfile
import time
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from s3plan import api
from s3plan.cli import main
from s3plan.engine.archiving import keeping
from s3plan.errors import DestinationError, ProblemsError
from tests.engine.conftest import moto_scene, scene, versioned
from tests.engine.scene import Scene
from tests.sessions.fitsfiles import light

__all__ = ["moto_scene", "scene", "versioned"]  # fixtures

MANIFEST = """\
apiVersion: s3plan/v1
kind: Connection
metadata: {{name: default}}
spec: {{endpoint: "{endpoint}", region: {region}}}
---
apiVersion: s3plan/v1
kind: SessionArchive
metadata: {{name: raw}}
spec:
  source: {{path: library}}
  target: {{bucket: {bucket}, key: "raw/{{year}}/{{session}}.tar"}}
{more}"""

LONG_AGO = time.time() - 86_400

Planned = Callable[..., api.PlanResult]


def write(scene: Scene, name: str, data: bytes, *, at: float = LONG_AGO) -> Path:
    """A file of the library, changed at a time in seconds since 1970."""
    path = scene.directory / "library" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    os.utime(path, (at, at))
    return path


def library(scene: Scene) -> None:
    """Three sessions of two years."""
    for night in ("2023/20230110_AAAA0000", "2024/20240211_AAAA0000", "2024/20240315_AAAA0000"):
        write(scene, f"{night}/lights/a.fits", light())
        write(scene, f"{night}/lights/b.fits", light(camera=night))
        write(scene, f"{night}/notes.txt", night.encode())


def plan(scene: Scene, more: str = "", **options: Any) -> api.PlanResult:
    server = scene.server
    (scene.directory / "manifest.yaml").write_text(
        MANIFEST.format(
            endpoint=server.endpoint,
            region=server.region,
            bucket=scene.bucket,
            more="".join(f"  {line}\n" for line in more.splitlines()),
        )
    )
    return api.plan([Path("manifest.yaml")], **options)


def test_a_copy_is_kept_where_the_manifest_says_so(scene: Scene) -> None:
    """D25, D48: the same bytes on disk, and gone again with a rollback."""
    library(scene)
    assert plan(scene, "archive: {keepLocal: kept}").plan is not None
    assert scene.apply().exit_code == 0, scene.problems()
    kept = scene.directory / "kept"
    for key, stored in scene.objects().items():
        if key.endswith(".tar"):
            assert (kept / key).read_bytes() == stored.body
    assert scene.rollback() is not None
    assert scene.keys() == []
    assert [path.name for path in kept.iterdir()] == [".s3plan"]


def test_there_must_be_room_for_the_copy(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """D48: 1.1 times the tar; without keepLocal nothing is written to disk."""
    library(scene)
    plan(scene, "archive: {keepLocal: kept}")
    monkeypatch.setattr(keeping, "ROOM", 1e15)
    assert scene.apply().exit_code == 4
    assert scene.keys() == []


def test_a_copy_of_another_archive_is_left_alone(scene: Scene) -> None:
    library(scene)
    path = scene.directory / "kept" / "raw/2023/20230110_AAAA0000.tar"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"somebody's")
    plan(scene, "archive: {keepLocal: kept}")
    assert scene.apply().exit_code == 0, scene.problems()
    assert path.read_bytes() == b"somebody's"
    assert any("was not kept" in str(event) for event in scene.events)
    scene.rollback()
    assert path.read_bytes() == b"somebody's"


def archived(result: api.PlanResult) -> list[str]:
    """The keys of the archives that a plan makes, in order."""
    if result.plan is None:
        return []
    return [step.action.key for step in result.plan.steps if hasattr(step.action, "key")]


def apply(scene: Scene, result: api.PlanResult) -> None:
    assert result.plan is not None
    assert scene.apply().exit_code == 0, scene.problems()


def apply_replacing(scene: Scene) -> None:
    """Apply with whatever gates ask for; test_replacing is about them."""
    assert scene.apply(ask=lambda _: True).exit_code == 0, scene.problems()


def test_sessions_are_archived_once(scene: Scene) -> None:
    """D1, D3, D8, D9, D11, D27: a tar a session by year, SID/file inside; then No changes."""
    library(scene)
    result = plan(scene)
    assert archived(result) == [
        "raw/2023/20230110_AAAA0000.tar",
        "raw/2024/20240211_AAAA0000.tar",
        "raw/2024/20240315_AAAA0000.tar",
    ]
    apply(scene, result)
    body = scene.objects()["raw/2024/20240211_AAAA0000.tar"].body
    with tarfile.open(fileobj=io.BytesIO(body)) as tar:
        names = tar.getnames()
        member = tar.extractfile("20240211_AAAA0000/lights/a.fits")
        assert member is not None
        assert member.read() == light()
    assert names == [
        "20240211_AAAA0000/lights/a.fits",
        "20240211_AAAA0000/lights/b.fits",
        "20240211_AAAA0000/notes.txt",
        "20240211_AAAA0000/SHA256SUMS",
    ]
    index = [
        json.loads(line)
        for line in scene.objects()["raw/2024/20240211_AAAA0000.tar.index.jsonl"].body.splitlines()
    ]
    first = next(line for line in index if line["type"] == "member")
    assert first["sha256"] == sha256(light()).hexdigest()
    assert first["keywords"]["OBJECT"] == "M 31"
    assert plan(scene).plan is None
    # A file that was only touched is read, and is the same.
    write(scene, "2024/20240211_AAAA0000/notes.txt", b"2024/20240211_AAAA0000", at=LONG_AGO + 60)
    again = plan(scene)
    assert again.plan is None
    assert "of 3 sessions 3 are archived as they are on disk" in again.notes[0]
    # An archive whose files are no longer as they went into it may be the last copy of them.
    assert scene.rollback() is not None
    left = scene.keys()
    assert [key for key in left if key.endswith(".tar")] == ["raw/2024/20240211_AAAA0000.tar"]


def test_filters_combine(scene: Scene) -> None:
    """D22, D23, D24, D36: by name, by year, so many of the oldest; in the order that is said."""
    library(scene)
    assert archived(plan(scene, only=["session=*0315*"])) == ["raw/2024/20240315_AAAA0000.tar"]
    assert archived(plan(scene, exclude=["session=2024*"])) == ["raw/2023/20230110_AAAA0000.tar"]
    assert archived(plan(scene, years=["2024"], limit=1)) == ["raw/2024/20240211_AAAA0000.tar"]
    newest = plan(scene, "order: newest", limit=1)
    assert archived(newest) == ["raw/2024/20240315_AAAA0000.tar"]
    assert "left for later" in " ".join(newest.notes)
    apply(scene, plan(scene, limit=1))
    # What is archived does not count: the limit is of new sessions.
    assert archived(plan(scene, limit=1)) == ["raw/2024/20240211_AAAA0000.tar"]


def test_filters_of_sessions_are_for_sessions(scene: Scene) -> None:
    """On the command line, with a message for a manifest without any."""
    scene.manifest()
    assert main(["plan", "manifest.yaml", "--limit", "1"]) == 64
    assert main(["plan", "manifest.yaml", "--only", "sessions=x"]) == 64
    library(scene)
    plan(scene)
    options = ["--year", "2023", "--limit", "3", "--only", "session=2*", "--replace"]
    assert main(["plan", "manifest.yaml", *options]) == 0


@pytest.mark.long
def test_a_changed_session_is_a_step_of_its_own(versioned: Scene) -> None:
    """D26: the old archive stays as a version, and rollback makes it count again."""
    library(versioned)
    apply(versioned, plan(versioned))
    before = versioned.objects()["raw/2023/20230110_AAAA0000.tar"].body
    write(
        versioned, "2023/20230110_AAAA0000/lights/b.fits", light(camera="mended"), at=LONG_AGO + 60
    )
    write(versioned, "2023/20230110_AAAA0000/lights/c.fits", light(camera="new"))
    left = plan(versioned, "changed: list")
    assert left.plan is None
    assert "20230110_AAAA0000 (1 added, 1 changed)" in " ".join(left.notes)
    result = plan(versioned)
    assert result.plan is not None
    assert [step.verb for step in result.plan.steps] == ["verify-replacement", "archive"]
    assert result.plan.steps[1].reason.endswith("1 added, 1 changed.")
    apply_replacing(versioned)
    assert versioned.objects()["raw/2023/20230110_AAAA0000.tar"].body != before
    assert plan(versioned).plan is None
    assert len(archived(plan(versioned, replace_archives=True))) == 3 * 2
    # Back to the first archive: only the run's own version goes, while its files are all there.
    assert versioned.rollback() is not None
    assert versioned.objects()["raw/2023/20230110_AAAA0000.tar"].body == before


def test_without_versions_nothing_is_replaced(scene: Scene) -> None:
    """What would be lost blocks the plan, with what to do about it."""
    library(scene)
    apply(scene, plan(scene))
    write(scene, "2023/20230110_AAAA0000/notes.txt", b"more")
    with pytest.raises(ProblemsError) as refused:
        plan(scene)
    (problem,) = refused.value.problems
    assert problem.found == "raw/2023/20230110_AAAA0000.tar"
    assert "bucket.versioning: enabled" in (problem.next_step or "")


def problems(scene: Scene, more: str = "") -> dict[str, str]:
    with pytest.raises(ProblemsError) as refused:
        plan(scene, more)
    return {one.what: one.found or "" for one in refused.value.problems}


def test_what_is_not_whole_blocks(scene: Scene) -> None:
    """D50, E16: files that are damaged or of no session are never passed over in silence."""
    library(scene)
    apply(scene, plan(scene))
    write(scene, "2024/20240420_AAAA0000/a.fits", light()[:-1000])
    write(scene, "stray.fits", light())
    found = problems(scene)
    assert "2024/20240420_AAAA0000/a.fits: it is truncated" in found["1 FITS files are damaged"]
    assert found["1 files are of no session"].startswith("stray.fits: it is in no directory")
    tolerant = "sessions: {damaged: archive, unknown: list, missing: list}"
    result = plan(scene, tolerant)
    assert archived(result) == ["raw/2024/20240420_AAAA0000.tar"]
    assert "1 file of no session, not archived: stray.fits" in " ".join(result.notes)


@pytest.mark.long
def test_files_that_an_archive_holds_and_the_disk_does_not(versioned: Scene) -> None:
    """D50: a session that lost a file is not archived over the archive that has it."""
    library(versioned)
    apply(versioned, plan(versioned))
    (versioned.directory / "library/2023/20230110_AAAA0000/lights/b.fits").unlink()
    (found,) = problems(versioned).values()
    assert found == "20230110_AAAA0000/lights/b.fits of raw/2023/20230110_AAAA0000.tar"
    result = plan(versioned, "sessions: {missing: list}")
    assert result.plan is not None
    (archiving,) = (step for step in result.plan.steps if step.verb == "archive")
    assert "noncurrent version only" in archiving.warnings[0]


def test_a_library_that_is_gone_is_no_empty_one(scene: Scene) -> None:
    """A disk that is not mounted: an error, where No changes would be a lie."""
    library(scene)
    apply(scene, plan(scene))
    (scene.directory / "library").rename(scene.directory / "unmounted")
    with pytest.raises(DestinationError):
        plan(scene)


def test_what_is_still_being_written_waits(scene: Scene) -> None:
    """D53: a session with a file younger than 30 minutes is left for the next plan, whole."""
    library(scene)
    write(scene, "2024/20240211_AAAA0000/new.fits", light(), at=time.time() - 60)
    result = plan(scene)
    assert "raw/2024/20240211_AAAA0000.tar" not in archived(result)
    assert "still being written" in " ".join(result.notes)
    assert len(archived(plan(scene, "sessions: {minAge: 10s}"))) == 3


def test_archives_without_an_index_are_adopted(scene: Scene) -> None:
    """D49, E11: those of the replaced tool are left as they are, and called unverified."""
    library(scene)
    scene.put("raw/2023/20230110_AAAA0000.tar", b"made by another program")
    apply(scene, plan(scene))
    result = plan(scene)
    assert result.plan is None
    assert "1 archive without an index, adopted and unverified: 20230110_AAAA0000" in " ".join(
        result.notes
    )
    # An index whose archive was replaced by somebody says nothing of what is there.
    scene.put("raw/2024/20240211_AAAA0000.tar", b"replaced")
    assert "somebody replaced archives" in " ".join(plan(scene).notes)
    scene.delete("raw/2024/20240315_AAAA0000.tar")
    assert "archives are gone" in next(iter(problems(scene)))


@pytest.mark.long
def test_a_damaged_index_is_no_index(scene: Scene) -> None:
    library(scene)
    apply(scene, plan(scene))
    key = "raw/2023/20230110_AAAA0000.tar.index.jsonl"
    scene.put(key, scene.objects()[key].body[:-30])
    assert "adopted and unverified: 20230110_AAAA0000" in " ".join(plan(scene).notes)


@pytest.mark.long
def test_nights_and_rigs(scene: Scene) -> None:
    """D1: sessions by header, whose id the index keeps whatever the manifest says later."""
    write(scene, "M31/a.fits", light())
    write(scene, "M33/b.fits", light("2024-03-16T09:00:00"))
    result = plan(scene, "sessions: {by: header}")
    assert archived(result) == ["raw/2024/20240315_43AB9D79.tar"]
    apply(scene, result)
    assert plan(scene, "sessions: {by: header, groupKeys: [OBJECT], timezone: UTC}").plan is None


@pytest.mark.long
def test_a_list_of_sessions(scene: Scene) -> None:
    """Any set of files can be a session; files that the list names must be there (D45)."""
    write(scene, "db/catalogue.sqlite", b"x")
    (scene.directory / "sessions.csv").write_text(
        "session,path\n2024-05-01 processing,db/catalogue.sqlite\n"
    )
    said = "sessions: {by: list, list: sessions.csv}"
    assert archived(plan(scene, said)) == ["raw/2024/2024-05-01 processing.tar"]
    with (scene.directory / "sessions.csv").open("a") as file:
        file.write("2024-05-01 processing,db/gone.sqlite\nnight,db/catalogue2.sqlite\n")
    assert "db/gone.sqlite" in problems(scene, said)["2 files are in the list and not on disk"]


def test_a_session_without_a_year_cannot_have_one_in_its_key(scene: Scene) -> None:
    write(scene, "M31/a.fits", light())
    found = problems(scene, 'sessions: {pattern: "{session}"}')
    assert found == {"1 sessions cannot have a key": "M31 has no {year}"}


def test_a_library_is_of_one_manifest(scene: Scene) -> None:
    """Two that archive the same files are planned one after the other."""
    library(scene)
    plan(scene)
    text = (scene.directory / "manifest.yaml").read_text()
    again = text.partition("---\n")[2].replace("{name: raw}", "{name: again}")
    (scene.directory / "manifest.yaml").write_text(f"{text}---\n{again}")
    with pytest.raises(ProblemsError) as refused:
        api.plan([Path("manifest.yaml")])
    assert "two manifests archive the same library" in {one.what for one in refused.value.problems}


def test_what_is_not_enabled_does_nothing(scene: Scene) -> None:
    result = plan(scene, "enabled: false")
    assert result.plan is None
    assert result.notes == ("SessionArchive raw is not enabled",)


def test_a_bucket_with_its_rule_and_tags(
    moto_scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """D4, D14, D15, D16, D34, E4: what examples/plans shows, tags and rule of one definition."""
    library(moto_scene)
    monkeypatch.setenv("ENDPOINT", moto_scene.server.endpoint)
    monkeypatch.setenv("REGION", moto_scene.server.region)
    monkeypatch.setenv("LIBRARY", str(moto_scene.directory / "library"))
    example = Path(__file__).parents[2] / "examples" / "plans" / "session-archive.yaml"
    apply(moto_scene, api.plan([example], limit=1))
    s3 = moto_scene.s3
    rules = s3.get_bucket_lifecycle_configuration(Bucket="astro")["Rules"]
    (rule,) = rules
    assert rule["Transitions"] == [{"Days": 7, "StorageClass": "DEEP_ARCHIVE"}]
    key = "backups/raw/2023/20230110_AAAA0000.tar"
    tags = s3.get_object_tagging(Bucket="astro", Key=key)["TagSet"]
    assert rule["Filter"] == {"Tag": tags[0]}
    assert s3.get_bucket_versioning(Bucket="astro")["Status"] == "Enabled"
    assert all(
        s3.get_public_access_block(Bucket="astro")["PublicAccessBlockConfiguration"].values()
    )
    # Rules of others stay, and one that says the same already is not written again.
    assert len(archived(api.plan([example]))) == 2
    s3.put_bucket_lifecycle_configuration(
        Bucket="astro",
        LifecycleConfiguration={
            "Rules": [
                {
                    "ID": "theirs",
                    "Status": "Enabled",
                    "Filter": {"Prefix": "tmp/"},
                    "Expiration": {"Days": 3},
                }
            ]
        },
    )
    apply(moto_scene, api.plan([example]))
    rules = s3.get_bucket_lifecycle_configuration(Bucket="astro")["Rules"]
    assert {one["ID"] for one in rules} == {"theirs", "ArchiveFastToDeepArchive"}
    assert api.plan([example]).plan is None


@pytest.mark.long
def test_a_replica_gets_every_archive_too(scene: Scene) -> None:
    """D45: a second bucket, archived, compared and verified by itself."""
    far = f"{scene.bucket}-far"
    scene.s3.create_bucket(Bucket=far)
    library(scene)
    more = f"replica: {{bucket: {far}}}"
    apply(scene, plan(scene, more))
    listed = scene.s3.list_objects_v2(Bucket=far)["Contents"]
    assert [one["Key"] for one in listed] == scene.keys()
    assert plan(scene, more).plan is None
    found = api.verify_archives(Path("manifest.yaml"))
    assert (found.passes, found.sessions, found.archives) == (True, 6, 6)
    scene.s3.delete_object(Bucket=far, Key="raw/2023/20230110_AAAA0000.tar")
    scene.s3.put_object(Bucket=far, Key="raw/2024/20240211_AAAA0000.tar", Body=b"another")
    found = api.verify_archives(Path("manifest.yaml"))
    assert {(one.fault, one.bucket) for one in found.problems} == {
        ("missing", far),
        ("changed", far),
    }


def test_the_status_of_a_run_counts_every_file(scene: Scene) -> None:
    """D30: how the run stands counts the files of every session."""
    library(scene)
    apply(scene, plan(scene))
    (bucket,) = api.status().buckets
    assert (bucket.totals.items, bucket.state) == (9, "completed")
