"""`s3plan journal rebuild`: runs made again from what catalogues tell; files that are adopted."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from s3plan import api
from s3plan.cli import main
from s3plan.engine import runs
from s3plan.errors import CatalogueError, DestinationError, LockedError, StaleError
from s3plan.model.journal import RunEnded
from s3plan.model.local import CatalogueBucket
from tests.engine.scene import COPY_ONLY, WHOLE, Scene
from tests.offline.evacuated import RUN, append, evacuate, rot


def lose_state(scene: Scene) -> None:
    """What is gone with the working directory's disk."""
    shutil.rmtree(scene.directory / ".s3plan")
    for name in ("journal.json", "plan.json"):
        (scene.directory / name).unlink(missing_ok=True)


def rebuild(scene: Scene) -> tuple[str, ...]:
    found = api.journal_rebuild(scene.here, approver="tester", connection=Path("manifest.yaml"))
    return tuple(rebuilt.run.id for rebuilt in found.made)


@pytest.mark.long
def test_a_deleted_bucket_is_put_back_by_a_run_whose_journal_was_lost(scene: Scene) -> None:
    """Requirement A78."""
    scene.fill(6)
    scene.put("meta", b"x", Metadata={"a": "b"}, Tagging="color=blue", StorageClass="STANDARD_IA")
    scene.put("a//b\x1b", b"hostile")
    scene.put("marker/", b"")
    before = scene.objects()
    assert scene.apply(delete=scene.apply_to_gate(WHOLE)).outcome == "done"
    run = scene.run().id
    lose_state(scene)

    assert rebuild(scene) == (run,), "under its own id"
    status = api.status()
    assert (status.run, status.outcome) == (run, "rebuilt")
    [bucket] = status.buckets
    assert bucket.state == "completed"
    assert (bucket.synced, bucket.verified, bucket.deleted) == (True, False, True)
    assert bucket.figures == {}, "no evidence is made up"
    assert isinstance(scene.journal()[-1], RunEnded)
    assert rebuild(scene) == (), "it is here"

    finished = scene.rollback()
    assert finished is not None
    assert finished.outcome == "done", scene.problems()
    assert scene.objects() == before
    assert scene.files() == {}
    assert api.status().outcome == "done"


def test_a_copy_is_taken_back_and_only_what_the_run_wrote(scene: Scene) -> None:
    scene.fill(3)
    scene.put("mine", b"mine")
    scene.plan(COPY_ONLY)
    scene.copies.mkdir(parents=True)
    (scene.copies / "mine").write_bytes(b"mine")
    assert scene.apply().outcome == "done"
    lose_state(scene)
    rebuild(scene)
    scene.rollback()
    assert scene.files() == {"mine": b"mine"}, "it was there before the run"


