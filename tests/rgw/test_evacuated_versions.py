"""A history of hostile keys, evacuated from RGW and put back; a bucket with suspended versioning.

RGW takes every key, tells versions and delete markers in their order, and gives the version that is
written while versioning is suspended the id null.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine.conftest import enter
from tests.engine.scene import WHOLE, Scene, open_versioned
from tests.engine.test_versions import ALL, CURRENT, STACKS, pile
from tests.servers import Server
from tests.store.keys import HOSTILE_KEYS


@pytest.fixture
def kept(rgw: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    with open_versioned(rgw, tmp_path) as made:
        made.encodes = True
        enter(made, monkeypatch)
        yield made


def evacuated(scene: Scene, spec: str, *, loses: bool = False) -> None:
    evidence = scene.apply_to_gate(spec)
    finished = scene.apply(delete=evidence, loss=evidence if loses else None)
    assert (finished.exit_code, scene.problems()) == (0, [])
    assert not scene.bucket_exists()


def put_back(scene: Scene) -> None:
    finished = scene.rollback()
    assert finished is not None
    assert (finished.exit_code, scene.problems()) == (0, [])


def test_a_history_of_hostile_keys_comes_back_in_its_order(kept: Scene) -> None:
    """A73, hazard 19: every version and delete marker, whatever the key."""
    stacks: dict[str, list[bytes | None]] = {
        key: [b"old", None, key.encode(), b"new"] if number % 3 else [b"only", None]
        for number, key in enumerate(sorted(HOSTILE_KEYS))
    }
    pile(kept, stacks)
    assert kept.stacks() == stacks
    evacuated(kept, WHOLE + ALL)
    put_back(kept)
    assert kept.stacks() == stacks


def test_the_null_version_of_a_suspended_bucket_comes_back_in_its_place(kept: Scene) -> None:
    """Hazard 19: what was written while versioning was suspended is a version like the others."""
    pile(kept, STACKS)
    kept.keep_versions("Suspended")
    kept.put("a.txt", b"null, on top")
    kept.put("new.txt", b"null, alone")
    kept.delete("single.txt")
    before = kept.stacks()
    assert before["a.txt"][-1] == b"null, on top"
    assert before["single.txt"] == [b"only this", None]
    evacuated(kept, WHOLE + ALL)
    put_back(kept)
    assert kept.stacks() == before
    assert kept.s3.get_bucket_versioning(Bucket=kept.bucket)["Status"] == "Suspended"


def test_a_history_is_given_up(kept: Scene) -> None:
    pile(kept, STACKS)
    evacuated(kept, WHOLE + CURRENT, loses=True)
    put_back(kept)
    assert kept.stacks() == {
        key: entries[-1:] for key, entries in STACKS.items() if entries[-1] is not None
    }
