"""Keys whose paths cannot stand side by side: which of them keeps its name, and what the rest get.

Two paths collide where one filesystem or another would take a component of theirs for the same
name (:func:`s3plan.rules.naming.fold`), or where one is a file and the other needs a directory:
``a`` beside ``a/b``, ``Photos/x`` beside ``photos/y``.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from s3plan.rules.naming import HASH_MARK, fold


class _Place(NamedTuple):
    """A key up to the end of one of its components, and whether a directory must stand there."""

    prefix: str
    is_directory: bool


class _Pending(NamedTuple):
    """A key on its way down the tree: its remaining components as names and as places."""

    key: str
    names: tuple[str, ...]
    places: tuple[_Place, ...]


def resolve_collisions(
    pairs: Iterable[tuple[str, str]], taken: Mapping[str, str]
) -> dict[str, str]:
    """A path for each key of ``pairs`` such that no two of them, and none of ``taken``, collide.

    ``pairs`` holds (key, path as :func:`~s3plan.rules.naming.encode_key` gave it, with or without
    the bucket's directory before it). Where two directories collide, every key below either must
    be among the pairs: they move together. ``taken`` maps paths that exist to their keys; they
    never change, and a key that has one keeps it.

    What exists keeps its name, then directories before files, then the smallest key in UTF-8
    order; all others get ``%~`` and 8 hex digits of the SHA-256 of their key up to that component
    on that component. The answer does not depend on the order of the input.
    """
    occupied, known = _what_exists(taken)
    existing = {key: path for path, key in taken.items()}
    resolved: dict[str, str] = {}
    level: dict[str, list[_Pending]] = defaultdict(list)
    for key, path in pairs:
        if key in existing:
            resolved[key] = existing[key]
        else:
            root, pending = _split(key, path)
            level[root].append(pending)
    while level:
        deeper: dict[str, list[_Pending]] = defaultdict(list)
        for parent, entries in level.items():
            names = _name_all(entries, parent, occupied, known)
            for key, rest, places in entries:
                path = parent + names[places[0]] + ("/" if places[0].is_directory else "")
                if len(rest) > 1:
                    deeper[path].append(_Pending(key, rest[1:], places[1:]))
                else:
                    resolved[key] = path
        level = deeper
    return resolved


def _split(key: str, path: str) -> tuple[str, _Pending]:
    """The directory above the key's own components, and these, one for one with the key's."""
    is_directory = path.endswith("/")
    names = path.removesuffix("/").split("/")
    parts = (key.removesuffix("/") if is_directory else key).split("/")
    above = len(names) - len(parts)
    places = tuple(
        _Place("/".join(parts[:depth]), is_directory or depth < len(parts))
        for depth in range(1, len(parts) + 1)
    )
    root = "".join(name + "/" for name in names[:above])
    return root, _Pending(key, tuple(names[above:]), places)


def _what_exists(
    taken: Mapping[str, str],
) -> tuple[set[tuple[str, str]], dict[tuple[str, _Place], str]]:
    """Per directory: the folded names in use, and the name that a place of a key has there."""
    occupied: set[tuple[str, str]] = set()
    known: dict[tuple[str, _Place], str] = {}
    for path, key in sorted(taken.items()):
        parent, (_, names, places) = _split(key, path)
        for name, place in zip(names, places, strict=True):
            occupied.add((parent, fold(name)))
            known.setdefault((parent, place), name)
            parent += name + "/"
    return occupied, known


def _name_all(
    entries: Iterable[_Pending],
    parent: str,
    occupied: set[tuple[str, str]],
    known: Mapping[tuple[str, _Place], str],
) -> dict[_Place, str]:
    """The final name of each place in the directory ``parent``."""
    wanted = {places[0]: names[0] for _, names, places in entries}
    names: dict[_Place, str] = {}
    rivals: dict[str, list[_Place]] = defaultdict(list)
    for place, name in wanted.items():
        if (parent, place) in known:
            names[place] = known[parent, place]
        else:
            rivals[fold(name)].append(place)
    for folded, group in rivals.items():
        group.sort(key=lambda place: (not place.is_directory, place.prefix.encode()))
        free = (parent, folded) not in occupied
        for rank, place in enumerate(group):
            keeps = free and rank == 0
            names[place] = wanted[place] + ("" if keeps else _suffix(place))
    return names


def _suffix(place: _Place) -> str:
    # With the slash of a directory: a file and a directory of one name may both have to give way.
    key = place.prefix + "/" if place.is_directory else place.prefix
    return HASH_MARK + hashlib.sha256(key.encode()).hexdigest()[:8]
