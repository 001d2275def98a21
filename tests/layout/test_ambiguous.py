"""A key that comes twice in one listing fails alone, as ambiguous, and nothing is done to it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from s3plan import api
from s3plan.errors import ListingError
from s3plan.model.steps import Reencrypt
from tests.engine.conftest import enter
from tests.engine.scene import WHOLE
from tests.faults import faults
from tests.faults.conftest import Between, between, small_pages
from tests.faults.proxy import Asked, Rule
from tests.kinds.test_layout import planned, row
from tests.layout.moving import fill, knows, look, plan
from tests.layout.test_moving import moved, reasons
from tests.layout.test_reencrypting import AWS, NEW, TARGET

__all__ = ["between", "enter", "small_pages"]

SNAPSHOT = Path("snapshot.json")
TWICE = "o/d0/object-0003.txt"
_CONTENTS = re.compile(rb"<Contents>.*?</Contents>", re.DOTALL)


def _again(change: Callable[[list[bytes]], list[bytes]]) -> Rule:
    """A listing's pages with entries more."""

    def edited(body: bytes) -> bytes:
        entries = _CONTENTS.findall(body)
        if not entries:
            return body
        head = body[: body.index(entries[0])]
        tail = body[body.rindex(entries[-1]) + len(entries[-1]) :]
        entries = change(entries)
        count = b"<KeyCount>%d</KeyCount>" % len(entries)
        return re.sub(rb"<KeyCount>\d+</KeyCount>", count, head + b"".join(entries) + tail, count=1)

    def of_keys(asked: Asked) -> bool:
        return "delimiter" not in asked.query

    return Rule("again", faults.edit(edited), "GET", "", "list-type", when=of_keys)


def _twice(entries: list[bytes]) -> list[bytes]:
    """The second entry of the key tells of another object."""
    return [
        told
        for entry in entries
        for told in (
            (entry, re.sub(rb"<Size>\d+<", b"<Size>99<", entry))
            if TWICE.encode() in entry
            else (entry,)
        )
    ]


def _far_apart(entries: list[bytes]) -> list[bytes]:
    return [*entries, entries[0]] if len(entries) > 1 else entries


def test_it_fails_alone_and_nothing_is_done_to_it(between: Between) -> None:
    """C46: the others go on; once the listing names it once, it is an object like any other."""
    scene, proxy = between.scene, between.proxy
    fill(scene, 5)
    before = look(scene).objects
    knows(scene, "put-if-match")
    proxy.play(_again(_twice))
    made = plan(scene).plan
    assert made is not None
    stage = made.steps[0]
    (said,) = [text for text in stage.warnings if TWICE in text]
    assert said.startswith("1 in the listing more than once")
    assert "fail as ambiguous" in said
    assert [item.key for item in made.items(stage.id) if item.ambiguous] == [TWICE]
    proxy.heal()
    finished = api.apply(
        Path("plan.json"),
        approval=api.Approval("tester"),
        observer=scene.events.append,
        outlets=api.Outlets(SNAPSHOT, 0, None),
    )
    assert finished.exit_code == 3
    assert reasons(scene) == {TWICE: "ambiguous"}
    assert not [asked for asked in proxy.asked if asked.key.endswith(TWICE)], "not even looked at"
    assert look(scene).objects == moved(before) | {TWICE: before[TWICE]}
    told = {entry["key"]: entry for entry in json.loads(SNAPSHOT.read_bytes())}
    assert told[TWICE]["status"] == "failed"
    assert "ambiguous" in told[TWICE]["last_error"]
    assert {entry["status"] for key, entry in told.items() if key != TWICE} == {"succeeded"}
    again = plan(scene).plan
    assert again is not None
    assert [item.key for item in again.items(again.steps[0].id)] == [TWICE]
    assert scene.apply().exit_code == 0
    assert look(scene).objects == moved(before)


@pytest.mark.long
@pytest.mark.parametrize(
    ("name", "change"),
    [("not next to each other", _far_apart), ("of another page", lambda entries: [entries[-1]])],
)
def test_what_repeats_in_any_other_way_fails_the_listing(
    between: Between, small_pages: None, name: str, change: Callable[[list[bytes]], list[bytes]]
) -> None:
    """Then something else may be missing."""
    scene, proxy = between.scene, between.proxy
    fill(scene, 9)
    knows(scene, "put-if-match")
    if name == "of another page":
        last: list[bytes] = []

        def first_again(entries: list[bytes]) -> list[bytes]:
            told = [*last, *entries]
            last[:] = entries[-1:]
            return told

        change = first_again
    proxy.play(_again(change))
    with pytest.raises(ListingError):
        plan(scene)


@pytest.mark.long
def test_other_kinds_stay_strict(between: Between) -> None:
    """What would delete the object cannot leave one key alone and trust the rest."""
    scene, proxy = between.scene, between.proxy
    fill(scene, 5)
    proxy.play(_again(_twice))
    with pytest.raises(ListingError):
        scene.plan(WHOLE)


def test_a_key_of_kms_is_not_changed_either(tmp_path: Path) -> None:
    """In place as well: it is in the worklist, and blocked."""
    objects = [
        row("o/a", attributes={"encryption": "AES256"}),
        row("o/b", attributes={"encryption": "AES256"}),
        row("o/there", attributes={"encryption": "aws:kms", "kms_key": NEW}),
    ]
    result = planned(
        tmp_path,
        objects,
        f"select: {{bucket: b}}\ntarget: {TARGET}",
        target=AWS,
        tables={"repeated": [{"bucket": "b", "key": key} for key in ("o/b", "o/there")]},
    )
    (step,) = result.file.steps
    assert isinstance(step.action, Reencrypt)
    blocked = {item.key: item.ambiguous for item in result.file.items(step.id)}
    assert blocked == {"o/a": False, "o/b": True}
    assert "o/b" in " ".join(step.warnings)
