"""Faults while planning: a listing is whole and right, or there is no plan."""

from __future__ import annotations

import re
import time
from collections.abc import Callable

import pytest

from s3plan.errors import (
    AccessDeniedError,
    EndpointError,
    ListingError,
    StoreError,
    ThrottledError,
)
from tests.engine.scene import WHOLE
from tests.faults import faults
from tests.faults.choice import some
from tests.faults.conftest import Between
from tests.faults.proxy import Asked, Exchange, Fault, Rule
from tests.faults.witness import assert_goes_through, assert_untouched, fill
from tests.store.scripted import answer

pytestmark = pytest.mark.usefixtures("small_pages")

CONTENTS = re.compile(rb"<Contents>.*?</Contents>", re.DOTALL)


def listing(name: str, fault: Fault, *, times: float = 1, skip: int = 1) -> Rule:
    """A fault for the second page, or for as many as are said."""
    return Rule(name, fault, "GET", "", "list-type", times=times, skip=skip, when=_of_keys)


def _of_keys(asked: Asked) -> bool:
    return "delimiter" not in asked.query


SURVIVED: dict[str, Fault] = {
    "500": faults.refuse(500, "InternalError"),
    "503": faults.refuse(503, "SlowDown"),
    "503, Retry-After": faults.refuse(503, "SlowDown", Retry_After="1"),
    "429": faults.refuse(429, "TooManyRequests"),
    "502 of a gateway": faults.fail_after,
    "reset before": faults.reset_before,
    "reset after": faults.reset_after,
    "truncated": faults.truncate,
    "stalled": faults.stall,
    "longer than announced": faults.longer(10),
    "206": faults.partial_content,
    "200 with an error document": faults.say(
        answer(200, "<Error><Code>InternalError</Code><Message>m</Message></Error>")
    ),
}


@pytest.mark.long
@pytest.mark.parametrize(
    "name",
    some(SURVIVED, "500", "503", "reset after", "truncated", "206", "200 with an error document"),
)
def test_a_page_that_fails_once_is_asked_for_again(between: Between, name: str) -> None:
    """The plan is the one that is made without the fault."""
    scene, proxy = between.scene, between.proxy
    scene.fill(9)
    undisturbed = scene.plan(WHOLE).plan
    assert undisturbed is not None
    proxy.play(listing(name, SURVIVED[name]))
    began = time.monotonic()
    made = scene.plan(WHOLE).plan
    assert made is not None
    assert made.digest == undisturbed.digest
    assert len(proxy.played()) == 1
    if name.endswith("Retry-After"):
        assert time.monotonic() - began >= 1


