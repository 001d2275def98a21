"""What the documents of a bucket's configuration mean: when two say the same, and what is default.

S3 does not give back what was put to the letter: it adds ids, orders lists anew, makes one value of
a list of one. Two documents are compared by their normal forms; what is written is the document as
it was read or wished for, completed with the ids that S3 would otherwise invent.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping

from s3plan.errors import PlanningError
from s3plan.model.buckets import Document, DocumentName
from s3plan.rules.lifecycle.document import lifecycle_meaning
from s3plan.rules.policies.document import read_policy

POLICY_BYTES = 20 * 1024
"""The most a bucket policy may have
(https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-policies.html)."""

NOT_PUT: frozenset[DocumentName] = frozenset({"metadata-tables"})
"""Documents that can be read and not be written again: S3 makes their tables anew, and empty."""

_BLOCKS = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")

_NEW: Mapping[DocumentName, Document] = {
    "public-access-block": dict.fromkeys(_BLOCKS, True),
    "ownership": {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]},
}
"""What a new bucket has that is more than nothing."""

_SSE_S3 = {"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]}


def completed(name: DocumentName, document: Document) -> Document:
    """The document as it is written: rules without an id get one that is made from their content.

    S3 would invent one, and the document that is read back would be another at every write.
    """
    if document is None:
        return None
    match name:
        case "lifecycle" | "replication":
            rules = [_with_id(rule, "ID") for rule in document.get("Rules", [])]
            return {**document, "Rules": rules}
        case "notification":
            return {
                kind: [_with_id(one, "Id") for one in value] if isinstance(value, list) else value
                for kind, value in document.items()
            }
        case _:
            return document


def same(name: DocumentName, one: Document, other: Document) -> bool:
    """Whether S3 does the same under both. A default that is spelt out equals its absence."""
    return bool(normal(name, one) == normal(name, other))


def normal(name: DocumentName, document: Document) -> Document:
    """The form in which equal documents are equal; None where the document says nothing."""
    return None if document is None else _NORMAL[name](completed(name, document))


def is_default(name: DocumentName, document: Document) -> bool:
    """Whether a new bucket has it anyway.

    Since April 2023 a new bucket blocks public access and has no ACLs
    (https://docs.aws.amazon.com/AmazonS3/latest/userguide/create-bucket-faq.html).
    """
    meaning = normal(name, document)
    return meaning is None or bool(meaning == _NEW.get(name))


def restorable(name: DocumentName, document: Document, *, aws: bool) -> Document:
    """What of a saved document can be put on a bucket that is made again.

    Tags of AWS itself (``aws:``) are not ours to set, and MFA delete needs its owner's device. S3
    refuses SSE-C in new buckets since April 2026 unless that is allowed in so many words
    (https://docs.aws.amazon.com/AmazonS3/latest/userguide/blocking-unblocking-s3-c-encryption-gpb.html).
    """
    if document is None:
        return None
    if name == "tagging":
        return [tag for tag in document if not tag["Key"].startswith("aws:")] or None
    if name == "versioning":
        return {"Status": document["Status"]} if document.get("Status") else None
    if name == "encryption" and aws:
        allowed = {"BlockedEncryptionTypes": {"EncryptionType": ["NONE"]}}
        return {**document, "Rules": [{**allowed, **rule} for rule in document["Rules"]]}
    return document


def lost(name: DocumentName, document: Document) -> str | None:
    """What of a document cannot be put on a bucket that is made again; None where all can."""
    if name in NOT_PUT:
        return name
    if name == "tagging" and any(tag["Key"].startswith("aws:") for tag in document):
        return "tagging (tags of AWS itself)"
    if name == "versioning" and document.get("MFADelete") == "Enabled":
        return "versioning (MFA delete)"
    return None


def text(document: Document) -> str:
    """The document as JSON on one line, as it is sent where S3 takes text."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"))


def _with_id(rule: Mapping[str, Document], key: str) -> Mapping[str, Document]:
    if rule.get(key):
        return rule
    content = {name: value for name, value in rule.items() if name != key}
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    return {key: f"s3plan-{digest[:16]}", **content}


def _policy(document: Mapping[str, Document]) -> Document:
    try:
        return read_policy(document, "policy").meaning()
    except PlanningError:
        return document  # what is no policy equals nothing but itself


