"""Policies that s3plan makes itself: only these principals, only over TLS; and merging by Sid.

One Allow for the wanted principal takes nothing from anybody: everybody else in the account keeps
what identity policies allow. So the restriction is a Deny on everybody but them, by
``aws:PrincipalArn``; NotPrincipal is what AWS advises against
(https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_notprincipal.html).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from s3plan.rules.policies.principals import Principal

VERSION: Final = "2012-10-17"

ALLOW_ONLY: Final = "S3planAllowOnly"
TLS_ONLY: Final = "S3planTlsOnly"
OWN_SIDS: Final = frozenset({ALLOW_ONLY, TLS_ONLY})
"""Statements with these Sids are s3plan's: it replaces and removes them as the manifest says."""

POLICY_ACTIONS: Final = ("s3:DeleteBucketPolicy", "s3:GetBucketPolicy", "s3:PutBucketPolicy")
"""What takes a policy back. A Deny on these can leave nobody but root to do so."""


def allow_only(
    bucket: str,
    arns: Iterable[str],
    caller: Principal,
    *,
    services: bool,
    deny_policy_actions: bool,
) -> dict[str, Any]:
    """A statement that denies everything to everybody but ``arns`` and the account's root.

    ``caller`` tells partition and account. With ``services`` AWS's own services (log delivery,
    inventory, replication) are not denied: they have no ``aws:PrincipalArn``, so a Deny that is not
    told otherwise means them too
    (https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html#condition-keys-principalisawsservice).
    Reading, writing and deleting the policy stays with whom identity policies allow it, unless
    ``deny_policy_actions``.
    """
    spared = sorted({*arns, *([caller.root] if caller.account else [])})
    condition: dict[str, Any] = {"ArnNotEquals": {"aws:PrincipalArn": spared}}
    if services:
        condition["BoolIfExists"] = {"aws:PrincipalIsAWSService": "false"}
    denied: dict[str, Any] = (
        {"Action": "s3:*"} if deny_policy_actions else {"NotAction": list(POLICY_ACTIONS)}
    )
    return {
        "Sid": ALLOW_ONLY,
        "Effect": "Deny",
        "Principal": "*",
        **denied,
        "Resource": resources(bucket, caller.partition),
        "Condition": condition,
    }


def tls_only(bucket: str, partition: str) -> dict[str, Any]:
    """A statement that denies everything that is not sent over TLS.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/security-best-practices.html
    """
    return {
        "Sid": TLS_ONLY,
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": resources(bucket, partition),
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }


def resources(bucket: str, partition: str) -> list[str]:
    """The bucket and everything in it."""
    arn = f"arn:{partition}:s3:::{bucket}"
    return [arn, f"{arn}/*"]


def statements_of(document: object) -> list[Mapping[str, Any]]:
    """The statements of a document that was read as a policy; none where there is no document."""
    if not isinstance(document, Mapping):
        return []
    found = document.get("Statement", [])
    return [found] if isinstance(found, Mapping) else list(found)


def merged(
    before: object, wanted: Sequence[Mapping[str, Any]], *, keep_others: bool
) -> dict[str, Any] | None:
    """The document that holds ``wanted`` and, with ``keep_others``, what others put there.

    Others' are the statements whose Sid is neither s3plan's nor one of ``wanted``; they keep their
    place before ours. None where nothing is left, which is no policy.
    """
    ours = OWN_SIDS | {str(one["Sid"]) for one in wanted if one.get("Sid")}
    kept = [one for one in statements_of(before) if one.get("Sid") not in ours]
    statements = [*(kept if keep_others else ()), *wanted]
    if not statements:
        return None
    head = dict(before) if keep_others and isinstance(before, Mapping) else {"Version": VERSION}
    return head | {"Statement": [dict(one) for one in statements]}
