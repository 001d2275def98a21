"""Worklists in Parquet files beside a plan: the same items, and nothing of a file that is not as
it was sealed.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from s3plan.engine.runs import new_run
from s3plan.errors import PlanFileError
from s3plan.model.plan import PlanEnd, PlanPart
from s3plan.model.steps import Item, Totals
from s3plan.plan.columns import _TYPES
from s3plan.plan.digest import PlanDigest
from s3plan.plan.parting import copy_parts
from s3plan.plan.parts import folder_of, is_part, name_of
from s3plan.plan.reading import ItemRow, PlanFile, most_items
from s3plan.plan.seal import seal
from s3plan.tables import Database
from s3plan.tables.parquet import ParquetFolder
from tests.plan.worklists import HEADER, TIME, drafts, fill

STEP = drafts()[0].id
KEYS = [f"k{n:02}" for n in range(20)]


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with Database(tmp_path / "scratch") as made:
        yield made


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seven items a part."""
    monkeypatch.setattr("s3plan.plan.seal._FEWEST", 1)
    monkeypatch.setattr("s3plan.plan.seal._MOST", 7)


def parted(place: Path, database: Database, name: str = "plan.json") -> PlanFile:
    return seal(drafts(), database, HEADER, place / name, parted_from=1)


@pytest.fixture
def plan(tmp_path: Path, database: Database) -> PlanFile:
    """Twenty items in three parts."""
    fill(database, KEYS)
    return parted(tmp_path, database)


def read(path: Path) -> list[Item]:
    return list(PlanFile.open(path).items(STEP))


@pytest.mark.parametrize("name", ["plan.json", "plan.json.gz", "plan.json.zst"])
def test_it_makes_no_difference_where_the_items_stand(
    tmp_path: Path, database: Database, name: str
) -> None:
    fill(database, KEYS)
    whole = seal(drafts(), database, HEADER, tmp_path / "whole.json")

    made = parted(tmp_path, database, name)

    assert PlanFile.open(tmp_path / name) == made
    assert [part.items for part in made.parts] == [7, 7, 6]
    assert made.steps == whole.steps
    assert made.header.totals == Totals(20, sum(range(20)))
    for step in whole.steps:
        items = list(whole.items(step.id))
        assert list(made.items(step.id)) == items
        for start in range(22):
            assert list(made.items(step.id, start)) == items[start:]
        rows = [row for rows in made.rows(step.id) for row in rows]
        assert all(rows for rows in made.rows(step.id))
        assert rows == [row for rows in whole.rows(step.id) for row in rows]
        assert isinstance(rows[0], ItemRow)


def test_only_large_worklists_stand_apart(tmp_path: Path, database: Database) -> None:
    fill(database, KEYS)
    whole = seal(drafts(), database, HEADER, tmp_path / "a.json", parted_from=21)
    assert (whole.header.format, whole.parts) == ("s3plan.plan/1", ())
    assert not folder_of(whole.path).exists()
    apart = seal(drafts(), database, HEADER, tmp_path / "b.json", parted_from=20)
    assert (apart.header.format, len(apart.parts)) == ("s3plan.plan/2", 3)
    assert {path.name for path in folder_of(apart.path).iterdir()} == set(map(name_of, apart.parts))
    assert all(map(is_part, map(name_of, apart.parts)))


def test_the_columns_are_those_of_an_item() -> None:
    """What an item gains, a part must hold."""
    assert ("step", *_TYPES) == Item.__struct_fields__


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
ROWS = st.lists(
    st.builds(
        Item,
        step=st.just(STEP),
        n=st.just(0),
        key=TEXT | st.text(st.characters(max_codepoint=0x7F), max_size=40),
        path=TEXT,
        size=st.integers(0, 2**55),
        etag=TEXT,
        modified=st.just(TIME),
        storage_class=st.sampled_from(["STANDARD", "GLACIER", 'odd"class']),
        checksum=st.none() | TEXT,
        version_id=st.none() | TEXT,
        newer=st.integers(0, 2),
        marker=st.booleans(),
        beneath=st.integers(0, 2),
        upload_id=st.none() | TEXT,
        label=st.none() | TEXT,
        keywords=st.just({}) | st.dictionaries(TEXT, TEXT, min_size=1, max_size=2),
        ambiguous=st.booleans(),
    ),
    min_size=1,
    max_size=12,
)


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(rows=ROWS, plain=st.booleans())
def test_any_item_comes_back_and_its_digest_is_of_what_msgspec_writes(
    tmp_path: Path, database: Database, rows: list[Item], plain: bool
) -> None:
    items = [msgspec.structs.replace(item, n=n) for n, item in enumerate(rows)]
    if plain:
        items = [Item(STEP, i.n, i.key, i.path, i.size, i.etag, TIME) for i in items]
    database.execute("DELETE FROM items")
    fields = [name for name in _TYPES if name != "keywords"]
    columns = {name: [getattr(item, name) for item in items] for name in fields}
    keywords = [msgspec.json.encode(i.keywords).decode() if i.keywords else None for i in items]
    fill(database, columns["key"], **columns | {"keywords": keywords})

    made = parted(tmp_path, database)

    assert list(made.items(STEP)) == items
    assert list(map(msgspec.json.encode, made.items(STEP))) == list(
        map(msgspec.json.encode, items)
    ), "and what is told of them is the same"
    for part in made.parts:
        mine = items[part.first : part.first + part.items]
        assert part.digest == _digest(mine)


