"""ObjectGrouping from the manifest to the rollback, on every server, and by commands."""

from __future__ import annotations

import random
import re
import subprocess
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from s3plan import api
from s3plan.demo.programs import find_program
from s3plan.errors import UsageError
from tests.engine.conftest import enter
from tests.engine.scene import Scene, open_scene
from tests.servers import Server

MANIFEST = """\
apiVersion: s3plan/v1
kind: Connection
metadata: {{name: default}}
spec: {{endpoint: "{endpoint}", region: {region}}}
---
apiVersion: s3plan/v1
kind: ObjectGrouping
metadata: {{name: by-type}}
spec:
  source: {{bucket: {bucket}, pattern: "{{row_id}}/{{name}}/{{file}}"}}
  target: {{key: "{{type}}/{{row_id}}_{{name}}_{{file}}"}}
  orphans: list
  incomplete: list
  verify: {{headers: all}}
"""

EXAMPLE = Path(__file__).parents[2] / "examples" / "plans" / "object-grouping.yaml"

NAMES = ("Ann_Lee", "Björn", "Kaioxys_DarkMacro", "李明", "O'Neil & Co", "a+b %41")
FILES = (
    "talk.mp3",
    "Talk.MP4",
    "cv.PDF",
    "cv.docx",
    "sub.vtt",
    "me.JPG",
    "raw.mkv",
    "no_extension",
)


@pytest.fixture(
    params=[
        "seaweed",
        pytest.param("moto_server", marks=pytest.mark.long),
        pytest.param("rgw", marks=pytest.mark.rgw),
    ]
)
def scene(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Scene]:
    """On a server that honours conditional copies, and on one that ignores them."""
    server: Server = request.getfixturevalue(request.param)
    with open_scene(server, tmp_path) as made:
        enter(made, monkeypatch)
        yield made


def _manifest(scene: Scene) -> None:
    server = scene.server
    (scene.directory / "manifest.yaml").write_text(
        MANIFEST.format(endpoint=server.endpoint, region=server.region, bucket=scene.bucket)
    )


def _people(scene: Scene, count: int) -> None:
    """A tree of people and mixed files, with what does not belong in it."""
    chance = random.Random(count)
    for row in range(1, count + 1):
        name = f"{chance.choice(NAMES)}"
        for file in chance.sample(FILES, 2):
            scene.put(f"{row}/{name}/{file}", f"{row} {file}".encode(), Metadata={"row": str(row)})
    scene.put("1/Film_Star/film.webm.part", b"half of it")
    scene.put("notes/readme.txt", b"nobody's")
    scene.put(
        "2/Full/talk.mp3", b"full", ContentType="audio/mpeg", Tagging="owner=ann&n=1",
        CacheControl="max-age=60",
    )  # fmt: skip
    scene.put_in_parts("3/Large/film.mp4", [b"a" * (5 << 20), b"b"], ContentType="video/mp4")


def test_the_whole_way(scene: Scene) -> None:
    """B9-B12, B15-B19, B23-B31, B33, B37, B53, B54: pilot, the rest, no changes, and back."""
    _people(scene, 12)
    before = scene.objects()
    _manifest(scene)

    shown = scene.s3plan("resolve", "manifest.yaml")
    assert shown.code == 0, shown.err
    assert "1/Film_Star/film.webm.part -> - (_unknown, incomplete)" in shown.out
    assert "2/Full/talk.mp3 -> audio/2_Full_talk.mp3 (audio, to copy)" in shown.out

    pilot = scene.s3plan("plan", "manifest.yaml", "--limit-groups", "1")
    assert pilot.code == 0, pilot.err
    assert "A pilot" in pilot.out
    assert scene.s3plan("apply", "--approve").code == 0
    some = scene.keys()
    assert 0 < len(some) - len(before) < 5

    assert scene.s3plan("plan", "manifest.yaml").code == 0
    applied = scene.s3plan("apply", "--approve")
    assert applied.code == 0, applied.out + applied.err
    after = scene.objects()
    expected = _expected(before)
    assert after.keys() == before.keys() | set(expected.values())
    for key, new in expected.items():
        assert after[new] == before[key], f"{key} -> {new}"
        assert after[key] == before[key]

    assert "No changes." in scene.s3plan("plan", "manifest.yaml").out
    rolled = scene.s3plan("rollback", "journal.json", "--approve")
    assert rolled.code == 0, rolled.out + rolled.err
    assert set(scene.keys()) == set(some)


