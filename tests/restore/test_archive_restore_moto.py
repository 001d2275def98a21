"""ArchiveRestore on moto, which knows GLACIER: nothing is read before it is restored."""

from __future__ import annotations

import pytest

from s3plan.model.steps import Restore
from tests.engine.conftest import moto_scene
from tests.engine.scene import Scene
from tests.restore.test_archive_restore import ONE, TWO, archive_sessions, below, here, plan

__all__ = ["moto_scene"]  # a fixture


@pytest.mark.long
def test_sessions_come_back_out_of_deep_archive(moto_scene: Scene) -> None:
    """D4, D44: uploaded straight into DEEP_ARCHIVE, restored, extracted, and not planned again."""
    archive_sessions(moto_scene, storage_class="DEEP_ARCHIVE")
    result = plan(moto_scene, "restore: {days: 7, poll: 1}")
    assert result.plan is not None
    first = result.plan.steps[0].action
    assert isinstance(first, Restore)
    assert first.tiers == {"DEEP_ARCHIVE": "Bulk"}
    assert moto_scene.apply().exit_code == 0, moto_scene.problems()
    assert here(moto_scene) == below("one", ONE) | below("two", TWO)
    assert plan(moto_scene).plan is None
