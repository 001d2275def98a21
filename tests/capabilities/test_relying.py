"""A run relies on what its endpoint was seen to honour and says so at the gate."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from s3plan.engine import probe
from s3plan.model.events import Warned
from s3plan.model.journal import GateRecord
from s3plan.store import Bucket
from tests.engine.scene import OBJECTS_ONLY, WHOLE, Scene

UNGUARDED = "look-before-delete only"


@pytest.fixture
def scratch(scene: Scene) -> Iterator[str]:
    """A bucket beside the scene's; empty when the test ends, or something was left behind."""
    bucket = f"{scene.bucket}-scratch"
    if bucket not in {one["Name"] for one in scene.s3.list_buckets()["Buckets"]}:
        scene.s3.create_bucket(Bucket=bucket)
    yield bucket
    kept = scene.s3.list_objects_v2(Bucket=bucket).get("Contents", [])
    assert [entry["Key"] for entry in kept if "/leases/" not in entry["Key"]] == []


def _manifest(scene: Scene, scratch: str, spec: str = OBJECTS_ONLY) -> None:
    path = scene.manifest(spec)
    text = path.read_text()
    path.write_text(text.replace("  limits:", f"  scratch: s3://{scratch}/place\n  limits:"))


def _guard(scene: Scene) -> str:
    """As the person who approves reads it, and as the journal keeps it."""
    gate = scene.gate()
    kept = [record for record in scene.journal() if isinstance(record, GateRecord)][-1]
    assert kept.guard == gate.guard
    return gate.guard


@pytest.mark.parametrize("server", ["moto_server"])
def test_an_endpoint_that_nobody_probed_is_not_relied_upon(scene: Scene, server: str) -> None:
    scene.put("a.txt")
    scene.apply_to_gate()
    assert _guard(scene).startswith(f"{UNGUARDED}: the endpoint was not probed")


@pytest.mark.parametrize("server", ["moto_server"])
def test_planning_writes_nothing_into_the_scratch_place(
    scene: Scene, server: str, scratch: str
) -> None:
    scene.put("a.txt")
    _manifest(scene, scratch)
    scene.plan()
    assert "Contents" not in scene.s3.list_objects_v2(Bucket=scratch)


@pytest.mark.parametrize("server", ["moto_server", "seaweed"])
def test_deletions_go_one_by_one_where_only_that_is_honoured(
    scene: Scene, server: str, scratch: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Moto ignores ETags in DeleteObjects, SeaweedFS loses writes to it: both take If-Match."""
    for key in ("a.txt", "b.txt"):
        scene.put(key)
    _manifest(scene, scratch)
    scene.plan()
    assert scene.apply().outcome == "held"
    assert _guard(scene).startswith("objects are deleted one by one with If-Match")
    singly = Bucket.delete_singly

    async def late(self: Bucket, targets: Any) -> Any:
        scene.put("a.txt", b"written in the window")
        return await singly(self, targets)

    monkeypatch.setattr(Bucket, "delete_singly", late)
    finished = scene.apply(delete=scene.gate().evidence)
    assert (finished.exit_code, finished.drifted) == (3, 1)
    assert scene.keys() == ["a.txt"], "what was written in the window is there"


@pytest.mark.parametrize("server", ["rgw"])
def test_a_server_that_ignores_conditions_on_deletions_is_named_at_the_gate(
    scene: Scene, server: str, scratch: str
) -> None:
    scene.put("a.txt")
    _manifest(scene, scratch, WHOLE)
    scene.plan()
    assert scene.apply().outcome == "held"
    guard = _guard(scene)
    assert guard.startswith(f"{UNGUARDED}: this endpoint's conditions on deletions are: ignored")
    assert scene.apply(delete=scene.gate().evidence).exit_code == 0
    assert not scene.bucket_exists()


@pytest.mark.long
@pytest.mark.parametrize("server", ["moto_server"])
def test_a_probe_is_remembered_with_its_endpoint_and_date(
    scene: Scene, server: str, scratch: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.put("a.txt")
    _manifest(scene, scratch)
    scene.plan()
    scene.apply()
    folder = Path(scene.environ["XDG_STATE_HOME"]) / "s3plan" / "capabilities"
    (file,) = folder.iterdir()
    kept = json.loads(file.read_text())
    assert (kept["endpoint"], kept["scratch"]) == (scene.server.endpoint, f"s3://{scratch}/place")

    async def never(*_: object, **__: object) -> Any:
        raise AssertionError("probed again")

    with monkeypatch.context() as patched:
        patched.setattr(probe, "probe", never)
        assert scene.apply().outcome == "held"
    # Too old, or of another endpoint, or not readable: probed again.
    for change in ({"time": "2020-01-01T00:00:00.000Z"}, {"endpoint": "http://other"}, {}):
        file.write_text(json.dumps(kept | change) if change else "{")
        scene.apply()
        assert json.loads(file.read_text())["endpoint"] == scene.server.endpoint
        assert json.loads(file.read_text())["time"] > kept["time"]


@pytest.mark.parametrize("server", ["moto_server"])
def test_where_probing_fails_the_run_goes_on_and_relies_on_nothing(
    scene: Scene, server: str, scratch: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from s3plan.errors import AccessDeniedError

    async def denied(*_: object, **__: object) -> Any:
        raise AccessDeniedError("access denied: s3:PutObject")

    monkeypatch.setattr(probe, "probe", denied)
    scene.put("a.txt")
    _manifest(scene, scratch)
    scene.plan()
    assert scene.apply().outcome == "held"
    assert _guard(scene).startswith(UNGUARDED)
    warned = [event.message for event in scene.events if isinstance(event, Warned)]
    assert any("cannot be probed" in message for message in warned)


@pytest.mark.long
@pytest.mark.parametrize("server", ["moto_server"])
def test_a_rollback_looks_first_where_conditions_may_be_ignored(
    scene: Scene, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An endpoint that ignores If-None-Match, and a stranger who took the key meanwhile."""
    scene.put("a.txt", b"ours")
    scene.put("b.txt", b"ours too")
    evidence = scene.apply_to_gate(OBJECTS_ONLY)
    assert scene.apply(delete=evidence).exit_code == 0
    put = Bucket.put

    async def ignoring(self: Bucket, *arguments: Any, **options: Any) -> Any:
        return await put(self, *arguments, **(options | {"if_none_match": False}))

    monkeypatch.setattr(Bucket, "put", ignoring)
    scene.put("a.txt", b"a stranger's")
    finished = scene.rollback()
    assert finished is not None
    assert finished.exit_code == 7
    assert scene.objects()["a.txt"].body == b"a stranger's"
    assert scene.objects()["b.txt"].body == b"ours too"
