"""The state of a run as a pure fold over journal records."""

from __future__ import annotations

from typing import Any

import pytest

from s3plan.engine.state import ItemState, RunState, StepState, fold
from s3plan.errors import JournalError
from s3plan.model.journal import (
    JOURNAL_FORMAT,
    Approved,
    Declined,
    GateRecord,
    Intent,
    ItemFailed,
    JournalRecord,
    Receipts,
    Resumed,
    RolledBack,
    RunEnded,
    RunStarted,
    StepEnded,
    StepStarted,
    SyncPoint,
)
from s3plan.model.plan import Target
from s3plan.model.steps import Totals

NOW = "2026-11-20T00:00:00.000Z"
STARTED = RunStarted(
    format=JOURNAL_FORMAT,
    run="r",
    digest="sha256:00",
    command="apply",
    target=Target("http://s3", "us-east-1"),
    approver="ann",
    host="here",
    pid=1,
    time=NOW,
    tool="0",
)
GATE = GateRecord("verify", "b", "e1", True, Totals(1, 1), {}, NOW)


def resumed(*doubted: str) -> Resumed:
    return Resumed("ann", "here", 2, NOW, "0", doubted)


def received(*items: int, outcome: Any = "verified", step: str = "get") -> Receipts:
    return Receipts(step, outcome, items, 10 * len(items))


def folded(*records: JournalRecord) -> RunState:
    return fold(enumerate((STARTED, *records), 1))


def states(state: RunState, count: int, step: str = "get") -> list[ItemState]:
    return [state.step(step).of(n) for n in range(count)]


def test_an_intent_makes_its_range_unknown_and_a_receipt_settles_its_items() -> None:
    state = folded(Intent("get", 1, 3), received(2))
    assert states(state, 5) == [
        ItemState.PENDING,
        ItemState.UNKNOWN,
        ItemState.VERIFIED,
        ItemState.UNKNOWN,
        ItemState.PENDING,
    ]
    assert state.step("get").done_bytes == 10


def test_a_second_intent_leaves_what_is_settled_and_reopens_what_failed() -> None:
    failed = ItemFailed("get", 1, "k", "k", "failed", "endpoint", "no answer")
    state = folded(Intent("get", 0, 1), received(0), failed, Intent("get", 0, 1))
    assert states(state, 2) == [ItemState.VERIFIED, ItemState.UNKNOWN]


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        ("verified", ItemState.VERIFIED),
        ("unverifiable", ItemState.UNVERIFIABLE),
        ("done", ItemState.DONE),
    ],
)
def test_a_receipt_takes_an_earlier_problem_back(outcome: str, expected: ItemState) -> None:
    failed = ItemFailed("get", 0, "k", "k", "failed", "endpoint", "no answer")
    assert folded(failed).problems == {("get", 0): failed}
    state = folded(failed, received(0, outcome=outcome))
    assert (state.problems, states(state, 1)) == ({}, [expected])


def test_counts_hold_for_items_far_apart() -> None:
    state = folded(received(0, 5000), received(70_000, outcome="done"))
    step = state.step("get")
    assert (step.count(ItemState.VERIFIED), step.count(ItemState.DONE)) == (2, 1)
    assert step.of(1_000_000) is ItemState.PENDING


def test_the_first_item_that_is_not_settled_is_known() -> None:
    """So that a resumed step passes over millions that are, unread."""
    state = StepState()
    assert state.first_open() == 0
    state.intend(0, 99)
    assert state.first_open() == 0
    for n in range(3000):
        state.set(n, ItemState.VERIFIED if n % 2 else ItemState.DRIFTED)
    assert state.first_open() == 3000
    state.set(1500, ItemState.FAILED)
    assert state.first_open() == 1500
    state.set(7, ItemState.REQUESTED)
    assert state.first_open() == 7


def test_resuming_doubts_receipts_that_no_sync_point_covers() -> None:
    state = folded(
        Intent("get", 0, 3),  # 2
        received(0),  # 3
        SyncPoint(through=3, device=1),  # 4
        received(1, 2),  # 5
        StepEnded("get", "done", "", NOW),  # 6
        resumed("get"),
    )
    assert states(state, 4) == [
        ItemState.VERIFIED,
        ItemState.UNKNOWN,
        ItemState.UNKNOWN,
        ItemState.UNKNOWN,
    ]
    assert state.step("get").done_bytes == 10, "their bytes are counted when they are read again"
    assert not state.step("get").done


def test_a_sync_point_covers_only_what_was_received_before_it_began() -> None:
    """``through`` is read before the sync starts: a receipt in between is not covered."""
    state = folded(
        received(0),  # 2
        received(1),  # 3
        SyncPoint(through=2, device=1),
        resumed("get"),
    )
    assert states(state, 2) == [ItemState.VERIFIED, ItemState.UNKNOWN]


def test_a_later_sync_point_does_not_vouch_for_files_that_were_in_doubt() -> None:
    """Power cut, resume, a sync point, a kill: the files of the first session are still unknown."""
    state = folded(received(0, 1), resumed("get"), SyncPoint(through=3, device=1), resumed("get"))
    assert states(state, 2) == [ItemState.UNKNOWN, ItemState.UNKNOWN]
    assert state.step("get").done_bytes == 0


def test_what_was_read_again_after_a_doubt_counts_once() -> None:
    state = folded(received(0), resumed("get"), received(0), SyncPoint(4, 1), resumed("get"))
    assert (states(state, 1), state.step("get").done_bytes) == ([ItemState.VERIFIED], 10)


def test_what_was_done_in_s3_is_not_doubted() -> None:
    state = folded(received(0, outcome="done", step="delete"), resumed("get"))
    assert states(state, 1, "delete") == [ItemState.DONE]


def test_an_end_that_is_not_final_is_forgotten_when_the_run_goes_on() -> None:
    held = RunEnded("held", NOW)
    assert not folded(held).finished
    assert folded(held).outcome == "held"
    assert folded(held, resumed()).outcome is None
    assert folded(held, resumed()).sessions == 2


@pytest.mark.parametrize("outcome", ["done", "kept", "superseded"])
def test_some_ends_are_final(outcome: Any) -> None:
    assert folded(RunEnded(outcome, NOW)).finished


def test_a_rolled_back_run_is_finished_however_it_ended() -> None:
    assert folded(RunEnded("held", NOW), RolledBack(NOW, "done")).finished


def test_a_step_that_goes_on_is_not_done_any_more() -> None:
    ended = StepEnded("get", "done", "", NOW)
    assert folded(StepStarted("get", NOW), ended).step("get").done
    assert not folded(ended, StepStarted("get", NOW)).step("get").done


def test_the_last_gate_and_approval_count_and_a_no_lasts_one_session() -> None:
    later = GateRecord("verify", "b", "e2", False, Totals(), {}, NOW)
    approved = Approved("b", "e1", "ann", "option", NOW)
    declined = Declined("b", "e1", NOW)
    state = folded(GATE, approved, later, declined)
    assert state.gates == {"verify": later}
    assert state.approvals == {("b", "delete"): approved}
    assert state.declined == {("b", "delete"): declined}
    assert folded(declined, resumed()).declined == {}


def test_an_empty_journal_has_no_header() -> None:
    with pytest.raises(JournalError, match="empty"):
        _ = fold([]).started
