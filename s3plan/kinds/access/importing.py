"""A BucketAccess that says what a bucket has."""

from __future__ import annotations

from typing import Any

from s3plan.kinds.access.planner import ENFORCED
from s3plan.model.buckets import BucketFacts
from s3plan.rules.bucketdocuments import same
from s3plan.rules.policies.exposure import BLOCKED


def access_spec(facts: BucketFacts) -> dict[str, Any]:
    """The spec, but for the buckets: the policy as it is, and every protection that is on."""
    found = facts.configuration
    spec: dict[str, Any] = {}
    if found.get("policy") is not None:
        spec["policy"] = {"document": found["policy"]}
    if same("public-access-block", found.get("public-access-block"), BLOCKED):
        spec["publicAccess"] = "blocked"
    if same("ownership", found.get("ownership"), ENFORCED):
        spec["ownership"] = "enforced"
    spec["encryption"] = _encryption(found.get("encryption"))
    return spec


def _encryption(document: Any) -> dict[str, Any]:
    rules = (document or {}).get("Rules") or [{}]
    default = rules[0].get("ApplyServerSideEncryptionByDefault") or {"SSEAlgorithm": "AES256"}
    said: dict[str, Any] = {"algorithm": default["SSEAlgorithm"]}
    if default.get("KMSMasterKeyID"):
        said["kmsKey"] = default["KMSMasterKeyID"]
    if rules[0].get("BucketKeyEnabled") and said["algorithm"] != "AES256":
        said["bucketKey"] = True
    return said
