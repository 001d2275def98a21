"""``python -m benchmarks.growth``: time and memory against the number of objects, as plots.

Planning from an S3 Inventory report, and downloading with verification. What was found before of
other numbers of objects stays in ``results/growth.json``, so that the plots can be made in several
goes; ``--plot`` only draws them again.
"""

from __future__ import annotations

import argparse
import datetime as dt
import statistics
import sys
from pathlib import Path

import msgspec

from benchmarks import downloads, planning
from benchmarks.case import Case, Place
from benchmarks.datasets import KIB, Dataset, fill
from benchmarks.places import say, serving
from benchmarks.plots import plot

FIGURES = Path(__file__).parent / "results" / "growth.json"
PLOTS = Path(__file__).parent.parent / "docs"
COUNTS = {
    "plan": (1_000, 10_000, 100_000, 1_000_000, 10_000_000),
    "apply": (100, 1_000, 10_000, 100_000),
}
TITLES = {
    "plan": "s3plan plan, from an S3 Inventory report (Parquet)",
    "apply": "s3plan apply, downloading and verifying objects of 1 KiB",
}


class Point(msgspec.Struct, frozen=True):
    """Median seconds and CPU seconds, and the largest memory, of so many runs."""

    seconds: float
    cpu_seconds: float
    peak_bytes: int
    runs: int
    when: dt.datetime


Points = dict[str, dict[int, Point]]


def main() -> int:
    """Measure what was asked for, and draw everything that is known."""
    options = _options()
    points = _read()
    if not options.plot:
        with serving(options.disk) as (place, _):
            for count in options.counts or COUNTS[options.work]:
                found = _measure(place, options.work, count, options.runs)
                points.setdefault(options.work, {})[count] = found
                _write(points)
    for work, known in points.items():
        series = sorted(known.items())
        plot(
            PLOTS / f"growth-{work}.png",
            TITLES[work],
            [count for count, _ in series],
            [point.seconds for _, point in series],
            [point.peak_bytes for _, point in series],
        )
    return 0


def _measure(place: Place, work: str, count: int, runs: int) -> Point:
    case = _case(work, count)
    (series,) = case.measure(place, runs, say)
    return Point(
        seconds=statistics.median(run.seconds for run in series.runs),
        cpu_seconds=series.cpu_seconds,
        peak_bytes=series.peak_bytes,
        runs=runs,
        when=dt.datetime.now(dt.UTC),
    )


def _case(work: str, count: int) -> Case:
    dataset = Dataset(f"{work}-{count}", count, KIB)
    if work == "plan":
        return planning.from_report(f"plan {count:,}", dataset, "Parquet", peers=())
    title = f"apply {count:,}"
    return Case(title, title, dataset, (downloads.OURS,), fill=fill)


def _read() -> Points:
    if not FIGURES.exists():
        return {}
    return msgspec.json.decode(FIGURES.read_bytes(), type=Points)


def _write(points: Points) -> None:
    rising = {work: dict(sorted(points[work].items())) for work in sorted(points)}
    encoded = msgspec.json.encode(rising)
    FIGURES.parent.mkdir(exist_ok=True)
    FIGURES.write_bytes(msgspec.json.format(encoded, indent=1) + b"\n")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.growth", description=__doc__)
    parser.add_argument("work", choices=list(COUNTS), nargs="?", default="plan")
    parser.add_argument("counts", type=int, nargs="*", help="of objects; all of them unless said")
    parser.add_argument("--runs", type=int, default=3, help="rounds to count (default: 3)")
    parser.add_argument("--disk", metavar="DIRECTORY", help="instead of a memory disk")
    parser.add_argument("--plot", action="store_true", help="measure nothing")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
