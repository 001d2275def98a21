"""A BucketLifecycle that says what a bucket has."""

from __future__ import annotations

from typing import Any

from s3plan.model.buckets import BucketFacts
from s3plan.rules.lifecycle.document import Noncurrent, Rule, minimum_of, read_rules


def lifecycle_spec(facts: BucketFacts) -> dict[str, Any]:
    """The spec, but for the buckets: every rule, and what becomes of small objects."""
    document = facts.configuration.get("lifecycle")
    return {
        "foreign": "keep",
        "minimumSize": minimum_of(document),
        "rules": [_rule(rule) for rule in read_rules(document)],
    }


def _rule(rule: Rule) -> dict[str, Any]:
    said: dict[str, Any] = {"id": rule.id}
    if not rule.enabled:
        said["enabled"] = False
    found = rule.filter
    chosen: dict[str, Any] = {"prefix": found.prefix} if found.prefix else {}
    if found.tags:
        chosen["tag"] = dict(sorted(found.tags))
    if found.larger_than is not None:
        chosen["largerThan"] = found.larger_than
    if found.smaller_than is not None:
        chosen["smallerThan"] = found.smaller_than
    if chosen:
        said["filter"] = chosen
    if rule.transitions:
        said["transitions"] = [
            _when(one.days, one.date) | {"storageClass": one.storage_class}
            for one in rule.transitions
        ]
    if rule.expiration is not None:
        gone = rule.expiration
        said["expiration"] = (
            {"deleteMarkers": True} if gone.markers else _when(gone.days, gone.date)
        )
    later: dict[str, Any] = {}
    if rule.noncurrent_transitions:
        later["transitions"] = [
            _noncurrent(one) | {"storageClass": one.storage_class}
            for one in rule.noncurrent_transitions
        ]
    if rule.noncurrent_expiration is not None:
        later["expiration"] = _noncurrent(rule.noncurrent_expiration)
    if later:
        said["noncurrent"] = later
    if rule.abort_days is not None:
        said["abortUploads"] = rule.abort_days
    return said


def _when(days: int | None, date: str | None) -> dict[str, Any]:
    return {"date": date} if days is None else {"days": days}


def _noncurrent(one: Noncurrent) -> dict[str, Any]:
    return {"days": one.days} | ({"keep": one.keep} if one.keep is not None else {})