def _expected(keys: object) -> dict[str, str]:
    """What a witness of its own makes of the keys."""
    types = {
        "audio": "mp3 m4a", "video": "mp4 webm", "documents": "pdf doc docx",
        "transcripts": "srt vtt", "images": "jpg png",
    }  # fmt: skip
    kinds = {ext: kind for kind, exts in types.items() for ext in exts.split()}
    made = {}
    for key in keys:  # type: ignore[attr-defined]
        found = re.fullmatch(r"(\d+)/([^/]+)/([^/]+)", key)
        if found and not key.endswith(".part"):
            row, name, file = found.groups()
            kind = kinds.get(file.lower().rpartition(".")[2] if "." in file else "", "_unknown")
            made[key] = f"{kind}/{row}_{name}_{file}"
    return made


def test_the_example_makes_and_proves_a_backup_before_the_first_copy(
    moto_server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """B1, E39: in another bucket and a colder class; the sources stay as they are."""
    with open_scene(moto_server, tmp_path) as scene:
        enter(scene, monkeypatch)
        scene.s3.create_bucket(Bucket="people")
        scene.s3.create_bucket(Bucket="people-backup")
        _people(replace(scene, bucket="people"), 3)
        before = replace(scene, bucket="people").objects()
        table = scene.directory / "output.csv"
        table.write_text("row_id,s3_audio_url\n2,old\n")
        variables = {
            "ENDPOINT": scene.server.endpoint,
            "REGION": scene.server.region,
            "TABLE": str(table),
        }
        made = api.plan([EXAMPLE], variables=variables)
        assert made.plan is not None
        assert [(step.verb, step.subject) for step in made.plan.steps] == [
            ("backup-file", "people"),
            ("copy", "people-backup"),
            ("verify-copies", "people-backup"),
            ("copy", "people"),
            ("verify-copies", "people"),
            ("rewrite-file", "people"),
        ]
        finished = scene.apply()
        assert finished.exit_code == 0, (finished, scene.problems())
        saved = scene.s3.list_objects_v2(Bucket="people-backup")["Contents"]
        mapped = _expected(before)
        assert {one["Key"] for one in saved} == {f"2026/{key}" for key in mapped}
        assert {one["StorageClass"] for one in saved} == {"STANDARD_IA"}
        after = replace(scene, bucket="people").objects()
        assert after == before | {new: before[key] for key, new in mapped.items()}
        assert "/people/audio/2_Full_talk.mp3" in table.read_text()
        assert api.plan([EXAMPLE], variables=variables).plan is None


def test_the_key_of_a_new_upload(
    seaweed: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """B51: from the bucket, or from what is said; a row of several people is not guessed."""
    with open_scene(seaweed, tmp_path) as scene:
        enter(scene, monkeypatch)
        scene.put("472/Kaioxys_DarkMacro/a.mp3")
        scene.put("7/Ann/a.mp3")
        scene.put("7/Ben/a.mp3")
        _manifest(scene)
        manifest = Path("manifest.yaml")
        found = api.resolve_upload(manifest, "472", "youtube_69XL3TrD6mE.mp3")
        assert found.new_key == "audio/472_Kaioxys_DarkMacro_youtube_69XL3TrD6mE.mp3"
        with pytest.raises(UsageError) as several:
            api.resolve_upload(manifest, "7", "b.mp3")
        assert several.value.found == "7/Ann, 7/Ben"
        said = scene.s3plan("resolve", "manifest.yaml", "9", "b.PDF", "--part", "name=New")
        assert said.out == "documents/9_New_b.PDF\n"
        first = next(iter(api.resolve(manifest)))
        assert first.new_key == "audio/472_Kaioxys_DarkMacro_a.mp3"


def test_s5cmd_lists_what_the_plan_said(
    seaweed: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """B16, B37: counts by type, seen by another tool."""
    program = find_program("s5cmd")
    if program is None:
        pytest.skip("s5cmd is not installed")
    with open_scene(seaweed, tmp_path) as scene:
        enter(scene, monkeypatch)
        _people(scene, 20)
        expected = Counter(new.partition("/")[0] for new in _expected(scene.keys()).values())
        _manifest(scene)
        assert scene.plan().plan is not None
        assert scene.apply().exit_code == 0
        listed = subprocess.run(
            [program, "--endpoint-url", scene.server.endpoint, "ls", f"s3://{scene.bucket}/*"],
            env=scene.environ, capture_output=True, text=True, check=True,
        ).stdout  # fmt: skip
        keys = [line.split(None, 3)[3] for line in listed.splitlines()]
        found = Counter(key.partition("/")[0] for key in keys)
        assert {kind: found[kind] for kind in expected} == expected
