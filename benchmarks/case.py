"""What is measured: a case is one piece of work that several programs do in turn."""

from __future__ import annotations

import itertools
import re
import shutil
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from benchmarks.datasets import Dataset
from benchmarks.goals import Finding, Goal
from benchmarks.programs import Program, WrongResultError, output_of
from benchmarks.server import Server

MEASURE = Path(__file__).with_name("measure.py")
ROOT = Path(__file__).parent.parent
RUNS = 5
Say = Callable[[str], None]
Around = Callable[[list[str]], list[str]]


@dataclass(frozen=True, eq=False)
class Place:
    """Where cases are run. ``filled`` are the buckets and folders that are ready, ``numbers`` those
    of the next runs.
    """

    server: Server
    scratch: Path
    filled: set[str] = field(default_factory=set)
    numbers: Iterator[int] = field(default_factory=itertools.count)

    def once(self, name: str, fill: Callable[[], object]) -> None:
        """Fill what has that name, unless it is ready."""
        if name not in self.filled:
            fill()
            self.filled.add(name)


@dataclass(frozen=True)
class Job:
    """One run of one program.

    ``number`` is another for each. ``work`` is the directory it is started in, and where its
    standard output is kept; ``output`` an empty directory for what it downloads. Both are gone
    afterwards.
    """

    place: Place
    dataset: Dataset
    program: Program
    number: int
    work: Path
    output: Path

    @property
    def server(self) -> Server:
        """The one that is asked."""
        return self.place.server

    @property
    def said(self) -> Path:
        """What the program wrote to standard output."""
        return self.work / "standard-output"

    @property
    def told(self) -> Path:
        """What it wrote to standard error."""
        return self.work / "standard-error"

    @property
    def environment(self) -> dict[str, str]:
        """What programs need to know besides their arguments."""
        # s3plan remembers destinations, and those of jobs are used again and again.
        state = {"XDG_STATE_HOME": str(self.work / "state")}
        return {**self.server.environment, **state, **self.program.variables(self.server)}

    def run(self, command: list[str], codes: tuple[int, ...] = (0,)) -> str:
        """Standard output of what is not timed."""
        return output_of(command, cwd=self.work, env=self.environment, codes=codes)


Prepare = Callable[[Job], None]
Check = Callable[[Job], Mapping[str, float] | None]


def _nothing(job: Job) -> None:
    del job


@dataclass(frozen=True)
class Contender:
    """A program and how it does the work.

    ``does`` tells it from others of the same program, ``verifies`` what it compares; ``check``
    raises WrongResultError unless all is done, and may tell further figures of the run, by name.
    A ``slow`` one, far behind whoever is compared, is run once.
    """

    program: Program
    command: Callable[[Job], list[str]]
    verifies: str = "nothing"
    does: str = ""
    prepare: Prepare = _nothing
    check: Check = _nothing
    codes: tuple[int, ...] = (0,)
    slow: bool = False

    @property
    def name(self) -> str:
        """As tables and goals call it."""
        return f"{self.program.name}{self.does}"


class Run(msgspec.Struct, frozen=True):
    """One process from start to end."""

    seconds: float
    cpu_seconds: float
    peak_bytes: int
    figures: dict[str, float] = {}


class Series(msgspec.Struct, frozen=True):
    """All counted runs of one contender, and the command they ran."""

    name: str
    verifies: str
    command: str
    runs: list[Run]

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

    @property
    def figures(self) -> dict[str, float]:
        """Medians over the runs."""
        names = self.runs[0].figures
        return {name: statistics.median(run.figures[name] for run in self.runs) for name in names}


@dataclass(frozen=True)
class Case:
    """Work on a dataset, who does it, and what is promised of it.

    ``long`` ones are run only when they are named.
    """

    name: str
    title: str
    dataset: Dataset
    contenders: tuple[Contender, ...]
    goals: tuple[Goal, ...] = ()
    fill: Callable[[Place, Dataset], None] = lambda _, __: None
    note: str = ""
    long: bool = False

    def measure(self, place: Place, runs: int, say: Say) -> list[Series]:
        """``runs`` rounds of every contender in turn, so that the machine's moods hit all alike.

        A round before them is not counted: it warms the server's caches for whoever comes first.
        """
        self.fill(place, self.dataset)
        collected: dict[str, list[Run]] = {one.name: [] for one in self.contenders}
        commands: dict[str, str] = {}
        for number in range(runs + 1):
            for one in self.contenders:
                if one.slow and number != 1:
                    continue
                run, commands[one.name] = _once(place, self.dataset, one)
                say(f"  {self.name}  {one.name:20} {run.seconds:6.2f} s")
                if number:
                    collected[one.name].append(run)
        return [
            Series(one.name, one.verifies, commands[one.name], collected[one.name])
            for one in self.contenders
        ]

    def once(self, place: Place, around: Around) -> None:
        """One more run of s3plan, whose command is wrapped, that nobody counts."""
        self.fill(place, self.dataset)
        _once(place, self.dataset, self.contenders[0], around)

    def findings(self, every: Sequence[Series]) -> list[Finding]:
        """What became of the promises."""
        return [goal.finding(self.title, every) for goal in self.goals]


def _once(
    place: Place, dataset: Dataset, contender: Contender, around: Around = list
) -> tuple[Run, str]:
    """Prepare, time, check and clear away; also the command as a person would type it."""
    scratch = place.scratch
    job = Job(
        place,
        dataset,
        contender.program,
        next(place.numbers),
        work=scratch / "work",
        output=scratch / "out",
    )
    for directory in (job.work, job.output):
        directory.mkdir()
    try:
        contender.prepare(job)
        command = contender.command(job)
        run = _measure(around(command), job, scratch / "figures.json", contender.codes)
        figures = contender.check(job) or {}
    finally:
        for directory in (job.work, job.output):
            shutil.rmtree(directory)
    return msgspec.structs.replace(run, figures=dict(figures)), _shown(command, job)


def _measure(command: list[str], job: Job, figures: Path, codes: tuple[int, ...]) -> Run:
    between = [sys.executable, "-I", "-S", str(MEASURE), str(figures), str(job.said)]
    done = subprocess.run(
        [*between, *command],
        check=False,
        cwd=job.work,
        env=job.environment,
        capture_output=True,
        text=True,
    )
    job.told.write_text(done.stderr)
    if done.returncode not in codes:
        said = job.said.read_text(errors="replace")[-2000:] + done.stderr[-2000:]
        raise WrongResultError(f"{' '.join(command)} exited {done.returncode}:\n{said}")
    return msgspec.json.decode(figures.read_bytes(), type=Run)


def _shown(command: list[str], job: Job) -> str:
    # Programs by their names, wherever they are installed.
    words = [re.sub(rf"\S*/{job.program.name}(?=\s|$)", job.program.name, word) for word in command]
    text = " ".join(f"'{word}'" if set(word) & set("*|&;() ") else word for word in words)
    for path, name in (
        (str(job.output), "$OUT"),
        (str(job.work), "$WORK"),
        (job.server.endpoint, "$ENDPOINT"),
        (str(job.place.scratch), "$SCRATCH"),
        (sys.executable, "python"),
        (f"{ROOT}/", ""),
    ):
        text = text.replace(path, name)
    return text
