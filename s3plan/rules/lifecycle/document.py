"""Lifecycle rules as values: read from S3's documents, written as such, compared.

S3 has several ways to write the same rule (a prefix in the rule, in the filter, or in its And; the
order of rules and transitions). Here is one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Literal

from msgspec import Struct

MinimumSize = Literal["all_storage_classes_128K", "varies_by_storage_class"]
"""What S3 does with objects below 128 KB where a rule's filter says nothing of sizes
(https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketLifecycleConfiguration.html)."""

DEFAULT_MINIMUM: MinimumSize = "all_storage_classes_128K"


class Filter(Struct, frozen=True):
    """Which objects; all of it must hold. Sizes in bytes, both bounds exclusive, as S3's are."""

    prefix: str = ""
    tags: frozenset[tuple[str, str]] = frozenset()
    larger_than: int | None = None
    smaller_than: int | None = None

    @property
    def bounded(self) -> bool:
        """Whether sizes are said, which takes S3's 128 KB default away."""
        return self.larger_than is not None or self.smaller_than is not None

    def matches(self, key: str, size: int, tags: Iterable[tuple[str, str]]) -> bool:
        """Whether an object is one of these."""
        return (
            key.startswith(self.prefix)
            and self.tags <= frozenset(tags)
            and (self.larger_than is None or size > self.larger_than)
            and (self.smaller_than is None or size < self.smaller_than)
        )


class Transition(Struct, frozen=True):
    """To a class so many days after the object was made, or on a date (midnight UTC)."""

    storage_class: str
    days: int | None = None
    date: str | None = None


class Expiration(Struct, frozen=True):
    """Deletion after days or on a date; or, with ``markers``, of delete markers above nothing."""

    days: int | None = None
    date: str | None = None
    markers: bool = False


class Noncurrent(Struct, frozen=True):
    """What happens to a version so many days after it was overwritten.

    ``storage_class`` None is deletion. ``keep`` newer noncurrent versions are left alone.
    """

    storage_class: str | None
    days: int | None
    keep: int | None = None


class Rule(Struct, frozen=True):
    """One rule. ``abort_days`` is for multipart uploads that nobody completed."""

    id: str
    enabled: bool
    filter: Filter = Filter()
    transitions: tuple[Transition, ...] = ()
    expiration: Expiration | None = None
    noncurrent_transitions: tuple[Noncurrent, ...] = ()
    noncurrent_expiration: Noncurrent | None = None
    abort_days: int | None = None

    @property
    def acts(self) -> bool:
        """Whether it does anything at all."""
        return bool(
            self.transitions
            or self.expiration
            or self.noncurrent_transitions
            or self.noncurrent_expiration
            or self.abort_days is not None
        )


def read_rules(document: object) -> tuple[Rule, ...]:
    """The rules of a document that :mod:`checks` found readable; None has none."""
    rules = document.get("Rules", []) if isinstance(document, Mapping) else []
    return tuple(map(read_rule, rules))


def read_rule(rule: Mapping[str, Any]) -> Rule:
    """One rule, as S3 gives or takes it."""
    expiration = rule.get("Expiration")
    noncurrent = rule.get("NoncurrentVersionExpiration")
    return Rule(
        id=str(rule.get("ID", "")),
        enabled=rule.get("Status") == "Enabled",
        filter=_filter(rule),
        transitions=tuple(
            sorted(
                (
                    Transition(
                        str(one.get("StorageClass", "")), one.get("Days"), date_of(one.get("Date"))
                    )
                    for one in rule.get("Transitions", [])
                ),
                key=lambda one: (one.days or 0, one.date or "", one.storage_class),
            )
        ),
        expiration=None
        if expiration is None
        else Expiration(
            expiration.get("Days"),
            date_of(expiration.get("Date")),
            bool(expiration.get("ExpiredObjectDeleteMarker", False)),
        ),
        noncurrent_transitions=tuple(
            sorted(
                (
                    _noncurrent(one, str(one.get("StorageClass", "")))
                    for one in rule.get("NoncurrentVersionTransitions", [])
                ),
                key=lambda one: (one.days or 0, one.storage_class or ""),
            )
        ),
        noncurrent_expiration=None if noncurrent is None else _noncurrent(noncurrent, None),
        abort_days=rule.get("AbortIncompleteMultipartUpload", {}).get("DaysAfterInitiation"),
    )


def _noncurrent(value: Mapping[str, Any], storage_class: str | None) -> Noncurrent:
    return Noncurrent(
        storage_class, value.get("NoncurrentDays"), value.get("NewerNoncurrentVersions")
    )


def _filter(rule: Mapping[str, Any]) -> Filter:
    found = rule.get("Filter", {})
    found = found.get("And", found)
    tags = [*found.get("Tags", []), *([found["Tag"]] if "Tag" in found else [])]
    return Filter(
        str(found.get("Prefix", rule.get("Prefix", "")) or ""),
        frozenset((str(tag["Key"]), str(tag["Value"])) for tag in tags),
        found.get("ObjectSizeGreaterThan"),
        found.get("ObjectSizeLessThan"),
    )


