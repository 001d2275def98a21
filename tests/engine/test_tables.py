"""``backup-file``, ``rewrite-file`` and their undo: a person's table, replaced whole or not."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from s3plan import api
from s3plan.cli import main
from s3plan.engine.handlers import rewrite_file
from s3plan.errors import DestinationError, ProblemsError
from s3plan.localfs import tablefile
from s3plan.model.journal import BackedUp, FileRewritten
from tests.engine.conftest import enter
from tests.engine.scene import Scene, open_scene
from tests.servers import Server

MANIFEST = """\
apiVersion: s3plan/v1
kind: Connection
metadata: {{name: default}}
spec: {{endpoint: "{endpoint}", region: {region}}}
---
apiVersion: s3plan/v1
kind: ObjectGrouping
metadata: {{name: by-type}}
spec:
  source: {{bucket: {bucket}}}
  catalog:
    file: output.csv
    columns:
      s3_audio_url: {{type: audio}}
      s3_video_url: {{type: video}}
      s3_document_url: {{type: documents}}
      s3_all_files: {{}}
    add: [file_count, migration_completed]
"""


@pytest.fixture
def people(seaweed: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    """Three people, and a table of them with Windows line endings and a byte order mark."""
    with open_scene(seaweed, tmp_path) as scene:
        enter(scene, monkeypatch)
        for key in ("1/Ann_Lee/talk.mp3", "1/Ann_Lee/film.mp4", "2/Björn/cv.pdf", "2/Björn/a.mp3"):
            scene.put(key, key.encode())
        (scene.directory / "manifest.yaml").write_text(
            MANIFEST.format(
                endpoint=scene.server.endpoint, region=scene.server.region, bucket=scene.bucket
            )
        )
        head = f"https://{scene.bucket}.s3.amazonaws.com"
        lines = [
            'row_id,"name",notes,s3_audio_url,s3_video_url,s3_all_files',
            f'1,"Lee, Ann","said ""hi""\r\ntwice",{head}/1/Ann_Lee/talk.mp3,,'
            f'"{head}/1/Ann_Lee/film.mp4|x"',
            f"2,Björn,=1+1,,,{head}/2/Bj%C3%B6rn/cv.pdf",
            "3,Nobody,,,,",
        ]
        (scene.directory / "output.csv").write_bytes(
            b"\xef\xbb\xbf" + "\r\n".join([*lines, ""]).encode()
        )
        yield scene


def _expected(scene: Scene) -> bytes:
    head = f"https://{scene.bucket}.s3.amazonaws.com"
    lines = [
        'row_id,"name",notes,s3_audio_url,s3_video_url,s3_all_files,s3_document_url,file_count,'
        "migration_completed",
        f'1,"Lee, Ann","said ""hi""\r\ntwice",{head}/audio/1_Ann_Lee_talk.mp3,'
        f'{head}/video/1_Ann_Lee_film.mp4,"{head}/video/1_Ann_Lee_film.mp4|x",,2,true',
        f"2,Björn,=1+1,{head}/audio/2_Bj%C3%B6rn_a.mp3,,{head}/documents/2_Bj%C3%B6rn_cv.pdf,"
        f"{head}/documents/2_Bj%C3%B6rn_cv.pdf,2,true",
        "3,Nobody,,,,,,0,false",
    ]
    return b"\xef\xbb\xbf" + "\r\n".join([*lines, ""]).encode()


def _table(scene: Scene) -> Path:
    return scene.directory / "output.csv"


def _applied(scene: Scene) -> None:
    made = api.plan([Path("manifest.yaml")])
    assert made.plan is not None
    assert [step.verb for step in made.plan.steps] == [
        "backup-file", "copy", "verify-copies", "rewrite-file",
    ]  # fmt: skip
    finished = scene.apply()
    assert finished.exit_code == 0, (finished, scene.problems())


def test_the_table_names_the_new_keys_and_nothing_else_changed(people: Scene) -> None:
    """B2-B5, B40-B46: backups with digests first, then the table as a whole."""
    before = _table(people).read_bytes()
    _table(people).chmod(0o640)
    _applied(people)
    assert _table(people).read_bytes() == _expected(people)
    assert _table(people).stat().st_mode & 0o777 == 0o640
    backups = people.directory / "backups"
    stamp = people.run().id[:15].replace("T", "_")
    first, second = f"output_{stamp}_pre_migration.csv", "output_pre_url_update.csv"
    assert {path.name for path in backups.iterdir()} == {
        first, f"{first}.gz", f"{first}.md5", f"{first}.sha256", second, f"{second}.md5",
        f"{second}.sha256",
    }  # fmt: skip
    assert (backups / first).read_bytes() == before == (backups / second).read_bytes()
    assert gzip.decompress((backups / f"{first}.gz").read_bytes()) == before
    digest = hashlib.sha256(before).hexdigest()
    assert (backups / f"{first}.sha256").read_text() == f"{digest}  {first}\n"
    assert {path.name for path in people.directory.iterdir()} >= {"output.csv", "backups"}
    assert not list(people.directory.glob(".output*"))
    assert api.plan([Path("manifest.yaml")]).plan is None, "and planning again says No changes"


def _backed_up(spec: str) -> None:
    text = Path("manifest.yaml").read_text()
    Path("manifest.yaml").write_text(text + f"    backup: {spec}\n")
    assert api.plan([Path("manifest.yaml")]).plan is not None


def test_the_backup_is_uploaded_and_verified_there(
    people: Scene, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """B2, B3, B6: under a name of one's own, before anything else, and it can be had back."""
    before = _table(people).read_bytes()
    with open_scene(people.server, tmp_path_factory.mktemp("kept")) as kept:
        place = f"s3://{kept.bucket}/tables"
        _backed_up(f"{{dir: kept, name: '{{stem}}-{{time}}{{ext}}', upload: '{place}'}}")
        assert people.apply().exit_code == 0, people.problems()
        stamp = people.run().id[:15].replace("T", "_")
        key = f"tables/output-{stamp}.csv"
        held = kept.objects()
        assert sorted(held) == [f"{key}.gz", f"{key}.md5", f"{key}.sha256"]
        assert gzip.decompress(held[f"{key}.gz"].body) == before
        digest = hashlib.sha256(before).hexdigest()
        assert held[f"{key}.sha256"].body == f"{digest}  output-{stamp}.csv\n".encode()
        (record,) = (one for one in people.journal() if isinstance(one, BackedUp))
        assert record.uploaded == tuple(f"s3://{kept.bucket}/{one}" for one in sorted(held))
        assert record.sha256 == digest
        assert Path(record.backup).parent.name == "kept"
        assert Path(record.backup).read_bytes() == before


