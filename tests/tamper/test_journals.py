"""Journals that were torn, flipped, swapped, exchanged, or written by another version."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from tests.tamper.conftest import Desk
from tests.tamper.forge import Record, edit_log, edit_plan, flip, records

COMMANDS = (
    ["status"],
    ["apply", "--approve"],
    ["rollback", "journal.json"],
    ["rollback", "journal.json", "--approve"],
)


def refused(desk: Desk, *told: str, commands: tuple[list[str], ...] = COMMANDS) -> None:
    """Every command that reads the journal refuses it, and leaves it alone."""
    journal = desk.run.journal
    before = journal.read_bytes()
    for command in commands:
        said = desk.s3plan(*command)
        assert said.code == 1, (command, said)
        assert "error[journal]" in said.err, (command, said.err)
        for text in told:
            assert text in said.err, (command, text, said.err)
    assert journal.read_bytes() == before


def test_a_torn_last_line_is_dropped_and_the_run_goes_on(desk: Desk) -> None:
    journal = desk.run.journal
    whole = journal.read_bytes()
    last = whole.rindex(b"\n", 0, -1) + 1
    for length in (1, 20, len(whole) - last - 1):
        journal.write_bytes(whole[: last + length])
        assert desk.s3plan("status").code == 0
    said = desk.s3plan("apply", "--approve")
    assert said.code == 4, said
    assert journal.read_bytes().startswith(whole[:last]), "only the torn line is gone"
    assert b'"resumed"' in journal.read_bytes()[last:]


def test_a_flipped_bit_in_the_middle_is_refused_naming_the_line(desk: Desk) -> None:
    journal = desk.run.journal
    whole = journal.read_bytes()
    lines = whole.splitlines(keepends=True)
    offset = 0
    for number, line in enumerate(lines, 1):
        for inside in (0, 3, len(line) // 2, len(line) - 3):
            flip(journal, offset + inside, bit=inside % 7)
            said = desk.s3plan("status")
            assert said.code == 1
            assert f"journal.json:{number}" in said.err, (number, said.err)
            journal.write_bytes(whole)
        offset += len(line)
    flip(journal, len(lines[0]) + 30)
    refused(desk, "line 2 of the journal is damaged", "journal.json:2", "never edit a journal")


def test_a_newline_that_became_something_else_is_refused(desk: Desk) -> None:
    journal = desk.run.journal
    flip(journal, journal.read_bytes().index(b"\n"))
    refused(desk, "journal.json:1")


@pytest.mark.parametrize("number", [2, 3])
def test_swapped_lines_are_refused_naming_the_first(desk: Desk, number: int) -> None:
    journal = desk.run.journal
    lines = journal.read_bytes().splitlines(keepends=True)
    lines[number - 1], lines[number] = lines[number], lines[number - 1]
    journal.write_bytes(b"".join(lines))
    refused(desk, f"line {number} of the journal is damaged")


@pytest.mark.parametrize("change", ["missing", "twice"])
def test_a_missing_or_repeated_line_is_refused(desk: Desk, change: str) -> None:
    journal = desk.run.journal
    lines = journal.read_bytes().splitlines(keepends=True)
    lines[2:3] = [] if change == "missing" else [lines[2], lines[2]]
    journal.write_bytes(b"".join(lines))
    refused(desk, "line 3" if change == "missing" else "line 4")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"format": "s3plan.journal/2"}, "s3plan.journal/2"),
        ({"format": "s3plan.journal/0"}, "s3plan.journal/0"),
        ({"format": "s3plan.plan/1"}, "s3plan.plan/1"),
        ({"type": "step", "step": "x", "time": "t"}, "another record"),
        ({"type": "invented"}, "Invalid value 'invented'"),
    ],
)
def test_a_format_that_is_not_known_is_refused_by_name(
    desk: Desk, change: Record, told: str
) -> None:
    edit_log(desk.run.journal, lambda made: made[0].update(change))
    refused(desk, "journal.json:1", told, "or a newer one")


def test_a_record_of_a_newer_version_is_refused_by_name(desk: Desk) -> None:
    edit_log(desk.run.journal, lambda made: made[3].update(type="teleported"))
    refused(desk, "journal.json:4", "teleported", "or a newer one")


def test_fields_of_a_newer_version_are_read_over(desk: Desk) -> None:
    """A format's number stays while fields are only added."""
    edit_log(desk.run.journal, lambda made: made[1].update(future={"a": [1, None, "x"]}))
    assert desk.s3plan("status").code == 0


def _intent(first: int, last: int) -> Callable[[list[Record]], None]:
    def edit(made: list[Record]) -> None:
        made.append({"type": "intent", "step": made[1]["step"], "first": first, "last": last})

    return edit


def _receipts(*items: int) -> Callable[[list[Record]], None]:
    def edit(made: list[Record]) -> None:
        step = made[1]["step"]
        made.append({"type": "receipts", "step": step, "outcome": "done", "items": items})

    return edit


@pytest.mark.parametrize(
    "edit", [_intent(0, 10**12), _intent(-5, 2), _receipts(10**15), _receipts(-1), _receipts(10**6)]
)
def test_items_that_no_plan_can_have_are_refused_at_once(
    desk: Desk, edit: Callable[[list[Record]], None]
) -> None:
    edit_log(desk.run.journal, edit)
    began = time.monotonic()
    refused(desk, "names an item that the plan cannot have")
    assert time.monotonic() - began < 5


def test_the_journal_of_another_run_is_refused(desk: Desk) -> None:
    """Not started afresh, and above all not taken for the run of the plan beside it."""
    theirs = "20200101T000000Z-00000000"
    digest = "sha256:" + "0" * 64
    edit_log(desk.run.journal, lambda made: made[0].update(run=theirs, digest=digest))
    refused(desk, "the journal belongs to another run", f"found: run {theirs}")

    # Somebody who also puts the right run's id in still has the wrong plan beside it.
    mine = desk.run.id
    edit_log(desk.run.journal, lambda made: made[0].update(run=mine))
    refused(
        desk,
        "the plan beside the journal is not the one that was approved",
        commands=(COMMANDS[0], *COMMANDS[2:]),
    )


def test_an_approved_plan_never_runs_the_plan_of_another_run(desk: Desk) -> None:
    """The run folder of the approved plan holds another, valid plan: nothing of it is done."""
    digest = records(desk.run.plan)[-1]["digest"]
    other = desk.directory / "not-yours"
    other.mkdir()
    edit_plan(desk.run.plan, lambda made: made[1]["action"].update(destination=str(other)))
    said = desk.s3plan("apply", "--approve", digest)
    assert said.code == 1, said
    assert "the plan beside the journal is not the one that was approved" in said.err
    assert list(other.iterdir()) == []


def test_a_journal_that_is_no_file_is_refused(desk: Desk) -> None:
    journal = desk.run.journal
    journal.unlink()
    journal.mkdir()
    for command in COMMANDS[::2]:
        said = desk.s3plan(*command)
        assert said.code == 1, said
        assert "error[journal]" in said.err


def test_a_journal_without_any_end_of_line_is_refused_at_once(desk: Desk) -> None:
    desk.run.journal.write_bytes(b'{"seq":1,' + b" " * 50_000_000)
    began = time.monotonic()
    refused(desk, "line 1 of the journal is damaged", commands=(["status"],))
    assert time.monotonic() - began < 10


def test_a_lost_plan_is_told(desk: Desk) -> None:
    desk.run.plan.unlink()
    for command in COMMANDS:
        said = desk.s3plan(*command)
        assert said.code == 1, (command, said)
        assert "plan.json" in said.err
