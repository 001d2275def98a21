"""ObjectGrouping where single objects have to be asked: content types, tags, digests, MD5s."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from s3plan import api
from s3plan.cli import main
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
  source: {{bucket: {bucket}}}
  verify: {{headers: all}}
{spec}"""

TAGGED = """\
  rules:
    - {contentType: [audio/*], type: audio}
    - {ext: [.bin], type: rest}
  target:
    tags: {migration-date: "{date}", source-structure: "{source}", kind: "{type}", by: s3plan}
  checksums: compute
"""
FLAT = '  target: {key: "files/{sha256}{ext}"}\n  checksums: compute\n'

FILM = b"a" * (5 << 20) + b"b"


@pytest.fixture(params=["seaweed", pytest.param("rgw", marks=pytest.mark.rgw)])
def scene(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Scene]:
    """On a server that stores checksums, and on one that does not."""
    server: Server = request.getfixturevalue(request.param)
    with open_scene(server, tmp_path) as made:
        enter(made, monkeypatch)
        yield made


def _plan(scene: Scene, spec: str) -> api.PlanResult:
    server = scene.server
    (scene.directory / "manifest.yaml").write_text(
        MANIFEST.format(
            endpoint=server.endpoint, region=server.region, bucket=scene.bucket, spec=spec
        )
    )
    return api.plan([Path("manifest.yaml")], observer=scene.events.append)


@pytest.mark.long
def test_types_by_content_tags_and_computed_md5(scene: Scene) -> None:
    """B13, B24, B61: what is asked of S3, what is added to tags, what is read for its MD5."""
    scene.put("1/Ann/talk.bin", b"talk", ContentType="audio/mpeg", Tagging="owner=ann")
    scene.put("2/Björn/x.bin", b"x", ContentType="text/plain")
    scene.put_in_parts("2/Björn/film", [FILM[:-1], FILM[-1:]], ContentType="audio/ogg")
    before = scene.objects()
    made = _plan(scene, TAGGED)
    assert made.notes[0].startswith("A listing does not tell content type")
    assert "will be read for their MD5" in " ".join(made.plan.steps[0].warnings)  # type: ignore[union-attr]
    assert scene.apply().exit_code == 0, scene.problems()

    after = scene.objects()
    copies = {key: after[key] for key in after.keys() - before.keys()}
    assert {key: one.body for key, one in copies.items()} == {
        "audio/1_Ann_talk.bin": b"talk",
        "rest/2_Björn_x.bin": b"x",
        "audio/2_Björn_film": FILM,
    }
    assert copies["audio/1_Ann_talk.bin"].content_type == "audio/mpeg"
    assert copies["audio/1_Ann_talk.bin"].tags == {
        "owner": "ann",
        "by": "s3plan",
        "kind": "audio",
        "migration-date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "source-structure": "1/Ann",
    }
    assert copies["rest/2_Björn_x.bin"].tags["source-structure"] == "2/Björn"

    assert main(["report", "migration", "--out", "reports"]) == 0
    with (scene.directory / "reports" / "migration_log.csv").open(newline="") as file:
        rows = {row["old_s3_path"].rpartition("/")[2]: row for row in csv.DictReader(file)}
    for name, body in (("talk.bin", b"talk"), ("x.bin", b"x"), ("film", FILM)):
        assert rows[name]["md5_hash"] == hashlib.md5(body, usedforsecurity=False).hexdigest()
        assert rows[name]["error_message"] == ""
    assert rows["film"]["file_type"] == "audio"

    assert _plan(scene, TAGGED).plan is None
    assert scene.rollback().exit_code == 0  # type: ignore[union-attr]
    assert scene.objects() == before


def test_flat_keys_by_digest(scene: Scene) -> None:
    """Equal content is there once; planning again reads nothing that is there already."""
    scene.put("1/Ann/a.MP3", b"same", Metadata={"of": "ann"})
    scene.put("2/Ben/b.mp3", b"same", Metadata={"of": "ben"})
    scene.put_in_parts("2/Ben/film.mp4", [FILM[:-1], FILM[-1:]])
    before = scene.objects()
    assert _plan(scene, FLAT).plan is not None
    assert scene.apply().exit_code == 0, scene.problems()
    after = scene.objects()
    same, film = (hashlib.sha256(body).hexdigest() for body in (b"same", FILM))
    assert after.keys() - before.keys() == {f"files/{same}.mp3", f"files/{film}.mp4"}
    assert after[f"files/{same}.mp3"].metadata == {"of": "ann"}
    assert main(["report", "mapping", "--out", "mapping.csv"]) == 0
    with (scene.directory / "mapping.csv").open(newline="") as file:
        found = {row["old_s3_path"]: row for row in csv.DictReader(file)}
    assert {key.partition(f"{scene.bucket}/")[2]: row["sha256"] for key, row in found.items()} == {
        "1/Ann/a.MP3": same,
        "2/Ben/b.mp3": same,
        "2/Ben/film.mp4": film,
    }
    assert _plan(scene, FLAT).plan is None
    assert scene.rollback().exit_code == 0  # type: ignore[union-attr]
    assert scene.objects() == before
