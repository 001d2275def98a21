"""A run as Prometheus metrics, for the textfile collector of a node exporter.

The text format is that of https://prometheus.io/docs/instrumenting/exposition_formats/ (0.0.4):
``# HELP``, ``# TYPE``, then a line a sample; in label values backslash, quote and newline escape.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal, NamedTuple

from s3plan.engine.state import GOOD, ItemState, RunState, StepState
from s3plan.model.events import RunFinished
from s3plan.model.steps import Step
from s3plan.plan.reading import PlanFile

Labels = tuple[tuple[str, str], ...]


class Metric(NamedTuple):
    """One family of samples."""

    name: str
    kind: Literal["gauge", "counter"]
    help: str
    samples: tuple[tuple[Labels, float], ...]


def run_metrics(
    plan: PlanFile, state: RunState, now: float, last: float, finished: RunFinished | None
) -> Iterator[Metric]:
    """The metrics of a run at ``now``, seconds since the epoch; ``last`` is when an item ended
    last in this session, 0 for never. ``finished`` is None while the session goes on.
    """
    header = state.started
    run: Labels = (("run", header.run), ("command", header.command))
    yield Metric(
        "s3plan_run_info", "gauge", "The run that this file is of.",
        (((*run, ("plan", plan.digest), ("approver", header.approver)), 1),),
    )  # fmt: skip
    yield Metric("s3plan_run_running", "gauge", "Whether a process works on the run.",
        ((run, finished is None),))  # fmt: skip
    if finished is not None:
        yield Metric(
            "s3plan_run_exit_code", "gauge", "How the last session of the run ended.",
            (((*run, ("outcome", finished.outcome)), finished.exit_code),),
        )  # fmt: skip
        yield Metric("s3plan_run_duration_seconds", "gauge", "How long that session took.",
            ((run, finished.seconds),))  # fmt: skip
    yield Metric("s3plan_updated_timestamp_seconds", "gauge", "When this file was written.",
        ((run, now),))  # fmt: skip
    if last:
        yield Metric(
            "s3plan_last_completion_timestamp_seconds", "gauge",
            "When an item ended last in this session.", ((run, last),),
        )  # fmt: skip
    steps = [(step, _labels(step)) for step in plan.steps]
    yield Metric(
        "s3plan_items", "gauge", "Items of each step by how they stand.",
        tuple(
            ((*labels, ("status", status)), count)
            for step, labels in steps
            for status, count in _counts(step, state.step(step.id))
        ),
    )  # fmt: skip
    yield Metric(
        "s3plan_bytes_done", "gauge", "Bytes of the items of each step that are done.",
        tuple((labels, state.step(step.id).done_bytes) for step, labels in steps),
    )  # fmt: skip
    yield Metric(
        "s3plan_bytes_planned", "gauge", "Bytes of the items of each step.",
        tuple((labels, step.totals.bytes) for step, labels in steps),
    )  # fmt: skip


def exposition(metrics: Iterable[Metric]) -> str:
    """The metrics as text; families without samples are left out."""
    lines: list[str] = []
    for metric in metrics:
        if not metric.samples:
            continue
        lines.append(f"# HELP {metric.name} {metric.help}")
        lines.append(f"# TYPE {metric.name} {metric.kind}")
        for labels, value in metric.samples:
            named = ",".join(f'{name}="{_escaped(text)}"' for name, text in labels)
            lines.append(f"{metric.name}{{{named}}} {float(value)!r}")
    return "".join(f"{line}\n" for line in lines)


def _labels(step: Step) -> Labels:
    return ("step", step.id), ("verb", step.verb), ("bucket", step.subject)


def _counts(step: Step, state: StepState) -> Iterator[tuple[str, int]]:
    done = sum(state.count(code) for code in GOOD)
    failed = state.count(ItemState.FAILED) + state.count(ItemState.MISMATCHED)
    drifted, kept = state.count(ItemState.DRIFTED), state.count(ItemState.KEPT)
    if state.done:
        # A verification looks at the whole, and tells of no item by itself.
        done = max(done, step.things - failed - drifted - kept)
    yield "done", done
    yield "failed", failed
    yield "drifted", drifted
    yield "kept", kept
    yield "left", max(0, step.things - done - failed - drifted - kept)


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
