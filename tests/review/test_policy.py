"""The example policy for Open Policy Agent and conftest, evaluated over plans that `show` wrote.

regopy is rego-cpp, an implementation of Rego of its own: what it finds is not OPA's word, but it is
that of an evaluator. It has a process of its own: its allocator and DuckDB's exceptions do not go
together (a query that raises aborts the process).
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.review.inside import s3plan

POLICY = Path(__file__).parents[2] / "examples" / "ci" / "policy" / "s3plan.rego"
EVALUATE = """
import json, sys
from regopy import Interpreter
policy, plan = json.load(sys.stdin)
interpreter = Interpreter()
interpreter.add_module("s3plan", policy)
interpreter.set_input(plan)
print(interpreter.query("data.main"))
"""
GOLDEN = Path(__file__).parents[1] / "golden"


@pytest.fixture
def plan() -> dict[str, Any]:
    """A plan that copies the bucket photos, deletes its objects and then the bucket itself."""
    shown = s3plan("show", str(GOLDEN / "fresh" / "plan.json"), "--json")
    document: dict[str, Any] = json.loads(shown.out)
    assert {step["action"]["verb"] for step in document["steps"]} >= {"delete", "delete-bucket"}
    return document


def said(plan: dict[str, Any], policy: str | None = None) -> dict[str, set[str]]:
    """What the policy denies and warns of."""
    asked = json.dumps([policy or POLICY.read_text(), plan])
    ran = subprocess.run(
        [sys.executable, "-c", EVALUATE], input=asked, capture_output=True, text=True, check=True
    )
    (found,) = json.loads(ran.stdout)["expressions"]
    return {name: set(found[name]) for name in ("deny", "warn")}


def of(plan: dict[str, Any], verb: str) -> dict[str, Any]:
    step: dict[str, Any]
    (step,) = (one for one in plan["steps"] if one["action"]["verb"] == verb)
    return step


def test_only_the_buckets_that_the_policy_names_are_deleted(plan: dict[str, Any]) -> None:
    bucket = of(plan, "delete-bucket")["subject"]
    assert said(plan)["deny"] == {f"the plan deletes the bucket {bucket}"}
    allowing = POLICY.read_text().replace('"old-photos"', json.dumps(bucket))
    assert said(plan, allowing)["deny"] == set()


def test_what_cannot_be_undone_is_denied(plan: dict[str, Any]) -> None:
    step = of(plan, "delete")
    step["reversibility"] = "never"
    assert f"delete of {step['subject']} cannot be undone" in said(plan)["deny"]


def test_a_plan_that_may_cost_too_much_is_denied(plan: dict[str, Any]) -> None:
    """Its upper bound counts; that nobody knows the cost is said as well."""
    unknown = "it is not known what the plan costs"
    assert unknown in said(plan)["warn"]
    plan["header"]["cost"] = {"total": {"once": {"low": 1.0, "high": 100.5}}}
    found = said(plan)
    assert "the plan may cost $100.5 once" in found["deny"]
    assert unknown not in found["warn"]


def test_a_deletion_without_a_gate_is_told(plan: dict[str, Any]) -> None:
    step = of(plan, "delete")
    assert not any("without a gate" in message for message in said(plan)["warn"])
    step["gate"] = None
    assert f"{step['id']} deletes without a gate" in said(plan)["warn"]


def test_commands_that_a_plan_runs_are_told(plan: dict[str, Any]) -> None:
    command = {"name": "check", "argv": ["./check.sh", "now"], "digest": "sha256:0"}
    plan["steps"][0]["action"] = {"verb": "run-command", "command": command}
    assert "the plan runs the command check" in said(plan)["warn"]
