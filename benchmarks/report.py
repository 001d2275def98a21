"""The figures as Markdown for people and JSON for programs, with the machine they come from."""

from __future__ import annotations

import datetime as dt
import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from benchmarks.cases import Goal, Series
from benchmarks.datasets import ALGORITHM, MIB


@dataclass
class Report:
    """Everything one benchmark found."""

    versions: Mapping[str, str]
    disk: str
    speed: list[Series] = field(default_factory=list)
    memory: list[Series] = field(default_factory=list)
    goals: list[Goal] = field(default_factory=list)
    algorithms: Mapping[str, int] = field(default_factory=dict)
    finished: dt.datetime = field(default_factory=lambda: dt.datetime.now(dt.UTC))

    def markdown(self) -> str:
        """One page."""
        parts = ["# Benchmarks", _machine(self.finished, self.disk, self.versions)]
        if self.speed:
            parts += ["## Speed", _speed_table(self.speed), self._explain()]
            commands = dict.fromkeys(series.command for series in self.speed)
            parts.append("```sh\n" + "\n".join(commands) + "\n```")
        if self.memory:
            parts += ["## Memory of `s3plan apply`", _memory_table(self.memory)]
        if self.goals:
            parts += ["## Goals", _goal_table(self.goals)]
        return "\n\n".join(parts) + "\n"

    def write(self, directory: Path) -> None:
        """``latest.md`` and ``latest.json``."""
        directory.mkdir(exist_ok=True)
        (directory / "latest.md").write_text(self.markdown())
        (directory / "latest.json").write_text(
            json.dumps(asdict(self), indent=2, default=str) + "\n"
        )

    def _explain(self) -> str:
        text = "Whole processes, in turn; medians. Objects are stored with a full-object "
        text += f"{ALGORITHM}. rclone checks MD5, s5cmd checks nothing."
        if self.algorithms:
            used = ", ".join(
                f"{name} ({count:,})" for name, count in sorted(self.algorithms.items())
            )
            text += f" s3plan verified every object of every run, by {used}, and recorded it."
        return text


def _machine(finished: dt.datetime, disk: str, versions: Mapping[str, str]) -> str:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1024**3
    lines = [
        f"{finished:%Y-%m-%d}, {platform.system()} {platform.release()}, {platform.machine()}, "
        f"{os.cpu_count()} cores ({_processor()}), {memory:.0f} GiB, Python "
        f"{platform.python_version()}. Server and clients share the machine; data and output are "
        f"on {disk}.",
        ", ".join(f"{name} {version}" for name, version in versions.items()) + ".",
    ]
    return "\n\n".join(lines)


def _processor() -> str:
    """The processor's name where Linux tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or "unknown"
    names = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(names, "unknown")


def _speed_table(every: Sequence[Series]) -> str:
    rows = ["| objects | program | median | range | MB/s | CPU | peak memory |"]
    rows.append("|---|---|--:|--:|--:|--:|--:|")
    for series in every:
        low, high = series.spread
        rows.append(
            f"| {series.dataset.title} | {series.tool} | {series.median:.2f} s "
            f"| {low:.2f}-{high:.2f} s | {series.dataset.bytes / series.median / 1e6:,.0f} "
            f"| {series.cpu_seconds:.2f} s | {series.peak_bytes / MIB:.0f} MiB |"
        )
    return "\n".join(rows)


def _memory_table(every: Sequence[Series]) -> str:
    rows = ["| objects | peak memory | median |", "|---|--:|--:|"]
    for series in every:
        peak = f"{series.peak_bytes / MIB:.0f} MiB"
        rows.append(f"| {series.dataset.title} | {peak} | {series.median:.2f} s |")
    return "\n".join(rows)


def _goal_table(goals: Sequence[Goal]) -> str:
    rows = ["| goal | found | |", "|---|--:|---|"]
    for goal in goals:
        verdict = "met" if goal.met else "**missed**"
        rows.append(f"| {goal.text} | {goal.found:.2f} | {verdict} |")
    return "\n".join(rows)
