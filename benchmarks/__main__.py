"""``python -m benchmarks``: start a server, and for each case fill it, measure, write the page."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from pathlib import Path

from benchmarks import server
from benchmarks.bare import RefusedError
from benchmarks.case import RUNS, Case, Place
from benchmarks.programs import WrongResultError
from benchmarks.registry import CASES
from benchmarks.results import CaseResult, Results, here_and_now

RESULTS = Path(__file__).parent / "results"
MEMORY_DISK = Path("/dev/shm")
SCRATCH = "s3plan-bench-"


def main() -> int:
    """Exit 0 when every goal is met, 1 when one is missed or a result is wrong."""
    options = _options()
    on_memory = MEMORY_DISK.is_dir() and not options.disk
    place = MEMORY_DISK if on_memory else Path(options.disk or tempfile.gettempdir())
    _sweep(place)
    disk = "a memory disk" if on_memory else "disk"
    results = Results.read(RESULTS)
    met = True
    with tempfile.TemporaryDirectory(prefix=f"{SCRATCH}{os.getpid()}-", dir=place) as directory:
        _say("starting SeaweedFS")
        try:
            with server.running(Path(directory)) as running:
                at = Place(running, Path(directory))
                for case in options.cases:
                    result = _result(case, at, options.runs, disk)
                    results.add(result)
                    results.write(RESULTS, [one.name for one in CASES])
                    print(result.markdown())
                    met = met and all(finding.met for finding in result.findings)
        except (WrongResultError, RefusedError) as error:
            _say(f"the benchmark failed: {error}")
            return 1
    return 0 if met else 1


def _result(case: Case, place: Place, runs: int, disk: str) -> CaseResult:
    _say(f"{case.name}: {case.title}")
    series = case.measure(place, runs, _say)
    programs = {one.program.name: one.program for one in case.contenders}
    versions = {name: program.version() for name, program in programs.items()}
    return CaseResult(
        name=case.name,
        title=case.title,
        note=case.note,
        size=case.dataset.bytes,
        count=case.dataset.count,
        series=series,
        findings=case.findings(series),
        where=here_and_now(disk, versions | {"SeaweedFS": server.version()}),
    )


def _sweep(place: Path) -> None:
    """Remove what killed benchmarks left there: gigabytes, of memory where it is a memory disk."""
    for left in place.glob(f"{SCRATCH}*"):
        if not Path("/proc", left.name.removeprefix(SCRATCH).partition("-")[0]).exists():
            shutil.rmtree(left)


def _options() -> argparse.Namespace:
    known = {case.name: case for case in CASES}

    def chosen(text: str) -> list[Case]:
        names = text.split(",")
        if unknown := [name for name in names if name not in known]:
            raise argparse.ArgumentTypeError(f"{', '.join(unknown)}: not among {', '.join(known)}")
        return [known[name] for name in names]

    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--runs", type=int, default=RUNS, help=f"rounds to count (default: {RUNS})")
    parser.add_argument(
        "--cases", type=chosen, default=[case for case in CASES if not case.long], metavar="A,B",
        help=f"only these; what was found of others before stays on the page: {', '.join(known)}",
    )  # fmt: skip
    parser.add_argument(
        "--disk", metavar="DIRECTORY", help="keep data and output there, not on a memory disk"
    )
    return parser.parse_args()


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
