"""Who somebody is to IAM: what an ARN of STS says, and the ARN that policies must name for it.

A session of a role has an ARN of its own, but ``aws:PrincipalArn`` holds the role's
(https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html#condition-keys-principalarn).
"""

from __future__ import annotations

import re
from typing import Literal

from msgspec import Struct

PrincipalKind = Literal["root", "user", "role", "assumed-role", "federated-user", "unknown"]

_ARN = re.compile(r"arn:(?P<partition>[^:]*):(?:iam|sts)::(?P<account>[^:]*):(?P<resource>.+)")


class Principal(Struct, frozen=True):
    """A caller or a named principal.

    ``name`` is a user's or role's without its path. ``session`` is that of an assumed role.
    ``account`` is empty where the endpoint has none (Ceph's tenants).
    """

    arn: str
    kind: PrincipalKind
    partition: str
    account: str
    name: str
    session: str | None = None

    @property
    def root(self) -> str:
        """The ARN of the account's root user."""
        return f"arn:{self.partition}:iam::{self.account}:root"


def read_principal(arn: str) -> Principal:
    """What an ARN of IAM or STS says.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html
    """
    match = _ARN.fullmatch(arn)
    if match is None:
        return Principal(arn, "unknown", "aws", "", arn)
    partition, account, resource = match["partition"], match["account"], match["resource"]
    if resource == "root":
        return Principal(arn, "root", partition, account, "root")
    kind, _, path = resource.partition("/")
    match kind:
        case "user" | "role":
            return Principal(arn, kind, partition, account, path.rpartition("/")[2])
        case "assumed-role":
            name, _, session = path.partition("/")
            return Principal(arn, "assumed-role", partition, account, name, session)
        case "federated-user":
            return Principal(arn, "federated-user", partition, account, path)
    return Principal(arn, "unknown", partition, account, path)


def policy_arns(principal: Principal, role_arn: str | None = None) -> tuple[str, ...]:
    """What ``aws:PrincipalArn`` must be compared with to mean this principal.

    For a session of a role that is the role, whose path the session's ARN does not tell;
    ``role_arn`` is what iam:GetRole says. Without it any path will do: role names are unique in an
    account whatever their path
    (https://docs.aws.amazon.com/IAM/latest/APIReference/API_CreateRole.html).
    """
    if principal.kind != "assumed-role":
        return (principal.arn,)
    if role_arn is not None:
        return (role_arn,)
    base = f"arn:{principal.partition}:iam::{principal.account}:role"
    return (f"{base}/{principal.name}", f"{base}/*/{principal.name}")
