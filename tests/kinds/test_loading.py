"""Manifests: strict, in the words of the manifest, and everything that is wrong at once."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

import jsonschema
import pytest

from s3plan.errors import ProblemsError
from s3plan.kinds import json_schemas, load, scopes
from s3plan.kinds.documents import read_source
from s3plan.kinds.evacuation.manifest import EvacuationDocument, selection
from s3plan.kinds.loading import Loaded
from s3plan.kinds.quantities import parse_duration, parse_moment, parse_size
from s3plan.kinds.registry import FOLDERS
from s3plan.kinds.variables import Variables
from s3plan.model.connection import Connection, Limits
from s3plan.model.steps import Select

EXAMPLES = Path(__file__).parents[2] / "examples" / "plans"

EVACUATION = """
apiVersion: s3plan/v1
kind: BucketEvacuation
metadata: {name: NAME}
spec:
  buckets: {include: [b]}
  destination: {path: out}
"""
CONNECTION = """
apiVersion: s3plan/v1
kind: Connection
metadata: {name: NAME}
spec: {endpoint: "http://NAME.example"}
"""


def load_text(tmp_path: Path, *documents: str, **environ: str) -> Loaded:
    path = tmp_path / "m.yaml"
    path.write_text("---\n".join(documents))
    return load([path], variables={}, environ=environ)


def problems(tmp_path: Path, *documents: str, **environ: str) -> list[str]:
    with pytest.raises(ProblemsError) as caught:
        load_text(tmp_path, *documents, **environ)
    return [
        str(problem).removeprefix(str(tmp_path / "m.yaml") + ":")
        for problem in caught.value.problems
    ]


def named(document: str, name: str) -> str:
    return document.replace("NAME", name)


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.yaml")), ids=lambda path: path.name)
def test_every_example_loads_and_fits_its_schema(path: Path) -> None:
    loaded = load([path], variables={}, environ={})
    assert loaded.manifests
    schemas = json_schemas()
    for document in read_source(path, Variables({}, {})).documents:
        value = json.loads(json.dumps(document.value))
        jsonschema.validate(value, schemas[f"{value['kind'].lower()}.schema.json"])


def test_schemas_are_valid_and_refuse_what_models_refuse() -> None:
    schemas = json_schemas()
    others = {f"{name}.schema.json" for name in ("approvals", "connection", "manifest", "project")}
    assert set(schemas) == {f"{name.lower()}.schema.json" for name in FOLDERS} | others
    for name, schema in schemas.items():
        jsonschema.Draft202012Validator.check_schema(schema)
        assert schema["$schema"].endswith("2020-12/schema")
        assert set(schema["required"]) >= {"apiVersion", "kind"}
        if name not in others - {"connection.schema.json"}:
            assert set(schema["required"]) >= {"metadata", "spec"}
    minimal = {
        "apiVersion": "s3plan/v1",
        "kind": "BucketEvacuation",
        "metadata": {"name": "x"},
        "spec": {"buckets": {"include": ["b"]}, "destination": {"path": "out"}},
    }
    schema = schemas["bucketevacuation.schema.json"]
    jsonschema.validate(minimal, schema)
    for wrong in (minimal | {"extra": 1}, minimal | {"kind": "Other"}, minimal | {"spec": {}}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(wrong, schema)


def test_what_is_left_out_has_safe_defaults(tmp_path: Path) -> None:
    loaded = load_text(tmp_path, EVACUATION)
    (manifest,) = loaded.manifests
    assert isinstance(manifest.document, EvacuationDocument)
    spec = manifest.document.spec
    assert (spec.delete, spec.delete_bucket, spec.verify.inventory) == ("never", False, "exact")
    assert ".DS_Store" in spec.verify.ignore
    assert loaded.connection == Connection()
    (scope,) = scopes(loaded)
    assert scope.destination == str(tmp_path / "out")
    assert scope.root("b") == "b"
    (ref,) = loaded.refs
    assert (ref.kind, ref.name, len(ref.sha256)) == ("BucketEvacuation", "NAME", 64)


def test_a_connection_says_everything(tmp_path: Path) -> None:
    text = """
apiVersion: s3plan/v1
kind: Connection
metadata: {name: lab}
spec:
  endpoint: http://localhost:8333/
  region: x
  profile: p
  roleArn: arn:aws:iam::123456789012:role/r
  expectAccount: 123456789012
  addressing: path
  caBundle: ca.pem
  requesterPays: true
  limits: {connections: 4, requests: 10, bandwidth: 1MB, memory: 128MiB, objectTimeout: 2m}
"""
    assert load_text(tmp_path, text, EVACUATION).connection == Connection(
        name="lab",
        endpoint="http://localhost:8333",
        region="x",
        profile="p",
        role_arn="arn:aws:iam::123456789012:role/r",
        expect_account="123456789012",
        addressing="path",
        ca_bundle=str(tmp_path / "ca.pem"),
        requester_pays=True,
        limits=Limits(4, 10, 1_000_000, 128 * 1024 * 1024, 120),
    )


def test_the_connection_is_the_named_one_the_only_one_or_default(tmp_path: Path) -> None:
    one, two, default = (named(CONNECTION, name) for name in ("one", "two", "default"))
    asking = EVACUATION + "  connection: two\n"
    assert load_text(tmp_path, one, EVACUATION).connection.name == "one"
    assert load_text(tmp_path, one, two, asking).connection.name == "two"
    assert load_text(tmp_path, one, default, EVACUATION).connection.name == "default"
    assert "not clear which Connection" in problems(tmp_path, one, two, EVACUATION)[0]
    assert (
        "did you mean two?"
        in problems(tmp_path, named(CONNECTION, "twoo"), two, asking.replace("two", "tw0"))[0]
    )
    other = named(EVACUATION, "other") + "  connection: one\n"
    assert "a plan is for one connection" in problems(tmp_path, one, two, asking, other)[0]


def test_every_problem_is_told_at_once_with_its_place(tmp_path: Path) -> None:
    found = problems(
        tmp_path,
        """apiVersion: s3plan/v1
