"""Whatever a file holds: a model or a clear error, soon, and never anything else.

Short here; ``make fuzz`` searches the same doors for as long as one likes.
"""

from __future__ import annotations

import copy
import gzip
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from s3plan.cli import main
from s3plan.model.steps import Download, Need, Step, Totals
from s3plan.plan.digest import step_id
from tests.fuzz.loaders import LOADERS, SEEDS

SECONDS = 10.0
"""What one input may take on a busy machine; the hostile ones below are up to 50 MB."""

LARGE = 50_000_000

# Values that are legal JSON and that no writer of ours would write.
NASTY: tuple[Any, ...] = (
    *(None, True, -1, 0, 2**31, 2**63 - 1, 2**63, 2**64, -(2**63) - 1, 10**30, 1e308, 5e-324),
    *("", "\0", "\n", "..", "/", "a" * 5000, "\x1b[2J", "\U0001f600", "9" * 5000),
    *([], {}, [[]], [None] * 1000, {"": {}}, {"type": "item"}),
)


def quick(loader: Callable[[bytes, Path], None], data: bytes, directory: Path) -> None:
    """Run a loader, which must come to its end in time."""
    began = time.monotonic()
    loader(data, directory)
    assert time.monotonic() - began < SECONDS


@st.composite
def damaged(draw: st.DrawFn, seed: bytes) -> bytes:
    """A good file after a few accidents: bytes changed, cut, doubled, moved or put in."""
    data = bytearray(seed)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(data)))
        to = min(len(data), at + draw(st.integers(0, 200)))
        match draw(st.sampled_from(["put", "cut", "double", "flip"])):
            case "put":
                data[at:at] = draw(st.binary(max_size=30))
            case "cut":
                del data[at:to]
            case "double":
                data[at:at] = data[at:to]
            case "flip" if at < len(data):
                data[at] ^= 1 << draw(st.integers(0, 7))
    return bytes(data)


@st.composite
def forged(draw: st.DrawFn, seed: bytes) -> bytes:
    """Good records with nasty values in some places, or records left out, doubled or moved."""
    records = [json.loads(line) for line in seed.splitlines()]
    for _ in range(draw(st.integers(1, 3))):
        place = records
        key: Any = draw(st.integers(0, len(records) - 1))
        while isinstance(place[key], dict | list) and place[key] and draw(st.integers(0, 4)):
            place = place[key]
            keys = sorted(place) if isinstance(place, dict) else range(len(place))
            key = draw(st.sampled_from(list(keys)))
        if draw(st.booleans()) or place is records:
            place[key] = copy.deepcopy(draw(st.sampled_from([*NASTY, *records])))
        else:
            del place[key]
    return b"".join(json.dumps(record).encode() + b"\n" for record in records)


@pytest.mark.parametrize("name", [name for name in LOADERS if "catalogue" not in name])
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_a_damaged_file(tmp_path: Path, name: str, data: st.DataObject) -> None:
    quick(LOADERS[name], data.draw(damaged(SEEDS[name])), tmp_path)


@pytest.mark.parametrize("name", ["sealed_plan", "framed_journal", "evidence"])
@settings(
    max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_a_forged_file(tmp_path: Path, name: str, data: st.DataObject) -> None:
    quick(LOADERS[name], data.draw(forged(SEEDS[name])), tmp_path)


@pytest.mark.parametrize("name", ["catalogue", "framed_catalogue"])
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_a_damaged_or_forged_catalogue(tmp_path: Path, name: str, data: st.DataObject) -> None:
    make = forged if name.startswith("framed") else damaged
    quick(LOADERS[name], data.draw(make(SEEDS[name])), tmp_path)


def _anchors(levels: int) -> bytes:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, levels)]
    return "\n".join(lines).encode()