def test_an_upload_of_before_is_taken_and_a_stranger_s_object_holds_the_run(
    people: Scene, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing else is done before the backup is safe; what is in its place is left alone."""
    monkeypatch.setattr(rewrite_file, "_named", lambda name, _: name.replace("{time}", "T"))
    with open_scene(people.server, tmp_path_factory.mktemp("kept")) as kept:
        _backed_up(f"{{gzip: false, upload: 's3://{kept.bucket}'}}")
        keys, table = people.keys(), _table(people).read_bytes()
        kept.put("output_T_pre_migration.csv", table)
        kept.put("output_T_pre_migration.csv.md5", b"a stranger's")
        held = people.apply()
        assert (held.outcome, held.exit_code) == ("held", 4)
        assert "the key holds something else" in held.message
        assert people.keys() == keys
        assert kept.objects()["output_T_pre_migration.csv.md5"].body == b"a stranger's"
        kept.delete("output_T_pre_migration.csv.md5")
        assert people.apply().exit_code == 0
        assert kept.objects()["output_T_pre_migration.csv"].body == table


@pytest.mark.parametrize(
    "spec",
    ["{name: output.csv}", "{name: 'a/{time}'}", "{name: '{time}{x}'}", "{upload: kept/tables}"],
)
def test_a_backup_without_a_place_or_a_name_of_its_own_is_refused(people: Scene, spec: str) -> None:
    with pytest.raises(ProblemsError):
        _backed_up(spec)


def test_the_comparison_counts_urls_by_type_before_and_after(people: Scene) -> None:
    """B48, B54, B56: URLs by type, persons, throughput, and nothing unaccounted for."""
    _applied(people)
    assert main(["report", "comparison", "--out", "comparison.json"]) == 0
    found = json.loads((people.directory / "comparison.json").read_text())
    rows = {row["column_name"]: row for row in found["sections"]["urls"]}
    assert {name: (row["urls_before"], row["urls_after"]) for name, row in rows.items()} == {
        "s3_audio_url": (1, 2),
        "s3_video_url": (0, 1),
        "s3_document_url": (0, 1),
        "s3_all_files": (3, 3),
    }
    assert rows["s3_audio_url"]["file_type"] == "audio"
    facts = found["facts"]
    assert (facts["persons"], facts["unaccounted_files"]) == (2, 0)
    assert facts["files_per_second"] > 0
    remarks = " ".join(row["remark"] for row in found["sections"]["remarks"])
    assert "are not carried along" in remarks

    _table(people).write_text("row_id\n")
    assert main(["report", "comparison", "--out", "again.json"]) == 0
    again = json.loads((people.directory / "again.json").read_text())["sections"]["urls"]
    assert {row["urls_after"] for row in again} == {None}, "another file is not counted"


def test_rollback_puts_the_table_back_and_then_removes_the_copies(people: Scene) -> None:
    """B49."""
    before, objects = _table(people).read_bytes(), people.objects()
    _applied(people)
    finished = people.rollback()
    assert finished is not None
    assert finished.exit_code == 0
    assert (_table(people).read_bytes(), people.objects()) == (before, objects)


def test_a_table_that_was_edited_since_the_run_is_left_alone_and_so_are_its_copies(
    people: Scene,
) -> None:
    """Invariant 5: its URLs name the copies."""
    _applied(people)
    edited = _table(people).read_bytes() + b"4,New,,,,,,,\r\n"
    _table(people).write_bytes(edited)
    after = people.objects()
    finished = people.rollback()
    assert finished is not None
    assert finished.exit_code == 7, finished
    assert (_table(people).read_bytes(), people.objects()) == (edited, after)


def test_a_table_that_was_edited_after_the_plan_is_not_replaced(people: Scene) -> None:
    """Invariant 3."""
    api.plan([Path("manifest.yaml")])
    edited = _table(people).read_bytes() + b"4,New,,,,\r\n"
    _table(people).write_bytes(edited)
    finished = people.apply()
    assert (finished.outcome, finished.exit_code) == ("held", 4)
    assert _table(people).read_bytes() == edited
    assert all(not key.startswith("audio/") for key in people.objects()), "nothing was copied"


def test_a_table_that_is_edited_while_it_is_rewritten_is_not_replaced(
    people: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    api.plan([Path("manifest.yaml")])
    write = rewrite_file._write

    def meddling(*values: object) -> object:
        made = write(*values)  # type: ignore[arg-type]
        _table(people).write_bytes(b"mine")
        return made

    monkeypatch.setattr(rewrite_file, "_write", meddling)
    assert people.apply().exit_code == 3
    assert _table(people).read_bytes() == b"mine"


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_session_that_ends_around_the_replacement_is_gone_on_with(
    people: Scene, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    """Invariant 4: the record is durable before the file is replaced."""
    api.plan([Path("manifest.yaml")])
    replace = tablefile.replace_by

    def dying(path: Path, new: Path, before: str) -> None:
        assert any(isinstance(record, FileRewritten) for record in people.journal())
        if when == "after":
            replace(path, new, before)
        raise DestinationError("the disk is gone")

    with monkeypatch.context() as patched:
        patched.setattr(tablefile, "replace_by", dying)
        assert people.apply().exit_code == 3
    finished = people.apply()
    assert finished.exit_code == 0, finished
    assert _table(people).read_bytes() == _expected(people)


def test_rows_that_would_lose_a_url_keep_the_plan_from_being_made(people: Scene) -> None:
    """B45: said with the row, before anything is copied."""
    table = _table(people)
    bucket = people.bucket
    table.write_bytes(
        table.read_bytes()
        + f"4,X,,https://{bucket}.s3.amazonaws.com/9/gone.mp3,,\r\n5,y\r\n".encode()
    )
    with pytest.raises(ProblemsError) as caught:
        api.plan([Path("manifest.yaml")])
    (problem,) = caught.value.problems
    assert problem.what == "2 rows of the table cannot be rewritten"
    assert "row 5: https://" in str(problem.found)
    assert "row 6: 2 fields where the header has 6" in str(problem.found)


def test_a_pilot_leaves_the_table_alone(people: Scene) -> None:
    made = api.plan([Path("manifest.yaml")], limit_groups=1)
    assert made.plan is not None
    assert [step.verb for step in made.plan.steps] == ["backup-file", "copy", "verify-copies"]


def test_a_copy_that_is_gone_by_then_holds_the_table(
    people: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No URL of nothing is ever written."""
    before = _table(people).read_bytes()
    api.plan([Path("manifest.yaml")])
    look = rewrite_file._look_at_copies

    async def late(*values: object) -> None:
        people.delete("audio/1_Ann_Lee_talk.mp3")
        await look(*values)  # type: ignore[arg-type]

    monkeypatch.setattr(rewrite_file, "_look_at_copies", late)
    finished = people.apply()
    assert (finished.outcome, finished.exit_code) == ("held", 4)
    assert _table(people).read_bytes() == before
