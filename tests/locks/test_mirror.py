"""``--journal-mirror``: the machine vanishes, another one goes on with its disk."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from s3plan import api
from s3plan.engine import mirror, walk
from s3plan.errors import (
    DestinationError,
    EndpointError,
    IncompleteError,
    JournalError,
    StaleError,
    UsageError,
)
from s3plan.model.events import RunFinished, Warned
from s3plan.store import Bucket
from tests.engine.scene import OBJECTS_ONLY, WHOLE, Scene

COUNT = 8


@pytest.fixture
def filled(scene: Scene) -> Scene:
    scene.fill(COUNT)
    return scene


def _apply(scene: Scene, place: str | None, delete: str | None = None) -> RunFinished:
    scene.events.clear()
    approval = api.Approval("tester", None, {scene.bucket: delete} if delete else {})
    path = Path("plan.json") if Path("plan.json").exists() else scene.run().plan
    return api.apply(path, approval=approval, observer=scene.events.append, mirror=place)


def _mirrored(scene: Scene, scratch: str) -> dict[str, bytes]:
    """The run's files in the mirror, by name."""
    bucket, _, prefix = scratch.removeprefix("s3://").partition("/")
    found = {}
    for entry in scene.s3.list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", ()):
        name = entry["Key"].removeprefix(f"{prefix}/{scene.run().id}/")
        found[name] = scene.s3.get_object(Bucket=bucket, Key=entry["Key"])["Body"].read()
    return found


def _local(scene: Scene) -> dict[str, bytes]:
    folder = scene.run().folder
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != "lock"
    }


class Machines:
    """The directory of another machine, to which the disk of the first is moved."""

    def __init__(self, scene: Scene, patch: pytest.MonkeyPatch) -> None:
        self.scene = scene
        self._patch = patch
        self._first = scene.directory

    def move(self) -> None:
        """The first machine is gone; its disk is mounted at the same path of another one."""
        other = self._first.parent / "elsewhere"
        other.mkdir()
        home = self._first.parent / "home-elsewhere"
        home.mkdir()
        # The destination is an absolute path in the plan: only the working directory is new.
        self._patch.chdir(other)
        self._patch.setenv("XDG_STATE_HOME", str(home / "state"))
        self._patch.setattr(socket, "gethostname", lambda: "elsewhere")
        self.scene.directory = other

    def back(self) -> None:
        """On the first machine again."""
        self._patch.chdir(self._first)
        self._patch.setenv("XDG_STATE_HOME", self.scene.environ["XDG_STATE_HOME"])
        self._patch.undo()
        os.chdir(self._first)
        self.scene.directory = self._first


@pytest.fixture
def machines(filled: Scene, monkeypatch: pytest.MonkeyPatch) -> Iterator[Machines]:
    first = filled.directory
    with pytest.MonkeyPatch.context() as patch:
        yield Machines(filled, patch)
    filled.directory = first


def _files(scene: Scene, copies: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(copies)): path.read_bytes()
        for path in copies.rglob("*")
        if path.is_file()
    }


@pytest.mark.long
def test_the_run_folder_is_copied_at_gates(filled: Scene, scratch: str) -> None:
    filled.plan(WHOLE)
    assert _apply(filled, scratch).exit_code == 4
    there, here = _mirrored(filled, scratch), _local(filled)
    assert set(there) == set(here) >= {"plan.json", "journal.json"}
    assert any(name.startswith("evidence/") for name in there)
    assert there == here
    # The run keeps its mirror without being told again, and so does its rollback.
    assert filled.apply(delete=filled.gate().evidence).exit_code == 0
    assert _mirrored(filled, scratch) == _local(filled)
    finished = filled.rollback()
    assert finished is not None
    assert finished.exit_code == 0
    there = _mirrored(filled, scratch)
    assert {"rollback.json", "rollback-plan.json"} <= set(there)
    assert there["rollback.json"] == filled.run().rollback_journal.read_bytes()


