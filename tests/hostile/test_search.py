"""Hypothesis looks for more: any set of keys gets files of its own, inside, and keeps them."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from s3plan.localfs.tree import Tree
from s3plan.rules.collisions import resolve_collisions
from s3plan.rules.naming import encode_key, fold
from tests.hostile.keys import KEYS

_PARTS = st.one_of(
    st.sampled_from(
        sorted({part for key in KEYS for part in key.split("/") if len(part.encode()) < 300})
    ),
    st.text(st.sampled_from("aA.%/\\ ~2eEé\u0301\u200b\u202e\x00\x1b\n\r:*?"), max_size=6),
    st.text(max_size=8),
)
_KEYS = (
    st.lists(_PARTS, min_size=1, max_size=4)
    .map("/".join)
    .filter(lambda key: 0 < len(key.encode("utf-8", "replace")) <= 1024)
    .filter(lambda key: not any(0xD800 <= ord(letter) < 0xE000 for letter in key))
)


def _paths(keys: set[str], taken: Mapping[str, str]) -> dict[str, str]:
    pairs = [(key, "bucket/" + encode_key(key, marker=_is_marker(key))) for key in sorted(keys)]
    return resolve_collisions(pairs, taken)


def _is_marker(key: str) -> bool:
    return key.endswith("/") and len(key) % 2 == 0


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sets(_KEYS, min_size=1, max_size=12), st.sets(_KEYS, max_size=6))
@example(set(KEYS), {"A", "DIR", "caf\u0065\u0301/x"})
def test_every_key_has_a_file_of_its_own_inside(first: set[str], later: set[str]) -> None:
    with tempfile.TemporaryDirectory() as name:
        root = Path(name) / "root"
        with Tree.open(root, create=True) as tree:
            paths = _paths(first, {})
            _write(tree, paths)
            more = _paths(later - first, {path: key for key, path in paths.items()})
            assert paths == _paths(first, {}), "decided by the keys alone"
            _write(tree, more)
            paths |= more
            # Windows and macOS take names for the same that this file system keeps apart.
            files = [path for path in paths.values() if not path.endswith("/")]
            assert len({fold(path) for path in files}) == len(files)
            for key, path in paths.items():
                if path.endswith("/"):
                    assert tree.is_marker(path), key
                    continue
                with tree.open_read(path, drop_cache=False) as file:
                    assert b"".join(bytes(chunk) for chunk in file.chunks()) == key.encode(), key
        assert [entry.name for entry in Path(name).iterdir()] == ["root"], "nothing left the root"


def _write(tree: Tree, paths: Mapping[str, str]) -> None:
    for key, path in paths.items():
        if path.endswith("/"):
            tree.make_marker(path)
        else:
            tree.write_new(path, key.encode(), 0)
