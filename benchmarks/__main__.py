"""``python -m benchmarks``: start a server, fill it, measure, write the page."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks import archiving, cases, datasets, server
from benchmarks.copying import S3PlanCopy, S5cmdCopy
from benchmarks.planning import LISTED, REPORTED, RclonePlanning, S3PlanPlanning, publish
from benchmarks.report import Report
from benchmarks.tools import Rclone, S3Plan, S5cmd, Tool, WrongResultError

RESULTS = Path(__file__).parent / "results"
MEMORY_DISK = Path("/dev/shm")
CASES = ("small", "large", "copied", "archived", "memory", "planned", "reported")
SCRATCH = "s3plan-bench-"
MEMORY_RUNS = 3


def main() -> int:
    """Exit 0 when every goal is met, 1 when one is missed or a result is wrong."""
    options = _options()
    ours = S3Plan()
    tools: list[Tool] = [tool for tool in (ours, S5cmd(), Rclone()) if tool.name in options.tools]
    on_memory = MEMORY_DISK.is_dir()
    place = MEMORY_DISK if on_memory else Path(tempfile.gettempdir())
    _sweep(place)
    with tempfile.TemporaryDirectory(prefix=f"{SCRATCH}{os.getpid()}-", dir=place) as directory:
        scratch = Path(directory)
        _say("starting SeaweedFS")
        try:
            with server.running(scratch) as running:
                versions = {tool.name: tool.version() for tool in tools}
                versions["SeaweedFS"] = server.version()
                report = Report(versions, disk="a memory disk" if on_memory else "disk")
                _measure(running, report, tools, options, scratch)
                report.algorithms = dict(ours.algorithms)
        except WrongResultError as error:
            _say(f"the benchmark failed: {error}")
            return 1
    print(report.markdown())
    report.write(RESULTS)
    return 0 if all(goal.met for goal in report.goals) else 1


def _sweep(place: Path) -> None:
    """Remove what killed benchmarks left there: gigabytes, of memory where it is a memory disk."""
    for left in place.glob(f"{SCRATCH}*"):
        if not Path("/proc", left.name.removeprefix(SCRATCH).partition("-")[0]).exists():
            shutil.rmtree(left)


def _measure(
    running: server.Server,
    report: Report,
    tools: Sequence[Tool],
    options: argparse.Namespace,
    scratch: Path,
) -> None:
    names = {tool.name for tool in tools}
    for dataset, peer in ((cases.SMALL, "s5cmd"), (cases.LARGE, "rclone")):
        if dataset.bucket in options.cases:
            _fill(running, dataset)
            series = cases.alternate(
                running, dataset, tools, runs=options.runs, scratch=scratch, say=_say
            )
            report.speed += series
            if {"s3plan", peer} <= names:
                report.goals.append(cases.speed_goal(series, peer))
    if "copied" in options.cases:
        _fill(running, cases.COPIED)
        copying = [one for one in (S3PlanCopy(), S5cmdCopy()) if one.name in names]
        series = cases.alternate(
            running, cases.COPIED, copying, runs=options.runs, scratch=scratch, say=_say
        )
        report.speed += series
        if {"s3plan", "s5cmd"} <= names:
            report.goals.append(cases.speed_goal(series, "s5cmd"))
    if "archived" in options.cases:
        archiving.make_library(scratch, cases.ARCHIVED)
        makers = (
            archiving.S3PlanArchive(),
            archiving.S5cmdArchive(),
            archiving.RcloneArchive(),
        )
        series = cases.alternate(
            running,
            cases.ARCHIVED,
            [one for one in makers if one.name in names],
            runs=options.runs,
            scratch=scratch,
            say=_say,
        )
        report.speed += series
        report.goals += [
            cases.speed_goal(series, peer)
            for peer in ("s5cmd", "rclone")
            if {"s3plan", peer} <= names
        ]
    if "memory" in options.cases and "s3plan" in names:
        for dataset in (cases.FEW, cases.MANY):
            _fill(running, dataset)
            runs = min(options.runs, MEMORY_RUNS)
            report.memory += cases.alternate(
                running, dataset, [S3Plan()], runs=runs, scratch=scratch, say=_say
            )
        report.goals.append(cases.memory_goal(*report.memory))
    if "planned" in options.cases:
        if "memory" not in options.cases:
            _fill(running, LISTED)
        planning = [one for one in (S3PlanPlanning(), RclonePlanning()) if one.name in names]
        series = cases.alternate(
            running, LISTED, planning, runs=options.runs, scratch=scratch, say=_say
        )
        report.speed += series
        if {"s3plan", "rclone"} <= names:
            report.goals.append(cases.speed_goal(series, "rclone"))
    if "reported" in options.cases and "s3plan" in names:
        _say(f"publishing a report of {REPORTED.count:,} objects")
        publish(running, REPORTED, scratch)
        (one,) = cases.alternate(
            running, REPORTED, [S3PlanPlanning()], runs=options.runs, scratch=scratch, say=_say
        )
        report.speed.append(one)
        report.goals += cases.absolute_goal(one, 5.0, 500 * datasets.MIB)


def _fill(running: server.Server, dataset: datasets.Dataset) -> None:
    _say(f"filling s3://{dataset.bucket} with {dataset.title}")
    datasets.fill(running, dataset)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--runs", type=int, default=7, help="rounds to count (default: 7)")
    parser.add_argument("--cases", nargs="+", choices=CASES, default=CASES, metavar="CASE")
    parser.add_argument(
        "--tools", nargs="+", choices=("s3plan", "s5cmd", "rclone"), metavar="TOOL",
        default=("s3plan", "s5cmd", "rclone"),
    )  # fmt: skip
    return parser.parse_args()


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
