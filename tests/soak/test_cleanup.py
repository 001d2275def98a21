"""The sources after the soak: deleted by a plan of their own behind every gate, nothing else."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from s3plan import api
from s3plan.engine.handlers import delete_source
from s3plan.engine.looking import look_at
from s3plan.errors import IncompleteError, JournalError, ProblemsError, StaleError
from s3plan.model.steps import DeleteSource, VerifyCopies
from s3plan.store import Bucket
from tests.engine.conftest import enter, scene, versioned
from tests.engine.scene import Scene, open_scene
from tests.soak.soaking import COUNT, Soaking, sources

__all__ = ["scene", "versioned"]


@pytest.fixture
def soaking(scene: Scene) -> Soaking:
    made = Soaking(scene)
    made.fill()
    return made


@pytest.fixture(
    params=[
        pytest.param("moto_server", marks=pytest.mark.long),
        pytest.param("rgw", marks=pytest.mark.rgw),
    ],
)
def elsewhere(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Soaking]:
    """On servers that do not honour the conditions of a deletion of many."""
    with open_scene(request.getfixturevalue(request.param), tmp_path) as made:
        enter(made, monkeypatch)
        soaking = Soaking(made)
        soaking.fill()
        yield soaking


def test_sources_go_by_a_later_plan_once_the_soak_is_over_green_and_signed(
    soaking: Soaking,
) -> None:
    """B63: the copies stay as they are, the table of what is planned converges."""
    scene = soaking.scene
    before = scene.objects()
    soaking.migrate()
    after = scene.objects()
    soaking.soak()
    made = scene.plan()
    assert made.plan is not None
    verify, delete = made.plan.steps
    assert isinstance(verify.action, VerifyCopies)
    assert isinstance(delete.action, DeleteSource)
    assert delete.totals.items == COUNT
    assert delete.gate is not None
    finished = scene.apply()
    assert (finished.exit_code, finished.outcome) == (4, "held")
    assert scene.objects() == after, "nothing goes before it is approved on evidence of now"
    finished = scene.apply(delete=scene.gate().evidence)
    assert finished.exit_code == 0, (finished, scene.problems())
    assert scene.objects() == {key: after[key] for key in after.keys() - before.keys()}
    assert scene.plan().plan is None


def test_there_and_back_where_conditions_do_not_hold(elsewhere: Soaking) -> None:
    scene = elsewhere.scene
    scene.put_in_parts("5/P5/film.mp4", [b"a" * (5 << 20), b"b"])
    before = scene.objects()
    elsewhere.migrate()
    elsewhere.soak()
    assert elsewhere.clean().exit_code == 0, scene.problems()
    assert sources(scene.keys()) == []
    finished = api.rollback(elsewhere.journal, approval=api.Approval("tester"))
    assert finished is not None
    assert finished.exit_code == 0
    assert scene.objects() == before


def test_no_plan_before_the_soak_is_over_but_a_note_that_says_when(soaking: Soaking) -> None:
    soaking.migrate(days=30)
    made = soaking.scene.plan()
    assert made.plan is None
    assert "stay until its soak is over, at " in made.notes[0]


@pytest.mark.parametrize("missing", ["check", "signature"])
def test_without_a_check_or_a_signature_the_gate_stays_closed(
    soaking: Soaking, missing: str
) -> None:
    """B58: nobody is even asked."""
    scene = soaking.scene
    soaking.migrate()
    if missing == "check":
        soaking.sign()
    else:
        soaking.check()
    before = scene.objects()
    made = scene.plan()
    assert made.plan is not None
    words = "was never checked" if missing == "check" else "nobody has signed off"
    assert any(words in warning for warning in made.plan.steps[1].warnings)
    asked: list[object] = []

    def ask(gate: object) -> bool:
        asked.append(gate)
        return True

    finished = scene.apply(ask=ask)
    assert (finished.outcome, asked) == ("held", [])
    assert words in finished.message
    assert scene.objects() == before
    if missing == "check":
        soaking.check()
    else:
        soaking.sign()
    assert scene.apply(ask=lambda _: True).exit_code == 0
    assert sources(scene.keys()) == []


def test_a_check_that_found_something_after_the_approval_closes_the_gate_again(
    soaking: Soaking,
) -> None:
    scene = soaking.scene
    soaking.migrate()
    soaking.soak()
    soaking.apply()
    evidence = scene.gate().evidence
    scene.put("4/New/upload.mp3", b"to the old place")
    found = soaking.check(full=True).check
    assert found is not None
    assert not found.passes
    assert found.figures["new_in_old_layout"] == 1
    before = scene.objects()
    finished = scene.apply(delete=evidence)
    assert finished.outcome == "held"
    assert "found something" in finished.message
    assert scene.objects() == before


def test_a_source_that_changed_during_the_soak_blocks_the_plan(soaking: Soaking) -> None:
    scene = soaking.scene
    soaking.migrate()
    soaking.soak()
    scene.put("1/P1/talk.mp3", b"another talk")
    with pytest.raises(ProblemsError) as caught:
        scene.plan()
    assert "1/P1/talk.mp3" in str(caught.value.problems[0].found)


def test_a_source_that_was_written_again_with_the_same_content_stays(soaking: Soaking) -> None:
    """It is not what was copied: who wrote it may mean something by it."""
    scene = soaking.scene
    soaking.migrate()
    soaking.soak()
    time.sleep(1.1)
    scene.put("1/P1/talk.mp3", b"1 talk.mp3")
    made = scene.plan()
    assert made.plan is not None
    assert made.plan.steps[1].totals.items == COUNT - 1
    assert any("not as they were copied: 1/P1/talk.mp3" in note for note in made.notes)


@pytest.mark.parametrize("harm", ["changed", pytest.param("deleted", marks=pytest.mark.long)])
def test_a_copy_that_was_harmed_during_the_soak_keeps_its_source(
    soaking: Soaking, harm: str
) -> None:
    """Invariant 1: whatever was verified earlier, the copy is looked at now."""
    scene = soaking.scene
    soaking.migrate()
    soaking.soak()
    assert scene.plan().plan is not None
    if harm == "changed":
        scene.put("audio/1_P1_talk.mp3", b"1 TALK.mp3")
    else:
        scene.delete("audio/1_P1_talk.mp3")
    before = scene.objects()
    finished = scene.apply()
    assert finished.outcome == "held"
    assert not scene.gate().passes
    assert scene.objects() == before
    check = soaking.check(full=True).check
    assert check is not None
    assert not check.passes


def _somebody_writes(
    monkeypatch: pytest.MonkeyPatch, scene: Scene, key: str, *, looked: bool
) -> None:
    """Write ``key`` after the gate, before the last look or right after it."""

    async def late(bucket: Bucket, keys: list[str]) -> object:
        if not looked:
            scene.put(key, b"new words")
        seen = await look_at(bucket, keys)
        if looked:
            scene.put(key, b"new words")
        return seen

    monkeypatch.setattr(delete_source, "look_at", late)


@pytest.mark.parametrize(
    ("key", "looked"),
    [
        ("audio/1_P1_talk.mp3", False),
        ("1/P1/talk.mp3", True),
        pytest.param("1/P1/talk.mp3", False, marks=pytest.mark.long),
    ],
)
def test_what_changed_after_the_gate_is_left_alone(
    soaking: Soaking, monkeypatch: pytest.MonkeyPatch, key: str, looked: bool
) -> None:
    """Invariants 1 and 3: both sides are looked at again right before, and after that look the
    request still names the ETag.
    """
    scene = soaking.scene
    soaking.migrate()
    soaking.soak()
    soaking.apply()
    evidence = scene.gate().evidence
    _somebody_writes(monkeypatch, scene, key, looked=looked)
    finished = scene.apply(delete=evidence)
    assert (finished.exit_code, finished.drifted) == (3, 1)
    assert sources(scene.keys()) == ["1/P1/talk.mp3"]


@pytest.mark.long
def test_copies_that_an_etag_does_not_prove_are_compared_by_content(soaking: Soaking) -> None:
    """E31: the ETag of an upload in parts is not that of its copy."""
    scene = soaking.scene
    scene.put_in_parts("5/P5/film.mp4", [b"a" * (5 << 20), b"b"])
    soaking.migrate()
    result = soaking.check()
    assert result.check is not None
    assert result.check.passes
    soaking.sign()
    finished = soaking.clean()
    assert finished.exit_code == 0, (finished, scene.problems())
    assert sources(scene.keys()) == []


@pytest.mark.long
def test_a_pilot_and_the_rest_are_soaked_by_themselves_and_cleaned_together(
    soaking: Soaking,
) -> None:
    scene = soaking.scene
    soaking.declare()
    api.plan([Path("manifest.yaml")], limit_groups=1)
    assert scene.apply().exit_code == 0
    pilot = scene.run().journal
    soaking.migrate()
    soaking.soak()
    finished = soaking.apply()
    assert finished.outcome == "held"
    assert "was never checked" in finished.message
    soaking.journal = pilot
    soaking.soak()
    assert scene.apply(ask=lambda _: True).exit_code == 0
    assert sources(scene.keys()) == []


def test_a_bucket_that_keeps_versions_frees_nothing_and_the_plan_says_so(
    versioned: Scene,
) -> None:
    """E37, B63: bytes before and after count every version."""
    soaking = Soaking(versioned)
    soaking.fill(1)
    versioned.put("1/P1/talk.mp3", b"an older talk")
    versioned.put("1/P1/talk.mp3", b"the talk")
    soaking.migrate()
    check = soaking.check().check
    assert check is not None
    assert check.figures["old_objects"] == 3
    assert check.figures["old_versions"] == 5
    soaking.sign()
    made = versioned.plan()
    assert made.plan is not None
    told = " ".join(made.plan.steps[1].warnings)
    assert "every version stays and is billed" in told
    assert "it held 5 versions in the old layout" in told
    finished = versioned.apply(ask=lambda _: True)
    assert finished.exit_code == 0, versioned.problems()
    assert sources(versioned.keys()) == []
    after = soaking.check(full=True).check
    assert after is not None
    assert after.figures["old_objects"] == 0
    assert after.figures["old_version_bytes"] == check.figures["old_version_bytes"]
    rolled = versioned.rollback()
    assert rolled is not None
    assert rolled.exit_code == 0
    assert versioned.objects()["1/P1/talk.mp3"].body == b"the talk"


def test_an_empty_prefix_empties_no_table(scene: Scene) -> None:
    """A wrong prefix, or run folders that are lost: the table's counts are not made 0."""
    soaking = Soaking(scene)
    table = scene.directory / "output.csv"
    table.write_text("row_id,file_count\n1,3\n")
    more = "  catalog: {file: output.csv, columns: {audio: {type: audio}}, add: [file_count]}\n"
    soaking.declare(more=more)
    made = scene.plan()
    assert made.plan is None
    assert any("holds nothing to regroup" in note for note in made.notes)