def date_of(value: object) -> str | None:
    """A date as S3 wants it, ``2026-01-31T00:00:00Z``; what is none stays as it is written."""
    if value is None:
        return None
    try:
        moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    except ValueError:
        return str(value)
    utc = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    return utc.strftime("%Y-%m-%dT%H:%M:%SZ")


def rule_document(rule: Rule) -> dict[str, Any]:
    """A rule as S3 takes it, in the one way that s3plan writes it."""
    written: dict[str, Any] = {
        "ID": rule.id,
        "Status": "Enabled" if rule.enabled else "Disabled",
        "Filter": _filter_document(rule.filter),
    }
    if rule.transitions:
        written["Transitions"] = [
            _when(one.days, one.date) | {"StorageClass": one.storage_class}
            for one in rule.transitions
        ]
    if rule.expiration is not None:
        written["Expiration"] = (
            {"ExpiredObjectDeleteMarker": True}
            if rule.expiration.markers
            else _when(rule.expiration.days, rule.expiration.date)
        )
    if rule.noncurrent_transitions:
        written["NoncurrentVersionTransitions"] = [
            _noncurrent_document(one) for one in rule.noncurrent_transitions
        ]
    if rule.noncurrent_expiration is not None:
        written["NoncurrentVersionExpiration"] = _noncurrent_document(rule.noncurrent_expiration)
    if rule.abort_days is not None:
        written["AbortIncompleteMultipartUpload"] = {"DaysAfterInitiation": rule.abort_days}
    return written


def _when(days: int | None, date: str | None) -> dict[str, Any]:
    return {"Date": date} if days is None else {"Days": days}


def _noncurrent_document(one: Noncurrent) -> dict[str, Any]:
    written: dict[str, Any] = {"NoncurrentDays": one.days}
    if one.keep is not None:
        written["NewerNoncurrentVersions"] = one.keep
    if one.storage_class is not None:
        written["StorageClass"] = one.storage_class
    return written


def _filter_document(found: Filter) -> dict[str, Any]:
    """A filter has one member, or an And of several
    (https://docs.aws.amazon.com/AmazonS3/latest/API/API_LifecycleRuleFilter.html).
    """
    tags = [{"Key": key, "Value": value} for key, value in sorted(found.tags)]
    sizes = {
        name: value
        for name, value in (
            ("ObjectSizeGreaterThan", found.larger_than),
            ("ObjectSizeLessThan", found.smaller_than),
        )
        if value is not None
    }
    prefix = {"Prefix": found.prefix} if found.prefix else {}
    if len(tags) + len(sizes) + len(prefix) > 1:
        return {"And": prefix | ({"Tags": tags} if tags else {}) | sizes}
    return {"Tag": tags[0]} if tags else sizes or {"Prefix": found.prefix}


def merged(
    before: object, wanted: Sequence[Rule], *, keep_foreign: bool, minimum: MinimumSize | None
) -> dict[str, Any] | None:
    """The whole document that PUT must send: S3 replaces everything by it.

    Foreign rules are those whose ID is none of ``wanted``; they stay exactly as they are written.
    A wanted rule that is there already and means the same stays as it is written, too. ``minimum``
    None keeps what is there. None where no rule is left, which is no configuration.
    """
    had = before if isinstance(before, Mapping) else {}
    by_id = {rule.id: rule for rule in wanted}
    rules: list[Mapping[str, Any]] = []
    for written in had.get("Rules", []):
        rule = by_id.pop(str(written.get("ID", "")), None)
        if rule is None:
            rules += [written] if keep_foreign else []
        else:
            rules.append(written if read_rule(written) == rule else rule_document(rule))
    rules += [rule_document(rule) for rule in wanted if rule.id in by_id]
    if not rules:
        return None
    chosen = minimum or had.get("TransitionDefaultMinimumObjectSize")
    tail = {"TransitionDefaultMinimumObjectSize": chosen} if chosen else {}
    return {"Rules": [dict(rule) for rule in rules], **tail}


def minimum_of(document: object) -> MinimumSize:
    """What the document says of small objects; S3's default where it says nothing."""
    said = (
        document.get("TransitionDefaultMinimumObjectSize")
        if isinstance(document, Mapping)
        else None
    )
    return "varies_by_storage_class" if said == "varies_by_storage_class" else DEFAULT_MINIMUM


def lifecycle_meaning(document: object) -> tuple[object, ...] | None:
    """What two documents that S3 treats alike have in common, and no others.

    The order of rules does not count. What is not known here counts as it is written. None where
    there is no rule.
    """
    rules = document.get("Rules", []) if isinstance(document, Mapping) else []
    if not rules:
        return None
    found = [
        (rule.id, rule, {key: value for key, value in written.items() if key not in _KNOWN})
        for written, rule in zip(rules, map(read_rule, rules), strict=True)
    ]
    return (minimum_of(document), *sorted(found, key=lambda one: one[0]))


def same_lifecycle(one: object, other: object) -> bool:
    """Whether S3 does the same by both documents; None is none."""
    return lifecycle_meaning(one) == lifecycle_meaning(other)


_KNOWN = frozenset(
    {
        "ID",
        "Status",
        "Prefix",
        "Filter",
        "Transitions",
        "Expiration",
        "NoncurrentVersionTransitions",
        "NoncurrentVersionExpiration",
        "AbortIncompleteMultipartUpload",
    }
)