def _digest(items: list[Item]) -> str:
    """As docs/plan-files.md says it, by other means."""
    text = b""
    for name in _TYPES:
        values = [getattr(item, name) for item in items]
        if name == "keywords":
            values = [msgspec.json.encode(one).decode() if one else None for one in values]
        default = {field.name: field for field in msgspec.structs.fields(Item)}[name].default
        nothing = None if name == "keywords" else default
        if (default is msgspec.NODEFAULT and name != "keywords") or set(values) != {nothing}:
            text += b'"%b":%b\n' % (name.encode(), msgspec.json.encode(values))
    return "sha256:" + hashlib.sha256(text).hexdigest()


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_no_mutation_of_any_file_gets_through(plan: PlanFile, data: st.DataObject) -> None:
    files = [plan.path, *(folder_of(plan.path) / name_of(part) for part in plan.parts)]
    target = data.draw(st.sampled_from(files))
    original = target.read_bytes()
    text = bytearray(original)
    at = data.draw(st.integers(0, len(text) - 1))
    match data.draw(st.sampled_from(["flip", "cut", "drop", "insert"])):
        case "flip":
            text[at] ^= data.draw(st.integers(1, 255))
        case "cut":
            del text[at:]
        case "drop":
            del text[at]
        case _:
            text.insert(at, data.draw(st.integers(0, 255)))
    target.write_bytes(text)
    try:
        read = PlanFile.open(plan.path)
        items = list(read.items(STEP))
    except PlanFileError:
        return
    finally:
        target.write_bytes(original)
    # Wording is outside the digest; deeds are not.
    assert target == plan.path
    assert (read.digest, items) == (plan.digest, list(plan.items(STEP)))