@pytest.mark.long
def test_another_bucket(scene: Scene) -> None:
    scene.s3.create_bucket(Bucket=f"{scene.bucket}-new")
    soaking = Soaking(scene, f"{scene.bucket}-new")
    soaking.fill()
    soaking.migrate()
    soaking.soak()
    assert soaking.clean().exit_code == 0
    assert scene.keys() == []
    scene.bucket = f"{scene.bucket}-new"
    assert len(scene.keys()) == COUNT


@pytest.mark.long
def test_the_run_that_made_the_copies_must_be_here(soaking: Soaking) -> None:
    scene = soaking.scene
    soaking.migrate()
    soaking.soak()
    assert scene.plan().plan is not None
    shutil.rmtree(soaking.journal.parent)
    before = scene.objects()
    with pytest.raises(IncompleteError) as caught:
        scene.apply()
    assert caught.value.what.endswith("the run that made the copies is not here")
    assert scene.objects() == before
    assert scene.plan().plan is None, "without it nothing says whose the copies are"


@pytest.mark.long
def test_a_run_that_was_taken_back_is_neither_watched_nor_cleaned(soaking: Soaking) -> None:
    scene = soaking.scene
    soaking.migrate()
    scene.rollback()
    with pytest.raises(StaleError):
        soaking.check()


