"""Limits: counted from the plan itself, in planning and in applying; none can be loosened."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from s3plan import api
from s3plan.errors import LimitError, ProblemsError
from s3plan.kinds.project import read_project
from s3plan.model.limits import Limits
from s3plan.model.plan import PlanHeader
from s3plan.model.steps import Totals
from s3plan.plan import PlanFile
from s3plan.plan.limits import broken_limits
from tests.engine.scene import OBJECTS_ONLY, WHOLE, Scene
from tests.kinds.planned import manifest, plan
from tests.review.inside import s3plan

SPEC = """
buckets: {include: [photos]}
destination: {path: /archive}
delete: afterVerification
deleteBucket: true
"""
GIB = 1024**3
AWS = {"endpoint": "https://s3.us-east-1.amazonaws.com", "region": "us-east-1", "account": "1" * 12}


@pytest.fixture
def planned(tmp_path: Path) -> PlanFile:
    """Ten objects of 1 GiB, all deleted, and the bucket too."""
    objects = [{"key": f"raw/{n}.fits", "size": GIB} for n in range(9)]
    objects.append({"key": "notes.txt", "size": GIB})
    inventory = {"target": AWS, "buckets": {"photos": {"objects": objects}}}
    return plan(tmp_path, manifest(tmp_path, SPEC), inventory).file


def names(plan: PlanFile, **limits: Any) -> list[str]:
    broken = broken_limits(plan, Limits("s3plan.yaml", **limits))
    assert all("s3plan.yaml" in f"{each.address}{each.expected}" for each in broken)
    return [each.what.rsplit("(", 1)[1].rstrip(")") for each in broken]


@pytest.mark.parametrize(
    ("within", "beyond", "name"),
    [
        ({"max_deletes": 10}, {"max_deletes": 9}, "maxDeletes"),
        ({"max_delete_bytes": 10 * GIB}, {"max_delete_bytes": 10 * GIB - 1}, "maxDeleteBytes"),
        ({"max_cost": 5.0}, {"max_cost": 0.5}, "maxCost"),
        ({"protected": ("phot",)}, {"protected": ("ph*",)}, "protected"),
        ({"protected": ("other/raw/",)}, {"protected": ("photos/raw/",)}, "protected"),
        ({"accounts": ("1" * 12,)}, {"accounts": ("2" * 12, "3" * 12)}, "accounts"),
    ],
)
def test_each_limit_holds_exactly(
    planned: PlanFile, within: dict[str, Any], beyond: dict[str, Any], name: str
) -> None:
    assert names(planned, **within) == []
    assert set(names(planned, **beyond)) == {name}


@pytest.mark.parametrize(
    ("held", "most", "broken"),
    [
        (Totals(100), 10.0, False),
        (Totals(99), 10.0, True),
        (None, 99.0, True),
        (None, 100.0, False),
    ],
)
def test_a_share_is_of_everything_the_bucket_holds(
    planned: PlanFile, held: Totals | None, most: float, broken: bool
) -> None:
    """What a bucket holds besides the plan counts; where that is not known, it is nothing."""
    header = planned.header
    if held is not None:
        header = msgspec.structs.replace(header, held={"photos": held})
    found = PlanFile(
        planned.path, header, planned.steps, planned.digest, planned._sections, planned._stamp
    )
    assert names(found, max_delete_percent=most) == (["maxDeletePercent"] if broken else [])


def test_a_key_below_a_protected_prefix_is_named(planned: PlanFile) -> None:
    steps = tuple(step for step in planned.steps if step.verb != "delete-bucket")
    found = PlanFile(
        planned.path, planned.header, steps, planned.digest, planned._sections, planned._stamp
    )
    (problem,) = broken_limits(found, Limits("p", protected=("photos/raw/3",)))
    assert problem.found == "raw/3.fits"
    assert broken_limits(found, Limits("p", protected=("photos/rax",))) == []


def test_what_costs_nobody_knows_what_is_beyond_every_limit(tmp_path: Path) -> None:
    """Fail closed: A48."""
    inventory = {"buckets": {"photos": {"objects": [{"key": "a"}]}}}
    found = plan(tmp_path, manifest(tmp_path, SPEC), inventory).file
    assert names(found, max_cost=1e9) == ["maxCost"]


def test_limits_of_a_manifest_are_covered_by_the_digest(scene: Scene) -> None:
    scene.fill(2)
    scene.manifest(OBJECTS_ONLY)
    without = api.plan([Path("manifest.yaml")]).plan
    text = Path("manifest.yaml").read_text()
    Path("manifest.yaml").write_text(
        text.replace("metadata: {name: evacuation}\n", _limited("{maxDeletes: 2}"))
    )
    found = api.plan([Path("manifest.yaml")]).plan
    assert found is not None
    assert without is not None
    assert found.digest != without.digest
    (limits,) = found.header.own_limits
    assert (limits.source, limits.max_deletes) == ("BucketEvacuation evacuation", 2)

    lines = Path("plan.json").read_bytes().split(b"\n", 1)
    header = msgspec.json.decode(lines[0], type=PlanHeader)
    looser = msgspec.structs.replace(header, limits=(Limits("x", max_deletes=9),))
    Path("plan.json").write_bytes(msgspec.json.encode(looser) + b"\n" + lines[1])
    refused = s3plan("apply", "--approve")
    assert refused.code == 1
    assert "edited or damaged" in refused.err


def _limited(limits: str) -> str:
    return f"metadata: {{name: evacuation}}\nlimits: {limits}\n"


def test_a_plan_beyond_its_manifest_is_written_shown_and_never_applied(scene: Scene) -> None:
    scene.fill(3)
    scene.manifest(WHOLE)
    text = Path("manifest.yaml").read_text()
    Path("manifest.yaml").write_text(
        text.replace("metadata: {name: evacuation}\n", _limited("{maxDeletes: 2}"))
    )
    refused = s3plan("plan", "manifest.yaml")
    assert refused.code == 1
    assert "error[limit]: the plan deletes more than it may (maxDeletes)" in refused.err
    assert s3plan("show").code == 0, "it can be looked at"
    applied = s3plan("apply", "--approve")
    assert applied.code == 1
    assert "maxDeletes" in applied.err
    assert len(scene.keys()) == 3
    assert not Path(".s3plan").exists(), "no run began"


def test_the_project_file_holds_over_a_plan_made_before_it(scene: Scene) -> None:
    """Checked again in apply: a manifest cannot loosen it, nor an older plan."""
    scene.fill(3)
    scene.manifest(WHOLE)
    assert s3plan("plan", "manifest.yaml").code == 0
    _project("limits: {maxDeletePercent: 50, protected: ['*']}")
    refused = s3plan("apply", "--approve", "--json")
    assert refused.code == 1
    found = json.loads(refused.out.splitlines()[-1])
    assert {problem["code"] for problem in found["problems"]} == {"limit"}
    assert len(found["problems"]) == 3  # the share; objects and bucket of a protected bucket
    assert not Path(".s3plan").exists(), "no run began"
    assert not scene.here.exists(), "nothing was written"


def test_the_project_s_prices_and_limits_meet(scene: Scene) -> None:
    scene.fill(3)
    scene.manifest(WHOLE)
    Path("prices.yaml").write_text(
        "date: 2026-11-01\nsource: ours\nendpoints: [127.0.0.1]\n"
        "regions: {us-east-1: {egress: 1000000000, list: 0, classes: "
        "{STANDARD: {storage: 1, put: 1, get: 1}}}}\n"
    )
    _project("prices: prices.yaml\n  limits: {maxCost: 0.5}")
    refused = s3plan("plan", "manifest.yaml")
    assert refused.code == 1
    assert "the plan may cost more than it may (maxCost)" in refused.err
    shown = s3plan("cost")
    assert "egress" in shown.out


def _project(spec: str) -> None:
    Path("s3plan.yaml").write_text(f"apiVersion: s3plan/v1\nkind: Project\nspec:\n  {spec}\n")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a: 1",
        "apiVersion: s3plan/v1\nkind: Project\nspec: {limits: {maxDelete: 1}}",
        "apiVersion: s3plan/v1\nkind: Project\nspec: {limits: {protected: ['/a']}}",
        "apiVersion: s3plan/v1\nkind: Project\nspec: {limits: {maxDeletePercent: 101}}",
        "apiVersion: s3plan/v1\nkind: Project\nspec: {}\n---\na: 1",
    ],
)
def test_a_project_file_that_is_not_right_stops_everything(tmp_path: Path, text: str) -> None:
    """A limit that is misspelt must not be a limit that is not there."""
    (tmp_path / "s3plan.yaml").write_text(text)
    with pytest.raises(ProblemsError) as caught:
        read_project(tmp_path)
    assert "s3plan.yaml" in str(caught.value.problems[0].address)


def test_a_project_file_that_cannot_be_read_stops_everything(tmp_path: Path) -> None:
    (tmp_path / "s3plan.yaml").symlink_to("nowhere")
    with pytest.raises(ProblemsError):
        read_project(tmp_path)


def test_a_limit_is_an_error_of_its_own() -> None:
    assert (LimitError.code, LimitError.exit_code) == ("limit", 1)
