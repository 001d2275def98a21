"""Which steps may run side by side."""

from __future__ import annotations

from s3plan.engine.lanes import lanes
from s3plan.model.steps import Download, Gate, Need, Step, Totals


def step(name: str, subject: str, *needs: str, evidence: str | None = None) -> Step:
    return Step(
        id=name,
        action=Download("/archive"),
        subject=subject,
        needs=tuple(Need(need) for need in needs),
        gate=Gate("approve-delete", subject, evidence) if evidence else None,
        reversibility="free",
        undo="",
        reason="",
        totals=Totals(),
    )


def test_a_bucket_is_a_lane_and_lanes_keep_the_order_of_the_plan() -> None:
    steps = [step("a1", "a"), step("b1", "b"), step("a2", "a"), step("c1", "c")]
    assert [[one.id for one in lane] for lane in lanes(steps)] == [["a1", "a2"], ["b1"], ["c1"]]


def test_buckets_that_a_need_or_a_gate_connects_are_one_lane() -> None:
    """Else a lane could wait for one whose turn never comes."""
    steps = [
        step("a1", "a"),
        step("b1", "b"),
        step("c1", "c"),
        step("c2", "c", "a1"),
        step("d1", "d", evidence="c2"),
        step("e1", "e"),
    ]
    found = [[one.id for one in lane] for lane in lanes(steps)]
    assert found == [["a1", "c1", "c2", "d1"], ["b1"], ["e1"]]
