"""What is wrong with a lifecycle document, and what in it may surprise, before S3 is asked.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_LifecycleRule.html and the constraints of
https://docs.aws.amazon.com/AmazonS3/latest/userguide/intro-lifecycle-rules.html
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any, Final

from s3plan.rules.faults import Fault
from s3plan.rules.lifecycle.document import Filter, Rule, date_of, read_rule
from s3plan.rules.lifecycle.evaluation import REACHES

MOST_RULES: Final = 1_000
LONGEST_ID: Final = 255

_FIELDS: Final[dict[str, tuple[str, ...]]] = {
    "": (
        "ID",
        "Status",
        "Prefix",
        "Filter",
        "Transitions",
        "Expiration",
        "NoncurrentVersionTransitions",
        "NoncurrentVersionExpiration",
        "AbortIncompleteMultipartUpload",
    ),
    "Filter": ("Prefix", "Tag", "ObjectSizeGreaterThan", "ObjectSizeLessThan", "And"),
    "And": ("Prefix", "Tags", "ObjectSizeGreaterThan", "ObjectSizeLessThan"),
    "Transitions": ("Days", "Date", "StorageClass"),
    "Expiration": ("Days", "Date", "ExpiredObjectDeleteMarker"),
    "NoncurrentVersionTransitions": ("NoncurrentDays", "NewerNoncurrentVersions", "StorageClass"),
    "NoncurrentVersionExpiration": ("NoncurrentDays", "NewerNoncurrentVersions"),
    "AbortIncompleteMultipartUpload": ("DaysAfterInitiation",),
}
_NUMBERS: Final = frozenset(
    {
        "Days",
        "NoncurrentDays",
        "NewerNoncurrentVersions",
        "DaysAfterInitiation",
        "ObjectSizeGreaterThan",
        "ObjectSizeLessThan",
    }
)
_LISTS: Final = frozenset({"Transitions", "NoncurrentVersionTransitions"})

_CLASSES: Final = tuple(sorted(REACHES["STANDARD"]))

_OTHER_NAMES: Final = {
    "GLACIER_FLEXIBLE_RETRIEVAL": "GLACIER",
    "GLACIER_FLEXIBLE": "GLACIER",
    "FLEXIBLE_RETRIEVAL": "GLACIER",
    "GLACIER_INSTANT_RETRIEVAL": "GLACIER_IR",
    "GLACIER_DEEP_ARCHIVE": "DEEP_ARCHIVE",
    "STANDARD_INFREQUENT_ACCESS": "STANDARD_IA",
    "ONE_ZONE_IA": "ONEZONE_IA",
}
"""What people and web pages call classes; the API's names are others."""


def class_fault(name: str) -> Fault | None:
    """What is wrong with a class as the target of a transition; None where nothing is."""
    if name in _CLASSES:
        return None
    if name in _OTHER_NAMES:
        right = _OTHER_NAMES[name]
        return Fault("error", f"there is no storage class {name}", f"the API calls it {right}")
    if name in {"STANDARD", "REDUCED_REDUNDANCY"}:
        return Fault(
            "error", f"lifecycle moves nothing to {name}", "it only moves to cheaper classes"
        )
    near = difflib.get_close_matches(name, _CLASSES, n=1, cutoff=0.6)
    hint = f"did you mean {near[0]}?" if near else f"use one of {', '.join(_CLASSES)}"
    return Fault("error", f"there is no storage class {name}", hint)


def document_faults(document: object) -> Iterator[Fault]:
    """Whether the document has the shape of one, so that it can be read; errors only."""
    rules = document.get("Rules") if isinstance(document, Mapping) else None
    if not isinstance(document, Mapping) or not isinstance(rules, list | tuple):
        yield Fault("error", "a lifecycle document is an object with Rules", "write {Rules: [...]}")
        return
    yield from _unknown(document, ("Rules", "TransitionDefaultMinimumObjectSize"), "the document")
    for number, rule in enumerate(rules):
        if not isinstance(rule, Mapping):
            yield Fault("error", f"rule {number} is no object", "write {ID: ..., Status: ...}")
            continue
        name = f"rule {rule.get('ID', rule.get('Id', number))}"
        yield from _shape(rule, name)


