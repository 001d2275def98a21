"""kill -9 while archived objects are asked for, waited for and downloaded.

The end is that of a run that nobody disturbed, and every object was asked for exactly once: what
the journal does not know, S3 does.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest

from tests.crash.harness import Executioner, executioner, picture
from tests.engine.scene import COPY_ONLY, Scene, open_scene
from tests.faults.proxy import proxy_to
from tests.restore.glacier import Glacier
from tests.servers import Server

ARCHIVED = 9
COMMAND = ("apply", "--approve")


@dataclass
class Vault:
    """A scene behind an archive, and what an undisturbed run leaves."""

    scene: Scene
    executioner: Executioner
    glacier: Glacier
    positions: tuple[str, ...] = ()
    expected: Any = None

    def plan(self) -> None:
        self.glacier.copies.clear()
        self.glacier.asked.clear()
        assert self.executioner.run(self.scene, "plan", "manifest.yaml").code == 0, self.said()

    def check(self, told: str) -> None:
        """Everything is as an undisturbed run left it; then it is taken back."""
        assert picture(self.scene) == self.expected, f"{told}\n{self.said()}"
        asked = Counter(key for key, *_ in self.glacier.asked)
        assert asked == {f"k{n:02}.bin": 1 for n in range(ARCHIVED)}, told
        self.back()

    def back(self) -> None:
        back = self.executioner.run(self.scene, "rollback", "journal.json", "--approve")
        assert back.code == 0, self.said()
        assert self.scene.files() == {}

    def said(self) -> str:
        return self.executioner.log.read_text()[-3000:]


@pytest.fixture(scope="module")
def vault(seaweed: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Vault]:
    directory = tmp_path_factory.mktemp("vault")
    with (
        open_scene(seaweed, directory) as scene,
        proxy_to(seaweed.endpoint) as proxy,
        executioner(directory) as made,
    ):
        scene.server = replace(seaweed, endpoint=proxy.endpoint)
        glacier = Glacier(speed=5 * 3600)
        glacier.play(proxy)
        for number in range(ARCHIVED):
            scene.put(f"k{number:02}.bin", f"content {number}".encode(), StorageClass="GLACIER")
        scene.put("readable.txt", b"at once")
        scene.manifest(COPY_ONLY + "  restore: {days: 3, poll: 1}\n")
        vault = Vault(scene, made, glacier)
        vault.plan()
        ended = made.run(scene, *COMMAND)
        assert ended.code == 0, vault.said()
        vault.positions, vault.expected = ended.positions, picture(scene)
        vault.back()
        yield vault


@pytest.mark.long
@pytest.mark.parametrize(
    "lasts",
    [
        ("before journal intent #1", "before restore #3"),
        ("after restore #2", 0.4),
        ("before journal restores #1", "torn journal restores #1"),
        ("torn journal restores #2", "after rename #2"),
    ],
    ids=lambda lasts: " then ".join(map(str, lasts)),
)
def test_a_wait_that_is_killed_ends_as_one_that_is_not(
    vault: Vault, lasts: tuple[str | float, ...]
) -> None:
    vault.plan()
    killed = 0
    for last in lasts:
        options: dict[str, Any] = {"last": last} if isinstance(last, str) else {"after": last}
        killed += vault.executioner.run(vault.scene, *COMMAND, **options).code is None
    assert killed == len(lasts)
    ended = vault.executioner.run(vault.scene, *COMMAND)
    assert ended.code == 0, vault.said()
    vault.check(f"killed at {lasts}")


@pytest.mark.crash
@pytest.mark.timeout(0)
def test_a_wait_that_is_killed_at_every_position(vault: Vault) -> None:
    """For `make test-crash`."""
    for last in vault.positions:
        vault.plan()
        vault.executioner.run(vault.scene, *COMMAND, last=last)
        ended = vault.executioner.run(vault.scene, *COMMAND)
        # Killed after its last record: the plan is consumed, and all is done.
        assert ended.code == 0 or (ended.code == 5 and vault.scene.run().state().finished)
        vault.check(f"killed at {last}")
