"""Notes and extras over the size of one PUT: in parts, resumed, replaced, and taken back.

The limit is lowered here; ``make test-large`` does the same with a file of more than 5 GiB.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from s3plan.engine.handlers import sending
from s3plan.errors import EndpointError
from s3plan.rules.parts import count_of_parts
from s3plan.store.multipart import Upload
from tests.engine.conftest import scene, versioned
from tests.engine.scene import Scene
from tests.sessions.test_archiving import library, plan
from tests.sessions.test_files import NOTES, beside

__all__ = ["scene", "versioned"]  # fixtures

MIB = 1 << 20
BODY = bytes(range(251)) * (48 << 10)  # 11.8 MiB: parts of 5, 5 and 1.8
EXTRAS = 'extras: [{from: "db/*.sqlite", key: "backups/{stem}_{digest}{ext}"}]'
NOTE = "notes/2023/20230110_AAAA0000_notes.md"

pytestmark = pytest.mark.long


@pytest.fixture(autouse=True)
def _small_puts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "LARGEST_PUT", MIB)
    monkeypatch.setattr(sending, "PART", 5 * MIB)


def counted(
    monkeypatch: pytest.MonkeyPatch, before: Callable[[int], None] = lambda number: None
) -> list[int]:
    """The numbers of the parts that are sent from now on; ``before`` may refuse one."""
    sent: list[int] = []
    send = Upload.send_part

    async def noted(self: Upload, number: int, *args: Any, **options: Any) -> Any:
        before(number)
        part = await send(self, number, *args, **options)
        sent.append(number)
        return part

    monkeypatch.setattr(Upload, "send_part", noted)
    return sent


def uploads(scene: Scene) -> list[Any]:
    return list(scene.s3.list_multipart_uploads(Bucket=scene.bucket).get("Uploads", []))


def extra(scene: Scene) -> str:
    (key,) = [key for key in scene.objects() if key.startswith("backups/")]
    return key


def test_a_large_extra_goes_in_parts_and_goes_on(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """D51, A45: what S3 has of it is not sent again; the whole is verified, and taken back."""
    (scene.directory / "library").mkdir()
    beside(scene, "db/catalogue.sqlite", BODY)
    plan(scene, EXTRAS)

    def fails(number: int) -> None:
        if number == 3:
            raise EndpointError("the endpoint went away")

    with monkeypatch.context() as patched:
        first = counted(patched, fails)
        assert scene.apply().exit_code == 3
    again = counted(monkeypatch)
    assert scene.apply().exit_code == 0, scene.problems()
    assert 3 in again
    assert not set(first) & set(again)
    head = scene.s3.head_object(Bucket=scene.bucket, Key=extra(scene))
    assert count_of_parts(head["ETag"].strip('"')) == 3
    assert scene.objects()[extra(scene)].body == BODY
    assert uploads(scene) == []
    assert plan(scene, EXTRAS).plan is None
    assert scene.rollback() is not None
    assert scene.keys() == []


def test_a_large_note_is_replaced(versioned: Scene) -> None:
    """D10: by a conditional completion; the version that was there stays, and comes back."""
    scene = versioned
    library(scene)
    beside(scene, NOTE, BODY)
    plan(scene, NOTES)
    assert scene.apply().exit_code == 0, scene.problems()
    (key,) = [key for key in scene.objects() if key.startswith("notes/")]
    beside(scene, NOTE, BODY + b"more")
    assert plan(scene, NOTES).plan is not None
    assert scene.apply().exit_code == 0, scene.problems()
    assert scene.objects()[key].body == BODY + b"more"
    assert scene.rollback() is not None
    assert scene.objects()[key].body == BODY


def test_a_key_that_was_taken_meanwhile_is_left_alone(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Invariant 3; and of what was sent nothing stays."""
    (scene.directory / "library").mkdir()
    beside(scene, "db/catalogue.sqlite", BODY)
    result = plan(scene, EXTRAS)
    assert result.plan is not None
    (step,) = [step for step in result.plan.steps if step.verb == "put-files"]
    (item,) = result.plan.items(step.id)

    def taken(number: int) -> None:
        if number == 1:
            scene.put(item.key, b"somebody's")

    counted(monkeypatch, taken)
    assert scene.apply().exit_code == 3
    assert scene.objects()[item.key].body == b"somebody's"
    assert uploads(scene) == []