@pytest.mark.long
def test_planning_again_after_the_loss_fetches_nothing(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Requirement A39: files with the right content are adopted."""
    scene.fill(5)
    scene.plan(COPY_ONLY)
    assert scene.apply().outcome == "done"
    lose_state(scene)
    rebuild(scene)
    assert scene.plan(COPY_ONLY).plan is None, "No changes"

    # The catalogue is lost as well: then the objects tell.
    lose_state(scene)
    shutil.rmtree(scene.here / ".s3plan")
    with pytest.raises(DestinationError, match="marker is gone") as caught:
        scene.plan(COPY_ONLY)
    assert caught.value.found == "files, and no .s3plan"
    (scene.here / ".s3plan").mkdir()  # as the error says, where it is meant
    (scene.copies / "d0/object-0000.txt").unlink()
    fetched = _watch_fetches(monkeypatch)
    assert scene.plan(COPY_ONLY).plan is not None
    assert scene.apply().outcome == "done"
    assert fetched == ["d0/object-0000.txt"]
    assert scene.plan(COPY_ONLY).plan is None
    rows = scene.catalogue()
    assert {key for key, (row, _) in rows.items() if row.adopted} == set(rows) - set(fetched)


def test_a_file_of_the_same_size_and_other_content_is_not_adopted(scene: Scene) -> None:
    scene.put("k", b"content")
    scene.plan(COPY_ONLY)
    scene.copies.mkdir(parents=True)
    (scene.copies / "k").write_bytes(b"CONTENT")
    assert scene.apply().outcome == "incomplete"
    assert (scene.copies / "k").read_bytes() == b"CONTENT"


def _watch_fetches(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    from s3plan.store import Bucket

    keys: list[str] = []
    get = Bucket.get

    async def watched(self: Bucket, key: str, **options: Any) -> Any:
        keys.append(key)
        return await get(self, key, **options)

    monkeypatch.setattr(Bucket, "get", watched)
    return keys


@pytest.mark.long
def test_every_run_of_the_catalogue_comes_back(scene: Scene) -> None:
    scene.put("first", b"1")
    scene.plan(COPY_ONLY)
    scene.apply()
    first = scene.run().id
    scene.put("second", b"2")
    assert scene.apply(delete=scene.apply_to_gate(WHOLE)).outcome == "done"
    second = scene.run().id
    lose_state(scene)
    assert rebuild(scene) == (first, second)
    assert scene.run().id == second, "the latest"
    [one, two] = api.list_runs()
    assert (one.outcome, two.outcome) == ("rebuilt", "rebuilt")
    verbs = [step.verb for step in api.show(scene.run().plan).steps]
    assert verbs == ["download", "verify", "delete", "delete-bucket"]
    scene.rollback()
    assert set(scene.objects()) == {"first", "second"}
    assert scene.files() == {"first": b"1"}, "written by the other run"


@pytest.mark.long
def test_what_rotted_is_said_and_never_put_back(scene: Scene) -> None:
    scene.put("good", b"good")
    scene.put("rotten", b"rotten")
    assert scene.apply(delete=scene.apply_to_gate(WHOLE)).outcome == "done"
    lose_state(scene)
    rot(scene.copies / "rotten")
    [rebuilt] = api.journal_rebuild(
        scene.here, approver="tester", connection=Path("manifest.yaml")
    ).made
    assert (rebuilt.files, rebuilt.wrong) == (2, 1)
    assert any("rotten" in failure for failure in api.status().failures)
    finished = scene.rollback()
    assert finished is not None
    assert finished.exit_code != 0
    assert set(scene.objects()) == {"good"}
    assert (scene.copies / "rotten").exists(), "the last copy, such as it is"


@pytest.mark.long
def test_a_rebuilt_plan_is_never_run(scene: Scene) -> None:
    """It holds a deletion that somebody approved once; nobody approves it again by this."""
    scene.fill(2)
    assert scene.apply(delete=scene.apply_to_gate(WHOLE)).outcome == "done"
    lose_state(scene)
    rebuild(scene)
    with pytest.raises(StaleError, match="consumed"):
        api.apply(scene.run().plan, approval=api.Approval("tester"))
    plan = api.show(scene.run().plan)
    assert all(step.gate for step in plan.steps if step.verb.startswith("delete"))


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    evacuate(tmp_path / "archive", "photos", {"a": b"one", "..": b"two"})
    append(
        tmp_path / "archive",
        "photos",
        [CatalogueBucket("deleted", RUN, "2026-11-20T05:00:00.000Z")],
    )
    return tmp_path / "archive"


def test_the_plan_says_whose_objects_they_were(archive: Path) -> None:
    api.journal_rebuild(archive, approver="tester")
    plan = api.show(runs.run_named(Path(), RUN).plan)
    assert plan.header.target.account == "123456789012"
    assert plan.header.connection.expect_account == "123456789012"
    assert plan.header.connection.endpoint is None, "AWS is found by its region"
    assert "Rebuilt from the catalogues" in plan.header.notes[0]
    assert [item.key for item in plan.items(plan.steps[0].id)] == ["..", "a"]


def test_a_rebuild_that_is_killed_leaves_no_run(
    archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A journal without its end could be gone on with."""

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(runs, "end_rebuilding", killed)
        with pytest.raises(KeyboardInterrupt):
            api.journal_rebuild(archive, approver="tester")
    assert api.list_runs() == ()
    assert len(api.journal_rebuild(archive, approver="tester").made) == 1
    assert [run.id for run in api.list_runs()] == [RUN]
    assert not Path(".s3plan/rebuilding").exists()


def test_a_run_that_is_going_on_is_not_lost(archive: Path) -> None:
    from s3plan.engine.holding import LOCK
    from s3plan.localfs.locks import Holder, hold_in
    from s3plan.localfs.tree import Tree

    holder = Holder("host", 1, "now", "elsewhere/journal.json", "destination")
    with (
        Tree.open(archive, create=False) as tree,
        hold_in(tree, LOCK, holder),
        pytest.raises(LockedError),
    ):
        api.journal_rebuild(archive, approver="tester")


@pytest.mark.parametrize("name", ["../../escape", "..", "run-1", "20261120T040000Z-0badcafe/x"])
def test_a_run_is_never_a_path(archive: Path, name: str) -> None:
    evacuate(archive, "other", {"k": b"x"}, run=name)
    with pytest.raises(CatalogueError, match="names a run that is none"):
        api.journal_rebuild(archive, approver="tester")


def test_the_command_says_how_to_look_and_how_to_take_back(
    archive: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (archive / "photos/a").unlink()
    assert main(["journal", "rebuild", "--from-local", "archive"]) == 3
    out = capsys.readouterr().out
    assert f"run {RUN} is here again: photos, 2 files, 1 of them not as recorded" in out
    assert f"s3plan rollback .s3plan/runs/{RUN}/journal.json" in out
    assert main(["journal", "rebuild", "--from-local", "archive", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"type": "run-here", "run": RUN}
    assert main(["status"]) == 0
    assert "rebuilt" in capsys.readouterr().out
