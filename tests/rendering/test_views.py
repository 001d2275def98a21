"""No name takes over the terminal of whoever looks at it, in any view."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from s3plan.errors import ManifestError, ProblemsError, StoreError
from s3plan.model.events import (
    AnyEvent,
    GateReached,
    ItemBegan,
    ItemProblem,
    Progressed,
    RunBegan,
    Scanning,
    StepBegan,
    StepFinished,
    Stopping,
    Warned,
)
from s3plan.model.plan import ManifestRef
from s3plan.model.steps import Totals
from s3plan.rules.characters import harmless_json
from s3plan.views.human import HumanView
from s3plan.views.jsonl import JsonView
from s3plan.views.progress import Bars, Mode, Plain, Silent
from s3plan.views.running import Watch
from s3plan.views.terminal import Screen
from s3plan.views.text import visible
from s3plan.views.view import Remarks, View
from tests.rendering.emulator import COLUMNS, HOSTILE, displayed, literally, misleading
from tests.views import samples


class Tty(io.StringIO):
    """Both streams of a program on one terminal."""

    def isatty(self) -> bool:
        return True


def _screen(stream: Tty) -> Screen:
    environ = {"TERM": "xterm", "COLUMNS": str(COLUMNS), "LINES": "300"}
    return Screen(stream, color=True, environ=environ)


def everything(view: View, name: str) -> None:
    """Every method of a view, with ``name`` wherever a name can stand."""
    item = samples.item(0, name, path=f"elsewhere/{name}")
    plan = samples.evacuation((item,), subject=name)
    header = msgspec.structs.replace(
        plan.header,
        notes=(name,),
        host=name,
        tool=name,
        created=name,
        manifests=(ManifestRef(name, name, name, name),),
        rollback_of=name,
    )
    steps = tuple(
        msgspec.structs.replace(step, reason=name, undo=name, warnings=(name,))
        for step in plan.steps
    )
    plan = samples.SamplePlan(header, steps, name, (item,))
    view.plan_made(plan, name, name, Remarks((name,), name))
    view.plan_made(None, name, name, Remarks((name,), name))
    view.plan(plan, name, name)
    view.items(plan.steps[0], [item])
    status = msgspec.structs.replace(
        samples.STATUS,
        run=name,
        journal=name,
        failures=(name,),
        next_step=name,
        buckets=tuple(
            msgspec.structs.replace(
                bucket,
                bucket=name,
                approve=name,
                steps=tuple(msgspec.structs.replace(s, reason=name) for s in bucket.steps),
            )
            for bucket in samples.STATUS.buckets
        ),
    )
    view.status(status)
    view.valid([ManifestRef(name, name, name, name)])
    view.finished(
        msgspec.structs.replace(
            samples.DONE, run=name, message=name, failed_names=(name,), next_step=name, failed=1
        )
    )
    store = StoreError(name, address=name, found=name, s3_code=name, request_id=name, status=400)
    problem = ManifestError(name, address=name, expected=name, found=name, next_step=name)
    view.error(ProblemsError(name, [problem, store], next_step=name))


def events(name: str) -> Iterator[AnyEvent]:
    """Every event of a run, with ``name`` wherever a name can stand."""
    totals = Totals(3, 30)
    yield Scanning(name, 1, 10)
    yield Scanning(name, 3, 30, finished=True)
    yield RunBegan(name, "apply", True, totals, Totals(1, 10))
    yield StepBegan("a", "download", name, totals, Totals())
    yield ItemBegan("a", name)
    yield Progressed("a", "verified", 1, 10, (name,))
    yield ItemProblem("a", name, name, "failed", name, name, name)
    yield Warned(name)
    yield StepFinished("a", "download", name, "incomplete", name, 1.0)
    yield GateReached(name, samples.EVIDENCE, True, {name: 1}, totals, (name,))
    yield Stopping("SIGINT")


@contextmanager
def _watched(stream: Tty, mode: Mode) -> Iterator[Watch]:
    screen = _screen(stream)
    progress = {"auto": Bars, "plain": Plain}.get(mode, lambda _: Silent())(screen)
    with Watch(screen, progress, can_ask=False) as watch:
        yield watch


def human(name: str) -> str:
    """All that the view for people writes on a terminal."""
    stream = Tty()
    screen = _screen(stream)
    view = HumanView(screen, screen, "none", stream.writelines)
    everything(view, name)
    with _watched(stream, "plain") as watch:
        for event in events(name):
            watch(event)
    return stream.getvalue()


@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
def test_what_people_see_is_what_was_written(name: str) -> None:
    text = human(name)
    assert misleading(text) == []
    assert displayed(text).lines == literally(text)


@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
def test_a_name_that_acts_looks_like_one_that_spells_it_out(name: str) -> None:
    # Not so of the columns that are counted in characters of the name: none is.
    assert displayed(human(name)).lines == displayed(human(visible(name))).lines


@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
def test_bars_leave_every_line_where_it_was(name: str) -> None:
    stream = Tty()
    stream.write("BEFORE\n")
    with _watched(stream, "auto") as watch:
        for event in events(name):
            watch(event)
            time.sleep(0.002)
    stream.write("AFTER\n")
    text = stream.getvalue()
    assert misleading(text) == []
    plain = Tty()
    with _watched(plain, "none") as watch:
        for event in events(name):
            watch(event)
    lines = displayed(text).lines
    assert (lines[0], *lines[-2:]) == ("BEFORE", "AFTER", "")
    assert lines[1:-1] == (*literally(plain.getvalue())[:-1], "AFTER")


@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
def test_json_says_the_name_and_does_nothing(name: str) -> None:
    stream = io.BytesIO()
    view = JsonView(stream, Silent())
    everything(view, name)
    with view.watch() as watch:
        for event in events(name):
            watch(event)
    lines = stream.getvalue().decode().split("\n")
    assert all(misleading(line) == [] for line in lines)
    found = [json.loads(line) for line in lines[:-1]]
    told = [one for one in found if one.get("type") not in ("stopping", "progress")]
    assert all(name in list(_texts(one)) for one in told)


def _texts(value: object) -> Iterator[str]:
    """Every text in a JSON value, names of members included."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield key
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)


def test_harmless_json_is_the_same_json() -> None:
    everything_there_is = "".join(map(chr, (*range(0xD800), *range(0xE000, 0x110000))))
    line = msgspec.json.encode({"key": everything_there_is})
    made = harmless_json(line)
    assert json.loads(made) == {"key": everything_there_is}
    assert misleading(made.decode()) == []
    assert harmless_json(made) == made


def test_an_endless_message_is_cut(tmp_path: Path) -> None:
    stream = Tty()
    screen = _screen(stream)
    view = HumanView(screen, screen, "none", lambda _: None)
    began = time.monotonic()
    view.error(ManifestError("x" * 10_000_000, found="y" * 10_000_000))
    assert time.monotonic() - began < 2
    assert len(stream.getvalue()) < 10_000
    assert "9,998,000 more characters" in stream.getvalue()