def test_a_record_that_somebody_edited_is_refused(soaking: Soaking) -> None:
    """The lines are chained: one that is taken out breaks those that follow."""
    soaking.migrate()
    soaking.check()
    soaking.sign()
    path = soaking.journal.with_name("soak.json")
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([lines[0], lines[2].replace(b'"seq":3', b'"seq":2')]))
    with pytest.raises(JournalError):
        soaking.check()
    with pytest.raises(JournalError):
        soaking.scene.plan()
    path.write_bytes(b"".join(lines)[:-5])
    result = soaking.check(full=True)
    assert len(result.soak.checks) == 2, "a torn last line was never told of"
    assert result.soak.signatures == ()


@pytest.mark.long
def test_the_journal_of_the_cleanup_leads_to_the_one_to_watch(soaking: Soaking) -> None:
    """The link journal.json names the latest run; cron goes on with the older one."""
    scene = soaking.scene
    soaking.migrate()
    soaking.soak()
    assert soaking.clean().exit_code == 0
    with pytest.raises(StaleError) as caught:
        api.monitor(Path("journal.json"), by="tester")
    watched = soaking.journal.relative_to(scene.directory)
    assert caught.value.next_step == f"s3plan monitor {watched}"
    after = soaking.check(full=True).check
    assert after is not None
    assert after.passes, "what was deleted behind its gates is not missed"
    assert after.figures["old_objects"] == 0
