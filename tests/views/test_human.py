"""What people read: golden texts of plan, status, gate, summary and errors at a fixed width.

After a wanted change write the texts again with ``S3PLAN_WRITE_GOLDEN=1`` and read the difference.
"""

from __future__ import annotations

import dataclasses
import io
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import cast

import pytest

from s3plan.errors import (
    AccessDeniedError,
    ManifestError,
    ProblemsError,
    S3PlanError,
    StaleError,
)
from s3plan.model.events import ItemProblem, StepFinished, Stopping, Warned
from s3plan.model.steps import Download, Item, Step, Totals, Upload
from s3plan.views.human import HumanView
from s3plan.views.review import SAMPLED, review, totals_line
from s3plan.views.terminal import Screen
from s3plan.views.view import Remarks
from tests.views import samples

GOLDEN = Path(__file__).parent / "golden"


class Shown:
    """A human view over two streams in memory."""

    def __init__(self, environ: dict[str, str] | None = None, *, color: bool = True) -> None:
        self.out = io.StringIO()
        self.err = io.StringIO()
        environ = environ or {}
        self.view = HumanView(
            Screen(self.out, color=color, environ=environ),
            Screen(self.err, color=color, environ=environ),
            "plain",
            _no_pager,
        )


def _no_pager(_lines: Iterable[str]) -> None:
    raise AssertionError("only a terminal has a pager")


