"""What programs read: JSON that decodes to the model again."""

from __future__ import annotations

import io
import json
from typing import Any

import msgspec

from s3plan.errors import ManifestError, NoSuchBucketError, ProblemsError
from s3plan.model.events import AnyEvent, Warned
from s3plan.model.plan import PlanHeader
from s3plan.model.status import RunStatus
from s3plan.model.steps import Item, Step
from s3plan.views.jsonl import JsonView, error_record
from s3plan.views.progress import Silent
from s3plan.views.view import Remarks
from tests.views import samples


def view() -> tuple[JsonView, io.BytesIO]:
    stream = io.BytesIO()
    return JsonView(stream, Silent()), stream


def lines(stream: io.BytesIO) -> list[Any]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_plan_is_one_object_of_the_model() -> None:
    shown, stream = view()
    plan = samples.evacuation()
    shown.plan(plan, "plan.json", "next")
    [found] = lines(stream)
    assert found["digest"] == plan.digest
    assert msgspec.convert(found["header"], PlanHeader) == plan.header
    assert msgspec.convert(found["steps"], tuple[Step, ...]) == plan.steps


def test_a_new_plan_says_whether_there_are_changes_and_what_is_unfinished() -> None:
    shown, stream = view()
    shown.plan_made(samples.evacuation(), "plan.json", "next", Remarks(("a note",), None))
    shown.plan_made(None, "plan.json", "", Remarks((), "run-1"))
    made, nothing = lines(stream)
    assert (made["changes"], made["notes"], made["unfinished"]) == (True, ["a note"], None)
    assert (nothing["changes"], nothing["steps"], nothing["unfinished"]) == (False, [], "run-1")


def test_items_are_lines_of_the_plan_file() -> None:
    shown, stream = view()
    items = [samples.item(n, key) for n, key in enumerate(samples.HOSTILE_KEYS)]
    shown.items(samples.evacuation().steps[0], items)
    decoder = msgspec.json.Decoder(Item)
    # Split at line feeds only: what str.splitlines takes for a line end may stand in a key.
    assert [decoder.decode(line) for line in stream.getvalue().split(b"\n")[:-1]] == items


def test_a_status_is_one_object_of_the_model() -> None:
    shown, stream = view()
    shown.status(samples.STATUS)
    assert msgspec.json.decode(stream.getvalue(), type=RunStatus) == samples.STATUS


def test_events_are_lines_and_the_end_of_the_run_is_the_last_one() -> None:
    shown, stream = view()
    with shown.watch() as watch:
        watch(samples.GATE)
        watch(samples.DONE)
    shown.finished(samples.DONE)
    decoder = msgspec.json.Decoder(AnyEvent)
    decoded = [decoder.decode(line) for line in stream.getvalue().splitlines()]
    assert decoded == [samples.GATE, samples.DONE]


def test_planning_prints_no_events() -> None:
    shown, stream = view()
    with shown.look() as watch:
        watch(Warned("slow"))
    assert stream.getvalue() == b""


def test_a_reader_that_is_gone_never_stops_a_run() -> None:
    class Gone(io.BytesIO):
        def write(self, _data: object) -> int:
            raise BrokenPipeError

    with JsonView(Gone(), Silent()).watch() as watch:
        watch(Warned("one"))
        watch(Warned("two"))


def test_errors_keep_their_parts_and_every_problem() -> None:
    problem = NoSuchBucketError("no such bucket", address="s3://b", status=404, request_id="R")
    record = error_record(ProblemsError("1 problem", [problem]))
    assert (record["type"], record["code"], record["exit_code"]) == ("error", "problems", 1)
    assert record["problems"] == [
        {
            "type": "error",
            "code": "no-such-bucket",
            "exit_code": 1,
            "what": "no such bucket",
            "address": "s3://b",
            "expected": None,
            "found": None,
            "next_step": None,
            "status": 404,
            "s3_code": None,
            "request_id": "R",
        }
    ]


def test_an_error_about_a_name_that_is_no_text_can_be_printed() -> None:
    shown, stream = view()
    shown.error(ManifestError("cannot be read", address="caf\udce9.yaml"))
    assert lines(stream)[0]["address"] == r"caf\udce9.yaml"
