"""Plan files: sealed, read back, and refused when anything about them is not as sealed."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from s3plan.errors import DestinationError, PlanFileError
from s3plan.model.plan import PlanEnd, PlanHeader, Target
from s3plan.model.steps import (
    Delete,
    DeleteBucket,
    Item,
    Need,
    Totals,
)
from s3plan.plan.digest import PlanDigest, step_id_of
from s3plan.plan.drafts import StepDraft
from s3plan.plan.reading import PlanFile
from s3plan.plan.seal import seal
from s3plan.tables import Database
from tests.plan.worklists import HEADER, drafts, fill


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with Database(tmp_path / "scratch") as made:
        yield made


def sealed(
    tmp_path: Path, database: Database, keys: Sequence[str], name: str = "p.json"
) -> PlanFile:
    fill(database, keys)
    return seal(drafts(), database, HEADER, tmp_path / name)


@pytest.mark.parametrize("name", ["plan.json", "plan.json.gz", "plan.json.zst"])
def test_what_was_sealed_is_read_back(tmp_path: Path, database: Database, name: str) -> None:
    keys = [f"k{n:06}" for n in range(30_000)]
    plan = sealed(tmp_path, database, keys, name)

    again = PlanFile.open(tmp_path / name)

    assert again == plan
    assert [step.verb for step in again.steps] == ["download", "verify", "delete"]
    assert [step.id for step in again.steps] == [draft.id for draft in drafts()]
    assert again.header.totals == Totals(30_000, sum(range(30_000)))
    for step in again.steps:
        assert [item.key for item in again.items(step.id)] == keys
    assert [item.n for item in again.items(again.steps[0].id, 29_998)] == [29_998, 29_999]
    assert list(again.items(again.steps[0].id, 30_000)) == []


@pytest.mark.parametrize("name", ["plan.json", "plan.json.zst"])
def test_reading_begins_anywhere(
    tmp_path: Path, database: Database, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Also where what comes before takes many blocks, of which few are read again."""
    monkeypatch.setattr("s3plan.plan.textlines._BLOCK", 1000)
    plan = sealed(tmp_path, database, [f"k{n:03}" for n in range(200)], name)
    step = plan.steps[0].id
    items = list(plan.items(step))
    for start in range(202):
        assert list(plan.items(step, start)) == items[start:]
    assert plan._sections[step].near(150)[0] > 140


def test_a_plan_file_is_json_lines(tmp_path: Path, database: Database) -> None:
    sealed(tmp_path, database, ["a", "b"])
    records = [json.loads(line) for line in (tmp_path / "p.json").read_text().splitlines()]
    assert [record["type"] for record in records] == [
        "header",
        "step",
        "step",
        "step",
        "item",
        "item",
        "end",
    ]
    assert records[-1]["lines"] == len(records)


