"""Faults while downloading and verifying: what did not arrive whole and right is not a copy."""

from __future__ import annotations

import time
from collections.abc import Iterable
from datetime import UTC, datetime
from email.utils import formatdate
from pathlib import Path

import pytest

from s3plan.errors import CredentialsError
from s3plan.model.events import GateReached
from tests.engine.scene import COPY_ONLY, WHOLE
from tests.faults import faults
from tests.faults.conftest import Between
from tests.faults.proxy import Asked, Exchange, Fault, Rule
from tests.faults.witness import (
    assert_goes_through,
    assert_nothing_lost,
    assert_untouched,
    fill,
)
from tests.store.scripted import answer


def body_of(key: str, fault: Fault, *, times: float = 1) -> Rule:
    """A fault for GetObject of one key."""
    return Rule("fault", fault, "GET", key.replace(".", r"\."), "-", times=times)


SURVIVED: dict[str, Fault] = {
    "500": faults.refuse(500, "InternalError"),
    "503": faults.refuse(503, "SlowDown"),
    "503 with Retry-After": faults.refuse(503, "SlowDown", Retry_After="1"),
    "502 of a gateway": faults.fail_after,
    "reset before": faults.reset_before,
    "reset after": faults.reset_after,
    "truncated": faults.truncate,
    "stalled": faults.stall,
    "one bit": faults.flip,
    "206": faults.partial_content,
    "a Content-Range of something else": faults.wrong_range,
}
"""What a body may meet once, and the run ends as if it had not."""

FAILED: dict[str, tuple[Fault, str]] = {
    "500": (faults.refuse(500, "InternalError"), "failed"),
    "503": (faults.refuse(503, "SlowDown"), "failed"),
    "403": (faults.refuse(403, "AccessDenied"), "failed"),
    "reset": (faults.reset_after, "failed"),
    "truncated": (faults.truncate, "failed"),
    "one bit": (faults.flip, "mismatched"),
    "206": (faults.partial_content, "failed"),
    "an error document for a body": (
        faults.say(answer(200, "<Error><Code>InternalError</Code></Error>")),
        "failed",
    ),
    "announced and sent too short": (faults.shorter(3), "drifted"),
}
"""What a body may meet every time, and what becomes of the object. A size that is not the planned
one is another object: left alone, and planned again.
"""


def _fill_for(between: Between, names: Iterable[str]) -> dict[str, list[str]]:
    """A small and a large object for each fault; their keys."""
    keys: dict[str, list[str]] = {}
    for number, name in enumerate(names):
        keys[name] = [f"small/{number:02}.txt", f"large/{number:02}.bin"]
        between.scene.put(keys[name][0], f"content {number}".encode())
        between.scene.put(keys[name][1], number.to_bytes(2, "big") * (5 << 18))
    return keys


@pytest.mark.long
def test_bodies_that_do_not_arrive_once_are_fetched_again(between: Between) -> None:
    """Every fault on a small and on a large body in one run: it ends as if there had been none,
    every object verified, nobody asked.
    """
    scene, proxy = between.scene, between.proxy
    keys = _fill_for(between, SURVIVED)
    before = fill(scene)
    scene.plan(WHOLE)
    proxy.play(*[body_of(key, SURVIVED[name]) for name in SURVIVED for key in keys[name]])
    finished = scene.apply()
    assert finished.exit_code == 4, (finished, scene.problems())
    assert len(proxy.played()) == 2 * len(SURVIVED)
    assert scene.problems() == []
    proxy.heal()
    assert_goes_through(scene, before)


@pytest.mark.long
def test_bodies_that_never_arrive_are_named_and_hold_everything(between: Between) -> None:
    """Exit 3, the objects named, no file under their names, the rest there; no deletion even if
    somebody says yes to everything. The same command later ends it.
    """
    scene, proxy = between.scene, between.proxy
    keys = _fill_for(between, FAILED)
    before = fill(scene)
    scene.plan(WHOLE)
    proxy.play(*[body_of(key, FAILED[name][0], times=999) for name in FAILED for key in keys[name]])
    finished = scene.apply(ask=lambda _: True)
    assert finished.exit_code == 3
    expected = {key: FAILED[name][1] for name in FAILED for key in keys[name]}
    assert {p.key: p.outcome for p in scene.problems()} == expected
    assert not scene.gates()
    assert set(scene.files()) == set(before) - set(expected)
    assert_untouched(scene, before)
    proxy.heal()
    scene.plan()
    assert_goes_through(scene, before)


def test_an_object_that_looks_like_an_error_document_is_an_object(between: Between) -> None:
    """Bytes of an object are never read as an answer."""
    scene = between.scene
    body = b"<?xml version='1.0'?><Error><Code>SlowDown</Code><Message>m</Message></Error>"
    scene.put("saved-answer.xml", body)
    scene.plan(WHOLE)
    assert scene.apply().exit_code == 4, scene.problems()
    assert scene.files() == {"saved-answer.xml": body}


