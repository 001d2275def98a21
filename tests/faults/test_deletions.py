"""Faults while deleting and while going back: what S3 did is looked at, never assumed."""

from __future__ import annotations

import re

import pytest

from s3plan.errors import StoreError
from tests.engine.scene import OBJECTS_ONLY, WHOLE, Stored
from tests.faults import faults
from tests.faults.choice import some
from tests.faults.conftest import Between
from tests.faults.proxy import Exchange, Fault, Rule
from tests.faults.witness import (
    assert_comes_back,
    assert_nothing_lost,
    assert_untouched,
    fill,
)
from tests.store.scripted import answer

ERROR_IN_200 = "<Error><Code>{}</Code><Message>m</Message></Error>"


def deletion(fault: Fault, *, times: float = 1) -> Rule:
    """A fault for DeleteObjects."""
    return Rule("fault", fault, "POST", "", "delete", times=times)


def _approved(between: Between, spec: str = WHOLE) -> tuple[dict[str, Stored], str]:
    before = fill(between.scene)
    return before, between.scene.apply_to_gate(spec)


SENT_AGAIN: dict[str, Fault] = {
    "503": faults.refuse(503, "SlowDown"),
    "503, Retry-After": faults.refuse(503, "SlowDown", Retry_After="1"),
    "200 with SlowDown": faults.say(answer(200, ERROR_IN_200.format("SlowDown"))),
}
DONE: dict[str, Fault] = {
    "502 after": faults.fail_after,
    "reset after": faults.reset_after,
    "truncated": faults.truncate,
    "half a document": faults.edit(lambda body: body[: len(body) // 2]),
    "an error document": faults.edit(lambda _: ERROR_IN_200.format("InternalError").encode()),
    "nothing mentioned": faults.edit(lambda _: b"<DeleteResult></DeleteResult>"),
    "another document": faults.edit(lambda _: b"<html></html>"),
}


@pytest.mark.long
@pytest.mark.parametrize(
    "name", some([*SENT_AGAIN, *DONE], "503", "reset after", "an error document", "truncated")
)
def test_a_deletion_whose_answer_is_no_answer_ends_by_looking(between: Between, name: str) -> None:
    """S3 did nothing and said so: sent again. S3 did it and the answer was lost: each key looked
    at, and found gone. Either way the run ends done, with every copy in its place.
    """
    before, evidence = _approved(between)
    between.proxy.play(deletion((SENT_AGAIN | DONE)[name]))
    finished = between.scene.apply(delete=evidence)
    assert finished.exit_code == 0, (finished, between.scene.problems())
    assert len(between.proxy.played()) == 1
    assert not between.scene.bucket_exists()
    assert_nothing_lost(between.scene, before)


NOT_DONE: dict[str, Fault] = {
    "500": faults.refuse(500, "InternalError"),
    "403": faults.refuse(403, "AccessDenied"),
    "expired": faults.refuse(400, "ExpiredToken"),
    "reset before": faults.reset_before,
    "200 with AccessDenied": faults.say(answer(200, ERROR_IN_200.format("AccessDenied"))),
    "200 with InternalError": faults.say(answer(200, ERROR_IN_200.format("InternalError"))),
}


@pytest.mark.parametrize("name", some(NOT_DONE, "500", "reset before", "200 with AccessDenied"))
def test_a_deletion_that_did_not_happen_is_not_called_done(between: Between, name: str) -> None:
    """Exit 3, every object named and still there; the same approval goes on."""
    before, evidence = _approved(between)
    between.proxy.play(deletion(NOT_DONE[name], times=99))
    finished = between.scene.apply(delete=evidence)
    assert (finished.exit_code, finished.failed) == (3, len(before))
    assert_untouched(between.scene, before)
    between.proxy.heal()
    assert between.scene.apply(delete=evidence).exit_code == 0
    assert not between.scene.bucket_exists()
    assert_nothing_lost(between.scene, before)


def test_keys_that_s3_refuses_alone_are_named_and_the_others_are_deleted(between: Between) -> None:
    """DeleteObjects answers per key: three refused, one not mentioned, one said twice, the rest
    deleted. Only what is gone is called done; the same approval ends it.
    """
    scene = between.scene
    before, evidence = _approved(between, OBJECTS_ONLY)
    refused = {"AccessDenied": 1, "InternalError": 4, "SomethingNew": 7}
    silent = "d1/object-0010.txt"

    async def partly(exchange: Exchange) -> None:
        keys = [key.decode() for key in re.findall(rb"<Key>(.*?)</Key>", exchange.asked.body)]
        errors = {f"d1/object-{number:04}.txt": code for code, number in refused.items()}
        told = []
        for key in keys:
            if key in errors:
                told.append(f"<Error><Key>{key}</Key><Code>{errors[key]}</Code></Error>")
                continue
            if key == silent:
                continue
            scene.delete(key)
            told.append(f"<Deleted><Key>{key}</Key></Deleted>" * (1 + (key == keys[0])))
        exchange.send(answer(200, f"<DeleteResult>{''.join(told)}</DeleteResult>"))

    between.proxy.play(deletion(partly))
    finished = scene.apply(delete=evidence)
    left = {f"d1/object-{number:04}.txt" for number in refused.values()} | {silent}
    assert (finished.exit_code, finished.failed) == (3, len(left))
    assert {problem.key for problem in scene.problems()} == left
    assert set(scene.keys()) == left
    assert_nothing_lost(scene, before)
    between.proxy.heal()
    assert scene.apply(delete=evidence).exit_code == 0
    assert scene.keys() == []
    assert_nothing_lost(scene, before)


def test_keys_that_are_asked_to_wait_are_sent_again_by_themselves(between: Between) -> None:
    """SlowDown for single keys of a DeleteObjects says that nothing was done with them."""
    scene = between.scene
    before, evidence = _approved(between)
    asked: list[int] = []

    async def slow(exchange: Exchange) -> None:
        keys = [key.decode() for key in re.findall(rb"<Key>(.*?)</Key>", exchange.asked.body)]
        asked.append(len(keys))
        scene.delete(*keys[::2])
        told = [f"<Deleted><Key>{key}</Key></Deleted>" for key in keys[::2]]
        told += [f"<Error><Key>{key}</Key><Code>SlowDown</Code></Error>" for key in keys[1::2]]
        exchange.send(answer(200, f"<DeleteResult>{''.join(told)}</DeleteResult>"))

    between.proxy.play(deletion(slow, times=2))
    finished = scene.apply(delete=evidence)
    assert finished.exit_code == 0, (finished, scene.problems())
    assert asked == [len(before), len(before) // 2]
    assert_nothing_lost(scene, before)


def test_a_deletion_that_is_said_and_not_done_is_found(between: Between) -> None:
    """A second listing after the step: what is still there was not deleted."""
    scene = between.scene
    before, evidence = _approved(between)

    async def lie(exchange: Exchange) -> None:
        keys = [key.decode() for key in re.findall(rb"<Key>(.*?)</Key>", exchange.asked.body)]
        told = "".join(f"<Deleted><Key>{key}</Key></Deleted>" for key in keys)
        exchange.send(answer(200, f"<DeleteResult>{told}</DeleteResult>"))

    between.proxy.play(deletion(lie))
    finished = scene.apply(delete=evidence)
    assert (finished.exit_code, finished.failed) == (3, len(before))
    assert {problem.reason for problem in scene.problems()} == {"still-there"}
    assert_untouched(scene, before)


def test_a_lost_answer_that_cannot_be_looked_into_stays_open(between: Between) -> None:
    """The deletion happened, its answer was lost, and looking fails as well: nothing is called
    done or not done; later the same approval finds what is gone.
    """
    scene = between.scene
    before, evidence = _approved(between)
    between.proxy.play(
        deletion(faults.reset_after), Rule("500", faults.refuse(500, ""), "HEAD", ".+")
    )
    finished = scene.apply(delete=evidence)
    assert (finished.exit_code, finished.failed) == (3, len(before))
    between.proxy.heal()
    assert scene.apply(delete=evidence).exit_code == 0
    assert not scene.bucket_exists()
    assert_nothing_lost(scene, before)


@pytest.mark.long
@pytest.mark.parametrize(
    "fault",
    [faults.refuse(500, "InternalError"), faults.truncate, faults.refuse(403, "AccessDenied")],
    ids=["500", "truncated", "403"],
)
def test_a_deletion_whose_listing_fails_deletes_nothing_more(
    between: Between, fault: Fault
) -> None:
    """The listing that drives the deletion fails: exit 3, what is left is left."""
    before, evidence = _approved(between)
    between.proxy.play(Rule("list", fault, "GET", "", "list-type"))
    finished = between.scene.apply(delete=evidence)
    assert finished.exit_code == 3
    assert_untouched(between.scene, before)
    between.proxy.heal()
    assert between.scene.apply(delete=evidence).exit_code == 0
    assert_nothing_lost(between.scene, before)


@pytest.mark.long
@pytest.mark.parametrize("after", [True, False], ids=["done", "not done"])
def test_a_bucket_whose_deletion_lost_its_answer_is_looked_for(
    between: Between, *, after: bool
) -> None:
    """Gone is done. Still there is sent again or told; the objects' copies stay."""
    before, evidence = _approved(between)
    fault = faults.reset_after if after else faults.reset_before
    between.proxy.play(Rule("bucket", fault, "DELETE", "", times=1))
    finished = between.scene.apply(delete=evidence)
    assert finished.exit_code == 0, (finished, between.scene.problems())
    assert not between.scene.bucket_exists()
    assert_nothing_lost(between.scene, before)


# -- the way back -------------------------------------------------------------------------------


def _deleted(between: Between) -> dict[str, Stored]:
    before, evidence = _approved(between)
    assert between.scene.apply(delete=evidence).exit_code == 0
    return before


UPLOADS: dict[str, Fault] = {
    "500": faults.refuse(500, "InternalError"),
    "503": faults.refuse(503, "SlowDown"),
    "409": faults.refuse(409, "ConditionalRequestConflict"),
    "reset before": faults.reset_before,
    "reset after": faults.reset_after,
    "502 after": faults.fail_after,
}


@pytest.mark.long
def test_uploads_whose_answer_was_lost_are_settled_by_looking(between: Between) -> None:
    """Every fault on a small and on a large body in one run: sent again with If-None-Match; a 412
    is our own first try, proven by its content.
    """
    for number in range(len(UPLOADS)):
        size = 9 << 20 if number == 4 else 2 << 20  # over eight mebibytes a body is streamed
        between.scene.put(f"large/{number}", bytes([number]) * size)
    before = _deleted(between)
    rules = []
    for number, fault in enumerate(UPLOADS.values()):
        rules.append(Rule("small", fault, "PUT", f"d./object-{number:04}.txt", times=1))
        rules.append(Rule("large", fault, "PUT", f"large/{number}", times=1))
    between.proxy.play(*rules)
    assert_comes_back(between.scene, before)
    assert len(between.proxy.played()) == len(rules)


@pytest.mark.load
def test_an_upload_that_nobody_answers_is_settled_by_looking(between: Between) -> None:
    """S3 stored it and said nothing until the stall ended the wait."""
    before = _deleted(between)
    between.proxy.play(Rule("silence", faults.never_answer, "PUT", ".+", times=3))
    assert_comes_back(between.scene, before)
    assert len(between.proxy.played()) == 3


def test_uploads_that_are_damaged_on_the_way_are_not_stored(between: Between) -> None:
    """Content-MD5 makes S3 refuse them: the rollback is incomplete, the copies stay, nothing
    wrong is in S3; the same command ends it.
    """
    before = _deleted(between)
    scene = between.scene
    between.proxy.play(Rule("bit", faults.flip_request, "PUT", ".+"))
    finished = scene.rollback()
    assert finished is not None
    assert finished.exit_code == 3
    assert scene.keys() == []
    assert_nothing_lost(scene, before)
    assert len(scene.files()) == len(before)
    between.proxy.heal()
    assert_comes_back(scene, before)


@pytest.mark.long
@pytest.mark.parametrize(
    "fault",
    [faults.refuse(500, "InternalError"), faults.refuse(403, "AccessDenied"), faults.truncate],
    ids=["500", "403", "truncated"],
)
def test_copies_whose_originals_cannot_be_listed_are_kept(between: Between, fault: Fault) -> None:
    """Taking back the downloads needs a whole listing, to plan it and right before it; without
    one of them no file is removed.
    """
    scene = between.scene
    before = fill(scene)
    scene.apply_to_gate()
    copies = {key: stored.body for key, stored in before.items()}
    between.proxy.play(Rule("list", fault, "GET", "", "list-type"))
    with pytest.raises(StoreError):
        scene.rollback()
    assert scene.files() == copies
    between.proxy.play(Rule("list", fault, "GET", "", "list-type", skip=1))
    finished = scene.rollback()
    assert finished is not None
    assert finished.exit_code == 3
    assert scene.files() == copies
    between.proxy.heal()
    assert_comes_back(scene, before)


@pytest.mark.long
@pytest.mark.parametrize("after", [True, False], ids=["done", "not done"])
def test_a_bucket_whose_creation_lost_its_answer_is_looked_for(
    between: Between, *, after: bool
) -> None:
    """Whether S3 made it or not, it is there in the end, with everything in it."""
    before = _deleted(between)
    fault = faults.reset_after if after else faults.reset_before
    between.proxy.play(Rule("bucket", fault, "PUT", "", times=1))
    assert_comes_back(between.scene, before)
    assert len(between.proxy.played()) == 1
