"""The step that replaces a bucket's policy: checked, explained, and refused where it locks out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from s3plan.errors import PlanningError, ProblemsError
from s3plan.kinds.access.manifest import AccessSpec
from s3plan.kinds.buckets import PUT_BACK, configured_step
from s3plan.kinds.kind import Observed
from s3plan.model.buckets import BucketFacts
from s3plan.model.steps import Probe
from s3plan.plan import StepDraft
from s3plan.rules.policies.checks import faults
from s3plan.rules.policies.document import Policy, read_policy, same_policy
from s3plan.rules.policies.exposure import is_public, public_statements
from s3plan.rules.policies.making import ALLOW_ONLY, POLICY_ACTIONS, statements_of
from s3plan.rules.policies.meaning import Caller, Lockout, access_changes, lockout, sentences
from s3plan.rules.policies.principals import read_principal

_PROBES: tuple[tuple[Probe, str], ...] = (
    ("list", "s3:ListBucket"),
    ("get", "s3:GetObject"),
    ("document", "s3:GetBucketPolicy"),
)
_ALLOWED = {"nobody": 0, "you": 1, "everyone": 2}
_LOCKED = {"nobody": 0, "caller": 1, "everyone": 2}


def policy_step(
    spec: AccessSpec, facts: BucketFacts, before: Any, after: Any, observed: Observed
) -> Iterator[StepDraft]:
    """One step, or none where both documents mean the same.

    Raises ProblemsError with everything that is wrong with the new policy.
    """
    if same_policy(before, after):
        return
    address, caller = f"s3://{facts.name}", observed.caller
    old, new = _read(before, address), _read(after, address)
    found = list(faults(new, after, facts.name)) if new is not None else []
    problems = [
        PlanningError(fault.what, address=address, next_step=fault.next_step)
        for fault in found
        if fault.severity == "error"
    ]
    problems += _enforcement(spec, address, observed)
    blocked = facts.configuration.get("public-access-block") or {}
    if public_statements(new) and (spec.public_access or blocked.get("BlockPublicPolicy")):
        problems.append(
            PlanningError(
                "the policy is public and the bucket blocks public policies, so S3 refuses it",
                address=address,
                found="statements "
                + ", ".join(one.sid or "without Sid" for one in public_statements(new)),
                next_step="name principals in them, add a condition that fixes who is meant, or"
                " leave them out (merge: replace keeps nothing of others)",
            )
        )
    locked = lockout(old, new, facts.name, caller) if caller is not None else Lockout("nobody")
    if _LOCKED[locked.who] > _ALLOWED[spec.allow_lockout]:
        problems.append(_locking_out(locked, address, caller))
    if problems:
        raise ProblemsError(f"the policy of {address} cannot be planned", problems)
    stuck = "s3:PutBucketPolicy" in locked.denied or "s3:DeleteBucketPolicy" in locked.denied
    yield configured_step(
        facts.name,
        "policy",
        before,
        after,
        _reason(before, after),
        probe=tuple(probe for probe, action in _PROBES if action not in locked.denied),
        meaning=(
            *(sentences(access_changes(old, new, facts.name, caller)) if caller else ()),
            _publicity(spec, facts, before, after),
        ),
        warnings=(
            *(f"{fault.what}: {fault.next_step}" for fault in found if fault.severity == "warning"),
            *_doubts(spec, after, locked, observed),
        ),
        reversibility="never" if stuck else "free",
        undo="Not with these credentials: only whoever the policy still lets, or the root user, can"
        " put the old one back."
        if stuck
        else PUT_BACK,
    )


def _read(document: Any, address: str) -> Policy | None:
    return None if document is None else read_policy(document, address)


def _reason(before: Any, after: Any) -> str:
    if before is None:
        return "The bucket has no policy and is to have this one."
    if after is None:
        return "No statement is left, so the policy goes."
    return "The policy says something else than the manifest."


def _publicity(spec: AccessSpec, facts: BucketFacts, before: Any, after: Any) -> str:
    block, acl = facts.configuration.get("public-access-block"), facts.configuration.get("acl")
    was = is_public(before, block, acl)
    becomes = spec.public_access is None and is_public(after, block, acl)
    return f"public before: {'yes' if was else 'no'}; after: {'yes' if becomes else 'no'}"


def _enforcement(spec: AccessSpec, address: str, observed: Observed) -> Iterator[PlanningError]:
    """Where conditions do nothing, or deny everybody, a Deny with one must not be written."""
    known = observed.capabilities.get("policy-condition")
    if spec.policy is None and known.standing in {"ignored", "refused"}:
        yield PlanningError(
            "this endpoint does not enforce conditions in bucket policies",
            address=address,
            expected="a Deny with ArnNotEquals on aws:PrincipalArn that denies exactly the others",
            found=known.detail or known.standing,
            next_step="use what this endpoint has for access, such as its users' own rights;"
            " s3plan doctor MANIFEST --with-bucket tries again",
        )


def _locking_out(locked: Lockout, address: str, caller: Caller | None) -> PlanningError:
    everyone = locked.who == "everyone"
    who = caller.principal.arn if caller is not None else "you"
    return PlanningError(
        "the policy would leave nobody but the account's root user able to change it"
        if everyone
        else "the policy would lock you out",
        address=address,
        expected=f"{who} still allowed to {', '.join(locked.denied)}",
        found="denied, or not to be told from here",
        next_step="name yourself in allowOnly.principals (current), or, if that is what you want,"
        f" set allowLockout: {'everyone' if everyone else 'you'}",
    )


def _strangers(after: Any, caller: Caller) -> Iterator[str]:
    """Those of other accounts whom allowOnly spares: sparing is not granting."""
    for statement in statements_of(after):
        if statement.get("Sid") != ALLOW_ONLY:
            continue
        for arn in statement["Condition"]["ArnNotEquals"]["aws:PrincipalArn"]:
            if read_principal(arn).account != caller.principal.account:
                yield (
                    f"{arn} is of another account: allowOnly spares it and grants it nothing; it"
                    " needs an Allow of its own here, and one there."
                )


def _doubts(spec: AccessSpec, after: Any, locked: Lockout, observed: Observed) -> Iterator[str]:
    caller = observed.caller
    if caller is None:
        yield (
            "This endpoint does not tell who you are, so nobody knows whether the policy locks you"
            " out; apply tries to list, read and get the policy, and puts the old one back if not."
        )
    if locked.denied:
        also = set(POLICY_ACTIONS) & set(locked.denied)
        more = ", and could not take the policy back" if also else ""
        yield f"You lose {', '.join(locked.denied)}{more}."
    if locked.perhaps:
        yield (
            f"Whether you keep {', '.join(locked.perhaps)} depends on what is not known here, such"
            " as your network address; apply tries, and puts the old policy back if not."
        )
    if caller is not None and caller.role_arn is None and caller.principal.kind == "assumed-role":
        yield (
            f"iam:GetRole was not answered, so the role {caller.principal.name} is meant with any"
            " path."
        )
    if caller is not None:
        yield from _strangers(after, caller)
    if spec.allow_only is not None and observed.connection.endpoint is not None:
        known = observed.capabilities.get("policy-condition")
        if known.standing == "not-tried":
            yield (
                "Nobody tried whether this endpoint enforces conditions: s3plan doctor MANIFEST"
                " --with-bucket does."
            )
