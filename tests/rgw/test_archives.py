"""Archives under a lifecycle rule that really moves them: on RGW a day is ten seconds."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from s3plan import api
from tests.engine.conftest import enter
from tests.engine.scene import Scene, open_scene
from tests.servers import Server
from tests.sessions.test_archiving import apply, library, plan

pytestmark = pytest.mark.rgw

RULE = (
    "lifecycle: {id: soon, tags: {archive_policy: soon},"
    " transitions: [{days: 1, storageClass: DEEP_ARCHIVE}]}"
)
SECONDS = 90.0
"""In which a rule of one day has acted, with room."""


@pytest.fixture
def scene(rgw: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    with open_scene(rgw, tmp_path) as made:
        enter(made, monkeypatch)
        yield made


def test_a_tagged_archive_moves_and_status_shows_it(scene: Scene) -> None:
    """D4, D30, D34: tags and rule of one definition match, which a stranger's object shows: it has
    no tag, and stays.
    """
    library(scene)
    scene.put("untagged", b"x" * 1000)
    result = plan(scene, RULE, limit=1)
    apply(scene, result)
    deadline = time.monotonic() + SECONDS
    while True:
        (seen, *_) = api.sessions(Path("manifest.yaml"))
        assert seen.session == "20230110_AAAA0000"
        if seen.storage_class == "DEEP_ARCHIVE":
            break
        assert time.monotonic() < deadline, "the archive was not moved"
        time.sleep(3)
    assert seen.state == "same"
    report = api.sessions_standing(Path("manifest.yaml"))
    (archives,) = [one for one in report.sections if one.name == "archives"]
    (row,) = archives.rows
    shown = dict(zip([column.name for column in archives.columns], row, strict=True))
    assert shown["class"] == "DEEP_ARCHIVE"
    listed = scene.s3.list_objects_v2(Bucket=scene.bucket)["Contents"]
    classes = {one["Key"]: one["StorageClass"] for one in listed}
    assert classes["untagged"] == "STANDARD"
    assert classes["raw/2023/20230110_AAAA0000.tar.index.jsonl"] == "STANDARD"
    # What has moved is still what was archived.
    assert plan(scene, RULE, only=["session=2023*"]).plan is None
