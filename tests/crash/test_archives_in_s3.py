"""kill -9 while archives in S3 get other tags, an index or a successor, or that is taken back.

Verbs tag, adopt and verify-replacement, and extract where an archive is packed as one piece: killed
at a record, at a request, in the middle of a line.
"""

from __future__ import annotations

import gzip
import random
from collections.abc import Iterator

import pytest

from tests.crash.back_and_forth import APPLY, BackAndForth, chosen, inside
from tests.crash.harness import Executioner, executioner
from tests.engine.archiving import plan_tags
from tests.engine.scene import Scene, open_scene, open_versioned
from tests.restore.test_packed import plan as plan_packed
from tests.rules.test_tarheaders import made as tarred
from tests.servers import Server
from tests.sessions.test_adopted import KEY, NIGHT, foreign
from tests.sessions.test_archiving import library, plan, write

KILLS = 2
"""Of the short run, in each of both phases."""

PLACES = (
    "put tags",
    "archived",
    "upload",
    "evidence",
    "gate",
    "complete",
    "delete",
    "rename",
    "remove",
    "stream",
)
"""Places in the program that matter here."""

TAGGED = 5


def _tagging(scene: Scene, made: Executioner) -> BackAndForth:
    for number in range(TAGGED):
        scene.put(f"raw/{number}.tar", b"tar" * number, Tagging="archive=fast&owner=ann")
    before = {"archive": "fast", "owner": "ann"}
    plan_tags(scene, before, {"archive": "normal", "owner": "ann"})
    return BackAndForth(scene, made)


def _adopting(scene: Scene, made: Executioner) -> BackAndForth:
    """A tar of another program, with every file of its session."""
    library(scene)
    scene.put(KEY, foreign(scene, NIGHT))
    with inside(scene):
        assert plan(scene, "adopted: index", only=["session=2023*"]).plan is not None
    return BackAndForth(scene, made)


def _replacing(scene: Scene, made: Executioner) -> BackAndForth:
    """A session of which a file is new, one changed and one gone: verified, approved, replaced."""
    library(scene)
    only = ["session=2023*"]
    with inside(scene):
        assert plan(scene, only=only).plan is not None
        assert scene.apply().exit_code == 0, scene.problems()
        write(scene, f"{NIGHT}/lights/b.fits", b"changed")
        write(scene, f"{NIGHT}/lights/c.fits", b"new")
        (scene.directory / "library" / NIGHT / "notes.txt").unlink()
        more = "sessions: {missing: list, damaged: archive}"
        assert plan(scene, more, only=only).plan is not None
        # Evidence is of the plan and of verdicts, so it is the same each time.
        assert scene.apply().exit_code == 4
        gate = scene.gate()
        assert gate.takes == ("replace",)
    given = f"{gate.subject}@{gate.evidence[:16]}"
    return BackAndForth(scene, made, (*APPLY, "--approve-replace", given))


def _unrolling(scene: Scene, made: Executioner) -> BackAndForth:
    """Files out of an archive that is packed as one piece: in one reading, in the tar's order."""
    files = {f"night/{number:02}.fits": bytes([number]) * 20_000 * number for number in range(8)}
    scene.put("raw/night.tar.gz", gzip.compress(tarred(files)))
    with inside(scene):
        assert plan_packed(scene).plan is not None
    return BackAndForth(scene, made)


OPENED = {"replacing": open_versioned}
MADE = {
    "tagging": _tagging,
    "adopting": _adopting,
    "replacing": _replacing,
    "unrolling": _unrolling,
}


@pytest.fixture(scope="module", params=list(MADE))
def killed(
    request: pytest.FixtureRequest, seaweed: Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[BackAndForth]:
    """A plan of each verb."""
    directory = tmp_path_factory.mktemp(request.param)
    with (
        OPENED.get(request.param, open_scene)(seaweed, directory) as scene,
        executioner(directory) as by,
    ):
        yield MADE[request.param](scene, by)


@pytest.mark.long
def test_killed_where_it_matters_they_end_as_if_nobody_had_disturbed_them(
    killed: BackAndForth,
) -> None:
    """D34, D49, invariant 4: the same command ends with the same tags, index or archive."""
    chance = random.Random(8)
    firsts = chosen(killed.forth, chance, PLACES, KILLS)
    seconds = chosen(killed.back, chance, PLACES, KILLS)
    for first, second in zip(firsts, seconds, strict=True):
        killed.cycle(first, second)
    killed.abandoned(chance.choice(killed.forth))


@pytest.mark.crash
@pytest.mark.timeout(0)
def test_killed_at_every_position_of_both_ways(killed: BackAndForth) -> None:
    killed.sweep(random.Random(9))


@pytest.mark.crash
@pytest.mark.timeout(0)
def test_killed_at_every_position_and_taken_back_instead(killed: BackAndForth) -> None:
    """Invariant 5: what nobody recorded is told from a stranger's."""
    for last in killed.forth:
        killed.abandoned(last)
