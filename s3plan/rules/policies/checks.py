"""What is wrong with a policy before S3 is asked: its size, its resources, names nobody knows."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterator
from typing import Final

from s3plan.rules.faults import Fault
from s3plan.rules.policies.conditions import OPERATORS, matches_glob
from s3plan.rules.policies.document import Condition, Policy, Statement
from s3plan.rules.policies.known import known_actions, known_keys

MAX_BYTES: Final = 20 * 1024
"""https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-policies.html"""

_SID: Final = re.compile(r"[A-Za-z0-9]*")

_GLOBAL_KEYS: Final = frozenset(
    key.lower()
    for key in (
        "aws:AssumedRoot",
        "aws:CalledVia",
        "aws:CalledViaFirst",
        "aws:CalledViaLast",
        "aws:ChatbotSourceArn",
        "aws:CurrentTime",
        "aws:Ec2InstanceSourcePrivateIPv4",
        "aws:Ec2InstanceSourceVpc",
        "aws:EpochTime",
        "aws:FederatedProvider",
        "aws:MultiFactorAuthAge",
        "aws:MultiFactorAuthPresent",
        "aws:PrincipalAccount",
        "aws:PrincipalArn",
        "aws:PrincipalIsAWSService",
        "aws:PrincipalOrgID",
        "aws:PrincipalOrgPaths",
        "aws:PrincipalServiceName",
        "aws:PrincipalServiceNamesList",
        "aws:PrincipalType",
        "aws:Referer",
        "aws:RequestedRegion",
        "aws:ResourceAccount",
        "aws:ResourceOrgID",
        "aws:ResourceOrgPaths",
        "aws:SecureTransport",
        "aws:SourceAccount",
        "aws:SourceArn",
        "aws:SourceIdentity",
        "aws:SourceIp",
        "aws:SourceOrgID",
        "aws:SourceOrgPaths",
        "aws:SourceOwner",
        "aws:SourceVpc",
        "aws:SourceVpcArn",
        "aws:SourceVpce",
        "aws:TagKeys",
        "aws:TokenIssueTime",
        "aws:UserAgent",
        "aws:userid",
        "aws:username",
        "aws:ViaAWSService",
        "aws:VpceAccount",
        "aws:VpceOrgID",
        "aws:VpceOrgPaths",
        "aws:VpcSourceIp",
    )
)
"""Keys of every service, which no service's own list holds
(https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html)."""

_GLOBAL_PREFIXES: Final = (
    "aws:principaltag/",
    "aws:requesttag/",
    "aws:resourcetag/",
)


def faults(policy: Policy, document: object, bucket: str) -> Iterator[Fault]:
    """Everything that is wrong with a policy for this bucket; ``document`` is its JSON."""
    size = len(json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode())
    if size > MAX_BYTES:
        yield Fault(
            "error",
            f"the policy is {size:,} bytes long; S3 takes {MAX_BYTES:,}",
            "join statements, or use wildcards in resources",
        )
    if policy.version not in {"2012-10-17", "2008-10-17"}:
        yield Fault("error", f"there is no policy version {policy.version}", "use 2012-10-17")
    seen: set[str] = set()
    for number, statement in enumerate(policy.statements):
        name = statement.sid or f"number {number}"
        for fault in _statement(statement, bucket):
            yield Fault(fault.severity, f"statement {name}: {fault.what}", fault.next_step)
        if statement.sid in seen:
            yield Fault(
                "error", f"two statements have the Sid {statement.sid}", "give one another Sid"
            )
        if statement.sid:
            seen.add(statement.sid)


def _statement(statement: Statement, bucket: str) -> Iterator[Fault]:
    if statement.sid and not _SID.fullmatch(statement.sid):
        yield Fault("error", "a Sid is made of letters and digits", "rename it")
    if statement.principals is None:
        yield Fault("error", "a bucket policy's statement needs a Principal", "add one")
    elif statement.principals.inverted:
        yield Fault(
            "warning",
            "NotPrincipal also denies the sessions of a role that it names"
            if statement.effect == "Deny"
            else "NotPrincipal with Allow means everybody else, anonymous callers included",
            "use a condition on aws:PrincipalArn",
        )
    yield from _actions(statement)
    yield from _resources(statement, bucket)
    for condition in statement.in_order():
        yield from _condition(condition)


def _actions(statement: Statement) -> Iterator[Fault]:
    for action in sorted(statement.actions.values):
        if action == "*":
            continue
        service, _, name = action.partition(":")
        if service != "s3":
            yield Fault(
                "error", f"{action} is no action of S3", "write s3:... actions in bucket policies"
            )
        elif not any(matches_glob(known, name) for known in known_actions()):
            yield Fault("error", f"there is no action {action}", _nearest_action(name))


def _nearest_action(name: str) -> str:
    spelt = known_actions()
    if name in _NO_ACTIONS:
        return _NO_ACTIONS[name]
    near = difflib.get_close_matches(name, spelt, n=1, cutoff=0.6)
    return f"did you mean s3:{spelt[near[0]]}?" if near else "look it up in the list of S3 actions"


_NO_ACTIONS: Final = {
    "headobject": "HeadObject needs s3:GetObject, and s3:ListBucket to tell 404 from 403",
    "headbucket": "HeadBucket needs s3:ListBucket",
    "listobjects": "listing needs s3:ListBucket",
    "listobjectsv2": "listing needs s3:ListBucket",
    "copyobject": "copying needs s3:GetObject of the source and s3:PutObject of the target",
    "deleteobjects": "deleting many needs s3:DeleteObject",
    "uploadpart": "multipart uploads need s3:PutObject",
    "createmultipartupload": "multipart uploads need s3:PutObject",
    "getbucketlifecycleconfiguration": "the action is s3:GetLifecycleConfiguration",
    "putbucketlifecycleconfiguration": "the action is s3:PutLifecycleConfiguration",
    "deletebucketlifecycle": "the action is s3:PutLifecycleConfiguration",
    "listbuckets": "the action is s3:ListAllMyBuckets, which no bucket policy can grant",
}
"""Operations of the API that people take for actions."""


def _resources(statement: Statement, bucket: str) -> Iterator[Fault]:
    for resource in sorted(statement.resources.values):
        if resource == "*":
            continue
        parts = resource.split(":", 5)
        name = parts[5].partition("/")[0] if len(parts) == 6 else ""
        if len(parts) != 6 or parts[0] != "arn" or parts[2] != "s3":
            yield Fault("error", f"{resource} is no ARN of S3", f"write arn:aws:s3:::{bucket}/*")
        elif not matches_glob(bucket, name) and "${" not in name:
            yield Fault(
                "error",
                f"{resource} is not in this bucket, and S3 refuses that",
                f"write arn:{parts[1]}:s3:::{bucket}",
            )


def _condition(condition: Condition) -> Iterator[Fault]:
    operator = condition.operator.rpartition(":")[2].removesuffix("IfExists")
    if operator not in OPERATORS and operator != "Null":
        near = difflib.get_close_matches(operator, [*OPERATORS, "Null"], n=1)
        yield Fault(
            "error",
            f"there is no condition operator {condition.operator}",
            f"did you mean {near[0]}?" if near else "look it up in the IAM user guide",
        )
    key = condition.key
    if key.startswith("aws:"):
        known = key in _GLOBAL_KEYS or key.startswith(_GLOBAL_PREFIXES)
    elif key.startswith("s3:"):
        known = any(matches_glob(key, glob) for glob in known_keys())
    else:
        return  # keys of identity providers are open-ended
    if not known:
        near = difflib.get_close_matches(key, [*_GLOBAL_KEYS, *known_keys()], n=1, cutoff=0.7)
        yield Fault(
            "error",
            f"there is no condition key {key}",
            f"did you mean {near[0]}?" if near else "look it up in the list of S3 condition keys",
        )
