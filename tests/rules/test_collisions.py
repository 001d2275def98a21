"""Of keys whose paths collide one keeps its name, and the rest get names of their own."""

from __future__ import annotations

import hashlib
import random

from hypothesis import given
from hypothesis import strategies as st

from s3plan.rules.collisions import resolve_collisions
from s3plan.rules.naming import encode_key, fold


def suffix(prefix: str) -> str:
    return "%~" + hashlib.sha256(prefix.encode()).hexdigest()[:8]


def resolve(*keys: str, taken: dict[str, str] | None = None, root: str = "") -> dict[str, str]:
    pairs = [(key, root + encode_key(key, marker=True)) for key in keys]
    return resolve_collisions(pairs, taken or {})


def test_a_file_gives_way_to_a_directory() -> None:
    assert resolve("a", "a/b", "a/") == {"a": "a" + suffix("a"), "a/b": "a/b", "a/": "a/"}


def test_of_case_twins_the_first_in_utf8_order_keeps_its_name() -> None:
    assert resolve("b", "B") == {"B": "B", "b": "b" + suffix("b")}


def test_normalisation_twins_are_told_apart() -> None:
    composed, decomposed = "caf\u00e9", "cafe\u0301"
    assert resolve(composed, decomposed) == {
        decomposed: decomposed,
        composed: composed + suffix(composed),
    }


def test_directories_move_with_everything_below_them() -> None:
    assert resolve("A/x", "a/y", "a/z/", root="bucket/") == {
        "A/x": "bucket/A/x",
        "a/y": "bucket/a" + suffix("a/") + "/y",
        "a/z/": "bucket/a" + suffix("a/") + "/z/",
    }


def test_collisions_are_settled_at_every_level() -> None:
    resolved = resolve("a/b", "A/B", "a/B/c")
    assert resolved["A/B"] == "A/B"
    assert resolved["a/b"] == f"a{suffix('a/')}/b{suffix('a/b')}"
    assert resolved["a/B/c"] == f"a{suffix('a/')}/B/c"


def test_a_key_that_ends_in_a_slash_and_has_bytes_stands_beside_the_directory() -> None:
    pairs = [("a/", "a/%2F"), ("a/b", "a/b"), ("//", "%2F/%2F/%2F")]
    assert resolve_collisions(pairs, {}) == dict(pairs)


def test_what_exists_keeps_its_name_even_where_another_would_come_first() -> None:
    assert resolve("B", taken={"b": "b"}) == {"B": "B" + suffix("B")}
    assert resolve("a/b", taken={"a": "a"}) == {"a/b": f"a{suffix('a/')}/b"}
    assert resolve("a", taken={"a/b": "a/b"}) == {"a": "a" + suffix("a")}


def test_new_keys_join_the_directory_that_their_neighbours_have() -> None:
    moved = f"a{suffix('a/')}/y"
    assert resolve("a/z", "A/x", taken={moved: "a/y", "A/w": "A/w"}) == {
        "a/z": f"a{suffix('a/')}/z",
        "A/x": "A/x",
    }


def test_a_key_that_has_a_path_keeps_it() -> None:
    assert resolve("a", "A", taken={"other": "a"})["a"] == "other"


@given(
    st.lists(st.text("aAbBé/e\u0301.", min_size=1, max_size=6), unique=True, max_size=12),
    st.randoms(use_true_random=False),
)
def test_no_two_paths_collide_whatever_the_order(keys: list[str], order: random.Random) -> None:
    resolved = resolve(*keys)
    again = list(keys)
    order.shuffle(again)
    assert resolve(*again) == resolved
    assert set(resolved) == set(keys)

    files: set[str] = set()
    directories: dict[str, str] = {}
    for path in resolved.values():
        parts = path.split("/")
        for depth in range(1, len(parts)):
            directory = "/".join(parts[:depth])
            assert directories.setdefault(fold(directory), directory) == directory
        if not path.endswith("/"):
            assert fold(path) not in files
            files.add(fold(path))
    assert not files & set(directories)


@given(st.lists(st.text("aAb/", min_size=1, max_size=5), unique=True, min_size=1, max_size=10))
def test_what_was_resolved_before_stays_when_more_keys_come(keys: list[str]) -> None:
    half = len(keys) // 2
    first = resolve(*keys[:half])
    taken = {path: key for key, path in first.items()}
    second = resolve(*keys, taken=taken)
    assert {key: second[key] for key in first} == first
    folded = [fold(path.rstrip("/")) for path in second.values() if not path.endswith("/")]
    assert len(set(folded)) == len(folded)
