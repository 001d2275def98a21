"""Runs, killed and not, of one bucket that is evacuated and put back again and again."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from s3plan.engine.journal import read_journal
from s3plan.engine.state import ItemState, fold
from s3plan.plan.reading import PlanFile
from tests.crash.doomed import LIMIT
from tests.crash.memory import lose
from tests.engine.scene import WHOLE, Scene

SMALL = 16
"""Objects of a scene, besides those that are special."""

NEVER = 10 * LIMIT

DEATHS: Counter[str] = Counter()
"""Of this process's commands: how often each was killed, and where."""


@dataclass(frozen=True)
class Ended:
    """A command that ended, or was killed (``code`` is None), with the positions it passed."""

    code: int | None
    seconds: float
    positions: tuple[str, ...]


class Executioner:
    """The process that starts commands and kills them."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.aws = ""
        """An endpoint that commands take for AWS's."""
        self.files_from: int | None = None
        """Items from which on worklists of rollbacks stand in files; None is as ever."""
        self.log = directory / "log"
        self.memory = directory / "memory"
        self.deaths: list[str] = []
        self._process = subprocess.Popen(
            [sys.executable, "-W", "error", "-m", "tests.crash.doomed"],
            cwd=Path(__file__).parents[2],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, scene: Scene, *arguments: str, last: str = "", after: float = NEVER) -> Ended:
        """Run a command. ``last`` is the position at which it kills itself, ``after`` the seconds
        after which it is killed.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        trace = self.directory / "trace"
        trace.unlink(missing_ok=True)
        self.memory.unlink(missing_ok=True)
        self.memory.with_suffix(".before").write_text(
            json.dumps({str(log.resolve()): log.stat().st_size for log in logs(scene)})
        )
        request = {
            "arguments": arguments,
            "directory": str(scene.directory),
            "environ": scene.environ | {"TMPDIR": str(self.directory)},
            "log": str(self.log),
            "trace": str(trace),
            "memory": str(self.memory),
            "last": last,
            "after": after,
            "aws": self.aws,
            "files_from": self.files_from,
        }
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        killed = answer["code"] is None
        assert not killed or answer["seconds"] < LIMIT, f"stuck: {arguments}, {last}"
        passed = tuple(trace.read_text().splitlines()) if trace.exists() else ()
        if killed:
            self.deaths.append(" ".join([*arguments[:1], last or "at some instant"]))
        return Ended(answer["code"], answer["seconds"], passed)

    @property
    def kills(self) -> int:
        """How many commands were killed."""
        return len(self.deaths)

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(60)
        self._process.stdout.close()


@contextmanager
def executioner(directory: Path) -> Iterator[Executioner]:
    """An executioner, ended at the end."""
    made = Executioner(directory)
    try:
        yield made
    finally:
        DEATHS.update(made.deaths)
        made.close()


def fill(scene: Scene) -> None:
    """Objects of every kind that is handled differently."""
    scene.fill(SMALL)
    scene.put(
        "d0/page.html",
        b"<p>hello</p>",
        ContentType="text/html",
        Metadata={"camera": "X100"},
        Tagging="owner=ann",
    )
    scene.put("d1/large.bin", bytes(range(256)) * (5 << 10))
    scene.put("d1/huge.bin", bytes(range(255)) * (10 << 10))
    scene.put("d2/nothing.txt", b"")
    scene.put("empty/", b"")


@dataclass
class Cycle:
    """A bucket that is planned, downloaded, deleted and rolled back, over and over.

    ``expected`` holds what each phase leaves when nothing disturbs it.
    """

    scene: Scene
    executioner: Executioner
    before: dict[str, Any] = field(default_factory=dict)
    expected: dict[str, tuple[int, dict[str, Any]]] = field(default_factory=dict)
    positions: dict[str, tuple[str, ...]] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)

    PHASES = ("download", "delete", "rollback")

    def start(self) -> None:
        """Fill the bucket, and see what an undisturbed cycle does."""
        fill(self.scene)
        self.scene.manifest(WHOLE)
        self.before = self.scene.objects()
        # Twice: an object that was put back in parts has another ETag than its first PUT gave it,
        # and the same from then on.
        for _ in range(2):
            self.plan()
            for phase in self.PHASES:
                ended = self.executioner.run(self.scene, *self.command(phase))
                assert ended.code == {"download": 4, "delete": 0, "rollback": 0}[phase], self.said()
                self.expected[phase] = (ended.code, picture(self.scene))
                self.positions[phase] = ended.positions
                self.seconds[phase] = ended.seconds
        assert self.scene.objects() == self.before
        assert self.scene.files() == {}

    def plan(self) -> None:
        """Make the plan of the next cycle.

        Killed between S3's answer and the journal's line, an upload in parts is known to nobody: a
        plan lists it and keeps the bucket while it is young. Here somebody has aborted it by hand.
        """
        self.scene.abort_uploads()
        assert self.executioner.run(self.scene, "plan", "manifest.yaml").code == 0, self.said()

    def command(self, phase: str) -> tuple[str, ...]:
        """What a person types."""
        match phase:
            case "download":
                return ("apply", "--approve")
            case "delete":
                return ("apply", "--approve", "--approve-delete", self._evidence())
            case _:
                return ("rollback", "journal.json", "--approve")

    def killed(self, phase: str, lasts: Sequence[str | float], *, but: Sequence[str] = ()) -> None:
        """Kill a phase at each of these positions or times, session after session, and let it end.

        Checks that it ended as if nothing had happened, ``but`` for those parts of the picture.
        """
        command = self.command(phase)
        for last in lasts:
            if self._session(command, last).code is not None:
                break
        self._end(phase, command, f"killed at {lasts}", but)

    def abandoned(self, phase: str, last: str | float) -> bool:
        """Kill a phase and roll back instead of going on; whether it was killed.

        Checks that everything is as it was before the run.
        """
        killed = self._session(self.command(phase), last).code is None
        ended = self.executioner.run(self.scene, *self.command("rollback"))
        began = self.scene.directory.joinpath("journal.json").exists()
        # Before its journal has a first line a run did nothing, and there is nothing to take back.
        assert ended.code == 0 or (last and ended.code == 1 and not self._ran(began)), self.said()
        assert self.scene.objects() == self.before, f"killed at {last}"
        left = self.scene.files() if self.scene.copies.exists() else {}
        # Of directories only one that was made and got no file yet may stay.
        assert left == {}, f"killed at {last}"
        assert self.scene.catalogue() == {}, f"killed at {last}"
        return killed

    def powerless(
        self, phase: str, last: str | float, chance: random.Random, *, yank: bool
    ) -> list[str]:
        """Cut the power in a phase, and let the same command go on; what was lost.

        With ``yank`` it is the destination's disk alone that loses what it had not written.
        Checks that it ended as if nothing had happened.
        """
        command = self.command(phase)
        self._session(command, last)
        kept = [log for log in logs(self.scene) if not yank or self.scene.here in log.parents]
        lost = lose(self.executioner.memory, kept, chance)
        # What a power cut broke is set aside, and never removed.
        told = "\n".join([f"lost at {last}:", *lost])
        self._end(phase, command, told, ("set aside",))
        return lost

    def _end(self, phase: str, command: Sequence[str], told: str, but: Sequence[str]) -> None:
        """Let the same command end, and compare."""
        ended = self.executioner.run(self.scene, *command)
        code, expected = self.expected[phase]
        # Killed after its last record: the plan is consumed, and all is done.
        consumed = phase == "delete" and ended.code == 5 and self.scene.run().state().finished
        assert consumed or ended.code == code, f"{told}\n{self.said()}"
        found = picture(self.scene)
        differing = {
            name: (found.get(name), expected.get(name))
            for name in (found.keys() | expected.keys()) - set(but)
            if found.get(name) != expected.get(name)
        }
        assert not differing, f"{differing}\n{told}\n{self.said()}"

    def said(self) -> str:
        """The end of what the commands printed."""
        return self.executioner.log.read_text()[-3000:]

    def _session(self, command: Sequence[str], last: str | float) -> Ended:
        if isinstance(last, str):
            return self.executioner.run(self.scene, *command, last=last)
        return self.executioner.run(self.scene, *command, after=last)

    def _ran(self, began: bool) -> bool:
        return began and bool(self.scene.run().journal.read_bytes().count(b"\n"))

    def _evidence(self) -> str:
        (gate,) = self.scene.run().state().gates.values()
        assert gate.passes, gate
        return f"{self.scene.bucket}@{gate.evidence[:16]}"


def logs(scene: Scene) -> list[Path]:
    """Every journal of the working directory and every catalogue of the destination."""
    return [
        *scene.directory.glob(".s3plan/runs/*/journal.json"),
        *scene.directory.glob(".s3plan/runs/*/rollback.json"),
        *scene.here.glob(".s3plan/catalogue/*"),
    ]


def picture(scene: Scene) -> dict[str, Any]:
    """All that is left of a run, except names and times of this very run."""
    run = scene.run()
    drawn: dict[str, Any] = {
        "bucket": scene.bucket_exists(),
        "objects": scene.objects(),
        "files": scene.files() if scene.copies.exists() else {},
        "directories": {str(p.relative_to(scene.here)) for p in scene.copies.rglob("*/")},
        "unfinished": [
            p.name
            for p in scene.here.glob(".s3plan/*/*/*")
            if p.parts[-3] in ("tmp", "parts") and p.name != "lock"
        ],
        "set aside": [p.name for p in scene.here.glob(".s3plan/set-aside/**/*")],
        "directory": {p.name for p in scene.directory.iterdir()},
        "catalogue": _catalogue(scene, run.id),
    }
    for name, plan in (("journal", run.plan), ("rollback", run.rollback_plan)):
        path = run.folder / f"{name}.json"
        if path.exists():
            drawn[name] = _verdicts(path, PlanFile.open(plan))
    return drawn


def _catalogue(scene: Scene, run: str) -> dict[str, Any]:
    fresh = {}
    for key, (row, tags) in scene.catalogue().items():
        file = scene.here / row.path
        dated = row.path.endswith("/") or file.stat().st_mtime_ns == row.file.mtime_ns
        fresh[key] = (
            row.path, row.size, row.etag, row.evidence, row.verdict, row.adopted, row.run == run,
            row.attributes.headers, row.attributes.metadata, tags, dated,
        )  # fmt: skip
    return fresh


def _verdicts(journal: Path, plan: PlanFile) -> dict[str, Any]:
    """The journal, folded."""
    state = fold(read_journal(journal))
    steps = {step.verb: (step, state.step(step.id)) for step in plan.steps}
    return {
        "outcome": state.outcome,
        "rolled back": state.rolled_back and state.rolled_back.outcome,
        "problems": dict(state.problems),
        "gates": [(gate.passes, gate.figures, gate.totals) for gate in state.gates.values()],
        "steps": {
            verb: (
                Counter(ItemState(known.of(n)).name for n in range(step.totals.items)),
                known.done_bytes,
                known.done,
            )
            for verb, (step, known) in steps.items()
        },
    }