def _shape(rule: Mapping[str, Any], name: str) -> Iterator[Fault]:
    yield from _unknown(rule, _FIELDS[""], name)
    if "ID" not in rule and "Id" not in rule:
        yield Fault("error", f"{name} has no ID", "give it one: S3 would, and nobody would know it")
    if rule.get("Status") not in {"Enabled", "Disabled"}:
        yield Fault("error", f"{name} has no Status", "write Status: Enabled or Disabled")
    if "Filter" not in rule and "Prefix" not in rule:
        yield Fault(
            "error", f"{name} has no Filter", 'write Filter: {"Prefix": ""} for all objects'
        )
    for field, known in _FIELDS.items():
        if field in {"", "And"} or field not in rule:
            continue
        for part in _parts(rule, field):
            if not isinstance(part, Mapping):
                what = "a list of objects" if field in _LISTS else "an object"
                yield Fault("error", f"{name}: {field} is {what}", "correct it")
                continue
            yield from _unknown(part, known, f"{name}: {field}")
            for member in _NUMBERS & set(part):
                if type(part[member]) is not int:
                    yield Fault("error", f"{name}: {member} is a whole number", "correct it")
            if field in _LISTS and not isinstance(part.get("StorageClass"), str):
                yield Fault("error", f"{name}: {field} without StorageClass", "name the class")
    yield from _filter_shape(rule.get("Filter"), name)


def _filter_shape(found: object, name: str) -> Iterator[Fault]:
    if not isinstance(found, Mapping):
        return
    if len(found) > 1:
        yield Fault(
            "error",
            f"{name}: a Filter has one member, this one has {', '.join(found)}",
            "put them into And",
        )
    both = found.get("And")
    if isinstance(both, Mapping):
        yield from _unknown(both, _FIELDS["And"], f"{name}: And")


def _parts(rule: Mapping[str, Any], field: str) -> list[Any]:
    value = rule[field]
    if field not in _LISTS:
        return [value]
    return list(value) if isinstance(value, list | tuple) else [None]


def _unknown(value: Mapping[str, Any], known: tuple[str, ...], where: str) -> Iterator[Fault]:
    for name in value:
        if name not in known:
            same = [one for one in known if one.lower() == str(name).lower()]
            near = same or difflib.get_close_matches(str(name), known, n=1, cutoff=0.5)
            hint = f"the API calls it {near[0]}" if near else f"known are {', '.join(known)}"
            yield Fault("error", f"{where} has no field {name}", hint)


def rule_faults(rule: Rule) -> Iterator[Fault]:
    """What S3 would refuse in a rule, and what in it may surprise."""
    for fault in _rule_faults(rule):
        yield Fault(fault.severity, f"rule {rule.id}: {fault.what}", fault.next_step)


def _rule_faults(rule: Rule) -> Iterator[Fault]:
    if len(rule.id) > LONGEST_ID:
        yield Fault("error", f"its id is longer than {LONGEST_ID} characters", "shorten it")
    if not rule.acts:
        yield Fault("error", "it does nothing", "add transitions, expiration or abortUploads")
    yield from _filter_faults(rule)
    classes = [one.storage_class for one in rule.transitions]
    classes += [one.storage_class or "" for one in rule.noncurrent_transitions]
    for name in classes:
        fault = class_fault(name)
        if fault is not None:
            yield fault
    yield from _time_faults(rule)
    yield from _noncurrent_faults(rule)
    if rule.abort_days is not None and rule.abort_days < 1:
        yield Fault("error", "uploads are aborted after one day at the earliest", "write 1 or more")


def _filter_faults(rule: Rule) -> Iterator[Fault]:
    tags = rule.filter.tags
    for key, value in sorted(tags):
        if not 1 <= len(key) <= 128 or len(value) > 256:
            yield Fault("error", f"{key}={value} is no tag", "keys have 128 characters, values 256")
    if len({key for key, _ in tags}) < len(tags):
        yield Fault("error", "one tag with two values matches no object", "make two rules of it")
    if tags and rule.abort_days is not None:
        yield Fault(
            "error",
            "uploads that are not complete have no tags, so a tag filter cannot mean them",
            "abort uploads in a rule without tags",
        )
    if tags and rule.expiration is not None and rule.expiration.markers:
        yield Fault(
            "error",
            "delete markers have no tags, so a tag filter cannot mean them",
            "remove delete markers in a rule without tags",
        )
    if rule.filter.prefix.startswith("/"):
        yield Fault(
            "warning",
            f"its prefix {rule.filter.prefix!r} begins with a slash, and hardly any key does",
            "leave the first slash out",
        )
    expires = rule.expiration is not None and not rule.expiration.markers
    if rule.enabled and expires and rule.filter == Filter():
        yield Fault(
            "warning", "it deletes every object of the bucket", "add a filter, if that is not meant"
        )


