"""Back from every stage, alone and whole, also after the sources were deleted."""

from __future__ import annotations

from pathlib import Path

import pytest

from s3plan import api
from s3plan.errors import StaleError
from s3plan.model.events import RunFinished
from s3plan.model.plan import Stage
from tests.engine.conftest import scene
from tests.engine.scene import Scene
from tests.soak.soaking import COUNT, Soaking, sources

__all__ = ["scene"]

TABLE = """\
  catalog:
    file: output.csv
    columns: {audio: {type: audio}}
"""


@pytest.fixture
def soaking(scene: Scene) -> Soaking:
    made = Soaking(scene)
    made.fill()
    return made


def _back(
    soaking: Soaking, journal: Path | None = None, only: Stage | None = None
) -> RunFinished | None:
    soaking.scene.events.clear()
    return api.rollback(
        journal or soaking.journal,
        approval=api.Approval("tester"),
        only=only,
        observer=soaking.scene.events.append,
    )


def _done(finished: RunFinished | None, code: int = 0) -> None:
    assert finished is not None
    assert finished.exit_code == code, finished


def test_deleted_sources_come_back_from_their_copies(soaking: Soaking) -> None:
    """The cleanup's own rollback: everything as it was, content, metadata and tags."""
    scene = soaking.scene
    scene.put(
        "4/Rich/talk.mp3", b"rich", ContentType="audio/mpeg", Metadata={"a": "b"},
        Tagging="owner=ann", CacheControl="no-store",
    )  # fmt: skip
    scene.put_in_parts("5/P5/film.mp4", [b"a" * (5 << 20), b"b"])
    soaking.migrate()
    everything = scene.objects()
    soaking.soak()
    assert soaking.clean().exit_code == 0
    _done(_back(soaking, Path("journal.json")))
    assert scene.objects() == everything
    assert _back(soaking, Path("journal.json")) is None, "a second time does nothing"


def test_tags_that_the_copies_were_given_are_no_tags_of_what_comes_back(
    soaking: Soaking,
) -> None:
    """B61: and what nobody knows any more is said."""
    scene = soaking.scene
    scene.put("4/Tagged/talk.mp3", b"tagged", Tagging="owner=ann")
    before = scene.objects()
    soaking.given = (
        ', tags: {migrated: "yes", from: "{row_id}"}, headers: {cache-control: no-store}'
    )
    soaking.migrate()
    copied = scene.objects()["audio/4_Tagged_talk.mp3"]
    assert copied.tags == {"owner": "ann", "migrated": "yes", "from": "4"}
    soaking.soak()
    assert soaking.clean().exit_code == 0
    plan = api.rollback_plan(soaking.journal)
    assert plan is not None
    said = " ".join(plan.steps[0].warnings)
    assert "under the names from, migrated are not known" in said
    assert "The headers cache-control stay" in said
    _done(_back(soaking))
    found = scene.objects()
    assert found.keys() == before.keys()
    assert {key: one.tags for key, one in found.items()} == {
        key: one.tags for key, one in before.items()
    }


def test_the_whole_way_back_after_the_sources_were_deleted(soaking: Soaking) -> None:
    """First copied back, then the copies removed: one command with the journal of the copies."""
    scene = soaking.scene
    before = scene.objects()
    soaking.migrate()
    soaking.soak()
    assert soaking.clean().exit_code == 0
    plan = api.rollback_plan(soaking.journal)
    assert plan is not None
    assert [step.verb for step in plan.steps] == ["copy", "remove-copy"]
    _done(_back(soaking))
    assert scene.objects() == before
    assert _back(soaking, Path("journal.json")) is None, "nothing is left of the cleanup"


def test_copies_are_no_last_copies_before_the_sources_are_back(soaking: Soaking) -> None:
    """Invariant 5."""
    scene = soaking.scene
    soaking.migrate()
    soaking.soak()
    assert soaking.clean().exit_code == 0
    after = scene.objects()
    _done(_back(soaking, only="copies"), 7)
    assert scene.objects() == after


@pytest.mark.long
def test_a_source_whose_copy_changed_meanwhile_is_not_made_of_it(soaking: Soaking) -> None:
    scene = soaking.scene
    before = scene.objects()
    soaking.migrate()
    soaking.soak()
    assert soaking.clean().exit_code == 0
    scene.put("audio/1_P1_talk.mp3", b"edited since")
    scene.delete("video/2_P2_film.mp4")
    _done(_back(soaking), 7)
    left = set(before) - {"1/P1/talk.mp3", "2/P2/film.mp4"}
    assert set(scene.keys()) == {*left, "audio/1_P1_talk.mp3"}
    assert {p.reason for p in scene.problems()} >= {"source-changed", "source-gone", "not-ours"}


def test_what_somebody_put_at_an_old_key_is_left_alone(soaking: Soaking) -> None:
    """Invariant 3."""
    scene = soaking.scene
    soaking.migrate()
    soaking.soak()
    assert soaking.clean().exit_code == 0
    scene.put("1/P1/talk.mp3", b"somebody's")
    _done(_back(soaking), 7)
    found = scene.objects()
    assert found["1/P1/talk.mp3"].body == b"somebody's"
    assert found["audio/1_P1_talk.mp3"].body == b"1 talk.mp3", "the last copy of what was there"


