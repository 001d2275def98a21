"""Whether a bucket is public: by its policy as S3 defines it, with its public access block.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-control-block-public-access.html
("The meaning of public"): a policy is public unless every Allow is to fixed principals, or is
limited by a fixed value of one of a few condition keys.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Final

from s3plan.rules.policies.document import Condition, Policy, Statement, read_policy

_FIXING_KEYS: Final = frozenset(
    {
        "aws:sourcearn",
        "aws:sourcevpc",
        "aws:sourcevpce",
        "aws:sourceowner",
        "aws:sourceaccount",
        "aws:userid",
        "aws:principalarn",
        "aws:principalaccount",
        "aws:principalorgid",
        "aws:principalorgpaths",
        "s3:dataaccesspointaccount",
        "s3:dataaccesspointarn",
        "s3:x-amz-server-side-encryption-aws-kms-key-id",
    }
)
_FIXING_OPERATORS: Final = frozenset(
    {"StringEquals", "StringLike", "StringEqualsIgnoreCase", "ArnEquals", "ArnLike"}
)
BLOCKED: Final = dict.fromkeys(
    ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"), True
)
"""The public access block with everything on, which new buckets have at AWS."""

_WIDEST_V4, _WIDEST_V6 = 8, 32
"""S3 takes broader ranges of addresses for public."""


def public_statements(policy: Policy | None) -> tuple[Statement, ...]:
    """The statements that make a policy public; none where it is not."""
    return tuple(s for s in (policy.statements if policy else ()) if _is_public(s))


def is_public(policy: object, block: object, acl: object = None) -> bool:
    """Whether anybody may do anything: policy or ACL grant it, and nothing blocks it.

    The documents are as boto3 gives them; None is none.
    """
    flags = block if isinstance(block, Mapping) else {}
    by_policy = policy is not None and bool(public_statements(read_policy(policy, "policy")))
    by_acl = _acl_is_public(acl)
    return (by_policy and not flags.get("RestrictPublicBuckets", False)) or (
        by_acl and not flags.get("IgnorePublicAcls", False)
    )


def _is_public(statement: Statement) -> bool:
    if statement.effect != "Allow" or statement.principals is None:
        return False
    named = statement.principals
    everybody = named.inverted or any(
        value.endswith(":*") or "*" in value or "?" in value for value in named.values
    )
    return everybody and not any(map(_fixes, statement.conditions))


def _fixes(condition: Condition) -> bool:
    operator = condition.operator.removeprefix("ForAnyValue:")
    if condition.key == "aws:sourceip" and operator == "IpAddress":
        return all(map(_narrow, condition.values))
    if condition.key not in _FIXING_KEYS or operator not in _FIXING_OPERATORS:
        return False
    if condition.key == "aws:userid":
        return all(_fixed(value.removesuffix(":*")) for value in condition.values)
    return all(map(_fixed, condition.values))


def _fixed(value: str) -> bool:
    if value.startswith("arn:"):
        # An account in an ARN fixes it, whatever the resource is.
        account = value.split(":", 5)[4:5]
        return bool(account) and account[0] != "" and not set("*?$") & set(account[0])
    return not set("*?$") & set(value)


def _narrow(value: str) -> bool:
    try:
        network = ipaddress.ip_network(value, strict=False)
    except ValueError:
        return False
    widest = _WIDEST_V4 if network.version == 4 else _WIDEST_V6
    return network.prefixlen >= widest


def _acl_is_public(acl: object) -> bool:
    groups = ("global/AllUsers", "global/AuthenticatedUsers")
    if not isinstance(acl, Mapping):
        return False
    return any(
        str(grant.get("Grantee", {}).get("URI", "")).endswith(groups)
        for grant in acl.get("Grants", [])
    )