def _rules(document: Mapping[str, Document]) -> Document:
    rules = document.get("Rules", [])
    return {**document, "Rules": _sorted(rules)} if rules else None


def _notification(document: Mapping[str, Document]) -> Document:
    normalised: dict[str, Document] = {}
    for kind, value in document.items():
        if isinstance(value, list) and value:
            normalised[kind] = _sorted([_notified(one) for one in value])
        elif isinstance(value, Mapping):
            normalised[kind] = value
    return normalised or None


def _notified(one: Mapping[str, Document]) -> Document:
    """S3 answers ``Prefix`` where ``prefix`` was put, and events in an order of its own."""
    normalised = {**one, "Events": sorted(one.get("Events", []))}
    rules = one.get("Filter", {}).get("Key", {}).get("FilterRules", [])
    if rules:
        spelt = [{**rule, "Name": str(rule.get("Name", "")).lower()} for rule in rules]
        normalised["Filter"] = {"Key": {"FilterRules": _sorted(spelt)}}
    return normalised


def _encryption(document: Mapping[str, Document]) -> Document:
    """S3 encrypts every object with SSE-S3 since January 2023: saying so says nothing.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/default-encryption-faq.html
    """
    defaults = {
        "BucketKeyEnabled": False,
        "BlockedEncryptionTypes": {"EncryptionType": ["NONE"]},
    }
    rules = [_without(rule, defaults) for rule in document.get("Rules", [])]
    return None if not rules or {"Rules": rules} == _SSE_S3 else {**document, "Rules": rules}


def _acl(document: Mapping[str, Document]) -> Document:
    """Grants without display names, which S3 no longer tells; the owner's own is no grant."""
    owner = document.get("Owner", {}).get("ID")
    grants = []
    for grant in document.get("Grants", []):
        grantee = {k: v for k, v in grant.get("Grantee", {}).items() if k != "DisplayName"}
        grants.append({"Grantee": grantee, "Permission": grant.get("Permission")})
    own = [
        grant
        for grant in grants
        if grant["Grantee"].get("ID") == owner and grant["Permission"] == "FULL_CONTROL"
    ]
    if not grants or grants == own:
        return None
    return {"Owner": {"ID": owner}, "Grants": _sorted(grants)}


def _public_access(document: Mapping[str, Document]) -> Document:
    blocks = {block: bool(document.get(block)) for block in _BLOCKS}
    return blocks if any(blocks.values()) else None


def _logging(document: Mapping[str, Document]) -> Document:
    return _without(document, {"TargetObjectKeyFormat": {"SimplePrefix": {}}}) or None


def _object_lock(document: Mapping[str, Document]) -> Document:
    """Without the zero that some servers answer for the unit which was not used."""
    retention = document.get("Rule", {}).get("DefaultRetention")
    if not retention:
        return document or None
    return {**document, "Rule": {"DefaultRetention": _without(retention, {"Days": 0, "Years": 0})}}


def _as_it_is(document: Document) -> Document:
    return document or None


def _unless_off(on: str) -> Callable[[Document], Document]:
    return lambda document: document if document == on else None


def _without(document: Mapping[str, Document], defaults: Mapping[str, Document]) -> Document:
    return {
        key: value
        for key, value in document.items()
        if key not in defaults or value != defaults[key]
    }


def _sorted(values: Iterable[Document]) -> list[Document]:
    return sorted(values, key=_order)


def _any_order(values: Iterable[Document]) -> Document:
    return _sorted(values) or None


def _order(value: Document) -> str:
    return json.dumps(value, sort_keys=True)


_NORMAL: Mapping[DocumentName, Callable[[Document], Document]] = {
    "abac": _unless_off("Enabled"),
    "accelerate": _unless_off("Enabled"),
    "acl": _acl,
    "analytics": _any_order,
    "cors": _as_it_is,
    "encryption": _encryption,
    "intelligent-tiering": _any_order,
    "inventory": _any_order,
    "lifecycle": lifecycle_meaning,
    "logging": _logging,
    "metadata-tables": _as_it_is,
    "metrics": _any_order,
    "notification": _notification,
    "object-lock": _object_lock,
    "ownership": _as_it_is,
    "policy": _policy,
    "public-access-block": _public_access,
    "replication": _rules,
    "request-payment": _unless_off("Requester"),
    "tagging": _any_order,
    "versioning": lambda document: _without(document, {"MFADelete": "Disabled"}) or None,
    "website": _as_it_is,
}