def _time_faults(rule: Rule) -> Iterator[Fault]:
    timed = [(one.days, one.date) for one in rule.transitions]
    expiration = rule.expiration
    if expiration is not None and not expiration.markers:
        timed.append((expiration.days, expiration.date))
    for days, date in timed:
        if (days is None) == (date is None):
            yield Fault("error", "an action has days or a date, one of them", "write one")
        if days is not None and days < 0:
            yield Fault("error", f"{days} days are in the past", "write 0 or more")
        if date is not None and not (date_of(date) or "").endswith("T00:00:00Z"):
            yield Fault("error", f"{date} is not midnight UTC", "write a date such as 2026-01-31")
    if len({days is None for days, _ in timed}) > 1:
        yield Fault("error", "days and dates in one rule", "make two rules of it")
    if expiration is not None:
        if expiration.markers and (expiration.days is not None or expiration.date is not None):
            yield Fault(
                "error",
                "delete markers and days, or a date, in one expiration",
                "make two rules of it",
            )
        if expiration.days == 0:
            yield Fault("error", "objects are deleted after one day at the earliest", "write 1")
    yield from _order_faults(rule)
    if any(one.days == 0 for one in rule.transitions):
        yield Fault(
            "warning",
            "0 days are allowed and not at once: S3 moves objects in a daily run after midnight"
            " UTC, and until then they are billed in the class they were stored in",
            "to store in the class at once, upload with it",
        )


def _order_faults(rule: Rule) -> Iterator[Fault]:
    names = [one.storage_class for one in rule.transitions]
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield Fault("error", f"two transitions to {name}", "remove one")
    dated = [one for one in rule.transitions if one.days is not None]
    for one, later in pairwise(dated):
        reachable = REACHES.get(one.storage_class)
        if reachable is not None and later.storage_class in _CLASSES:
            if one.days == later.days:
                yield Fault(
                    "error",
                    f"{one.storage_class} and {later.storage_class} on the same day {one.days}",
                    "give the cheaper class a later day, or leave the other one out",
                )
            elif later.storage_class not in reachable:
                yield Fault(
                    "error",
                    f"from {one.storage_class} (day {one.days}) nothing moves to"
                    f" {later.storage_class} (day {later.days})",
                    "lifecycle only moves to cheaper classes; put them in that order",
                )
    expires = rule.expiration.days if rule.expiration is not None else None
    late = [one for one in dated if expires is not None and (one.days or 0) >= expires]
    for one in late:
        yield Fault(
            "error",
            f"objects expire on day {expires}, before or when they would move to"
            f" {one.storage_class} (day {one.days})",
            "give the expiration a later day",
        )


def _noncurrent_faults(rule: Rule) -> Iterator[Fault]:
    expiration = rule.noncurrent_expiration
    every = [*rule.noncurrent_transitions, *([expiration] if expiration else [])]
    for one in every:
        if one.days is None:
            yield Fault("error", "noncurrent versions need days", "write how many")
        elif one.days < (1 if one.storage_class is None else 0):
            yield Fault("error", f"noncurrent versions after {one.days} days", "write 1 or more")
        if one.keep is not None and not 1 <= one.keep <= 100:
            yield Fault("error", f"{one.keep} noncurrent versions kept", "write 1 to 100")


def all_faults(document: object) -> Iterator[Fault]:
    """Everything about a whole document; what has not the shape of one is not looked into."""
    shape = list(document_faults(document))
    yield from shape
    if shape or not isinstance(document, Mapping):
        return
    rules = [read_rule(rule) for rule in document["Rules"]]
    if len(rules) > MOST_RULES:
        yield Fault("error", f"{len(rules):,} rules; S3 takes {MOST_RULES:,}", "join some")
    names = [rule.id for rule in rules]
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield Fault("error", f"two rules have the id {name}", "rename one")
    for rule in rules:
        yield from rule_faults(rule)
