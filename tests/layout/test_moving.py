"""Objects moved to another layout: staged, verified, swapped, and taken back."""

from __future__ import annotations

import pytest

from tests.engine.scene import Scene, Stored
from tests.layout.moving import fill, knows, look, plan


@pytest.fixture(params=["scene", "versioned"])
def any_scene(request: pytest.FixtureRequest) -> Scene:
    """A bucket that keeps no versions, and one that does."""
    scene = request.getfixturevalue(request.param)
    assert isinstance(scene, Scene)
    return scene


def versions_2(objects: dict[str, Stored]) -> dict[str, Stored]:
    """The objects as they must be afterwards."""
    return {
        key: replace_metadata(stored, {**stored.metadata, "layout-version": "2"})
        for key, stored in objects.items()
    }


def replace_metadata(stored: Stored, metadata: dict[str, str]) -> Stored:
    return Stored(stored.body, stored.content_type, metadata, stored.tags, stored.cache_control)


def test_objects_are_moved_and_taken_back(any_scene: Scene) -> None:
    """C1, C2, C5, C8, C9: the old form stays, as a version or under a shadow key."""
    scene = any_scene
    fill(scene, 6)
    before = look(scene)
    knows(scene, "put-if-match")
    made = plan(scene).plan
    assert made is not None
    assert [step.verb for step in made.steps] == ["stage", "verify-staged", "swap"]
    finished = scene.apply()
    assert finished.exit_code == 0, (finished, scene.problems())
    after = look(scene)
    assert after.objects == versions_2(before.objects)
    assert plan(scene).plan is None, "planning again says No changes"
    rolled = scene.rollback()
    assert rolled is not None
    assert rolled.exit_code == 0, (rolled, scene.problems())
    assert look(scene).objects == before.objects
    assert look(scene).shadows == after.shadows, "only a LayoutCleanup removes what was staged"
