"""C43: worklists as people write them, and what cannot be read of one."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3plan.errors import ProblemsError, WorklistError
from s3plan.inventory import worklist
from s3plan.inventory.worklist import read_worklist
from s3plan.model.worklist import Entry
from s3plan.rules.worklist import parse_json, parse_line

LINES = """\
# the migrator's worklist
   # indented

data|o/1
{"bucket": "data", "key": "o/2", "object_id": 7, "object_version": 3, "status": "failed"}
{"bucket_name": "data", "object_key": "o/3", "attempts": 2, "note": {"a": [1.10, "x"]}}
"data|o/4|with a bar"
 data |  leading blanks are of the key
"""


def _read(tmp_path: Path, text: str | bytes) -> list[Entry]:
    path = tmp_path / "items"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return list(read_worklist(path, "items"))


def test_every_form_of_a_line(tmp_path: Path) -> None:
    """C43: objects under both names, pairs, comments; what s3plan does not know is kept."""
    assert _read(tmp_path, LINES) == [
        Entry("data", "o/1"),
        Entry("data", "o/2", '{"object_id":7,"object_version":3}'),
        Entry("data", "o/3", '{"note":{"a":[1.10,"x"]}}'),
        Entry("data", "o/4|with a bar"),
        Entry("data", "  leading blanks are of the key"),
    ]


def test_an_array_of_objects_and_pairs(tmp_path: Path) -> None:
    """C43: the state file of the old tool is one array; nested values come on one line."""
    text = json.dumps([{"bucket": "b", "key": "k", "more": {"deep": ["\n"]}}, "b|k2"], indent=2)
    assert _read(tmp_path, "\ufeff" + text) == [
        Entry("b", "k", '{"more":{"deep":["\\n"]}}'),
        Entry("b", "k2"),
    ]


def test_an_empty_worklist_is_one(tmp_path: Path) -> None:
    """C52: nothing to do is no error."""
    assert _read(tmp_path, "") == []
    assert _read(tmp_path, "[]") == []
    assert _read(tmp_path, "# nothing\r\n\r\n") == []


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("just a key", "neither a JSON object nor bucket|key"),
        ("|key", "the bucket is missing"),
        ("bucket|", "the key is missing"),
        ('{"bucket": "b"}', "the key is missing"),
        ('{"bucket": 1, "key": "k"}', "bucket is not a text"),
        ('{"bucket": "b", "key": "k"', "neither a JSON object nor bucket|key"),
        ('{"bucket": "b", "bucket_name": "c", "key": "k"}', "bucket and bucket_name name diff"),
        ('["b", "k"]', "neither a JSON object nor bucket|key"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_line(tmp_path: Path, line: str, why: str) -> None:
    """No entry is dropped: an object that nobody moves would not be missed."""
    with pytest.raises(ProblemsError) as caught:
        _read(tmp_path, f"b|k\n{line}\nb|k2\n")
    (problem,) = caught.value.problems
    assert problem.address == "items:2"
    assert why in (problem.found or "")


def test_every_bad_entry_is_told_up_to_a_screenful(tmp_path: Path) -> None:
    with pytest.raises(ProblemsError) as caught:
        _read(tmp_path, "bad\n" * 100)
    assert [p.address for p in caught.value.problems] == [f"items:{n}" for n in range(1, 21)]


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ProblemsError) as caught:
        _read(tmp_path, b"b|caf\xe9\n")
    assert caught.value.problems[0].found == "not UTF-8"


def test_memory_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Invariant 8: what must be read whole has a bound, and the way around it is named."""
    monkeypatch.setattr(worklist, "LARGEST_ARRAY", 64)
    with pytest.raises(WorklistError, match="too long") as caught:
        _read(tmp_path, json.dumps(["b|k"] * 100))
    assert "one JSON object a line" in (caught.value.next_step or "")
    monkeypatch.setattr(worklist, "LONGEST_LINE", 64)
    with pytest.raises(WorklistError, match="line of the worklist is too long"):
        _read(tmp_path, "b|" + "k" * 100)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(WorklistError, match="cannot be read"):
        list(read_worklist(tmp_path / "missing", "missing"))


@given(st.text(min_size=1).filter(lambda key: "\r" not in key and "\n" not in key))
def test_any_key_survives_both_forms(key: str) -> None:
    try:
        key.encode()
    except UnicodeEncodeError:
        return
    assert parse_line(f"b|{key}") == Entry("b", key)
    assert parse_json(json.dumps({"bucket": "b", "key": key}).encode()) == Entry("b", key)


@given(st.text())
def test_no_line_breaks_the_reader(line: str) -> None:
    with suppress(ValueError):
        parse_line(line)
