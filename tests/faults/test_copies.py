"""Faults while copying and taking copies back: what S3 did is looked at, never assumed."""

from __future__ import annotations

import pytest

from s3plan.model.capabilities import Capabilities
from tests.engine.copying import by_type, plan_copies
from tests.engine.scene import Scene, Stored
from tests.faults import faults
from tests.faults.choice import some
from tests.faults.conftest import Between
from tests.faults.proxy import Asked, Exchange, Fault, Rule
from tests.store.scripted import answer

COUNT = 6
ERROR_IN_200 = "<Error><Code>{}</Code><Message>m</Message></Error>"


def _copies(asked: Asked) -> bool:
    return "x-amz-copy-source" in asked.headers


def copying(fault: Fault, *, times: float = 1) -> Rule:
    """A fault for CopyObject."""
    return Rule("fault", fault, "PUT", times=times, when=_copies)


FAULTS: dict[str, Fault] = {
    "503": faults.refuse(503, "SlowDown"),
    "500": faults.refuse(500, "InternalError"),
    "200 with SlowDown": faults.say(answer(200, ERROR_IN_200.format("SlowDown"))),
    "200 with InternalError": faults.say(answer(200, ERROR_IN_200.format("InternalError"))),
    "done, 200 with InternalError": faults.edit(
        lambda _: ERROR_IN_200.format("InternalError").encode()
    ),
    "502 after": faults.fail_after,
    "reset before": faults.reset_before,
    "reset after": faults.reset_after,
    "truncated": faults.truncate,
    "no document": faults.edit(lambda _: b""),
    "another document": faults.edit(lambda _: b"<html></html>"),
}


def _done(scene: Scene, before: dict[str, Stored]) -> None:
    assert scene.objects() == before | {by_type(key): body for key, body in before.items()}


@pytest.mark.parametrize("relied", [False, True], ids=["looking", "conditional"])
@pytest.mark.parametrize(
    "name",
    some(FAULTS, "503", "200 with InternalError", "done, 200 with InternalError", "reset after"),
)
def test_a_copy_whose_answer_is_no_answer_ends_by_looking(
    between: Between, monkeypatch: pytest.MonkeyPatch, name: str, relied: bool
) -> None:
    """Whatever is heard of it: the same command ends with every copy equal to its source, and
    nothing that was not seen to be done is called so. Where the endpoint's conditions are relied
    upon the request is sent again, else it is looked at.
    """
    scene = between.scene
    scene.fill(COUNT)
    before = scene.objects()
    if relied:
        monkeypatch.setattr(Capabilities, "holds", lambda *_: True)
    plan_copies(scene)
    between.proxy.play(copying(FAULTS[name]))
    finished = scene.apply()
    assert len(between.proxy.played()) == 1
    made = [key for key in scene.objects() if key not in before]
    assert finished.done == len(made)
    if finished.exit_code != 0:
        assert (finished.exit_code, finished.failed) == (3, 1), (finished, scene.problems())
        assert scene.apply().exit_code == 0
    _done(scene, before)
    rolled = scene.rollback()
    assert rolled is not None
    assert rolled.exit_code == 0
    assert scene.objects() == before


def test_an_empty_object_instead_of_a_copy_is_never_called_one(between: Between) -> None:
    """Seen in the wild: a server without CopyObject answers 200 to the PUT that it takes it for."""
    scene = between.scene
    scene.fill(COUNT)
    before = scene.objects()
    plan_copies(scene)

    async def empty(exchange: Exchange) -> None:
        scene.put(exchange.asked.key, b"")
        exchange.send(answer(200, b""))

    between.proxy.play(copying(empty))
    finished = scene.apply()
    assert finished.exit_code == 3
    assert [problem.reason for problem in scene.problems()] == ["copy-differs"]
    after = scene.objects()
    assert {key: after[key] for key in before} == before


@pytest.mark.parametrize("name", ["reset after", "reset before", "503"])
def test_a_removal_whose_answer_is_no_answer_ends_by_looking(between: Between, name: str) -> None:
    scene = between.scene
    scene.fill(COUNT)
    before = scene.objects()
    plan_copies(scene)
    assert scene.apply().exit_code == 0
    between.proxy.play(Rule("fault", FAULTS[name], "POST", "", "delete", times=1))
    finished = scene.rollback()
    assert finished is not None
    if finished.exit_code != 0:
        assert finished.exit_code == 3
        again = scene.rollback()
        assert again is not None
        assert again.exit_code == 0
    assert scene.objects() == before


def test_a_listing_that_fails_stops_the_step_before_anything_is_copied(between: Between) -> None:
    """Invariant 2: a look that failed anywhere is no look."""
    scene = between.scene
    scene.fill(60)
    before = scene.objects()
    plan_copies(scene)
    between.proxy.play(Rule("fault", faults.refuse(403, "AccessDenied"), "GET", "", "list-type"))
    finished = scene.apply()
    assert finished.exit_code == 3
    assert scene.objects() == before
    between.proxy.heal()
    assert scene.apply().exit_code == 0
    _done(scene, before)
