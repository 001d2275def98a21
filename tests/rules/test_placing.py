"""Which object a text of a table names, and the examples in the docstrings of grouping's rules."""

from __future__ import annotations

import doctest
from types import ModuleType

import pytest

from s3plan.rules.grouping import keys, placing, urls
from s3plan.rules.grouping.keys import KeyTemplate
from s3plan.rules.grouping.placing import Named, key_of_group, named_by
from s3plan.rules.grouping.rewriting import GroupedFile
from s3plan.rules.grouping.urls import UrlReader

SOURCES = UrlReader("people", "http://localhost:8333")
COPIES = UrlReader("sorted", "http://localhost:8333")
FILE = GroupedFile("1/Ann/a.mp3", "audio/1_Ann_a.mp3", "audio")
KNOWN = {FILE.key: FILE, FILE.new_key: FILE}


@pytest.mark.parametrize("module", [keys, placing, urls])
def test_examples_are_true(module: ModuleType) -> None:
    tested = doctest.testmod(module)
    assert tested.attempted > 0
    assert tested.failed == 0


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("s3://sorted/audio/1_Ann_a.mp3", Named(True, (FILE.new_key,), FILE)),
        ("audio/1_Ann_a.mp3", Named(True, (FILE.new_key,), FILE)),
        ("https://people.s3.amazonaws.com/1/Ann/a.mp3", Named(False, (FILE.key,), FILE)),
        ("s3://sorted/1/Ann/a.mp3", Named(True, ("1/Ann/a.mp3",))),
        ("s3://people/other%20file", Named(False, ("other%20file", "other file"))),
        ("other", Named(True, ("other",))),
        ("https://elsewhere.example/audio/1_Ann_a.mp3", Named(True, ())),
        ("s3://sorted/", Named(True, ())),
        ("s3://sorted/" + "x" * 1025, Named(True, ())),
        ("s3://sorted/%ff", Named(True, ("%ff",))),
    ],
)
def test_a_text_names_what_is_known_and_else_what_may_be_meant(text: str, named: Named) -> None:
    assert named_by(text, SOURCES, COPIES, KNOWN) == named


def test_a_key_is_old_only_if_it_changes() -> None:
    same = GroupedFile("a", "a", "audio")
    assert Named(False, (FILE.key,), FILE).is_old
    assert not Named(True, (FILE.new_key,), FILE).is_old
    assert not Named(False, ("a",), same).is_old
    assert not Named(True, (FILE.key,)).is_old


def test_a_key_without_parts_of_its_group_says_nothing() -> None:
    template = KeyTemplate.parse("files/{file}", ("row_id", "file"))
    assert key_of_group(template, ["audio"], {"row_id": "1"}, sanitize=False) is None


def test_what_stands_in_a_key_is_literal_and_sanitized_as_the_key_was() -> None:
    template = KeyTemplate.parse("{row_id}/{name}.{file}", ("row_id", "name", "file"))
    like = key_of_group(template, [], {"row_id": "1", "name": "A.*"}, sanitize=False)
    assert like is not None
    assert like.fullmatch("1/A.*.x\n")
    assert not like.fullmatch("1/Abc.x")
    safe = key_of_group(template, [], {"row_id": "1", "name": "A B"}, sanitize=True)
    assert safe is not None
    assert safe.fullmatch("1/A_B.x")
