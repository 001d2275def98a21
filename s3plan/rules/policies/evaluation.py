"""What a bucket policy says about one request: denied, allowed, nothing, or not to be told here.

Only the bucket's own policy is read. What identity policies, boundaries and organisations say is
not known here, so "denied" is final and "allowed" is not
(https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic_policy-eval-denyallow.html).
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from s3plan.rules.policies.conditions import Context, Holds, holds, matches_glob
from s3plan.rules.policies.document import Effect, Matching, Policy, Statement
from s3plan.rules.policies.principals import Principal, policy_arns

Answer = Literal["denied", "perhaps-denied", "allowed", "nothing"]
"""``perhaps-denied``: a Deny depends on what is not known here, such as the network's address.
``nothing``: no statement is about the request; identity policies decide."""


class Request(Struct, frozen=True):
    """One request. ``action`` is as in policies (``s3:GetObject``); ``resource`` is an ARN."""

    principal: Principal
    action: str
    resource: str
    context: Context


def judge(policy: Policy | None, request: Request) -> Answer:
    """What the policy says about the request; None is no policy."""
    statements = policy.statements if policy else ()
    judged = [(statement, applies(statement, request)) for statement in statements]
    order: tuple[tuple[Answer, Effect, Holds], ...] = (
        ("denied", "Deny", True),
        ("perhaps-denied", "Deny", None),
        ("allowed", "Allow", True),
    )
    for answer, effect, wanted in order:
        if any(s.effect == effect and applied is wanted for s, applied in judged):
            return answer
    return "nothing"


def applies(statement: Statement, request: Request) -> Holds:
    """Whether a statement is about the request; None where a condition cannot be told."""
    if not (
        _principal(statement.principals, request.principal)
        and _matches(statement.actions, request.action.lower())
        and _matches(statement.resources, request.resource)
    ):
        return False
    held = [holds(condition, request.context) for condition in statement.conditions]
    if False in held:
        return False
    return None if None in held else True


def context_of(
    principal: Principal, *, secure: bool, role_arn: str | None = None
) -> dict[str, tuple[str, ...] | None]:
    """What is known of the requests that a principal sends over this connection.

    ``secure`` is whether the endpoint speaks TLS. Where the role's path is not known its ARN is
    taken to be without one.
    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html
    """
    arn = role_arn or policy_arns(principal)[0]
    context: dict[str, tuple[str, ...] | None] = {
        "aws:principalarn": (arn,),
        "aws:principalaccount": (principal.account,),
        "aws:principalisawsservice": ("false",),
        "aws:principalservicename": (),
        "aws:principalservicenameslist": (),
        "aws:sourcearn": (),
        "aws:sourceaccount": (),
        "aws:sourceowner": (),
        "aws:viaawsservice": ("false",),
        "aws:securetransport": ("true" if secure else "false",),
        "s3:authtype": ("REST-HEADER",),
        "s3:signatureversion": ("AWS4-HMAC-SHA256",),
    }
    kinds = {"root": "Account", "user": "User", "federated-user": "FederatedUser"}
    if principal.kind != "unknown":
        context["aws:principaltype"] = (kinds.get(principal.kind, "AssumedRole"),)
    if principal.kind == "user":
        context["aws:username"] = (principal.name,)
    elif principal.kind != "unknown":
        context["aws:username"] = ()
    return context


def _matches(matching: Matching, text: str) -> bool:
    return any(matches_glob(text, value) for value in matching.values) is not matching.inverted


def _principal(named: Matching | None, principal: Principal) -> bool:
    """Whether a Principal element means the caller.

    An account's root ARN means everybody of the account. For sessions of a role both the role and
    the session may be named.
    """
    if named is None:
        return True
    own = {"AWS:*", f"AWS:{principal.arn}", f"AWS:{principal.root}"}
    own |= {f"AWS:{arn}" for arn in policy_arns(principal)}
    meant = bool(named.values & own) or any(
        # Roles are named with their path, which a session's ARN does not tell.
        matches_glob(value.removeprefix("AWS:"), arn)
        for value in named.values
        for arn in policy_arns(principal)
        if "*" in arn and value.startswith("AWS:arn:")
    )
    return meant is not named.inverted
