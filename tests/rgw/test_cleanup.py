"""LayoutCleanup on Ceph RGW, which deletes whatever ETag a deletion carries, and keeps versions."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from s3plan.rules.shadow import Role, Shadow
from tests.cleanup.test_flow import plan
from tests.engine.conftest import enter
from tests.engine.scene import Scene, open_scene, open_versioned
from tests.servers import Server

pytestmark = pytest.mark.rgw


NAMES = ("o/a b", "o/ü~x", "o/%41")
ROLES: tuple[Role, ...] = ("new", "old")
SHADOWS = tuple(Shadow("p/", role, key, "0" * 16).name for key in NAMES for role in ROLES)
ALONE = Shadow("", "old", "o/gone", "0" * 16).name


@pytest.fixture(params=[open_scene, open_versioned], ids=["plain", "versioned"])
def scene(
    request: pytest.FixtureRequest, rgw: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Scene]:
    with request.param(rgw, tmp_path) as made:
        made.encodes = True
        enter(made, monkeypatch)
        for key in (*SHADOWS, *NAMES):
            made.put(key, key.encode())
        made.put(ALONE, b"a last copy")
        yield made


def test_leftovers_go_and_objects_stay(scene: Scene) -> None:
    """C29, C34: in a bucket that keeps versions without a delete marker that hides them."""
    plan(scene)
    assert scene.apply().exit_code == 0, scene.problems()
    assert set(scene.keys()) == {*NAMES, ALONE}
    assert {version.key for version in scene.versions()} == {*NAMES, ALONE}


def test_what_was_written_since_stays(scene: Scene) -> None:
    """A form that is another one by now; of versions only those that were planned go."""
    plan(scene)
    scene.put(SHADOWS[0], b"written since")
    finished = scene.apply()
    assert set(scene.keys()) == {*NAMES, ALONE, SHADOWS[0]}
    reasons = [problem.reason for problem in scene.problems()]
    assert (finished.exit_code, reasons) in ((0, []), (3, ["form-changed"]))