def test_the_digest_does_not_depend_on_what_wrote_the_files(
    plan: PlanFile, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another version of DuckDB may compress in another way: the plan is the same one."""
    write = Database.write_parquet

    def otherwise(self: Database, sql: str, params: dict[str, object]) -> Path:
        monkeypatch.setattr("s3plan.tables.database._COMPRESSION", "snappy")
        return write(self, sql, params)

    monkeypatch.setattr(Database, "write_parquet", otherwise)
    again = parted(plan.path.parent, database, "again.json")
    assert [part.file for part in again.parts] != [part.file for part in plan.parts]
    assert again.digest == plan.digest


def test_the_digest_covers_every_item(plan: PlanFile, database: Database) -> None:
    seen = {plan.digest}
    for number, change in enumerate(
        ["etag = 'x'", "key = 'k19x'", "path = 'p'", "size = 9", "version_id = 'v'", "newer = 1"]
    ):
        database.execute(f"UPDATE items SET {change} WHERE n = 19")
        seen.add(parted(plan.path.parent, database, f"{number}.json").digest)
    assert len(seen) == 7


Damage = Callable[[list[Path]], None]


def _flip(files: list[Path]) -> None:
    data = bytearray(files[1].read_bytes())
    data[len(data) // 2] ^= 1
    files[1].write_bytes(data)


def _swap(files: list[Path]) -> None:
    first, second = files[0].read_bytes(), files[1].read_bytes()
    files[0].write_bytes(second)
    files[1].write_bytes(first)


def _append(files: list[Path]) -> None:
    files[2].write_bytes(files[2].read_bytes() + b"\0")


def _directory(files: list[Path]) -> None:
    files[0].unlink()
    files[0].mkdir()


@pytest.mark.parametrize(
    ("damage", "match", "opens"),
    [
        (_flip, "edited or damaged", True),
        (_swap, "edited or damaged", False),
        (_append, "edited or damaged", False),
        (lambda files: os.truncate(files[1], 40), "edited or damaged", False),
        (lambda files: os.truncate(files[1], 0), "edited or damaged", False),
        (lambda files: files[2].unlink(), "missing", False),
        (lambda files: files[2].rename(files[2].with_name("other.parquet")), "missing", False),
        (lambda files: shutil.rmtree(files[0].parent), "missing", False),
        (_directory, "edited or damaged", False),
    ],
)
def test_no_item_comes_out_of_a_file_that_is_not_as_it_was(
    plan: PlanFile, tmp_path: Path, damage: Damage, match: str, opens: bool
) -> None:
    damage([folder_of(plan.path) / name_of(part) for part in plan.parts])
    out: list[str] = []

    def read_on() -> None:
        for item in PlanFile.open(plan.path).items(STEP):
            out.append(item.key)  # noqa: PERF401 - what came before the error counts

    with pytest.raises(PlanFileError, match=match) as caught:
        read_on()
    assert caught.value.next_step
    assert str(folder_of(plan.path)) in str(caught.value.address)
    assert set(out) <= set(KEYS[:7]), "what came before was checked"
    if not opens:
        assert out == [], "a file that is missing or of another size is found before anything"
        return
    opened = PlanFile.open(plan.path)
    with pytest.raises(PlanFileError, match=match):
        new_run(tmp_path / "work", opened, datetime.now(UTC))
    assert list((tmp_path / "work" / ".s3plan" / "runs").iterdir()) == [], "no run is begun"


def _edited(plan: Path, edit: Callable[[list[dict[str, object]]], None]) -> Path:
    """Change the records of a plan, and give it the digest that they have."""
    records = [json.loads(line) for line in plan.read_bytes().splitlines()]
    edit(records)
    digest = PlanDigest(HEADER.target)
    for record in records:
        if record["type"] == "step":
            digest.step(record)
        elif record["type"] == "part":
            with suppress(msgspec.ValidationError):
                digest.part(msgspec.convert(record, PlanPart))
    records[-1] = msgspec.to_builtins(PlanEnd(len(records), digest.value()))
    plan.write_bytes(b"".join(msgspec.json.encode(record) + b"\n" for record in records))
    return plan


def test_items_that_were_changed_with_their_file_change_the_plans_digest(
    plan: PlanFile, database: Database
) -> None:
    """Whoever edits an item needs another digest of the part, and so another plan's: it is not the
    approved one. With the digest left as it was the part gives no item away.
    """
    database.execute("UPDATE items SET etag = 'other' WHERE n = 3")
    other = parted(plan.path.parent, database, "other.json")
    forged = other.parts[0]
    shutil.copy(folder_of(other.path) / name_of(forged), folder_of(plan.path))

    def file_only(records: list[dict[str, object]]) -> None:
        records[4].update(file=forged.file, size=forged.size)

    kept = PlanFile.open(_edited(plan.path, file_only))
    assert kept.digest == plan.digest, "bytes of files are not covered"
    with pytest.raises(PlanFileError, match="edited or damaged"):
        next(kept.items(STEP))
    resealed = _edited(plan.path, lambda records: records[4].update(digest=forged.digest))
    assert PlanFile.open(resealed).digest != plan.digest


@pytest.mark.parametrize(
    ("edit", "match"),
    [
        (lambda records: records.pop(5), "missing, or was added"),
        (lambda records: records.pop(6), "are missing, or were added"),
        (lambda records: records.insert(5, records[4]), "missing, or was added"),
        (lambda records: records.insert(4, records.pop(5)), "missing, or was added"),
        (lambda records: records[4].update(step="fly-00000000"), "belongs to no step"),
        (lambda records: records[4].update(step="../x"), "belongs to no step"),
        (lambda records: records[4].update(items=8), "missing, or was added"),
        (lambda records: records[6].update(items=10**9), "missing, or was added"),
        (lambda records: records[4].update(file="../" * 20), "cannot be read"),
        (lambda records: records[0].update(format="s3plan.plan/1"), "only a plan of format"),
        (lambda records: records.insert(2, records.pop(4)), "belongs to no step|among the items"),
    ],
)
def test_parts_that_are_no_worklist_are_refused_even_under_a_right_digest(
    plan: PlanFile, edit: Callable[[list[dict[str, object]]], None], match: str
) -> None:
    with pytest.raises(PlanFileError, match=match):
        PlanFile.open(_edited(plan.path, edit))


def test_a_file_that_holds_something_else_is_refused(
    plan: PlanFile, database: Database, tmp_path: Path
) -> None:
    """Also where its digest is right: numbers, types and columns are looked at."""
    for query in (
        "SELECT * REPLACE (n + 1 AS n) FROM (SELECT n, key, path, size, etag, modified FROM items)",
        "SELECT 'no items' AS n",
        "SELECT * FROM items, range(100)",
        "SELECT * REPLACE (CAST(size AS VARCHAR) AS size) FROM items",
    ):
        written = database.write_parquet(query)
        size, digest = written.stat().st_size, _sha(written)

        def edit(records: list[dict[str, object]], size: int = size, digest: str = digest) -> None:
            records[4].update(file=digest, size=size)

        _edited(plan.path, edit)
        part = msgspec.json.decode(plan.path.read_bytes().splitlines()[4], type=PlanPart)
        written.rename(folder_of(plan.path) / name_of(part))
        with pytest.raises(PlanFileError):
            read(plan.path)


def _sha(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_files_of_two_plans_do_not_mix(plan: PlanFile, database: Database, tmp_path: Path) -> None:
    database.execute("UPDATE items SET size = size + 1")
    other = parted(tmp_path, database, "other.json")
    mine, theirs = folder_of(plan.path), folder_of(other.path)
    moved = mine.with_name("aside")
    mine.rename(moved)
    theirs.rename(mine)
    with pytest.raises(PlanFileError, match="missing"):
        PlanFile.open(plan.path)
    # Under the right name, too.
    for part, one in zip(plan.parts, other.parts, strict=True):
        (mine / name_of(one)).rename(mine / name_of(part))
    with pytest.raises(PlanFileError, match="edited or damaged"):
        read(plan.path)


def test_a_plan_is_replaced_with_its_files(plan: PlanFile, database: Database) -> None:
    folder = folder_of(plan.path)
    (folder / "notes.txt").write_text("mine")
    (folder / ".0123456789abcdef.tmp").write_text("of a process that was killed")
    before = {path.name for path in folder.glob("*.parquet")}
    database.execute("UPDATE items SET etag = 'other' WHERE n = 3")

    again = parted(plan.path.parent, database)

    after = {path.name for path in folder.iterdir()}
    assert after == {*map(name_of, again.parts), "notes.txt"}
    assert len(after & before) == 2, "what did not change kept its name"
    (folder / "notes.txt").unlink()
    seal(drafts(), database, HEADER, plan.path)
    assert not folder.exists(), "no worklist stands there any more"


@pytest.mark.parametrize("when", ["parts", "plan"])
def test_a_plan_that_cannot_be_finished_leaves_the_one_before_it(
    plan: PlanFile, database: Database, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    items, there = read(plan.path), sorted(folder_of(plan.path).iterdir())
    database.execute("UPDATE items SET etag = 'other'")

    def fails(*_: object) -> None:
        raise KeyboardInterrupt

    target = {"parts": "s3plan.plan.parting.sync_directory", "plan": "s3plan.plan.seal._write"}
    monkeypatch.setattr(target[when], fails)
    with pytest.raises(KeyboardInterrupt):
        parted(plan.path.parent, database)
    assert read(plan.path) == items
    assert sorted(folder_of(plan.path).iterdir()) == there


def test_a_run_has_its_own_copy(plan: PlanFile, tmp_path: Path) -> None:
    run = new_run(tmp_path / "work", plan, datetime.now(UTC))
    shutil.rmtree(folder_of(plan.path))
    assert [item.key for item in read(run.plan)] == KEYS
    assert PlanFile.open(run.plan).digest == plan.digest
    assert most_items(run.plan) >= 20


def test_a_file_of_another_plan_is_not_copied(plan: PlanFile, tmp_path: Path) -> None:
    _flip([folder_of(plan.path) / name_of(part) for part in plan.parts])
    with pytest.raises(PlanFileError, match="edited or damaged"):
        copy_parts(plan.path, plan.parts, tmp_path / "copy.json")


def test_a_reader_of_parts_reads_nothing_else(plan: PlanFile, tmp_path: Path) -> None:
    outside = tmp_path / "outside.parquet"
    shutil.copy(folder_of(plan.path) / name_of(plan.parts[0]), outside)
    reader = ParquetFolder(folder_of(plan.path))
    query = "SELECT count(*) FROM read_parquet($path)"
    inside = folder_of(plan.path) / name_of(plan.parts[0])
    assert reader.row(query, {"path": str(inside)}) == (7,)
    with pytest.raises(PlanFileError, match="cannot be read"):
        reader.row(query, {"path": str(outside)})


def test_what_nobody_reads_is_not_opened(plan: PlanFile, monkeypatch: pytest.MonkeyPatch) -> None:
    """Showing and beginning look at the plan alone; the first items come out of the first file."""
    opened: list[PlanPart] = []
    check = type(plan._files)._read  # type: ignore[union-attr]

    def noted(self: object, part: PlanPart) -> object:
        opened.append(part)
        return check(self, part)  # type: ignore[arg-type]

    monkeypatch.setattr(type(plan._files), "_read", noted)
    again = PlanFile.open(plan.path)
    assert opened == []
    assert next(again.items(STEP)).key == KEYS[0]
    assert opened == [plan.parts[0]]
    assert [item.key for item in again.items(STEP, 15)] == KEYS[15:]
    assert opened == [plan.parts[0], plan.parts[2]], "what lies before is passed over"
    list(again.items(STEP))
    assert len(opened) == 3, "each is read once, and stays while it is in use"
