"""kill -9 while a bucket with a history goes and comes back, then the same command.

Nothing is lost, and nothing comes back twice or out of its order.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.crash.harness import Executioner, executioner
from tests.engine.conftest import enter
from tests.engine.scene import WHOLE, Scene, open_versioned
from tests.engine.test_versions import ALL, STACKS, newest, old_files, pile
from tests.servers import Server


@pytest.fixture
def piled(seaweed: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    """Planned: every version of a history is to go, and the bucket with them."""
    with open_versioned(seaweed, tmp_path) as made:
        enter(made, monkeypatch)
        pile(made, STACKS)
        made.plan(WHOLE + ALL)
        yield made


@pytest.fixture
def hangman(tmp_path: Path) -> Iterator[Executioner]:
    folder = tmp_path / "executioner"
    folder.mkdir()
    with executioner(folder) as made:
        yield made


def evidence(scene: Scene) -> str:
    (gate,) = scene.run().state().gates.values()
    assert gate.passes, gate
    return f"{scene.bucket}@{gate.evidence[:16]}"


def killed(scene: Scene, by: Executioner, last: str, *command: str) -> int:
    """The exit code of a command that was killed at ``last`` and given again."""
    assert by.run(scene, *command, last=last).code is None, f"{last} was not reached"
    ended = by.run(scene, *command)
    assert ended.code is not None
    return ended.code


@pytest.mark.parametrize(
    ("download", "delete", "rollback"),
    [
        ("after rename #3", "before delete objects #1", "before upload #1"),
        ("torn catalogue version #1", "after delete objects #1", "after upload #1"),
        pytest.param(
            "before journal receipts #1",
            "before delete bucket #1",
            "after upload #4",
            marks=pytest.mark.crash,
        ),
        pytest.param(
            "after catalogue marker #1",
            "after delete bucket #1",
            "after delete marker #1",
            marks=pytest.mark.crash,
        ),
        pytest.param(
            "before evidence #1",
            "before journal receipts #1",
            "before delete marker #2",
            marks=pytest.mark.crash,
        ),
    ],
)
def test_a_history_survives_kills(
    piled: Scene, hangman: Executioner, download: str, delete: str, rollback: str
) -> None:
    """A34: what was done of a version is told by its key and id, and never done again."""
    assert killed(piled, hangman, download, "apply", "--approve") == 4
    assert piled.stacks() == STACKS
    assert piled.files() == newest(STACKS)
    assert len(old_files(piled)) == 4
    approve = ("apply", "--approve", "--approve-delete", evidence(piled))
    assert killed(piled, hangman, delete, *approve) in (0, 5)
    assert not piled.bucket_exists()
    assert killed(piled, hangman, rollback, "rollback", "journal.json", "--approve") == 0
    assert piled.stacks() == STACKS
    assert (piled.files(), old_files(piled)) == ({}, [])


@pytest.mark.parametrize(
    "last", ["after rename #5", pytest.param("before journal receipts #1", marks=pytest.mark.crash)]
)
def test_a_copy_of_a_history_that_was_killed_is_taken_back(
    piled: Scene, hangman: Executioner, last: str
) -> None:
    assert hangman.run(piled, "apply", "--approve", last=last).code is None
    assert hangman.run(piled, "rollback", "journal.json", "--approve").code == 0
    assert piled.stacks() == STACKS
    left = piled.files() if piled.copies.exists() else {}
    assert (left, old_files(piled)) == ({}, [])