def assert_golden(name: str, text: str) -> None:
    path = GOLDEN / f"{name}.txt"
    if os.environ.get("S3PLAN_WRITE_GOLDEN"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")


def shown_plan(plan: samples.SamplePlan) -> str:
    shown = Shown()
    shown.view.plan(plan, "plan.json", "s3plan apply plan.json --approve sha256:3f2a91bc77d0")
    return shown.out.getvalue()


def test_the_review_of_a_plan() -> None:
    assert_golden("plan", shown_plan(samples.evacuation()))


def test_the_review_of_a_plan_with_hostile_names() -> None:
    items = tuple(samples.item(n, key) for n, key in enumerate(samples.HOSTILE_KEYS))
    plan = samples.evacuation(items[:3], subject="bucket\x1b[31m[red]")
    assert_golden("plan-hostile", shown_plan(plan))


def test_no_line_ends_in_blanks_and_no_escape_is_printed() -> None:
    text = shown_plan(samples.evacuation())
    assert "\x1b" not in text
    assert all(line == line.rstrip() for line in text.splitlines())


def test_a_review_fits_its_width_but_for_what_is_copied() -> None:
    parts = list(review(samples.evacuation(), "plan.json", 70))
    screen = Screen(io.StringIO(), color=False, environ={})
    for part in parts:
        for line in screen.render_lines(part, screen.options.update(width=70), pad=False):
            assert sum(segment.cell_length for segment in line) <= 70


def test_the_totals_are_one_line_that_grep_finds() -> None:
    assert totals_line(samples.evacuation()) == (
        "Plan: 1,204 to download (18.2 GiB), 1,204 to verify, 1,204 to delete, "
        "1 bucket to delete. Cannot be undone: 0. Cost: unknown. About 3 min."
    )


def test_steps_of_the_same_verb_are_added_up_and_unknown_times_are_said() -> None:
    def step(number: int, action: Download | Upload, seconds: float | None) -> Step:
        return Step(
            id=f"s{number}",
            action=action,
            subject="b",
            needs=(),
            gate=None,
            reversibility="never",
            undo="",
            reason="",
            totals=Totals(2, 1024),
            seconds=seconds,
        )

    mixed = [step(1, Download("/d"), 60.0), step(2, Upload("/d"), None), step(3, Download("/d"), 0)]
    assert totals_line(dataclasses.replace(samples.evacuation(), steps=tuple(mixed))) == (
        "Plan: 4 to download (2.0 KiB), 2 to upload (1.0 KiB). Cannot be undone: 3. "
        "Cost: unknown. At least 60 s."
    )
    unknown = dataclasses.replace(samples.evacuation(), steps=tuple(mixed[1:2]))
    assert totals_line(unknown).endswith("Time not known.")


def test_a_large_worklist_is_not_read_for_samples() -> None:
    class Huge(samples.SamplePlan):
        def items(self, step: str, start: int = 0, /) -> Iterator[Item]:
            yield samples.ITEMS[0]
            pytest.fail("more than the first item was read")

    plan = samples.evacuation()
    steps = (_with_items(plan.steps[0], SAMPLED + 1),)
    text = shown_plan(Huge(plan.header, steps, plan.digest, ()))
    assert "first     2019/01/first.jpg" in text
    assert "largest" not in text


def _with_items(step: Step, count: int) -> Step:
    import msgspec

    return msgspec.structs.replace(step, totals=Totals(count, count))


def test_nothing_to_do_is_exactly_one_line_and_why_is_said_elsewhere() -> None:
    shown = Shown()
    shown.view.plan_made(None, "plan.json", "", Remarks(("old-photos is on disk",), None))
    assert shown.out.getvalue() == "No changes.\n"
    assert shown.err.getvalue() == "note: old-photos is on disk\n"


def test_an_unfinished_run_is_named_beside_a_new_plan() -> None:
    shown = Shown()
    shown.view.plan_made(samples.evacuation(), "plan.json", "x", Remarks((), "20261119-1"))
    assert "warning: run 20261119-1 is not finished" in shown.err.getvalue()


def test_items_are_lines_with_their_path_where_it_is_not_the_key() -> None:
    shown = Shown()
    shown.view.items(samples.evacuation().steps[0], samples.ITEMS)
    assert_golden("items", shown.out.getvalue())


@pytest.mark.parametrize("key", samples.HOSTILE_KEYS)
def test_a_hostile_key_is_one_line_of_visible_characters(key: str) -> None:
    shown = Shown()
    shown.view.items(samples.evacuation().steps[0], [samples.item(0, key)])
    with shown.view.watch() as watch:
        watch(ItemProblem("s", key, key, "failed", "read-error", key, key))
    listed = shown.out.getvalue() + shown.err.getvalue()
    assert len(listed.splitlines()) == 5
    assert all(char.isprintable() for char in listed.replace("\n", ""))


def test_the_status_of_a_run() -> None:
    shown = Shown()
    shown.view.status(samples.STATUS)
    assert_golden("status", shown.out.getvalue())


def test_the_gate_shows_its_figures_once_and_how_to_approve() -> None:
    shown = Shown()
    with shown.view.watch() as watch:
        watch(samples.GATE)
        watch(samples.GATE)
    assert_golden("gate", shown.err.getvalue())
    assert watch.ask is None, "there is no terminal to ask on"


def test_a_gate_lists_what_would_be_lost_and_takes_two_approvals() -> None:
    shown = Shown()
    with shown.view.watch() as watch:
        watch(samples.LOSING)
    assert_golden("gate-losing", shown.err.getvalue())


def test_the_closing_summary() -> None:
    shown = Shown()
    shown.view.finished(samples.DONE)
    shown.view.finished(samples.HELD)
    shown.view.finished(samples.INCOMPLETE)
    text = shown.out.getvalue()
    assert_golden("summary", text)
    assert text.count("  old-photos/") == 100


def test_a_run_as_it_is_watched() -> None:
    shown = Shown()
    with shown.view.watch() as watch:
        watch(Warned("the clock of the endpoint is 3 s ahead"))
        for n in range(12):
            watch(
                ItemProblem(
                    "download-1",
                    f"key-{n}",
                    f"/data/key-{n}",
                    "failed",
                    "mismatch",
                    "the content differs from what S3 stored",
                    "s3plan apply plan.json --approve",
                )
            )
        watch(Stopping("SIGINT"))
        watch(StepFinished("download-1", "download", "old-photos", "incomplete", "12 failed", 3.2))
    assert_golden("watch", shown.err.getvalue())
    assert shown.out.getvalue() == ""


@pytest.mark.parametrize(
    ("name", "error"),
    [
        (
            "error",
            StaleError(
                "the plan is not the approved one",
                address="plan.json",
                expected="sha256:3f2a91bc77d0",
                found="sha256:0011\x1b[0m",
                next_step="review it with `s3plan show plan.json`",
            ),
        ),
        (
            "error-problems",
            ProblemsError(
                "2 problems in manifest.yaml",
                [
                    ManifestError(
                        "there is no field `bukets`",
                        address="manifest.yaml:6:3",
                        next_step="did you mean `buckets`?",
                    ),
                    AccessDeniedError(
                        "access denied: s3:GetObject",
                        address="s3://b/k",
                        status=403,
                        s3_code="AccessDenied",
                        request_id="4442587FB7D0A2F9",
                    ),
                ],
                next_step="correct them and run `s3plan validate manifest.yaml`",
            ),
        ),
    ],
)
def test_errors_say_where_what_and_what_next(name: str, error: S3PlanError) -> None:
    shown = Shown()
    shown.view.error(error)
    assert_golden(name, shown.err.getvalue())
    assert shown.out.getvalue() == ""


@pytest.mark.parametrize(
    ("environ", "color", "colored"),
    [
        ({}, True, False),
        ({"FORCE_COLOR": "1"}, True, True),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, True, False),
        ({"FORCE_COLOR": "1"}, False, False),
        ({"FORCE_COLOR": "1", "NO_COLOR": ""}, True, True),
    ],
)
def test_colour_follows_the_option_then_the_environment(
    environ: dict[str, str], color: bool, colored: bool
) -> None:
    shown = Shown(environ, color=color)
    shown.view.plan(samples.evacuation(), "plan.json", "next")
    assert ("\x1b[" in shown.out.getvalue()) is colored


def test_a_screen_that_is_gone_never_stops_a_run() -> None:
    class Gone(io.StringIO):
        def write(self, _text: str) -> int:
            raise BrokenPipeError

    screen = Screen(cast("io.StringIO", Gone()), color=False, environ={})
    with HumanView(screen, screen, "plain", _no_pager).watch() as watch:
        watch(Warned("one"))
        watch(Warned("two"))