@pytest.mark.long
def test_another_machine_has_the_files_of_a_plan(
    filled: Scene, scratch: str, machines: Machines, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Worklists in files come along, and are not sent again by the next session."""
    monkeypatch.setattr("s3plan.plan.seal._FEWEST", 1)
    monkeypatch.setattr("s3plan.plan.seal._MOST", 3)
    setting = "apiVersion: s3plan/v1\nkind: Project\nspec: {worklistFilesFrom: 2}\n"
    Path("s3plan.yaml").write_text(setting)
    filled.plan(OBJECTS_ONLY)
    assert _apply(filled, scratch).exit_code == 4
    evidence, there = filled.gate().evidence, _mirrored(filled, scratch)
    parts = {name for name in there if name.startswith("plan.json.parts/")}
    assert len(parts) == 3
    assert there == _local(filled)
    sent: list[str] = []
    put = Bucket.put

    async def noted(self: Bucket, key: str, *values: Any, **named: Any) -> Any:
        sent.append(key)
        return await put(self, key, *values, **named)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Bucket, "put", noted)
        assert _apply(filled, None).exit_code == 4
    assert sent
    assert not any(key.endswith(".parquet") for key in sent)
    manifest = Path("manifest.yaml").resolve()
    machines.move()
    journal, plan = api.recover_run(scratch, connection=_connection(manifest))
    approval = api.Approval("tester", plan.digest, {filled.bucket: evidence})
    assert api.apply(journal.parent / "plan.json", approval=approval).exit_code == 0
    assert filled.keys() == []


@pytest.mark.disk
def test_another_machine_goes_on_from_the_gate(
    filled: Scene, scratch: str, machines: Machines
) -> None:
    filled.plan(OBJECTS_ONLY)
    assert _apply(filled, scratch).exit_code == 4
    evidence, copies = filled.gate().evidence, filled.copies
    manifest = Path("manifest.yaml").resolve()
    machines.move()
    journal, plan = api.recover_run(scratch, connection=_connection(manifest))
    assert plan.digest in journal.read_text()
    finished = api.apply(
        journal.parent / "plan.json",
        approval=api.Approval("tester", plan.digest, {filled.bucket: evidence}),
    )
    assert finished.exit_code == 0
    assert (filled.keys(), len(_files(filled, copies))) == ([], COUNT)
    before = filled.rollback()
    assert before is not None
    assert before.exit_code == 0
    assert len(filled.keys()) == COUNT


def test_another_machine_goes_on_in_the_middle_of_a_deletion(
    filled: Scene, scratch: str, machines: Machines
) -> None:
    """The mirror knows of the deletion before its first request is sent."""
    filled.plan(OBJECTS_ONLY)
    assert _apply(filled, scratch).exit_code == 4
    evidence, copies = filled.gate().evidence, filled.copies
    manifest = Path("manifest.yaml").resolve()
    delete_many = Bucket.delete_many
    snapshots: list[dict[str, bytes]] = []

    async def vanishing(self: Bucket, targets: Any) -> Any:
        snapshots.append(_mirrored(filled, scratch))
        if len(snapshots) > 1:
            raise EndpointError("no answer")
        return await delete_many(self, targets)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Bucket.pages, "__defaults__", ("", "", 3))
        patch.setattr(Bucket, "delete_many", vanishing)
        assert _apply(filled, None, evidence).exit_code == 3
    # What the machine wrote after its first request is lost with it.
    bucket, _, prefix = scratch.removeprefix("s3://").partition("/")
    for name, body in snapshots[0].items():
        key = f"{prefix}/{filled.run().id}/{name}"
        filled.s3.put_object(Bucket=bucket, Key=key, Body=body)
    assert 0 < len(filled.keys()) < COUNT
    machines.move()
    journal, plan = api.recover_run(scratch, connection=_connection(manifest))
    approval = api.Approval("tester", plan.digest, {filled.bucket: evidence})
    finished = api.apply(journal.parent / "plan.json", approval=approval)
    assert finished.exit_code == 0, finished
    assert (filled.keys(), len(_files(filled, copies))) == ([], COUNT)


def test_the_first_machine_cannot_go_on_once_another_did(
    filled: Scene, scratch: str, machines: Machines
) -> None:
    filled.plan(OBJECTS_ONLY)
    assert _apply(filled, scratch).exit_code == 4
    evidence = filled.gate().evidence
    manifest = Path("manifest.yaml").resolve()
    machines.move()
    journal, _ = api.recover_run(scratch, connection=_connection(manifest))
    assert api.apply(journal.parent / "plan.json", approval=api.Approval("t")).exit_code == 4
    machines.back()
    with pytest.raises(StaleError, match="went on on another machine") as caught:
        _apply(filled, None, evidence)
    assert caught.value.exit_code == 5
    assert len(filled.keys()) == COUNT


@pytest.mark.disk
def test_a_run_goes_on_elsewhere_only_with_its_own_disk(
    filled: Scene, scratch: str, machines: Machines
) -> None:
    filled.plan(OBJECTS_ONLY)
    assert _apply(filled, scratch).exit_code == 4
    evidence, here = filled.gate().evidence, filled.here
    plan_file = filled.run().plan
    manifest = Path("manifest.yaml").resolve()
    aside = here.with_name("aside")
    here.rename(aside)
    machines.move()
    # The plan alone is of another host; only a run that has begun there may move.
    with pytest.raises(StaleError, match="another host"):
        api.apply(manifest.parent / plan_file, approval=api.Approval("t"))
    journal, _ = api.recover_run(scratch, connection=_connection(manifest))
    approval = api.Approval("t", None, {filled.bucket: evidence})
    with pytest.raises(DestinationError):  # nothing there, and nothing is made there
        api.apply(journal.parent / "plan.json", approval=approval)
    assert not here.exists()
    here.mkdir()
    with pytest.raises(DestinationError, match="began with"):
        api.apply(journal.parent / "plan.json", approval=approval)
    here.rmdir()
    aside.rename(here)
    assert len(filled.keys()) == COUNT
    assert api.apply(journal.parent / "plan.json", approval=approval).exit_code == 0


def test_a_mirror_that_another_machine_writes_meanwhile_stops_the_run(
    filled: Scene, scratch: str
) -> None:
    filled.plan(OBJECTS_ONLY)
    assert _apply(filled, scratch).exit_code == 4
    evidence = filled.gate().evidence
    bucket, _, prefix = scratch.removeprefix("s3://").partition("/")
    key = f"{prefix}/{filled.run().id}/journal.json"
    opened = mirror.open_mirror

    async def forked(*arguments: Any) -> Any:
        made = await opened(*arguments)
        filled.s3.put_object(Bucket=bucket, Key=key, Body=b"another's")
        return made

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(walk, "open_mirror", forked)
        with pytest.raises(IncompleteError, match="written by another machine"):
            _apply(filled, None, evidence)
    assert len(filled.keys()) == COUNT, "nothing was deleted"
    filled.s3.put_object(Bucket=bucket, Key=key, Body=b"")
    assert _apply(filled, None, evidence).exit_code == 0


@pytest.mark.disk
def test_a_mirror_that_fails_lets_no_deletion_begin(filled: Scene, scratch: str) -> None:
    filled.plan(OBJECTS_ONLY)
    assert _apply(filled, scratch).exit_code == 4
    evidence = filled.gate().evidence
    put = Bucket.put

    async def failing(self: Bucket, key: str, *arguments: Any, **options: Any) -> Any:
        raise EndpointError("no answer", address=key)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Bucket, "put", failing)
        finished = _apply(filled, None, evidence)
    assert finished.exit_code == 3
    assert len(filled.keys()) == COUNT
    warned = [event for event in filled.events if isinstance(event, Warned)]
    assert any("could not be mirrored" in event.message for event in warned)
    assert Bucket.put is put
    assert _apply(filled, None, evidence).exit_code == 0


def test_what_is_recovered_is_chosen_and_comes_once(filled: Scene, scratch: str) -> None:
    manifest = _connection(Path("manifest.yaml").resolve(), filled)
    filled.plan(OBJECTS_ONLY)
    _apply(filled, scratch)
    bucket, _, prefix = scratch.removeprefix("s3://").partition("/")
    # Whatever else lies there is left there: no name of it leads out of the run folder.
    run = filled.run().id
    for name in ("lock", "evidence/deeper/x.jsonl", "evidence/x.json", "x/journal.json"):
        filled.s3.put_object(Bucket=bucket, Key=f"{prefix}/{run}/{name}", Body=b"x")
    filled.s3.put_object(Bucket=bucket, Key=f"{prefix}/other/journal.json", Body=b"x")
    with pytest.raises(JournalError, match="already"):
        api.recover_run(scratch, connection=manifest)
    local = _local(filled)
    shutil.rmtree(filled.run().folder)
    with pytest.raises(UsageError, match="no such run"):
        api.recover_run(scratch, run="20200101T000000Z-00000000", connection=manifest)
    ran = filled.s3plan("runs", "recover", scratch, "--connection", str(manifest))
    assert ran.code == 0, ran
    assert f"s3plan apply .s3plan/runs/{run}/plan.json --approve sha256:" in ran.out
    assert _local(filled) == local
    assert filled.apply().exit_code == 4


@pytest.mark.disk
@pytest.mark.parametrize("address", ["bucket/prefix", "s3://", "s3://b ucket/x", "http://x/y"])
def test_a_mirror_that_is_no_place_is_a_mistake_in_the_command(scene: Scene, address: str) -> None:
    assert scene.s3plan("apply", "--approve", "--journal-mirror", address).code == 64


def test_a_mirror_in_a_bucket_of_the_plan_is_refused(filled: Scene) -> None:
    filled.plan(WHOLE)
    with pytest.raises(UsageError, match="mirror is in a bucket"):
        _apply(filled, f"s3://{filled.bucket}/mirror")
    assert len(filled.keys()) == COUNT


def _connection(manifest: Path, scene: Scene | None = None) -> Path:
    """The manifest's first document alone, which is its Connection."""
    if scene is not None and not manifest.exists():
        scene.manifest(OBJECTS_ONLY)
    path = manifest.with_name("connection.yaml")
    path.write_text(manifest.read_text().split("---")[0])
    return path