MANIFESTS = {
    "alias bomb": (_anchors(30), "aliases expand to too much"),
    "alias to itself": (b"a: &a [*a]", "no complete anchor"),
    "duplicate keys": (b"kind: a\nkind: b", "is there twice"),
    "nothing but duplicates": (b"a: 1\n" * 2_000_000, "more than 100 problems"),
    "tabs": (b"spec:\n\tbuckets: 1", "a tab stands where YAML wants spaces"),
    "byte order mark": (b"\xef\xbb\xbfkind: a", "byte order mark"),
    "UTF-16": ("kind: a".encode("utf-16"), "UTF-16"),
    "UTF-16 without a mark": ("kind: a".encode("utf-16-le"), "UTF-16 or UTF-32"),
    "UTF-32": ("kind: a".encode("utf-32"), "UTF-16 or UTF-32"),
    "Latin-1": ("kind: é".encode("latin-1"), "not UTF-8"),
    "NUL": (b"kind: a\0b", "character that YAML does not allow"),
    "huge number": (b"kind: " + b"9" * 100_000, "apiVersion is missing"),
    "deep lists": (b"[" * 1_000_000, "nested more than 50 deep"),
    "deep mappings": (b"{a: " * 1_000_000, "nested more than 50 deep"),
    "deep blocks": (b"".join(b" " * n + b"a:\n" for n in range(2000)), "nested more than 50"),
    "50 MB of text": (b"x" * LARGE, "at most 10485760 bytes"),
    "10 MB of values": (b"[" + b"a," * 5_200_000, "holds too much"),
    "10 MB of tags": (b"- !x a\n" * 1_400_000, "a manifest has no tags"),
    "10 MB of documents": (b"--- a\n" * 1_700_000, "at most 10000 documents"),
    "10 MB of variables": (b"- ${A}\n" * 1_400_000, "holds too much"),
    "one endless name": (b"a: ${" + b"A" * 9_000_000 + b"}", "more characters)"),
    "one endless line": (b"a" * 10_000_000 + b": 1", "mapping values are not allowed"),
    "1 MB of variables": (b"- ${A}\n" * 140_000, "more than 100 problems"),
    "a key that is a list": (b"? [a, b]\n: c", "a field's name is not a text"),
    "a key that is a mapping": (b"? {a: b}\n: c", "a field's name is not a text"),
    "a timestamp tag": (b"a: !!timestamp 2026-01-01", "a manifest has no tags"),
    "binary": (b"a: !!binary aGVsbG8=", "a manifest has no tags"),
    "an object of Python": (b"a: !!python/object/apply:os.system [id]", "a manifest has no tags"),
    "merge keys": (b"a: &a {b: 1}\nc: {<<: *a}", "merge keys are not part"),
    "a lone surrogate": (b'a: "\\ud800"', "invalid Unicode"),
    "a directive": (b"%TAG ! tag:x,2000:\n---\na: !b c", "a manifest has no tags"),
}


@pytest.mark.parametrize("name", MANIFESTS)
def test_a_hostile_manifest_is_refused_in_time_and_words(
    tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    data, told = MANIFESTS[name]
    path = tmp_path / "manifest.yaml"
    path.write_bytes(data)
    began = time.monotonic()
    assert main(["validate", str(path)]) == 1
    assert time.monotonic() - began < SECONDS
    path.unlink()  # large, and nothing for the watch over secrets
    shown = capsys.readouterr()
    assert told in shown.err
    assert "manifest.yaml" in shown.err
    assert "Traceback" not in shown.err
    assert len(shown.err) < 200_000


_FIELDS = """\
apiVersion: s3plan/v1
kind: Connection
metadata: {{name: default}}
spec: {{limits: {{{limits}}}}}
---
apiVersion: s3plan/v1
kind: BucketEvacuation
metadata: {{name: e}}
spec: {{buckets: {{include: [b]}}, destination: {{path: {path}}}, select: {{{select}}}}}
"""


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("limits", 'bandwidth: "5MB\\n"'),
        ("limits", f'memory: "{"9" * 5000}MB"'),
        ("limits", f'bandwidth: "{"9" * 18}TB"'),
        ("limits", 'objectTimeout: "5m\\n"'),
        ("limits", f'objectTimeout: "{"9" * 18}w"'),
        ("limits", "objectTimeout: 1e999"),
        ("limits", "requests: 1e999"),
        ("select", 'olderThan: "0001-01-01T00:00:00+23:59"'),
        ("select", 'newerThan: "9999-12-31T23:59:59-23:59"'),
        ("select", 'olderThan: "30d\\n"'),
        ("select", f'olderThan: "{"9" * 19}w"'),
        ("path", '"a\\0b"'),
    ],
)
def test_a_value_that_means_nothing_is_refused_at_its_place(
    tmp_path: Path, place: str, value: str, capsys: pytest.CaptureFixture[str]
) -> None:
    fields = {"limits": "", "select": "", "path": "./here"} | {place: value}
    path = tmp_path / "manifest.yaml"
    path.write_text(_FIELDS.format(**fields))
    assert main(["validate", str(path)]) == 1
    shown = capsys.readouterr().err
    assert "is not right" in shown
    line = 4 if place == "limits" else 9
    assert f"manifest.yaml:{line}:" in shown
    assert "error[internal]" not in shown


