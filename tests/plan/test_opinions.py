"""AWS's own opinion of a policy: asked where it may be asked, and never missed."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any, cast

import pytest

from s3plan.errors import AccessDeniedError, ProblemsError
from s3plan.model.buckets import PolicyFinding
from s3plan.model.steps import Configure, Probe
from s3plan.plan import StepDraft
from s3plan.plan.opinions import with_opinions
from s3plan.rules.policies.meaning import Caller
from s3plan.rules.policies.principals import read_principal
from s3plan.store import Store

USER = "arn:aws:iam::123456789012:user/alice"
POLICY = {"Version": "2012-10-17", "Statement": []}


@dataclass
class FakeControl:
    """What AWS would answer; ``asked`` is what it was asked."""

    findings: tuple[PolicyFinding, ...] = ()
    decisions: dict[str, str] = field(default_factory=dict)
    permitted: bool = True
    asked: list[tuple[str, ...]] = field(default_factory=list)

    def policy_findings(self, document: str) -> tuple[PolicyFinding, ...]:
        self._ask("validate", document)
        return self.findings

    def simulate(self, user: str, action: str, resource: str, document: str) -> str:
        self._ask("simulate", user, action, resource)
        return self.decisions.get(action, "allowed")

    def _ask(self, *question: str) -> None:
        self.asked.append(question)
        if not self.permitted:
            raise AccessDeniedError("access denied")


@dataclass
class FakeStore:
    control: FakeControl
    custom: bool = False


def draft(*probe: Probe, document: Any = POLICY) -> StepDraft:
    return StepDraft(
        Configure("policy", None, document, probe),
        "secret",
        reversibility="free",
        undo="u",
        reason="r",
        warnings=("before",),
    )


def judged(store: FakeStore, one: StepDraft, arn: str = USER) -> StepDraft:
    caller = Caller(read_principal(arn))
    (found,) = asyncio.run(with_opinions([one], cast("Store", store), caller))
    return found


def test_warnings_are_added_and_suggestions_are_not() -> None:
    control = FakeControl(
        (PolicyFinding("SECURITY_WARNING", "too wide"), PolicyFinding("SUGGESTION", "shorter"))
    )
    assert judged(FakeStore(control), draft()).warnings == ("before", "Access Analyzer: too wide")


def test_an_error_refuses_the_plan() -> None:
    control = FakeControl((PolicyFinding("ERROR", "Add a valid Resource"),))
    with pytest.raises(ProblemsError) as caught:
        judged(FakeStore(control), draft())
    assert caught.value.problems[0].found == "Add a valid Resource"


def test_a_simulated_lockout_refuses_the_plan() -> None:
    """Only what the step would probe is asked, for a user: IAM simulates no roles' sessions."""
    control = FakeControl(decisions={"s3:GetObject": "explicitDeny"})
    with pytest.raises(ProblemsError) as caught:
        judged(FakeStore(control), draft("list", "get"))
    assert "locks you out" in caught.value.problems[0].what
    assert control.asked[1:] == [
        ("simulate", USER, "s3:ListBucket", "arn:aws:s3:::secret"),
        ("simulate", USER, "s3:GetObject", "arn:aws:s3:::secret/any"),
    ]
    session = "arn:aws:sts::123456789012:assumed-role/admin/x"
    assert judged(FakeStore(control), draft("get"), session) == draft("get")


def test_an_implicit_deny_is_no_lockout() -> None:
    """What identity policies do not allow was so before: the bucket policy does not change it."""
    control = FakeControl(decisions={"s3:GetObject": "implicitDeny"})
    assert judged(FakeStore(control), draft("get")) == draft("get")


def test_who_may_not_ask_plans_all_the_same() -> None:
    """The planner's own checks were made; these come on top."""
    assert judged(FakeStore(FakeControl(permitted=False)), draft("get")) == draft("get")


def test_nobody_is_asked_elsewhere_or_about_anything_else() -> None:
    control = FakeControl((PolicyFinding("ERROR", "never asked"),))
    assert judged(FakeStore(control, custom=True), draft()) == draft()
    removed = draft(document=None)
    assert judged(FakeStore(control), removed) == removed
    assert control.asked == []
