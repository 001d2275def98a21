"""``python -m benchmarks``: start a server, and for each case fill it, measure, write the page."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from benchmarks import server
from benchmarks.bare import RefusedError
from benchmarks.case import RUNS, Case, Place
from benchmarks.places import say, serving
from benchmarks.profiles import profile
from benchmarks.programs import WrongResultError
from benchmarks.registry import CASES
from benchmarks.results import CaseResult, Results, here_and_now

RESULTS = Path(__file__).parent / "results"


def main() -> int:
    """Exit 0 when every goal is met, 1 when one is missed or a result is wrong."""
    options = _options()
    results = Results.read(RESULTS)
    met = True
    try:
        with serving(options.disk) as (place, disk):
            for case in options.cases:
                if options.profile:
                    _profile(case, place)
                    continue
                result = _result(case, place, options.runs, disk)
                results.add(result)
                results.write(RESULTS, [one.name for one in CASES])
                print(result.markdown())
                met = met and all(finding.met for finding in result.findings)
    except (WrongResultError, RefusedError) as error:
        say(f"the benchmark failed: {error}")
        return 1
    return 0 if met else 1


def _result(case: Case, place: Place, runs: int, disk: str) -> CaseResult:
    say(f"{case.name}: {case.title}")
    series = case.measure(place, runs, say)
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


def _profile(case: Case, place: Place) -> None:
    text = profile(case, place, say).markdown()
    path = RESULTS / "profiles"
    path.mkdir(parents=True, exist_ok=True)
    (path / f"{case.name}.md").write_text(f"{text}\n")
    print(text)


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
    parser.add_argument(
        "--profile", action="store_true",
        help="measure nothing: sample one run of s3plan, and write where its time goes",
    )  # fmt: skip
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
