"""Keys map to paths that are theirs alone, stay below the root, and say which key they are of."""

from __future__ import annotations

import re

import duckdb
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from s3plan.rules import naming

# Lone surrogates are no Unicode text and no S3 key.
ANY = st.characters(exclude_categories=["Cs"])
# What the mapping treats specially, more often than chance would have it.
HOSTILE = st.sampled_from(
    ["/", "//", ".", "..", "%", "%2F", "%~", "~", "\\", "\0", "\n", " ", "nul", "COM1", "con",
     ".s3plan", ".S3Plan", "\u017f", "\u200b", "2", "F", "e", "é", "e\u0301", "x" * 199, "雪" * 70]
)  # fmt: skip
KEYS = st.lists(HOSTILE | st.text(ANY, max_size=4), min_size=1, max_size=8).map("".join)
KEYS = KEYS.filter(bool)


@pytest.mark.parametrize(
    ("key", "path"),
    [
        ("photos/2024/a b.jpg", "photos/2024/a b.jpg"),
        ("naïve/雪.txt", "naïve/雪.txt"),
        ("100%", "100%"),
        ("100%41", "100%2541"),
        ("%~x", "%25~x"),
        ("..", "%2E%2E"),
        ("../up", "%2E%2E/up"),
        ("x/../y", "x/%2E%2E/y"),
        ("./x", "%2E/x"),
        ("/lead", "%2F/lead"),
        ("a//b", "a/%2F/b"),
        ("a/", "a/%2F"),
        ("tab\there", "tab%09here"),
        ("nul\0", "nul%00"),
        ("back\\slash", "back%5Cslash"),
        ("dot.", "dot%2E"),
        ("...", "..%2E"),
        ("space ", "space%20"),
        ("NUL", "%4EUL"),
        ("com1.tar.gz", "%63om1.tar.gz"),
        ("lpt¹", "%6Cpt¹"),
        ("con .txt", "%63on .txt"),
        ("con.", "%63on%2E"),
        ("com10", "com10"),
        (".s3plan/catalogue", "%2Es3plan/catalogue"),
        (".S3PLAN", "%2ES3PLAN"),
        (".\u017f3plan/x", "%2E\u017f3plan/x"),  # a long s folds to s
        ("\u200b.s3plan/x", "\u200b%2Es3plan/x"),  # HFS+ does not see U+200B
        ("a/.s3plan", "a/.s3plan"),
    ],
)
def test_a_key_becomes_this_path_and_comes_back(key: str, path: str) -> None:
    assert naming.encode_key(key, marker=False) == path
    assert naming.decode_path(path) == key


@pytest.mark.parametrize(("key", "path"), [("a/", "a/"), ("a/b/", "a/b/"), ("/", "%2F/")])
def test_a_folder_marker_becomes_a_directory(key: str, path: str) -> None:
    assert naming.encode_key(key, marker=True) == path
    assert naming.decode_path(path) == key


def test_an_empty_object_whose_key_has_no_slash_at_its_end_is_a_file() -> None:
    assert naming.encode_key("a/b", marker=True) == "a/b"


def test_a_long_component_is_cut_at_a_character_and_keeps_its_own_digest() -> None:
    one = naming.encode_key("雪" * 100 + "1", marker=False)
    two = naming.encode_key("雪" * 100 + "2", marker=False)
    assert one != two
    assert one.startswith("雪" * 60 + "%~")
    assert len(one.encode()) <= naming.LIMIT
    assert naming.decode_path(one) is None


def test_a_component_that_grows_by_encoding_is_cut_as_well() -> None:
    path = naming.encode_key("\n" * 100, marker=False)
    assert re.fullmatch(r"(%0A)+%~[0-9a-f]{16}", path)


@given(KEYS, KEYS, st.booleans(), st.booleans())
@example("a/", "a/", True, False)
@example("a/%2F", "a/", False, False)
@example("%2%2E", "%2.", False, False)
@example("a/%25", "a/%", False, False)
def test_two_keys_never_have_one_path(one: str, two: str, first: bool, second: bool) -> None:
    paths = naming.encode_key(one, marker=first), naming.encode_key(two, marker=second)
    marks = first and one.endswith("/"), second and two.endswith("/")
    assert (paths[0] == paths[1]) == ((one, marks[0]) == (two, marks[1]))


@given(KEYS, st.booleans())
def test_a_path_stays_below_its_root_and_names_its_key(key: str, marker: bool) -> None:
    path = naming.encode_key(key, marker=marker)
    parts = path.removesuffix("/").split("/") if marker and key.endswith("/") else path.split("/")
    assert not {"", ".", ".."} & set(parts)
    assert naming.fold(parts[0]) != naming.RESERVED
    assert all(len(part.encode()) <= naming.LIMIT for part in parts)
    assert not re.search(r"[\x00-\x1f\x7f\\]", path)
    assert naming.decode_path(path) == (None if "%~" in path else key)


@given(KEYS | st.text(ANY, min_size=1))
@example("con/x")
@example("x/COM3")
@example("é" * 50)
@example("x" * 200)
@example(".s")
@example("a\n")
def test_a_plain_key_is_its_own_path_and_duckdb_agrees(key: str) -> None:
    if naming.is_plain(key):
        assert naming.encode_key(key, marker=False) == key
    if "\0" not in key:
        answer = duckdb.execute("SELECT regexp_full_match(?, ?)", [key, naming.PLAIN_PATTERN])
        assert answer.fetchone() == (naming.is_plain(key),)


@pytest.mark.parametrize("end", ["", ".", ".txt", ".tar.gz", " ", " .txt", "/b", "x", "1"])
@pytest.mark.parametrize("device", ["con", "PRN", "Aux", "nUl", "com0", "COM9", "lpt1", "LpT³"])
def test_a_device_name_is_never_plain(device: str, end: str) -> None:
    for key in (device + end, "a/" + device + end):
        same = naming.encode_key(key, marker=False) == key
        assert same == (end in ("x", "1"))
        assert same or not naming.is_plain(key)


@pytest.mark.parametrize(
    "key",
    ["photos/2024/IMG_0001.jpg", "a", "co/com/cone", ".gitignore", "data (1).csv", "Ünï/雪.png",
     "aux_data/null/printer/lptx", "x" * 190],
)  # fmt: skip
def test_ordinary_keys_are_plain(key: str) -> None:
    assert naming.is_plain(key)


@pytest.mark.parametrize(
    ("one", "two"),
    [("A/b", "a/B"), ("é", "e\u0301"), ("STRASSE", "straße"), ("a\u200db", "ab"), ("ſ", "S")],
)
def test_names_that_some_filesystem_takes_for_one_fold_alike(one: str, two: str) -> None:
    assert naming.fold(one) == naming.fold(two)


@given(st.text(ANY))
def test_folding_twice_changes_nothing(text: str) -> None:
    assert naming.fold(naming.fold(text)) == naming.fold(text)
