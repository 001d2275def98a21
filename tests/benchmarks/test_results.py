"""What the benchmarks make of their figures; that they measure rightly, only a run shows."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

from benchmarks.case import Run, Series
from benchmarks.goals import Figure, Peak, Ratio
from benchmarks.registry import CASES
from benchmarks.results import CaseResult, Results, Where

MIB = 1024 * 1024


def _series(name: str, *seconds: float) -> Series:
    runs = [Run(one, one / 2, 100 * MIB, {"seconds in the journal": one / 100}) for one in seconds]
    return Series(name, "nothing", f"{name} --all", runs)


EVERY = [_series("s3plan", 3, 1, 2), _series("quick", 4, 5, 3), _series("slow", 9, 8, 9)]


def _result(name: str, *series: Series) -> CaseResult:
    where = Where(dt.datetime(2026, 11, 20, 16, 5, tzinfo=dt.UTC), "a machine", {"s3plan": "1"})
    findings = [Ratio(0.6, ("quick", "slow")).finding(name, series)]
    return CaseResult(name, name, "", 10**6, 10, list(series), findings, where)


def test_a_ratio_is_of_medians_and_to_the_quickest_peer() -> None:
    met = Ratio(0.6, ("quick", "slow")).finding("Copy", EVERY)
    assert (met.found, met.met) == (0.5, True)
    assert met.text == "Copy: time, as a share of quick's"
    assert not Ratio(0.4, ("quick", "slow")).finding("Copy", EVERY).met


def test_other_promises_are_of_ours_alone() -> None:
    assert Peak(100).finding("Copy", EVERY).met
    assert not Peak(99).finding("Copy", EVERY).met
    assert Figure("seconds in the journal", 0.1).finding("Copy", EVERY).found == 0.02


def test_a_case_that_is_run_again_replaces_what_was_found_and_leaves_the_others(
    tmp_path: Path,
) -> None:
    first = Results.read(tmp_path)
    first.add(_result("copy", *EVERY))
    first.add(_result("list", *EVERY))
    first.write(tmp_path, ["list", "copy", "never run"])
    second = Results.read(tmp_path)
    second.add(_result("copy", _series("s3plan", 30), *EVERY[1:]))
    second.write(tmp_path, ["list", "copy", "never run"])
    found = Results.read(tmp_path).cases
    assert list(found) == ["list", "copy"]
    assert found["list"].series[0].median == 2
    assert found["copy"].series[0].median == 30
    page = (tmp_path / "latest.md").read_text()
    assert "| list: time, as a share of quick's | 0.6 | 0.50 | met |" in page
    assert "| copy: time, as a share of quick's | 0.6 | 7.50 | **missed** |" in page
    assert "2026-11-20 16:05 UTC" in page


def test_cases_have_names_of_their_own_and_promises_about_who_takes_part() -> None:
    assert len({case.name for case in CASES}) == len(CASES)
    for case in CASES:
        names = [one.name for one in case.contenders]
        assert names[0] == "s3plan"
        assert len(set(names)) == len(names)
        peers = {peer for goal in case.goals if isinstance(goal, Ratio) for peer in goal.peers}
        assert peers <= set(names), case.name