def test_compressing_twice_gives_the_same_bytes(tmp_path: Path, database: Database) -> None:
    fill(database, ["a", "b"])
    for suffix in ("gz", "zst"):
        first, second = tmp_path / f"1.{suffix}", tmp_path / f"2.{suffix}"
        seal(drafts(), database, HEADER, first)
        seal(drafts(), database, HEADER, second)
        assert first.read_bytes() == second.read_bytes()
    assert gzip.decompress((tmp_path / "1.gz").read_bytes()).startswith(b'{"type":"header"')
    reader = zstandard.ZstdDecompressor().stream_reader((tmp_path / "1.zst").open("rb"))
    with reader:
        assert reader.read(16) == b'{"type":"header"'


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    rows=st.lists(
        st.tuples(
            TEXT | st.text(st.characters(max_codepoint=0x7F), max_size=40),
            TEXT,
            st.integers(0, 2**62),
            st.sampled_from(["STANDARD", "GLACIER", 'odd"class']),
            st.none() | TEXT,
        ),
        min_size=1,
        max_size=20,
    )
)
def test_item_lines_are_the_bytes_that_msgspec_writes(
    tmp_path: Path,
    database: Database,
    rows: list[tuple[str, str, int, str, str | None]],
) -> None:
    database.execute("DELETE FROM items")
    step = drafts()[0].id
    items = [
        Item(step, n, key, path, size // len(rows), path, key, storage_class, checksum)
        for n, (key, path, size, storage_class, checksum) in enumerate(rows)
    ]
    fill(
        database,
        [item.key for item in items],
        path=[item.path for item in items],
        size=[item.size for item in items],
        etag=[item.etag for item in items],
        modified=[item.modified for item in items],
        storage_class=[item.storage_class for item in items],
        checksum=[item.checksum for item in items],
    )
    plan = seal(drafts(), database, HEADER, tmp_path / "items.json")
    lines = (tmp_path / "items.json").read_bytes().split(b"\n")
    assert lines[4:-2] == [msgspec.json.encode(item) for item in items]
    assert list(plan.items(step)) == items


def test_it_does_not_matter_how_many_items_are_written_at_once(
    tmp_path: Path, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = sealed(tmp_path, database, [f"key {n}" for n in range(30)])
    monkeypatch.setattr("s3plan.plan.seal._FEWEST", 1)
    monkeypatch.setattr("s3plan.plan.seal._MOST", 7)
    again = seal(drafts(), database, HEADER, tmp_path / "again.json")
    assert again.path.read_bytes() == whole.path.read_bytes()


def test_the_digest_covers_what_is_done_and_not_how_it_is_told(
    tmp_path: Path, database: Database
) -> None:
    plan = sealed(tmp_path, database, ["a", "b"])
    replace = msgspec.structs.replace

    def digest(*steps: StepDraft, header: PlanHeader = HEADER) -> str:
        return seal(steps, database, header, tmp_path / "other.json").digest

    download, verify, delete = drafts()
    told = replace(HEADER, tool="9", created="2027", host="there", notes=("note",))
    assert digest(download, verify, delete, header=told) == plan.digest
    worded = replace(delete, reason="?", undo="?", warnings=(), seconds=9.0)
    assert digest(download, verify, worded) == plan.digest

    others = [
        digest(download, verify),
        digest(download, verify, replace(delete, needs=())),
        digest(download, verify, replace(delete, gate=None)),
        digest(download, verify, replace(delete, worklist=None)),
        digest(download, verify, replace(delete, action=Delete("/elsewhere"))),
        digest(download, verify, replace(delete, subject="c")),
        digest(*drafts(), header=replace(HEADER, target=Target("http://s3.example", "x"))),
        digest(*drafts(), header=replace(HEADER, target=replace(HEADER.target, account="1"))),
    ]
    database.execute("UPDATE items SET etag = 'other' WHERE n = 1")
    others.append(digest(*drafts()))
    assert plan.digest not in others
    assert len(set(others)) == len(others)


def test_an_empty_plan_is_a_plan(tmp_path: Path, database: Database) -> None:
    plan = seal((), database, HEADER, tmp_path / "p.json")
    assert PlanFile.open(plan.path).steps == ()


def test_only_plans_are_replaced(tmp_path: Path, database: Database) -> None:
    path = tmp_path / "p.json"
    path.write_text('{"my": "notes"}\n')
    with pytest.raises(PlanFileError, match="not a plan"):
        seal((), database, HEADER, path)
    assert path.read_text() == '{"my": "notes"}\n'
    path.unlink()

    seal((), database, HEADER, path)
    first = path.read_bytes()
    fill(database, ["a"])
    seal(drafts(), database, HEADER, path)
    assert path.read_bytes() != first
    assert [entry.name for entry in tmp_path.iterdir() if entry.is_file()] == ["p.json"]


def test_a_directory_that_cannot_be_written_is_an_error(tmp_path: Path, database: Database) -> None:
    with pytest.raises(DestinationError) as caught:
        seal((), database, HEADER, tmp_path / "missing" / "p.json")
    assert caught.value.next_step


def test_a_file_that_changes_in_use_is_refused(tmp_path: Path, database: Database) -> None:
    plan = sealed(tmp_path, database, ["a", "b"])
    os.utime(plan.path, ns=(1, 1))
    with pytest.raises(PlanFileError, match="changed while"):
        list(plan.items(plan.steps[0].id))


def refused(path: Path, text: bytes, match: str) -> PlanFileError:
    path.write_bytes(text)
    with pytest.raises(PlanFileError, match=match) as caught:
        PlanFile.open(path)
    return caught.value


def test_damage_is_named_with_its_line(tmp_path: Path, database: Database) -> None:
    path = sealed(tmp_path, database, ["a", "b", "c"]).path
    text = path.read_bytes()
    header, download, verify, delete, a, b, c, end, _ = text.split(b"\n")

    def lines(*parts: bytes) -> bytes:
        return b"\n".join(parts) + b"\n"

    error = refused(
        path, lines(header, download, verify, delete, a, b, b"{", end), "cannot be read"
    )
    assert error.address == f"{path}:7"
    error = refused(path, text.replace(b"b/b", b"b/x"), "edited or damaged")
    assert error.address == f"{path}:8"
    refused(path, b"", "is empty")
    refused(path, text[:-1], "cut off")
    refused(path, lines(header, download, verify, delete, a, b, c), "cut off")
    refused(path, lines(header, download, verify, delete, a, b, end), "lines are missing")
    refused(path, lines(header, verify, delete, a, b, c, end), "does not come before")
    refused(path, lines(header, download, verify, delete, a, b, end, end), "follows the end")
    refused(path, lines(header, download, download, delete, a, b, c, end), "does not belong")
    refused(path, text.replace(b'"destination":"/data"', b'"destination":"/etc"'), "id does not")
    refused(path, lines(header, verify.replace(b"verify", b"fly"), a, b, c, end), "cannot be read")
    refused(path, lines(header, a, download, verify, delete, b, c, end), "belongs to no step")
    refused(path, lines(header, download, a, verify, delete, b, c, end), "among the items")
    shuffled = lines(header, download, verify, delete, b, a, c, end)
    refused(path, shuffled, "edited or damaged")
    refused(path, b"[" * 200_000 + b"\n", "cannot be read")


def test_items_out_of_place_are_refused_even_under_a_right_digest(
    tmp_path: Path, database: Database
) -> None:
    fill(database, ["a", "b"], n=[0, 5])
    plan = seal(drafts(), database, HEADER, tmp_path / "p.json")
    with pytest.raises(PlanFileError, match="out of place") as caught:
        list(plan.items(plan.steps[0].id))
    assert caught.value.address == f"{plan.path}:6"


def test_items_flow_only_between_steps_of_one_worklist(tmp_path: Path, database: Database) -> None:
    """They are handed over by their numbers, which count within a worklist."""
    fill(database, ["a"])
    download, verify, _ = drafts()
    flowing = msgspec.structs.replace(verify, needs=(Need(download.id, "each"),))
    assert seal((download, flowing), database, HEADER, tmp_path / "fine.json").steps
    apart = msgspec.structs.replace(flowing, worklist=None)
    with pytest.raises(PlanFileError, match="with another worklist"):
        seal((download, apart), database, HEADER, tmp_path / "apart.json")


def test_formats_it_does_not_know_are_refused_by_name(tmp_path: Path, database: Database) -> None:
    path = sealed(tmp_path, database, ["a"]).path
    text = path.read_bytes()
    newer = text.replace(b"s3plan.plan/1", b"s3plan.plan/3").replace(b'"0.1.0"', b'"7.0"')
    error = refused(path, newer, "does not read")
    assert error.expected == "s3plan.plan/1 or s3plan.plan/2"
    assert "7.0" in str(error.next_step)
    refused(path, text.replace(b"s3plan.plan/1", b"s3plan.journal/1"), "not a plan file")
    refused(path, b'{"type":"step"}\n', "cannot be read")
    with pytest.raises(PlanFileError, match="no such plan"):
        PlanFile.open(tmp_path / "nothing.json")
    with pytest.raises(PlanFileError):
        PlanFile.open(tmp_path)


def test_a_worklist_that_ends_early_is_refused(tmp_path: Path, database: Database) -> None:
    """A frame that promises a checksum it has not gives its text in one go, and none in two."""
    path = sealed(tmp_path, database, ["a", "b"], "m.json.zst").path
    damaged = bytearray(path.read_bytes())
    damaged[4] ^= 4
    path.write_bytes(damaged)
    plan = PlanFile.open(path)
    with pytest.raises(PlanFileError, match="ends before"):
        list(plan.items(plan.steps[0].id))


@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_no_mutation_of_a_plan_file_gets_through(tmp_path: Path, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(["m.json", "m.json.gz", "m.json.zst"]))
    original = tmp_path / f"original-{name}"
    if not original.exists():
        with Database(tmp_path / "scratch") as database:
            sealed(tmp_path, database, ["a", "ü", "c"], original.name)
    plan = PlanFile.open(original)
    text = bytearray(original.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(text) - 1))
        match data.draw(st.sampled_from(["flip", "cut", "drop", "insert"])):
            case "flip":
                text[at] ^= data.draw(st.integers(1, 255))
            case "cut":
                del text[at + 1 :]
            case "drop":
                del text[at]
                text = text or bytearray(b"x")
            case _:
                text.insert(at, data.draw(st.integers(0, 255)))
    mutated = tmp_path / name
    mutated.write_bytes(text)
    try:
        read = PlanFile.open(mutated)
        items = [list(read.items(step.id)) for step in read.steps]
    except PlanFileError:
        return
    # Wording, and the padding of a compressed file, are outside the digest; deeds are not.
    assert read.digest == plan.digest
    assert items == [list(plan.items(step.id)) for step in plan.steps]


def test_a_parameter_that_an_action_gained_changes_no_older_plan(tmp_path: Path) -> None:
    """The digest and the ids are of what the file says, not of what a newer reader adds to it."""
    action = {"verb": "delete-bucket", "region": "eu-west-1", "destination": "/srv"}
    digest = PlanDigest(HEADER.target)
    step: dict[str, object] = {
        "type": "step",
        "id": step_id_of("delete-bucket", action, "b"),  # as a tool without `unsaved` wrote it
        "action": action,
        "subject": "b",
        "needs": [],
        "gate": None,
        "reversibility": "never",
        "undo": "",
        "reason": "",
        "totals": {"items": 0, "bytes": 0},
        "worklist": None,
    }
    digest.step(step)
    lines = [HEADER, step, PlanEnd(3, digest.value())]
    path = tmp_path / "plan.json"
    path.write_bytes(b"".join(msgspec.json.encode(line) + b"\n" for line in lines))
    plan = PlanFile.open(path)
    assert plan.digest == digest.value()
    assert plan.steps[0].action == DeleteBucket("eu-west-1", "/srv", unsaved=())