REFUSED: dict[str, tuple[Fault, type[StoreError]]] = {
    "500": (faults.refuse(500, "InternalError"), EndpointError),
    "503": (faults.refuse(503, "SlowDown"), ThrottledError),
    "403": (faults.refuse(403, "AccessDenied"), AccessDeniedError),
    "truncated": (faults.truncate, EndpointError),
    "200 with an error document": (
        faults.say(answer(200, "<Error><Code>SlowDown</Code><Message>m</Message></Error>")),
        ThrottledError,
    ),
    "RequestTimeTooSkewed by a clock that is right": (
        faults.refuse(403, "RequestTimeTooSkewed"),
        StoreError,
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_page_that_keeps_failing_is_no_listing(between: Between, name: str) -> None:
    """No plan file, and an error that says which bucket; the pages before do not count."""
    scene, proxy = between.scene, between.proxy
    scene.fill(9)
    fault, kind = REFUSED[name]
    proxy.play(listing(name, fault, times=99))
    with pytest.raises(kind) as raised:
        scene.plan(WHOLE)
    assert scene.bucket in str(raised.value.address)
    assert raised.value.exit_code == 1
    assert not (scene.directory / "plan.json").exists()


class _Replay:
    """Remembers the first page and gives it again in place of a later one."""

    def __init__(self) -> None:
        self.page: bytes | None = None

    async def __call__(self, exchange: Exchange) -> None:
        reply = await exchange.served()
        body = reply.body if self.page is None else self.page
        self.page = self.page or body
        exchange.send(reply.with_body(body))


def _backwards(body: bytes) -> bytes:
    entries = CONTENTS.findall(body)
    head, tail = body[: body.index(entries[0])], body[body.rindex(entries[-1]) + len(entries[-1]) :]
    return head + b"".join(reversed(entries)) + tail


def _without_one(body: bytes) -> bytes:
    return body.replace(CONTENTS.findall(body)[1], b"", 1)


def _endless(body: bytes) -> bytes:
    return (
        re.sub(rb"<IsTruncated>\w+<", b"<IsTruncated>true<", body)
        .replace(b"<NextContinuationToken>", b"<Gone>")
        .replace(b"</NextContinuationToken>", b"</Gone>")
    )


def lie(fault: Fault) -> Rule:
    """Not once only: a listing by several hands that one of them spoils is begun anew by one."""
    return listing("lie", fault, times=99)


LIES: dict[str, Callable[[], Rule]] = {
    "a page again": lambda: listing("a page again", _Replay(), times=99, skip=0),
    "out of order": lambda: lie(faults.edit(_backwards)),
    "an entry less than counted": lambda: lie(faults.edit(_without_one)),
    "truncated without a token": lambda: lie(faults.edit(_endless)),
    "half a document": lambda: lie(faults.edit(lambda body: body[: len(body) // 2])),
    "another document": lambda: lie(faults.say(answer(200, "<html></html>"))),
    "nothing": lambda: lie(faults.say(answer(200, ""))),
}


@pytest.mark.long
@pytest.mark.parametrize("name", LIES)
def test_a_page_that_cannot_be_right_is_no_listing(between: Between, name: str) -> None:
    """No plan file; asked again without the fault, the plan is made."""
    scene, proxy = between.scene, between.proxy
    scene.fill(9)
    proxy.play(LIES[name]())
    with pytest.raises(ListingError) as raised:
        scene.plan(WHOLE)
    assert scene.bucket in str(raised.value)
    assert not (scene.directory / "plan.json").exists()
    proxy.heal()
    made = scene.plan().plan
    assert made is not None


@pytest.mark.long
def test_a_key_that_was_garbled_in_a_listing_is_never_found_nor_deleted(between: Between) -> None:
    """Nothing in HTTP protects a listing: the plan has a key that S3 does not, the object drifts,
    and the gate, which lists again, finds one too many.
    """
    scene, proxy = between.scene, between.proxy
    before = fill(scene)
    garble = faults.edit(lambda body: body.replace(b"object-0003", b"object-0004"))
    proxy.play(listing("garbled", garble, times=1, skip=0))
    scene.plan(WHOLE)
    proxy.heal()
    finished = scene.apply()
    assert finished.exit_code == 3
    assert [p.key for p in scene.problems()] == ["d0/object-0004.txt"]
    assert_untouched(scene, before)
    assert scene.apply(ask=lambda _: True).exit_code == 3
    assert_untouched(scene, before)
    scene.plan()
    assert_goes_through(scene, before)


def _drop(key: bytes) -> Fault:
    def change(body: bytes) -> bytes:
        kept = [e for e in CONTENTS.findall(body) if key not in e]
        gone = [e for e in CONTENTS.findall(body) if key in e]
        for entry in gone:
            body = body.replace(entry, b"")
        count = b"<KeyCount>%d</KeyCount>" % len(kept)
        return re.sub(rb"<KeyCount>\d+</KeyCount>", count, body)

    return faults.edit(change)


def test_a_page_that_leaves_out_a_key_while_planning_holds_the_gate(between: Between) -> None:
    """A listing that is consistent and has a gap cannot be told from a bucket without the key;
    the gate's listing has it, and what the plan does not know is never deleted.
    """
    scene, proxy = between.scene, between.proxy
    before = fill(scene)
    proxy.play(listing("gap", _drop(b"object-0004"), times=99, skip=0))
    scene.plan(WHOLE)
    proxy.heal()
    finished = scene.apply(ask=lambda _: True)
    assert finished.exit_code == 4
    assert not scene.gate().passes
    assert_untouched(scene, before)


@pytest.mark.long
def test_a_key_that_no_listing_ever_shows_outlives_the_evacuation(between_moto: Between) -> None:
    """It is in no worklist, so nothing deletes it, and S3 does not delete a bucket that holds it
    (SeaweedFS does, unless told not to: -s3.allowDeleteBucketNotEmpty=false).
    """
    scene, proxy = between_moto.scene, between_moto.proxy
    before = fill(scene)
    proxy.play(listing("gap", _drop(b"object-0004"), times=9999, skip=0))
    scene.plan(WHOLE)
    finished = scene.apply(ask=lambda _: True)
    assert finished.exit_code == 3
    assert scene.keys() == ["d1/object-0004.txt"]
    proxy.heal()
    files = scene.files()
    for key, stored in before.items():
        assert key == "d1/object-0004.txt" or files[key] == stored.body


def test_planning_sends_nothing_that_writes(between: Between) -> None:
    """GET and HEAD only, whatever fails on the way."""
    scene, proxy = between.scene, between.proxy
    fill(scene)
    chance = iter([True, False, False] * 99)
    proxy.play(
        Rule("500", faults.refuse(500, "InternalError"), when=lambda _: next(chance), times=9)
    )
    scene.plan(WHOLE)
    assert {asked.method for asked in proxy.asked} <= {"GET", "HEAD"}
    assert proxy.played()


def test_errors_never_leave_a_traceback(between: Between) -> None:
    """The command line ends with an exit code and what to do."""
    scene, proxy = between.scene, between.proxy
    scene.fill(3)
    scene.manifest()
    proxy.play(listing("403", faults.refuse(403, "AccessDenied"), times=99, skip=0))
    ran = scene.s3plan("plan", "manifest.yaml")
    assert ran.code == 1
    assert "Traceback" not in ran.err
    assert "access denied" in ran.err
