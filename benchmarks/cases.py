"""What is measured: whole processes in turn, and memory against the number of objects."""

from __future__ import annotations

import json
import shutil
import statistics
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.datasets import KIB, MIB, Dataset
from benchmarks.server import Server
from benchmarks.tools import Job, Tool, WrongResultError

SMALL = Dataset("small", 5_000, 16 * KIB)
LARGE = Dataset("large", 4, 256 * MIB)
COPIED = Dataset("copied", 5_000, 16 * KIB, " copied within S3")
ARCHIVED = Dataset("archived", 4, 256 * MIB, " archived from a disk, as a tar each")
FEW = Dataset("few", 5_000, 1 * KIB)
MANY = Dataset("many", 50_000, 1 * KIB)
MEMORY_GOAL = 1.20

MEASURE = Path(__file__).with_name("measure.py")
Say = Callable[[str], None]


@dataclass(frozen=True)
class Run:
    """One process from start to end."""

    seconds: float
    cpu_seconds: float
    peak_bytes: int


@dataclass(frozen=True)
class Series:
    """All runs of one program over one dataset, and the command they ran."""

    tool: str
    dataset: Dataset
    command: str
    runs: tuple[Run, ...]

    @property
    def median(self) -> float:
        """Seconds."""
        return statistics.median(run.seconds for run in self.runs)

    @property
    def spread(self) -> tuple[float, float]:
        """The quickest and the slowest, in seconds."""
        seconds = [run.seconds for run in self.runs]
        return min(seconds), max(seconds)

    @property
    def peak_bytes(self) -> int:
        """The largest any run needed."""
        return max(run.peak_bytes for run in self.runs)

    @property
    def cpu_seconds(self) -> float:
        """Median over the runs."""
        return statistics.median(run.cpu_seconds for run in self.runs)


@dataclass(frozen=True)
class Goal:
    """What was promised, and what was found: ``found`` may be at most ``limit``."""

    text: str
    found: float
    limit: float

    @property
    def met(self) -> bool:
        """Whether the promise holds here and now."""
        return self.found <= self.limit


def alternate(
    server: Server, dataset: Dataset, tools: Sequence[Tool], *, runs: int, scratch: Path, say: Say
) -> list[Series]:
    """``runs`` rounds of every program in turn, so that the machine's moods hit all alike.

    A round before them is not counted: it warms the server's caches for whoever comes first.
    """
    collected: dict[str, list[Run]] = {tool.name: [] for tool in tools}
    commands: dict[str, str] = {}
    for round_number in range(runs + 1):
        for tool in tools:
            run, commands[tool.name] = _once(server, dataset, tool, scratch)
            say(f"  {dataset.title}  {tool.name:7} {run.seconds:6.2f} s")
            if round_number:
                collected[tool.name].append(run)
    return [
        Series(tool.name, dataset, commands[tool.name], tuple(collected[tool.name]))
        for tool in tools
    ]


def speed_goal(series: Sequence[Series], peer: str) -> Goal:
    """s3plan takes at most as long as ``peer``."""
    found = {one.tool: one for one in series}
    ours, theirs = found["s3plan"], found[peer]
    text = f"{ours.dataset.title}: s3plan in at most 1.0 x the time of {peer}"
    return Goal(text, ours.median / theirs.median, 1.0)


def absolute_goal(series: Series, seconds: float, peak_bytes: int) -> list[Goal]:
    """s3plan takes at most so long and so much memory; there is no peer for it."""
    title, mib = series.dataset.title, peak_bytes // MIB
    return [
        Goal(f"{title}: s3plan in at most {seconds:g} s", series.median, seconds),
        Goal(f"{title}: s3plan in at most {mib} MiB", series.peak_bytes / MIB, mib),
    ]


def memory_goal(few: Series, many: Series) -> Goal:
    """Memory does not grow with the number of objects."""
    ratio = many.peak_bytes / few.peak_bytes
    text = f"peak memory of {many.dataset.count:,} objects in at most {MEMORY_GOAL:.2f} x "
    return Goal(text + f"that of {few.dataset.count:,}", ratio, MEMORY_GOAL)


def _once(server: Server, dataset: Dataset, tool: Tool, scratch: Path) -> tuple[Run, str]:
    """Prepare, time, check and clear away; also the command as a person would type it."""
    job = Job(server, dataset, work=scratch / "work", output=scratch / "out")
    for directory in (job.work, job.output):
        directory.mkdir()
    try:
        tool.prepare(job)
        command = tool.command(job)
        run = _measure(command, job, tool, scratch / "figures.json")
        tool.check(job)
    finally:
        for directory in (job.work, job.output):
            shutil.rmtree(directory)
    words = [tool.name, *command[1:]]
    shown = " ".join(f"'{word}'" if "*" in word else word for word in words)
    shown = shown.replace(str(job.output), "$OUT").replace(server.endpoint, "$ENDPOINT")
    return run, shown


def _measure(command: list[str], job: Job, tool: Tool, figures: Path) -> Run:
    done = subprocess.run(
        [sys.executable, "-I", "-S", str(MEASURE), str(figures), *command],
        check=False,
        cwd=job.work,
        env=tool.environment(job),
        capture_output=True,
        text=True,
    )
    if done.returncode != 0:
        said = (done.stdout + done.stderr)[-2000:]
        raise WrongResultError(f"{' '.join(command)} exited {done.returncode}:\n{said}")
    return Run(**json.loads(figures.read_text()))