_LINE = SEEDS["plan"].splitlines()[0]

PLANS = {
    "nothing": b"",
    "a newline": b"\n",
    "50 MB without a line": b"{" * LARGE,
    "50 MB of lines": b"\n" * LARGE,
    "50 MB of headers": (_LINE + b"\n") * (LARGE // len(_LINE)),
    "deep nesting": _LINE[:-1] + b',"x":' + b"[" * 1_000_000 + b"]" * 1_000_000 + b"}\n",
    "a number without end": _LINE[:-1] + b',"x":' + b"9" * 10_000_000 + b"}\n",
    "UTF-16": SEEDS["plan"].decode().encode("utf-16"),
    "a byte order mark": b"\xef\xbb\xbf" + SEEDS["plan"],
    "carriage returns": SEEDS["plan"].replace(b"\n", b"\r\n"),
    "a lone surrogate": SEEDS["plan"].replace(b"nul", b"\\ud800"),
    "not UTF-8": SEEDS["plan"].replace(b"nul", b"\xff\xfe"),
}


@pytest.mark.parametrize("name", PLANS)
def test_a_hostile_plan_is_refused_in_time(
    tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "plan.json"
    path.write_bytes(PLANS[name])
    began = time.monotonic()
    assert main(["show", str(path)]) == 1
    assert time.monotonic() - began < SECONDS
    path.unlink()  # large, and nothing for the watch over secrets
    assert "error[plan-file]" in capsys.readouterr().err


def test_a_plan_of_very_many_steps_is_read_in_time(tmp_path: Path) -> None:
    """What is checked of a step must not grow with the steps before it."""
    path = tmp_path / "plan.json"
    header, *_, end = SEEDS["plan"].splitlines()
    action = Download("/srv/archive")
    lines = [header]
    before: tuple[Need, ...] = ()
    for number in range(30_000):
        bucket = f"b{number}"
        made = step_id(action, bucket)
        step = Step(made, action, bucket, before, None, "free", "", "", Totals())
        lines.append(msgspec.json.encode(step))
        before = (Need(made),)
    path.write_bytes(b"\n".join([*lines, end, b""]))
    began = time.monotonic()
    assert main(["show", str(path)]) == 1, "its end record is of the plan it was made from"
    assert time.monotonic() - began < SECONDS


@pytest.mark.parametrize("suffix", [".zst", ".gz"])
def test_a_compression_bomb_is_refused_in_time(tmp_path: Path, suffix: str) -> None:
    text = b"\0" * (10 * LARGE)
    packed = zstandard.compress(text) if suffix == ".zst" else gzip.compress(text, 1)
    assert len(packed) < LARGE // 10
    path = tmp_path / f"plan.json{suffix}"
    path.write_bytes(packed)
    began = time.monotonic()
    assert main(["show", str(path)]) == 1
    assert time.monotonic() - began < SECONDS
    path.unlink()  # large, and nothing for the watch over secrets
