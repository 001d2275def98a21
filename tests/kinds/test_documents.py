"""YAML files: exact values with their places, and every problem named where it is."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3plan.errors import ProblemsError
from s3plan.kinds.documents import LARGEST_FILE, Source, read_source, read_variables
from s3plan.kinds.variables import Variables


def source(tmp_path: Path, text: str | bytes, **environ: str) -> Source:
    path = tmp_path / "m.yaml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return read_source(path, Variables({}, environ))


def value(tmp_path: Path, text: str, **environ: str) -> object:
    read = source(tmp_path, text, **environ)
    assert read.problems == ()
    (document,) = read.documents
    return document.value


def problem(tmp_path: Path, text: str | bytes, **environ: str) -> str:
    (first, *_) = source(tmp_path, text, **environ).problems
    return str(first).removeprefix(str(tmp_path / "m.yaml") + ":")


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("true", True),
        ("yes", "yes"),
        ("no", "no"),
        ("null", None),
        ("~", None),
        ("12", 12),
        ("-3", -3),
        ("012345678901", "012345678901"),
        ("1.5", 1.5),
        ("1e3", 1000.0),
        ("1:30", "1:30"),
        ("0x10", "0x10"),
        ("2026-01-01", "2026-01-01"),
        ("'12'", "12"),
        ('"a\\tb"', "a\tb"),
        ("[a, b]", ("a", "b")),
        ("{a: {b: c}}", {"a": {"b": "c"}}),
        ("9" * 5000, "9" * 5000),
    ],
)
def test_scalars_mean_what_yaml_1_2_says(tmp_path: Path, text: str, meaning: object) -> None:
    assert value(tmp_path, f"x: {text}") == {"x": meaning}


def test_several_documents_and_comments(tmp_path: Path) -> None:
    read = source(tmp_path, "# one\na: 1\n---\n---\nb: 2\n...\n# end\n")
    assert [document.value for document in read.documents] == [{"a": 1}, {"b": 2}]
    assert [str(document.place).rsplit(":", 2)[1:] for document in read.documents] == [
        ["2", "1"],
        ["5", "1"],
    ]


def test_places_are_those_of_keys_and_entries(tmp_path: Path) -> None:
    (document,) = source(tmp_path, "a:\n  bü: [x,\n    y]\n").documents
    assert document.place_of(("a", "bü")).line == 2
    assert (document.place_of(("a", "bü", 1)).line, document.place_of(("a", "bü", 1)).column) == (
        3,
        5,
    )
    assert document.place_of(("a", "missing", "deeper")) == document.place_of(("a",))


def test_variables_in_values(tmp_path: Path) -> None:
    text = """
        whole: ${N}
        part: a/${WHO}/b
        fallback: ${NOTHING:-x y}
        empty: ${EMPTY:-e}
        escaped: $${WHO} $5
        quoted: "${N}"
        nested: ${NEST}
        shape: ${YAML}
    """
    environ = {"N": "5", "WHO": "me", "NEST": "${WHO}", "YAML": "[1, 2]", "EMPTY": ""}
    assert value(tmp_path, text, **environ) == {
        "whole": 5,
        "part": "a/me/b",
        "fallback": "x y",
        "empty": "e",
        "escaped": "${WHO} $5",
        "quoted": "5",
        "nested": "${WHO}",
        "shape": "[1, 2]",
    }


def test_options_come_before_the_environment(tmp_path: Path) -> None:
    path = tmp_path / "m.yaml"
    path.write_text("a: ${A}\nb: ${B}\n")
    read = read_source(path, Variables({"A": "option"}, {"A": "environment", "B": "environment"}))
    assert read.documents[0].value == {"a": "option", "b": "environment"}


def test_unknown_variables_are_named_with_their_place(tmp_path: Path) -> None:
    read = source(tmp_path, "a: ${ARCHIV}\nb:\n  - ${NOTHING}\n  - ${\n", ARCHIVE="secret")
    assert [str(problem.address).rsplit(":", 2)[1:] for problem in read.problems] == [
        ["1", "4"],
        ["3", "5"],
        ["4", "5"],
    ]
    assert read.problems[0].next_step == "did you mean ${ARCHIVE}?"
    assert "--var NOTHING=VALUE" in str(read.problems[1].next_step)
    assert not any("secret" in str(problem) for problem in read.problems)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: 1\nb: 2\na: 3\n", "3:1: the field a is there twice"),
        ("a: {x: 1, x: 2}", "1:11: the field x is there twice"),
        ("a:\n\tb: 1\n", "2:1: a tab stands where YAML wants spaces"),
        ("a: [1\n", "2:1: "),
        ("a: *x\n", "1:4: the alias *x has no complete anchor"),
        ("a: &x [*x]\n", "1:8: the alias *x has no complete anchor"),
        ("a: !!python/name:os.system x\n", "1:4: a manifest has no tags"),
        ("a: &x {b: 1}\nc: {<<: *x}\n", "2:5: merge keys"),
        ("[a]: 1\n", "1:1: a field's name is not a text"),
        (b"\xff\xfea\x00", "1:1: the manifest cannot be read"),
        ("a: 1".encode("utf-16-be"), "1:1: the manifest cannot be read"),
        (b"\xef\xbb\xbfa: 1", "1:1: the manifest cannot be read"),
        (b"a: 1\nb: x\xe9\n", "2:5: the manifest is not UTF-8"),
        (b"#" * (LARGEST_FILE + 1), "1:1: the manifest cannot be read"),
        ("[" * 100_000, "1:52: values are nested more than 50 deep"),
    ],
)
def test_what_cannot_be_read_is_said_with_its_place(
    tmp_path: Path, text: str | bytes, expected: str
) -> None:
    assert problem(tmp_path, text).startswith(expected)


def test_an_alias_bomb_is_refused(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    assert "aliases expand to too much" in problem(tmp_path, "\n".join(lines))


def test_aliases_of_reasonable_size_work(tmp_path: Path) -> None:
    assert value(tmp_path, "a: &x {b: [1]}\nc: *x\n") == {"a": {"b": (1,)}, "c": {"b": (1,)}}


def test_reading_goes_on_after_a_problem(tmp_path: Path) -> None:
    read = source(tmp_path, "a: 1\na: 2\n---\nb: ${X}\n---\nc: [\n")
    assert [str(problem.address).rsplit(":", 2)[1] for problem in read.problems] == ["2", "4", "7"]


def test_a_missing_file_is_a_problem(tmp_path: Path) -> None:
    (missing,) = read_source(tmp_path / "none.yaml", Variables({}, {})).problems
    assert missing.found == "No such file or directory"


def test_a_variable_file_keeps_text_as_written(tmp_path: Path) -> None:
    path = tmp_path / "local.yaml"
    path.write_text("account: 012345678901\nrate: 1.50\nflag: true\n")
    assert read_variables(path) == {"account": "012345678901", "rate": "1.50", "flag": "true"}
    path.write_text("a: [1]\nb:\n---\n- x\n")
    with pytest.raises(ProblemsError) as caught:
        read_variables(path)
    assert len(caught.value.problems) == 3


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_no_bytes_make_a_traceback(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_bytes(data)
    read = read_source(path, Variables({}, {}))
    assert all(problem.address for problem in read.problems)
