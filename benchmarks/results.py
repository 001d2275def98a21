"""The figures as Markdown for people and JSON for programs, with when and where each was found.

A benchmark of some cases leaves what was found of the others, so that the page can be made in
several goes; each case says when it was run.
"""

from __future__ import annotations

import datetime as dt
import os
import platform
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from benchmarks.case import Series
from benchmarks.datasets import ALGORITHM
from benchmarks.goals import MIB, Finding

INTRODUCTION = f"""\
# Benchmarks

`make bench` wrote this page. Whole processes in alternating turns, after a round that is not
counted; medians, the quickest and the slowest. Objects are stored with a full-object {ALGORITHM};
a run of s3plan with a verdict other than "verified" fails the benchmark, and so does a result of
anybody's that is not whole. What it all means stands in
[docs/performance.md](../../docs/performance.md)."""


class Where(msgspec.Struct, frozen=True):
    """The machine and the programs, and when it was."""

    when: dt.datetime
    machine: str
    versions: dict[str, str]


class CaseResult(msgspec.Struct, frozen=True):
    """What was found of one case. ``size`` is in bytes, of ``count`` objects."""

    name: str
    title: str
    note: str
    size: int
    count: int
    series: list[Series]
    findings: list[Finding]
    where: Where

    def markdown(self) -> str:
        """A section of the page."""
        versions = ", ".join(f"{name} {version}" for name, version in self.where.versions.items())
        told = f"{self.where.when:%Y-%m-%d %H:%M} UTC. {versions}."
        parts = [f"## {self.title}", _table(self.series, self.count, self.size)]
        if self.findings:
            parts.append(finding_table(self.findings))
        parts += [told, self.note] if self.note else [told]
        commands = "\n".join(dict.fromkeys(series.command for series in self.series))
        parts.append(f"```sh\n{commands}\n```")
        return "\n\n".join(parts)


class Results(msgspec.Struct):
    """What was found of each case, last time it was run."""

    cases: dict[str, CaseResult] = {}

    @classmethod
    def read(cls, directory: Path) -> Results:
        """As ``figures.json`` says; nothing where there is none."""
        path = directory / "figures.json"
        return msgspec.json.decode(path.read_bytes(), type=cls) if path.exists() else cls()

    def add(self, result: CaseResult) -> None:
        """In the place of what was found of it before."""
        self.cases[result.name] = result

    def write(self, directory: Path, order: Sequence[str]) -> None:
        """``latest.md`` and ``figures.json``, of the cases in ``order`` and no others."""
        directory.mkdir(exist_ok=True)
        self.cases = {name: self.cases[name] for name in order if name in self.cases}
        encoded = msgspec.json.format(msgspec.json.encode(self), indent=1)
        (directory / "figures.json").write_bytes(encoded + b"\n")
        (directory / "latest.md").write_text(self.markdown())

    def markdown(self) -> str:
        """The whole page."""
        every = list(self.cases.values())
        machines = dict.fromkeys(one.where.machine for one in every)
        parts = [INTRODUCTION, *machines, "## Goals"]
        parts.append(finding_table([finding for one in every for finding in one.findings]))
        return "\n\n".join([*parts, *(one.markdown() for one in every)]) + "\n"


def here_and_now(disk: str, versions: Mapping[str, str]) -> Where:
    """This machine, whose data and output are on ``disk``."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1024**3
    machine = (
        f"{platform.system()} {platform.release()}, {platform.machine()}, {os.cpu_count()} cores "
        f"({_processor()}), {memory:.0f} GiB, Python {platform.python_version()}. Server and "
        f"clients share the machine; data and output are on {disk}."
    )
    return Where(dt.datetime.now(dt.UTC), machine, dict(versions))


def _processor() -> str:
    """The processor's name where Linux tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or "unknown"
    names = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(names, "unknown")


def _table(every: Sequence[Series], count: int, size: int) -> str:
    more = list(dict.fromkeys(name for series in every for name in series.figures))
    heads = [
        "program",
        "verifies",
        "median",
        "s3plan's share",
        "range",
        "runs",
        "rate",
        "CPU",
        "peak memory",
        *more,
    ]
    rows = [f"| {' | '.join(heads)} |", f"|---|---|{'--:|' * (len(heads) - 2)}"]
    for series in every:
        low, high = series.spread
        cells = [
            series.name,
            series.verifies,
            f"{series.median:.2f} s",
            f"{every[0].median / series.median:.2f}",
            f"{low:.2f}-{high:.2f} s",
            str(len(series.runs)),
            _rate(count, size, series.median),
            f"{series.cpu_seconds:.2f} s",
            f"{series.peak_bytes / MIB:.0f} MiB",
            *(f"{series.figures[name]:,.2f}" if name in series.figures else "" for name in more),
        ]
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


def _rate(count: int, size: int, seconds: float) -> str:
    """Bytes a second where objects are few, else objects."""
    if not count:
        return ""
    return (
        f"{count / seconds:,.0f} a second" if count > 1_000 else f"{size / seconds / 1e6:,.0f} MB/s"
    )


def finding_table(findings: Sequence[Finding]) -> str:
    """Promises beside what was found."""
    rows = ["| promised | at most | found | |", "|---|--:|--:|---|"]
    for finding in findings:
        verdict = "met" if finding.met else "**missed**"
        rows.append(f"| {finding.text} | {finding.limit:g} | {finding.found:.2f} | {verdict} |")
    return "\n".join(rows)
