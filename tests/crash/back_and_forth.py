"""A plan that is applied and taken back, over and over, killed on its way in both directions."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.crash.harness import Ended, Executioner
from tests.engine.conftest import enter
from tests.engine.scene import Scene, Stored

APPLY = ("apply", "--approve")
ROLLBACK = ("rollback", "journal.json", "--approve")


class BackAndForth:
    """A plan of a scene that ends well; ``apply`` is what a person types.

    What the bucket and the destination look like before it, and after it undisturbed, is known.
    """

    def __init__(self, scene: Scene, made: Executioner, apply: tuple[str, ...] = APPLY) -> None:
        self.scene = scene
        self.executioner = made
        self.apply = apply
        self.before = self.picture()
        self.forth = self._undisturbed(apply)
        self.after = self.picture()
        assert self.after != self.before
        self.back = self._undisturbed(ROLLBACK)
        assert self.picture() == self.before

    def picture(self) -> tuple[dict[str, Stored], dict[str, bytes]]:
        """What anybody sees of S3 and of the destination; an index tells when it was made."""
        nothing = Stored(b"", "", {}, {})
        objects = {
            key: nothing if key.endswith(".jsonl") else stored
            for key, stored in self.scene.objects().items()
        }
        here = self.scene.here
        return objects, {
            str(path.relative_to(here)): path.read_bytes()
            for path in sorted(here.rglob("*"))
            if path.is_file() and ".s3plan" not in path.parts
        }

    def cycle(self, first: str, second: str) -> None:
        """Apply killed at ``first`` and again, then the rollback at ``second`` and again."""
        self._killed(self.apply, first)
        assert self.picture() == self.after, f"{first}\n{self.said()}"
        self._killed(ROLLBACK, second)
        assert self.picture() == self.before, f"{second}\n{self.said()}"
        # Killed between S3's answer and the journal's line, an upload is known to nobody; what the
        # journal knows is completed or aborted.
        left = self.scene.s3.list_multipart_uploads(Bucket=self.scene.bucket).get("Uploads", ())
        known = self.scene.run().journal.read_text()
        assert len(left) <= 1, first
        assert not [one for one in left if one["UploadId"] in known], first
        self.scene.abort_uploads()

    def sweep(self, chance: random.Random) -> None:
        """Kill both at every position that they pass; the shorter list is gone through again."""
        longer = max(len(self.forth), len(self.back))
        firsts, seconds = (
            [*positions, *chance.choices(positions, k=longer - len(positions))]
            for positions in (self.forth, self.back)
        )
        for first, second in zip(firsts, seconds, strict=True):
            self.cycle(first, second)

    def abandoned(self, last: str) -> None:
        """Apply killed at ``last`` and rolled back instead."""
        self.executioner.run(self.scene, *self.apply, last=last)
        ended = self.executioner.run(self.scene, *ROLLBACK)
        # Before its journal has a first line a run did nothing, and there is nothing to take back.
        began = b"\n" in self.scene.run().journal.read_bytes()
        assert ended.code == (0 if began else 1), f"{last}\n{self.said()}"
        assert self.picture() == self.before, f"{last}\n{self.said()}"
        self.scene.abort_uploads()

    def _undisturbed(self, command: tuple[str, ...]) -> tuple[str, ...]:
        ended: Ended = self.executioner.run(self.scene, *command)
        assert ended.code == 0, self.said()
        return ended.positions

    def _killed(self, command: tuple[str, ...], last: str) -> None:
        if self.executioner.run(self.scene, *command, last=last).code is None:
            ended = self.executioner.run(self.scene, *command)
            # Killed after its last record: the plan is consumed, and all is done.
            done = command == self.apply and ended.code == 5 and self.scene.run().state().finished
            assert done or ended.code == 0, f"killed at {last}\n{self.said()}"

    def said(self) -> str:
        """The end of what the commands printed."""
        return self.executioner.log.read_text()[-3000:]


def chosen(
    positions: tuple[str, ...], chance: random.Random, places: tuple[str, ...], kills: int
) -> list[str]:
    """So many positions: of as many of these ``places`` in the program as may be, and others."""
    kinds: dict[str, list[str]] = {}
    for position in positions:
        kinds.setdefault(position.rpartition(" #")[0], []).append(position)
    telling = [same for kind, same in kinds.items() if any(place in kind for place in places)]
    some = [chance.choice(same) for same in chance.sample(telling, min(kills, len(telling)))]
    return some + chance.sample(positions, kills - len(some))


@contextmanager
def inside(scene: Scene) -> Iterator[None]:
    """This process is one that was started in the scene's directory."""
    here = Path.cwd()
    try:
        with pytest.MonkeyPatch.context() as patch:
            enter(scene, patch)
            yield
    finally:
        os.chdir(here)
