"""Many small files beside archives: what each costs in requests and in the journal, and what is
read of a file while others are sent.
"""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest

from s3plan.engine.archiving.packing import check_source
from s3plan.engine.handlers import put_files
from s3plan.localfs.tree import Tree
from s3plan.model.journal import Puts
from s3plan.model.local import FileStat
from s3plan.model.steps import Item
from tests.engine.conftest import scene
from tests.engine.scene import Scene
from tests.faults import faults
from tests.faults.conftest import Between, between
from tests.faults.proxy import Fault, Rule
from tests.sessions.test_archiving import plan
from tests.sessions.test_files import beside

__all__ = ["between", "scene"]  # fixtures

COUNT = 230
MANY = 'extras: [{from: "db/*.bin", key: "db/{stem}_{digest}{ext}"}]'


def extras(scene: Scene, sizes: list[int]) -> list[Path]:
    (scene.directory / "library").mkdir()
    return [
        beside(scene, f"db/{n:04}.bin", n.to_bytes(4, "big") + os.urandom(max(0, size - 4)))
        for n, size in enumerate(sizes)
    ]


def bodies(scene: Scene) -> list[bytes]:
    return sorted(stored.body for stored in scene.objects().values())


@pytest.mark.long
def test_a_file_costs_one_request_and_120_bytes_of_the_journal(between: Between) -> None:
    """Keys are looked at by listing, and the answer to the PUT proves what S3 stored."""
    scene, proxy = between.scene, between.proxy
    files = extras(scene, [1000] * COUNT)
    plan(scene, MANY)
    proxy.play()
    assert scene.apply().exit_code == 0
    methods = Counter(asked.method for asked in proxy.asked if asked.key)
    assert methods == {"PUT": COUNT}
    assert bodies(scene) == sorted(path.read_bytes() for path in files)
    told = [put for record in scene.journal() if isinstance(record, Puts) for put in record.puts]
    assert sorted(put.n for put in told) == list(range(COUNT))
    header = 4_000  # what every journal has, however few its items
    assert scene.run().journal.stat().st_size < header + 120 * COUNT
    assert scene.rollback() is not None
    assert scene.keys() == []


@pytest.mark.parametrize("fault", [faults.reset_before, faults.reset_after, faults.fail_after])
def test_an_answer_that_was_lost_is_settled_by_looking(between: Between, fault: Fault) -> None:
    scene = between.scene
    files = extras(scene, [100] * 6)
    plan(scene, MANY)
    between.proxy.play(Rule("lost", fault, "PUT", times=3))
    assert scene.apply().exit_code == 0
    assert len(between.proxy.played()) == 3
    assert bodies(scene) == sorted(path.read_bytes() for path in files)


def test_light_heavy_and_streamed_files_all_arrive(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(put_files, "LIGHT", 2_000)
    monkeypatch.setattr(put_files, "SMALL", 200_000)
    monkeypatch.setattr(put_files, "RANGE_BYTES", 350_000)
    files = extras(scene, [0, 1, 2_000, 2_001, 199_999, 200_001, 300_000, 5])
    plan(scene, MANY)
    assert scene.apply().exit_code == 0
    assert bodies(scene) == sorted(path.read_bytes() for path in files)


def test_of_a_range_only_what_was_taken_or_changed_is_left_alone(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also a file that changes while it is read: its bytes make no object."""
    files = extras(scene, [500] * 60)
    planned = plan(scene, MANY).plan
    assert planned is not None
    (step,) = planned.steps
    keys = [item.key for item in planned.items(step.id)]
    scene.put(keys[7], b"theirs")
    scene.put(keys[8], files[8].read_bytes())
    files[20].write_bytes(b"edited")
    files[21].unlink()

    def changing(tree: Tree, item: Item) -> FileStat:
        if item.key == keys[33]:
            files[33].write_bytes(b"edited as it was read")
        return check_source(tree, item)

    monkeypatch.setattr(put_files, "check_source", changing)
    assert scene.apply().exit_code == 3
    assert sorted((problem.key, problem.reason) for problem in scene.problems()) == [
        (keys[7], "key-taken"),
        (keys[20], "source-changed"),
        (keys[21], "source-gone"),
        (keys[33], "source-changed"),
    ]
    left = set(keys) - {keys[20], keys[21], keys[33]}
    assert set(scene.keys()) == left
    assert scene.objects()[keys[7]].body == b"theirs"
    adopted = [
        put.n
        for record in scene.journal()
        if isinstance(record, Puts)
        for put in record.puts
        if put.adopted
    ]
    assert adopted == [8]