kind: BucketEvacuation
metadata: {name: 5}
spec:
  bucket: {include: [b]}
  destination: {path: out, layout: "{key}/x"}
  select: {minSize: 5 apples, olderThan: yesterday, keys: x}
  delete: sometimes
  deleteBucket: yes
""",
        "kind: BucketEvacuation\n",
        "apiVersion: s3plan/v1\nkind: BucketEvaquation\n",
        "- a list\n",
        EVACUATION + "  deleteBucket: true\n",
        named(EVACUATION, "third") + "  delete: afterVerification\n  deleteBucket: true\n"
        "  select: {prefix: a}\n",
    )
    starts = [
        "3:12: the field metadata.name is not right; expected a text; put it in quotes; found '5'",
        "4:1: the field spec.buckets is missing",
        "6:28: the layout does not end with {key}",
        "7:31: the field spec.select.olderThan is not right; expected a duration such as 30d",
        "7:12: the field spec.select.minSize is not right; expected a size is a number",
        "7:53: the field spec.select.keys is not right; expected a list; found 'x'",
        "8:3: the field spec.delete is not right; expected 'never' or 'afterVerification'",
        "9:3: the field spec.deleteBucket is not right; expected true or false; found 'yes'",
        "5:3: there is no field spec.bucket; expected one of buckets, destination,",
        "11:1: the field apiVersion is missing",
        "14:1: there is no such kind",
        "16:1: a document is a mapping",
        "22:1: deleteBucket: true needs delete: afterVerification",
        "31:1: deleteBucket: true is for whole buckets",
    ]
    for start in starts:
        assert any(text.startswith(start) for text in found), (start, found)
    assert len(found) == len(starts)
    assert any("did you mean buckets?" in text for text in found)
    assert any("did you mean BucketEvacuation?" in text for text in found)


def test_problems_do_not_tell_what_variables_hold(tmp_path: Path) -> None:
    text = EVACUATION + "  delete: ${SECRET}\n"
    (found,) = problems(tmp_path, text, SECRET="hunter2")
    assert "${SECRET}" in found
    assert "hunter2" not in found


def test_names_are_unique_and_something_is_there_to_plan(tmp_path: Path) -> None:
    assert "there are two documents" in problems(tmp_path, EVACUATION, EVACUATION)[0]
    assert "there is nothing to plan" in problems(tmp_path, CONNECTION)[0]
    with pytest.raises(ProblemsError, match="not right"):
        load([tmp_path / "missing.yaml"], variables={}, environ={})


@pytest.mark.parametrize(
    ("text", "size"),
    [("1", 1), (5, 5), ("1KB", 1000), ("1KiB", 1024), ("2 MiB", 2**21), ("3TB", 3 * 10**12)],
)
def test_sizes(text: str | int, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "-1", "1.5MB", "1mb", "1kB", "9999999TB", -1, 2**63])
def test_wrong_sizes(text: str | int) -> None:
    with pytest.raises(ValueError, match="size"):
        parse_size(text)


def test_durations() -> None:
    assert [parse_duration(text) for text in ("30s", "2m", "1h", "1d", "1w", 5)] == [
        30,
        120,
        3600,
        86400,
        604800,
        5,
    ]


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("30d", "2026-10-21T00:00:00.000Z"),
        ("1w", "2026-11-13T00:00:00.000Z"),
        ("12h", "2026-11-19T16:00:00.000Z"),
        ("90m", "2026-11-20T02:53:00.000Z"),
        ("11s", "2026-11-20T04:23:00.000Z"),
        ("2026-01-31", "2026-01-31T00:00:00.000Z"),
        ("2026-01-31T12:00:00+02:00", "2026-01-31T10:00:00.000Z"),
        ("2026-01-31T12:00:00.5Z", "2026-01-31T12:00:00.500Z"),
    ],
)
def test_moments(text: str, moment: str) -> None:
    assert parse_moment(text, datetime.fromisoformat("2026-11-20T04:23:11.25+00:00")) == moment


@pytest.mark.parametrize("text", ["soon", "2026-13-01", "2026-01-31T12:00:00", "9999999999w", "5"])
def test_wrong_moments(text: str) -> None:
    with pytest.raises(ValueError, match=r"duration|longer|year"):
        parse_moment(text, datetime.fromisoformat("2026-11-20T04:23:11+00:00"))


def test_selection_is_resolved_against_the_clock(tmp_path: Path) -> None:
    text = EVACUATION + "  select: {prefix: p/, keys: ['*.jpg'], olderThan: 30d, maxSize: 1MiB}\n"
    (manifest,) = load_text(tmp_path, text).manifests
    assert isinstance(manifest.document, EvacuationDocument)
    morning, evening = (
        datetime.fromisoformat(f"2026-11-20T{hour}:00:00+00:00") for hour in ("04", "22")
    )
    chosen = selection(manifest.document.spec, morning)
    assert chosen == Select("p/", ("*.jpg",), "2026-10-21T00:00:00.000Z", max_size=1024 * 1024)
    assert selection(manifest.document.spec, evening) == chosen
