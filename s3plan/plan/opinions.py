"""What AWS itself says of policies that a plan would put, where the caller may ask it.

IAM Access Analyzer checks grammar and practice
(https://docs.aws.amazon.com/access-analyzer/latest/APIReference/API_ValidatePolicy.html); IAM's
simulator tells whether a user would still be allowed
(https://docs.aws.amazon.com/IAM/latest/APIReference/API_SimulatePrincipalPolicy.html). Both come on
top of the checks that a planner makes by itself, and neither is missed where it is not permitted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence

from msgspec.structs import replace

from s3plan.errors import PlanningError, ProblemsError, S3PlanError, StoreError
from s3plan.model.steps import Configure, Probe
from s3plan.plan.drafts import StepDraft
from s3plan.rules.bucketdocuments import text
from s3plan.rules.policies.meaning import Caller
from s3plan.store import Store

_PROBED: dict[Probe, tuple[str, bool]] = {
    "list": ("s3:ListBucket", False),
    "get": ("s3:GetObject", True),
    "document": ("s3:GetBucketPolicy", False),
}
"""The action behind a probe, and whether it is about objects."""


async def with_opinions(
    drafts: Sequence[StepDraft], store: Store, caller: Caller | None
) -> list[StepDraft]:
    """The drafts, those that put a policy with AWS's warnings; nothing is asked elsewhere.

    Raises ProblemsError with every error that Access Analyzer finds, and with every action that the
    step probes and the simulator says is denied.
    """
    problems: list[S3PlanError] = []
    judged: list[StepDraft] = []
    for draft in drafts:
        action = draft.action
        if isinstance(action, Configure) and _is_policy(action) and not store.custom:
            warnings, found = await _opinion(store, draft.subject, action, caller)
            problems += found
            judged.append(replace(draft, warnings=(*draft.warnings, *warnings)))
        else:
            judged.append(draft)
    if problems:
        raise ProblemsError("AWS refuses a policy of this plan", problems)
    return judged


def _is_policy(action: Configure) -> bool:
    return action.document == "policy" and action.after is not None


async def _opinion(
    store: Store, bucket: str, action: Configure, caller: Caller | None
) -> tuple[list[str], list[S3PlanError]]:
    document, address = text(action.after), f"s3://{bucket}"
    try:
        findings = await asyncio.to_thread(store.control.policy_findings, document)
    except StoreError:
        findings = ()
    warnings = [
        f"Access Analyzer: {one.message}" for one in findings if one.kind.endswith("WARNING")
    ]
    problems: list[S3PlanError] = [
        PlanningError(
            "Access Analyzer finds an error in the policy",
            address=address,
            found=one.message,
            next_step="correct the policy",
        )
        for one in findings
        if one.kind == "ERROR"
    ]
    return warnings, [*problems, *await _simulated(store, bucket, action, document, caller)]


async def _simulated(
    store: Store, bucket: str, action: Configure, document: str, caller: Caller | None
) -> list[S3PlanError]:
    """What the simulator denies of what the step will probe. It takes a bucket policy for users
    only: a role is not simulated.
    """
    if caller is None or caller.principal.kind != "user":
        return []
    own = caller.principal
    denied: list[str] = []
    for name, arn in _asked(action.probe, bucket, own.partition):
        try:
            decision = await asyncio.to_thread(store.control.simulate, own.arn, name, arn, document)
        except StoreError:
            return []
        if decision == "explicitDeny":
            denied.append(name)
    if not denied:
        return []
    return [
        PlanningError(
            "IAM's simulator says that the policy locks you out",
            address=f"s3://{bucket}",
            expected=f"{own.arn} still allowed to {', '.join(denied)}",
            found="an explicit Deny",
            next_step="name yourself in allowOnly.principals, or set allowLockout: you",
        )
    ]


def _asked(probes: Sequence[Probe], bucket: str, partition: str) -> Iterator[tuple[str, str]]:
    for probe in probes:
        name, objects = _PROBED[probe]
        arn = f"arn:{partition}:s3:::{bucket}"
        yield name, f"{arn}/any" if objects else arn