def test_what_to_type_stands_in_the_folder_of_the_run(soaking: Soaking) -> None:
    """B1, B49: RESTORE.md once the backup is verified, ROLLBACK.md with every run that copies."""
    scene = soaking.scene
    place = f"{{bucket: {scene.bucket}, prefix: backup/, storageClass: STANDARD}}"
    (scene.directory / "output.csv").write_text("row_id,audio\n1,\n")
    soaking.migrate(more=f"  backup: {place}\n{TABLE}")
    folder = soaking.journal.parent
    back = (folder / "ROLLBACK.md").read_text()
    journal = soaking.journal.relative_to(scene.directory)
    for stage in ("catalog", "copies", "backup"):
        assert f"`s3plan rollback {journal} --only {stage}`" in back
    assert str(scene.directory / "backups" / "output_pre_url_update.csv") in back
    restore = (folder / "RESTORE.md").read_text()
    assert f"aws s3 cp --recursive s3://{scene.bucket}/backup/ s3://{scene.bucket}/" in restore
    assert f"{COUNT} objects of `s3://{scene.bucket}/`" in restore
    shown = next(line for line in restore.splitlines() if "s3plan show" in line)
    ran = scene.s3plan(*shown.split()[1:], "--json")
    assert ran.out.count('"path":"backup/') == COUNT


def _with_table(soaking: Soaking) -> tuple[Path, str]:
    table = soaking.scene.directory / "output.csv"
    lines = ["row_id,audio"]
    base = f"{soaking.scene.server.endpoint}/{soaking.scene.bucket}"
    lines += [f"{row},{base}/{row}/P{row}/talk.mp3" for row in (1, 2, 3)]
    table.write_text("\n".join(lines) + "\n")
    text = table.read_text()
    soaking.migrate(more=TABLE)
    assert "audio/1_P1_talk.mp3" in table.read_text()
    return table, text


@pytest.mark.long
def test_the_table_alone_then_the_copies_alone_is_the_whole(soaking: Soaking) -> None:
    """B49: `rollback --only catalog`; a run whose every stage is back counts as taken back."""
    scene = soaking.scene
    before = scene.objects()
    table, text = _with_table(soaking)
    copied = scene.objects()
    _done(_back(soaking, only="catalog"))
    assert table.read_text() == text
    assert scene.objects() == copied
    with pytest.raises(StaleError):
        scene.apply()
    _done(_back(soaking, only="copies"))
    assert scene.objects() == before
    assert api.status(soaking.journal).outcome == "rolled back"
    assert _back(soaking) is None or scene.objects() == before
    soaking.migrate(more=TABLE)
    assert scene.objects() == copied, "the same plan may be applied anew"


@pytest.mark.long
def test_copies_alone_warn_of_the_table_that_names_them(soaking: Soaking) -> None:
    table, _ = _with_table(soaking)
    plan = api.rollback_plan(soaking.journal, only="copies")
    assert plan is not None
    (step,) = plan.steps
    assert step.warnings == (f"URLs in {table} may name these copies; --only catalog first",)


@pytest.mark.long
def test_the_table_keeps_its_urls_after_the_cleanup(soaking: Soaking) -> None:
    """What was cleaned is no source any more, and still a file of its person. A table that is
    rewritten again has a backup of its own.
    """
    scene = soaking.scene
    more = TABLE + "    add: [file_count]\n"
    table = scene.directory / "output.csv"
    base = f"{scene.server.endpoint}/{scene.bucket}"
    table.write_text(f"row_id,audio\n1,{base}/1/P1/talk.mp3\n")
    soaking.migrate(more=more)
    text = table.read_text()
    assert text.endswith(",3\n")
    soaking.soak()
    assert soaking.clean().exit_code == 0
    assert scene.plan().plan is None
    scene.put("1/P1/new.mp3", b"new")
    finished = soaking.apply()
    assert finished.exit_code == 0, finished.message
    assert table.read_text().endswith(",4\n")
    assert "audio/1_P1_talk.mp3" in table.read_text()
    backups = [path.name for path in (table.parent / "backups").glob("output_pre_url_update*.csv")]
    assert len(backups) == 2


@pytest.mark.long
def test_only_the_sources_by_either_journal(soaking: Soaking) -> None:
    scene = soaking.scene
    soaking.migrate()
    everything = scene.objects()
    soaking.soak()
    assert soaking.clean().exit_code == 0
    _done(_back(soaking, only="sources"))
    assert scene.objects() == everything
    assert len(sources(scene.keys())) == COUNT


@pytest.mark.long
def test_commands_say_the_stage(soaking: Soaking) -> None:
    soaking.migrate()
    ran = soaking.scene.s3plan("rollback", "journal.json", "--only", "copies")
    assert ran.code == 0, ran.err
    assert "s3plan rollback journal.json --only copies --approve sha256:" in ran.out
    ran = soaking.scene.s3plan("rollback", "journal.json", "--only", "catalog", "--approve")
    assert "Nothing to take back." in ran.out


@pytest.mark.long
def test_sources_of_equal_content_that_share_one_copy(scene: Scene) -> None:
    """Keys made of the content's digest: one copy takes the place of both, and gives both back."""
    soaking = Soaking(scene, key="files/{sha256}{ext}")
    for key in ("1/Ann/a.mp3", "2/Ben/b.mp3"):
        scene.put(key, b"the same", ContentType="audio/mpeg")
    scene.put("3/Cas/c.mp3", b"another", ContentType="audio/mpeg")
    before = scene.objects()
    soaking.migrate(more="  checksums: compute\n")
    soaking.soak()
    assert soaking.clean().exit_code == 0, scene.problems()
    assert len(scene.keys()) == 2
    assert scene.plan().plan is None
    _done(_back(soaking, Path("journal.json")))
    assert {key: scene.objects()[key] for key in before} == before
    _done(_back(soaking))
    assert scene.objects() == before