def test_tags_that_cannot_be_read_hold_the_gate(between: Between) -> None:
    """A deletion would lose them: no pass, no deletion; read later, the gate passes."""
    scene, proxy = between.scene, between.proxy
    before = fill(scene)
    scene.plan(WHOLE)
    proxy.play(Rule("403", faults.refuse(403, "AccessDenied"), "GET", query="tagging"))
    assert scene.apply(ask=lambda _: True).exit_code in (3, 4)
    assert not any(gate.passes for gate in scene.gates())
    assert_untouched(scene, before)
    proxy.heal()
    assert_goes_through(scene, before)


@pytest.mark.long
@pytest.mark.parametrize(
    "fault",
    [faults.refuse(500, "InternalError"), faults.truncate, faults.say(answer(200, "<html/>"))],
    ids=["500", "truncated", "another document"],
)
def test_a_gate_whose_listing_fails_does_not_open(between: Between, fault: Fault) -> None:
    """A listing that failed anywhere is no listing: nothing is approved, nothing deleted."""
    scene, proxy = between.scene, between.proxy
    before = fill(scene)
    scene.plan(WHOLE)
    proxy.play(Rule("list", fault, "GET", "", "list-type"))
    finished = scene.apply(ask=lambda _: True)
    assert finished.exit_code == 3
    assert not any(isinstance(e, GateReached) and e.passes for e in scene.events)
    assert_untouched(scene, before)
    proxy.heal()
    assert_goes_through(scene, before)


# -- credentials and clocks ---------------------------------------------------------------------


class Signing:
    """Temporary keys in a file, of which the server accepts only the newest."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.valid = 1
        self.write(1)

    def write(self, number: int) -> None:
        """What signing in again does."""
        self.file.write_text(
            f"[default]\naws_access_key_id = AK{number}\naws_secret_access_key = SK\n"
            f"aws_session_token = token-{number}\n"
        )

    def expired(self, asked: Asked) -> bool:
        return asked.headers.get("x-amz-security-token") != f"token-{self.valid}"


@pytest.fixture
def signing(between_moto: Between, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Signing:
    """The scene on moto signs with keys of a profile."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    return Signing(tmp_path / "credentials")


EXPIRED = faults.refuse(403, "ExpiredToken", "The provided token has expired.")


@pytest.mark.long
def test_keys_that_expire_in_the_middle_are_loaded_again(
    between_moto: Between, signing: Signing
) -> None:
    """Somebody signed in again meanwhile: nobody notices, each request corrects itself once."""
    scene, proxy = between_moto.scene, between_moto.proxy
    before = fill(scene)
    scene.plan(WHOLE)

    async def expire(exchange: Exchange) -> None:
        signing.valid = 2
        signing.write(2)
        await EXPIRED(exchange)

    proxy.play(
        Rule("expires", expire, "GET", query="-", times=1, skip=5),
        Rule("expired", EXPIRED, when=signing.expired),
    )
    assert scene.apply().exit_code == 4, scene.problems()
    assert len(proxy.played()) <= 1 + 8, "at most what was in flight"
    assert_goes_through(scene, before)


@pytest.mark.long
def test_keys_that_expire_and_stay_so_stop_the_run_and_it_goes_on_later(
    between_moto: Between, signing: Signing
) -> None:
    """Exit 3, nothing deleted, the error says to sign in; then the same command."""
    scene, proxy = between_moto.scene, between_moto.proxy
    before = fill(scene)
    scene.plan(WHOLE)

    async def expire(exchange: Exchange) -> None:
        signing.valid = 2
        await EXPIRED(exchange)

    proxy.play(
        Rule("expires", expire, "GET", query="-", times=1, skip=5),
        Rule("expired", EXPIRED, when=signing.expired),
    )
    finished = scene.apply(ask=lambda _: True)
    assert finished.exit_code == 3
    assert any("credentials" in p.message for p in scene.problems())
    assert_untouched(scene, before)
    signing.write(2)
    assert_goes_through(scene, before)


def test_a_clock_that_is_an_hour_late(between_moto: Between) -> None:
    """Planning says that the clock is wrong and what to do; a run that is under way reads the
    server's Date and goes on.
    """
    scene, proxy = between_moto.scene, between_moto.proxy
    before = fill(scene)
    clock = Rule("skewed", _too_skewed, when=_is_late)
    proxy.play(clock)
    with pytest.raises(CredentialsError, match="clock is wrong"):
        scene.plan(COPY_ONLY)
    proxy.heal()
    scene.plan(COPY_ONLY)
    proxy.play(clock)
    assert scene.apply().exit_code == 0, scene.problems()
    assert proxy.played()
    assert scene.files() == {key: stored.body for key, stored in before.items()}
    assert_nothing_lost(scene, before)


def _is_late(asked: Asked) -> bool:
    sent = datetime.strptime(asked.headers["x-amz-date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    return abs(sent.timestamp() - _server_time()) > 900


async def _too_skewed(exchange: Exchange) -> None:
    date = formatdate(_server_time(), usegmt=True)
    await faults.refuse(403, "RequestTimeTooSkewed", Date=date)(exchange)


def _server_time() -> float:
    return time.time() + 3600
