"""``freeze: policy``: the steps that keep writers off a bucket while it is emptied.

The policy as it was stands in the plan, and in the catalogue: it is merged with one statement, and
put back by a step of its own, by a rollback, or where the deletion does not happen.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from s3plan.errors import PlanningError
from s3plan.model.buckets import BucketFacts
from s3plan.model.steps import Configure, Need
from s3plan.plan import StepDraft
from s3plan.rules.bucketdocuments import POLICY_BYTES, same, text
from s3plan.rules.freezing import frozen, thawed


def freeze_obstacles(facts: BucketFacts) -> Iterator[PlanningError]:
    """What keeps the bucket from being frozen."""
    address = f"s3://{facts.name}"
    if "policy" in facts.unreadable:
        yield PlanningError(
            "the bucket cannot be frozen: its policy may not be read, and would be lost",
            address=address,
            expected="s3:GetBucketPolicy on the bucket",
            next_step="ask for the permission, or set freeze: none",
        )
        return
    if "policy" not in facts.configuration and "policy" not in facts.absent:
        yield PlanningError(
            "the bucket cannot be frozen: this endpoint has no bucket policies",
            address=address,
            next_step="set freeze: none, and keep writers off otherwise",
        )
        return
    size = len(text(_frozen(facts)).encode())
    if size > POLICY_BYTES:
        yield PlanningError(
            "the bucket cannot be frozen: its policy would be too large",
            address=address,
            expected=f"at most {POLICY_BYTES:,} bytes",
            found=f"{size:,} bytes with the statement that freezes it",
            next_step="shorten the policy, or set freeze: none",
        )


def freezing(facts: BucketFacts, before: Sequence[StepDraft]) -> Iterator[StepDraft]:
    """The step before the last listing; none where the bucket is frozen already."""
    policy = facts.configuration.get("policy")
    if same("policy", policy, _frozen(facts)):
        return
    yield StepDraft(
        Configure(
            "policy",
            before=policy,
            after=_frozen(facts),
            probe=("list", "get", "document"),
            temporary=True,
        ),
        facts.name,
        reversibility="free",
        undo="The old policy is put back.",
        reason="The manifest says freeze: policy. Nobody can write to the bucket from here on, this"
        " command and every AWS service included; reading and deleting stay as they are.",
        needs=tuple(Need(draft.id) for draft in before),
        seconds=5.0,
    )


def thawing(facts: BucketFacts, before: Sequence[StepDraft]) -> Iterator[StepDraft]:
    """The step after the deletion of a bucket's objects, where the bucket stays."""
    yield StepDraft(
        Configure("policy", before=_frozen(facts), after=thawed(facts.configuration.get("policy"))),
        facts.name,
        reversibility="free",
        undo="Nothing to undo: the policy is again what it was.",
        reason="The bucket stays, and its objects are gone: whoever may write to it may again.",
        needs=(Need(before[-1].id),),
        seconds=1.0,
    )


def _frozen(facts: BucketFacts) -> object:
    return frozen(facts.name, facts.region, facts.configuration.get("policy"))
