"""Archives with other tags than the manifest's lifecycle policy goes by: changed, put back."""

from __future__ import annotations

from typing import Any

import pytest

from s3plan import api
from tests.engine.conftest import moto_scene
from tests.engine.scene import Scene
from tests.sessions.test_archiving import library, plan

__all__ = ["moto_scene"]  # a fixture

KEYS = tuple(
    f"raw/{night}.tar"
    for night in ("2023/20230110_AAAA0000", "2024/20240211_AAAA0000", "2024/20240315_AAAA0000")
)


def tags(scene: Scene) -> list[dict[str, str]]:
    found = []
    for key in KEYS:
        told = scene.s3.get_object_tagging(Bucket=scene.bucket, Key=key)["TagSet"]
        found.append({tag["Key"]: tag["Value"] for tag in told})
    return found


def retag(scene: Scene, key: str, **given: str) -> None:
    told = [{"Key": name, "Value": value} for name, value in given.items()]
    scene.s3.put_object_tagging(Bucket=scene.bucket, Key=key, Tagging={"TagSet": told})


def steps(result: api.PlanResult) -> list[Any]:
    assert result.plan is not None
    return [step for step in result.plan.steps if step.verb == "tag"]


@pytest.fixture
def archived(moto_scene: Scene) -> Scene:
    """Three sessions under the policy fast."""
    library(moto_scene)
    plan(moto_scene, "lifecycle: {policy: fast}")
    assert moto_scene.apply().exit_code == 0, moto_scene.problems()
    return moto_scene


def test_tags_follow_the_policy(archived: Scene) -> None:
    """D4, D34: rule and tags of one definition, also for archives of an earlier one."""
    scene = archived
    # One has a tag of the user's, one those of the replaced tool.
    retag(scene, KEYS[1], archive="fast", owner="me")
    retag(scene, KEYS[2], archive_policy="fast", backup_policy="deep")
    before = tags(scene)
    result = plan(scene, "lifecycle: {policy: normal}")
    assert [(step.action.before, step.action.after) for step in steps(result)] == [
        ({"archive": "fast"}, {"archive": "normal"}),
        ({"archive": "fast", "owner": "me"}, {"archive": "normal", "owner": "me"}),
        ({"archive_policy": "fast", "backup_policy": "deep"}, {"archive": "normal"}),
    ]
    assert scene.apply().exit_code == 0, scene.problems()
    assert tags(scene) == [
        {"archive": "normal"}, {"archive": "normal", "owner": "me"}, {"archive": "normal"}
    ]  # fmt: skip
    assert plan(scene, "lifecycle: {policy: normal}").plan is None
    assert scene.rollback() is not None
    assert tags(scene) == before


def test_who_changed_tags_meanwhile_has_the_last_word(archived: Scene) -> None:
    """Invariants 3 and 5: neither the run nor its rollback touches what is not as it left it."""
    scene = archived
    plan(scene, "lifecycle: {policy: normal}")
    retag(scene, KEYS[0], archive="delayed")
    assert scene.apply().exit_code == 3
    assert "tags were changed since" in str(scene.problems())
    retag(scene, KEYS[1], archive="deep")
    finished = scene.rollback()
    assert finished is not None
    assert finished.exit_code == 7
    assert tags(scene) == [{"archive": "delayed"}, {"archive": "deep"}, {"archive": "fast"}]


def test_other_tags_can_be_left(archived: Scene) -> None:
    scene = archived
    said = plan(scene, "lifecycle: {policy: normal}\notherTags: list")
    assert steps(said) == []
    assert "3 archives have other tags than the lifecycle policy goes by" in " ".join(said.notes)
    ignored = plan(scene, "lifecycle: {policy: normal}\notherTags: ignore")
    assert "other tags" not in " ".join(ignored.notes)
    chosen = plan(scene, "lifecycle: {policy: normal}", only=["session=2023*"])
    assert [step.totals.items for step in steps(chosen)] == [1]
