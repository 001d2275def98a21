"""Principals as a manifest names them, as the ARNs that a policy compares with."""

from __future__ import annotations

import re
from collections.abc import Iterable

from s3plan.errors import PlanningError
from s3plan.rules.policies.meaning import Caller
from s3plan.rules.policies.principals import policy_arns, read_principal

CURRENT = "current"

_OWN = re.compile(r"(user|role)/[\w+=,.@/-]+")


def resolve(names: Iterable[str], caller: Caller | None, address: str) -> tuple[str, ...]:
    """The ARNs that ``names`` mean, each once, in order.

    Raises PlanningError for what is no principal, and for what needs the caller's identity where
    the endpoint does not tell it.
    """
    arns: dict[str, None] = {}
    for name in names:
        arns |= dict.fromkeys(_arns(name, caller, address))
    return tuple(arns)


def _arns(name: str, caller: Caller | None, address: str) -> tuple[str, ...]:
    if name == CURRENT or _OWN.fullmatch(name):
        if caller is None:
            raise PlanningError(
                f"{name} cannot be resolved: this endpoint does not tell who you are",
                address=address,
                expected="an answer to sts:GetCallerIdentity",
                next_step="write the ARN, such as arn:aws:iam::123456789012:user/alice",
            )
        own = caller.principal
        if name == CURRENT:
            return policy_arns(own, caller.role_arn)
        return (f"arn:{own.partition}:iam::{own.account}:{name}",)
    principal = read_principal(name)
    if principal.kind == "unknown":
        raise PlanningError(
            f"{name} is no user, role or session",
            address=address,
            expected="current, user/NAME, role/NAME, or the ARN of a user, role or session",
            next_step="groups are no principals: name their users; accounts have many: name one",
        )
    return policy_arns(principal)
