"""kill -9 while a soak is recorded, while sources are deleted after it, and while they are copied
back; then the same command.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from s3plan.engine.runs import run_of
from s3plan.engine.soak.record import standing
from s3plan.plan.reading import PlanFile
from tests.crash.harness import Ended, Executioner, executioner
from tests.engine.scene import Scene, open_scene
from tests.servers import Server
from tests.soak.soaking import Soaking

APPLY = ("apply", "--approve")
PLAN = ("plan", "manifest.yaml")
ROLLBACK = ("rollback", "journal.json", "--approve")


@pytest.fixture(scope="module")
def soaked(seaweed: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[_Soaked]:
    directory = tmp_path_factory.mktemp("soaked")
    with open_scene(seaweed, directory) as scene, executioner(directory) as made:
        yield _Soaked(scene, made)


class _Soaked:
    """A bucket that is regrouped, cleaned, and taken back stage by stage, over and over."""

    def __init__(self, scene: Scene, made: Executioner) -> None:
        self.scene = scene
        self.executioner = made
        self.copied = ""
        soaking = Soaking(scene)
        soaking.fill(4)
        soaking.declare()
        self.before = scene.objects()
        self._migrate()
        self.everything = scene.objects()
        self.cleaned = {key: self.everything[key] for key in self.everything.keys() - self.before}
        self.deleting = self._run(*self._clean()).positions
        self.returning = self._run(*ROLLBACK).positions
        self._undo()

    def _run(self, *command: str, code: int = 0, last: str = "") -> Ended:
        ended = self.executioner.run(self.scene, *command, last=last)
        assert ended.code in (code, None), self.said()
        return ended

    def _migrate(self) -> None:
        self._run(*PLAN)
        self._run(*APPLY)
        self.copied = str(self.scene.run().journal)
        self._run("monitor", self.copied)
        self._run("signoff", self.copied, "--name", "Ann", "--role", "owner")

    def _clean(self) -> tuple[str, ...]:
        """Apply the deletion to its gate; the command that opens it."""
        self._run(*PLAN)
        self._run(*APPLY, code=4)
        (gate,) = self.scene.run().state().gates.values()
        approval = f"{self.scene.bucket}@{gate.evidence[:16]}"
        return (*APPLY, "--approve-delete", approval)

    def _undo(self) -> None:
        self._run("rollback", self.copied, "--approve")
        assert self.scene.objects() == self.before, self.said()

    def cycle(self, first: str, second: str, *, whole: bool = False) -> None:
        """The deletion killed at ``first`` and again, then the way back at ``second`` and again;
        with ``whole`` everything is taken back at once.
        """
        self._migrate()
        self._killed(self._clean(), first)
        assert self.scene.objects() == self.cleaned, f"{first}\n{self.said()}"
        if whole:
            self._killed(("rollback", self.copied, "--approve"), second)
        else:
            self._killed(ROLLBACK, second)
            assert self.scene.objects() == self.everything, f"{second}\n{self.said()}"
        self._undo()

    def abandoned(self, last: str) -> None:
        """The deletion killed at ``last`` and taken back instead."""
        self._migrate()
        self._run(*self._clean(), last=last)
        self._run(*ROLLBACK)
        assert self.scene.objects() == self.everything, f"{last}\n{self.said()}"
        self._undo()

    def _killed(self, command: tuple[str, ...], last: str) -> None:
        if self.executioner.run(self.scene, *command, last=last).code is None:
            ended = self.executioner.run(self.scene, *command)
            # Killed after its last record: the plan is consumed, and all is done.
            done = command[0] == "apply" and ended.code == 5 and self.scene.run().state().finished
            assert done or ended.code == 0, f"killed at {last}\n{self.said()}"

    def watched(self, last: str) -> int:
        """A check killed at ``last``, then again; how many checks are on record."""
        self._migrate()
        full = ("monitor", self.copied, "--full")
        self._run(*full, last=last)
        self._run(*full)
        run = run_of(self.scene.directory / "journal.json")
        found = standing(run, PlanFile.open(run.plan), run.state())
        assert found.signatures
        self._undo()
        return len(found.checks)

    def said(self) -> str:
        return self.executioner.log.read_text()[-3000:]


def _chosen(positions: tuple[str, ...], word: str, chance: random.Random) -> str:
    return chance.choice([position for position in positions if word in position])


@pytest.mark.long
@pytest.mark.slow
def test_killed_deletions_and_returns_of_sources_end_as_if_nobody_had_disturbed_them(
    soaked: _Soaked,
) -> None:
    """Invariant 4."""
    chance = random.Random(5)
    for word, other in (("delete objects", "copy object"), ("journal", "rollback")):
        soaked.cycle(
            _chosen(soaked.deleting, word, chance), _chosen(soaked.returning, other, chance)
        )


@pytest.mark.long
@pytest.mark.slow
def test_a_killed_deletion_can_be_taken_back_instead(soaked: _Soaked) -> None:
    """Some sources are gone, and the journal may not know which."""
    soaked.abandoned("after delete objects #2")


@pytest.mark.crash
@pytest.mark.timeout(0)
def test_killed_at_every_position_of_a_cleanup(soaked: _Soaked) -> None:
    chance = random.Random(6)
    for number, first in enumerate(soaked.deleting):
        soaked.cycle(first, chance.choice(soaked.returning), whole=number % 3 == 0)
    for second in soaked.returning:
        soaked.cycle("", second)


@pytest.mark.crash
def test_a_killed_check_is_on_record_or_not_and_never_half(soaked: _Soaked) -> None:
    """The first check, and one that was torn, was answered, or was never written."""
    assert soaked.watched("torn soak checked #1") == 2
    assert soaked.watched("before soak checked #1") == 2
    assert soaked.watched("after soak checked #1") == 3
