"""YAML files into documents that know the line and column of every value; says all that is wrong.

The parser's events are composed here, not by PyYAML: that keeps places, refuses duplicate keys,
tags and alias bombs, and does not overrun the stack on deep nesting. Plain scalars follow the core
schema of YAML 1.2, so ``no`` is text and ``012345678901`` keeps its zero.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Any

import yaml

from s3plan.errors import ManifestError, ProblemsError
from s3plan.kinds.places import Document, Path, Place, Plain
from s3plan.kinds.variables import Variables

LARGEST_FILE = 10 * 1024 * 1024
DEEPEST_NESTING = 50
MOST_VALUES = 200_000
"""Values of one file, and of one document after aliases are expanded."""

MOST_DOCUMENTS = 10_000
"""Documents of one file."""

MOST_PROBLEMS = 100
"""Problems of one file that are told; nobody corrects more at a time."""

# libyaml's parser where PyYAML was built with it: the same events, ten times as fast.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,18})")
_FLOAT = re.compile(
    r"[-+]?(?:\.[0-9]+|(?:0|[1-9][0-9]*)\.[0-9]*|[1-9][0-9]*(?=[eE]))(?:[eE][-+]?[0-9]{1,3})?"
)
_CONSTANTS: Mapping[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}


@dataclass(frozen=True, slots=True)
class Source:
    """One file: its documents, its problems, and the SHA-256 of its bytes in hex."""

    documents: tuple[Document, ...]
    problems: tuple[ManifestError, ...]
    sha256: str


def read_source(path: FilePath, variables: Variables) -> Source:
    """Every document of a file. What is wrong stands under ``problems``; nothing is raised."""
    try:
        with path.open("rb") as stream:
            data = stream.read(LARGEST_FILE + 1)
    except OSError as error:
        problem = ManifestError(
            "the manifest cannot be read",
            address=str(path),
            found=error.strerror,
            next_step="check the name, or write one with s3plan init",
        )
        return Source((), (problem,), "")
    sha256 = hashlib.sha256(data).hexdigest()
    composer = _Composer(str(path), variables)
    try:
        documents = tuple(composer.documents(_decoded(data, path)))
    except ManifestError as error:
        return Source((), (*composer.problems, error), sha256)
    return Source(documents, tuple(composer.problems), sha256)


def read_variables(path: FilePath) -> dict[str, str]:
    """The variables of a ``--var-file``: one YAML mapping of names to values. ProblemsError."""
    source = read_source(path, Variables({}, {}))
    problems = list(source.problems)
    values: dict[str, str] = {}
    for document in source.documents:
        if not isinstance(document.value, dict):
            problems.append(
                ManifestError(
                    "a variable file is one mapping of names to values", address=str(document.place)
                )
            )
            continue
        for name, value in document.value.items():
            if isinstance(value, dict | tuple) or value is None:
                problems.append(
                    ManifestError(
                        f"the variable {name} is not a text or a number",
                        address=str(document.place_of((name,))),
                    )
                )
            else:
                # As the file spells it: 012 stays 012.
                values[name] = document.written[name,]
    if problems:
        raise ProblemsError("the variable file is not right", problems)
    return values


def _decoded(data: bytes, path: FilePath) -> str:
    found = None
    if len(data) > LARGEST_FILE:
        found = f"more than {LARGEST_FILE} bytes"
    elif data.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\x00" in data[:4]:
        found = "UTF-16 or UTF-32"
    elif data.startswith(b"\xef\xbb\xbf"):
        found = "a byte order mark before the text"
    if found is None:
        try:
            return data.decode()
        except UnicodeDecodeError as error:
            line = data.count(b"\n", 0, error.start) + 1
            column = len(data[data.rfind(b"\n", 0, error.start) + 1 : error.start]) + 1
            raise ManifestError(
                "the manifest is not UTF-8",
                address=str(Place(str(path), line, column)),
                found=f"byte 0x{data[error.start]:02x}",
                next_step="save it as UTF-8",
            ) from error
    raise ManifestError(
        "the manifest cannot be read",
        address=str(Place(str(path), 1, 1)),
        expected=f"UTF-8 text without a byte order mark, at most {LARGEST_FILE} bytes",
        found=found,
        next_step="save it as UTF-8 without a byte order mark",
    )


def _check_count(problems: list[ManifestError], place: Place) -> None:
    if len(problems) >= MOST_PROBLEMS:
        raise ManifestError(
            f"there are more than {MOST_PROBLEMS} problems in this file",
            address=str(place),
            next_step="correct those above, then look again",
        )


@dataclass(frozen=True, slots=True)
class _Scalar:
    place: Place
    text: str
    plain: bool


@dataclass(frozen=True, slots=True)
class _Sequence:
    place: Place
    entries: list[_Node]


@dataclass(frozen=True, slots=True)
class _Mapping:
    place: Place
    entries: list[tuple[_Scalar, _Node]]


_Node = _Scalar | _Sequence | _Mapping


class _Composer:
    """The documents of one file; ``problems`` are those after which reading could go on."""

    def __init__(self, file: str, variables: Variables) -> None:
        self.problems: list[ManifestError] = []
        self._file = file
        self._variables = variables
        self._anchors: dict[str, _Node] = {}
        self._values = 0
        self._documents = 0

    def documents(self, text: str) -> Iterator[Document]:
        try:
            events = yaml.parse(text, Loader=_LOADER)
            for event in events:
                if isinstance(event, yaml.DocumentStartEvent):
                    self._anchors.clear()
                    self._documents += 1
                    if self._documents > MOST_DOCUMENTS:
                        raise ManifestError(
                            "the file holds too much",
                            address=str(self._place(event.start_mark)),
                            expected=f"at most {MOST_DOCUMENTS} documents",
                            next_step="put them into several files",
                        )
                    node = self._node(next(events), events, 0)
                    document = _Expansion(self._variables, self.problems).document(node)
                    if document.value is not None:
                        yield document
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            problem = error.problem or "the text is not YAML"
            hint = "fix the text there"
            # The slice: an error at the very end is on a line of its own.
            if mark and any(
                line[mark.column :].startswith("\t")
                for line in text.split("\n")[mark.line : mark.line + 1]
            ):
                problem, hint = "a tab stands where YAML wants spaces", "indent with spaces"
            raise ManifestError(
                problem,
                address=str(self._place(mark)) if mark else self._file,
                expected="YAML",
                found=error.context,
                next_step=hint,
            ) from error
        except yaml.YAMLError as error:
            raise ManifestError(
                "the manifest holds a character that YAML does not allow",
                address=self._file,
                found=str(error).splitlines()[0],
                next_step="remove it, or write it as an escape in double quotes",
            ) from error

    def _node(self, event: Any, events: Iterator[yaml.Event], depth: int) -> _Node:
        place = self._place(event.start_mark)
        if depth > DEEPEST_NESTING:
            raise ManifestError(
                f"values are nested more than {DEEPEST_NESTING} deep", address=str(place)
            )
        self._values += 1
        if self._values > MOST_VALUES:
            raise ManifestError(
                "the file holds too much",
                address=str(place),
                expected=f"at most {MOST_VALUES} values",
                next_step="plan fewer buckets at a time; a glob names many of them at once",
            )
        _check_count(self.problems, place)
        if isinstance(event, yaml.AliasEvent):
            if event.anchor not in self._anchors:
                raise ManifestError(
                    f"the alias *{event.anchor} has no complete anchor before it",
                    address=str(place),
                )
            return self._anchors[event.anchor]
        if event.tag not in {None, "!"}:
            self.problems.append(
                ManifestError(
                    "a manifest has no tags",
                    address=str(place),
                    found=event.tag,
                    next_step="remove the tag; put text that looks like something else in quotes",
                )
            )
        node: _Node
        if isinstance(event, yaml.ScalarEvent):
            node = _Scalar(place, event.value, not event.style and event.tag is None)
        elif isinstance(event, yaml.SequenceStartEvent):
            node = _Sequence(place, [])
            while not isinstance(inner := next(events), yaml.SequenceEndEvent):
                node.entries.append(self._node(inner, events, depth + 1))
        else:
            node = self._mapping(place, events, depth)
        if event.anchor:
            self._anchors[event.anchor] = node
        return node

    def _mapping(self, place: Place, events: Iterator[yaml.Event], depth: int) -> _Mapping:
        node = _Mapping(place, [])
        seen: dict[str, Place] = {}
        while not isinstance(inner := next(events), yaml.MappingEndEvent):
            key = self._node(inner, events, depth + 1)
            value = self._node(next(events), events, depth + 1)
            if not isinstance(key, _Scalar):
                self.problems.append(
                    ManifestError("a field's name is not a text", address=str(key.place))
                )
            elif key.text == "<<" and key.plain:
                self.problems.append(
                    ManifestError(
                        "merge keys are not part of YAML 1.2",
                        address=str(key.place),
                        next_step="write the fields out",
                    )
                )
            elif key.text in seen:
                self.problems.append(
                    ManifestError(
                        f"the field {key.text} is there twice",
                        address=str(key.place),
                        found=f"the first at {seen[key.text]}",
                        next_step="remove one of them",
                    )
                )
            else:
                seen[key.text] = key.place
                node.entries.append((key, value))
        return node

    def _place(self, mark: Any) -> Place:
        # Any: libyaml and the parser in Python have classes of their own for the same thing.
        return Place(self._file, mark.line + 1, mark.column + 1)


class _Expansion:
    """One document's nodes as plain values: aliases expanded, variables replaced."""

    def __init__(self, variables: Variables, problems: list[ManifestError]) -> None:
        self._variables = variables
        self._problems = problems
        self._places: dict[Path, Place] = {}
        self._written: dict[Path, str] = {}

    def document(self, node: _Node) -> Document:
        return Document(self._value(node, ()), node.place, self._places, self._written)

    def _value(self, node: _Node, path: Path) -> Plain:
        if len(path) > DEEPEST_NESTING or len(self._places) > MOST_VALUES:
            raise ManifestError(
                "aliases expand to too much",
                address=str(node.place),
                expected=f"at most {MOST_VALUES} values, nested at most {DEEPEST_NESTING} deep",
                next_step="write the values out",
            )
        _check_count(self._problems, node.place)
        # An entry of a mapping already has the place of its key.
        self._places.setdefault(path, node.place)
        match node:
            case _Scalar():
                return self._scalar(node, path)
            case _Sequence():
                return tuple(
                    self._value(entry, (*path, index)) for index, entry in enumerate(node.entries)
                )
            case _Mapping():
                value: dict[str, Plain] = {}
                for key, entry in node.entries:
                    self._places[(*path, key.text)] = key.place
                    value[key.text] = self._value(entry, (*path, key.text))
                return value

    def _scalar(self, node: _Scalar, path: Path) -> Plain:
        self._written[path] = node.text
        text = node.text
        if "${" in text:
            try:
                text = self._variables.substituted(text, node.place)
            except ManifestError as error:
                self._problems.append(error)
        return resolved(text) if node.plain else text


def resolved(text: str) -> bool | int | float | str | None:
    """What an unquoted scalar means in YAML 1.2's core schema (section 10.3.2)."""
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(text)
    return text
