"""Lifecycle documents: the mistakes of the replaced tools, which rule wins, what PUT must send."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3plan.rules.lifecycle.checks import all_faults
from s3plan.rules.lifecycle.document import (
    DEFAULT_MINIMUM,
    Expiration,
    Filter,
    Noncurrent,
    Rule,
    Transition,
    merged,
    read_rule,
    rule_document,
    same_lifecycle,
)
from s3plan.rules.lifecycle.evaluation import Event, Example, shadowed, timeline

WEB = {"Key": "archive", "Value": "fast"}


def rule(**fields: Any) -> dict[str, Any]:
    return {
        "ID": "fast",
        "Status": "Enabled",
        "Filter": {"Tag": WEB},
        "Transitions": [{"Days": 7, "StorageClass": "DEEP_ARCHIVE"}],
    } | {key: value for key, value in fields.items() if value is not None}


def told(*rules: Any, severity: str = "error") -> list[str]:
    return [
        f"{fault.what}; {fault.next_step}"
        for fault in all_faults({"Rules": list(rules)})
        if fault.severity == severity
    ]


def tagged(name: str, value: str, days: int, storage_class: str = "DEEP_ARCHIVE") -> Rule:
    return Rule(
        f"{name}-{value}",
        True,
        Filter(tags=frozenset({(name, value)})),
        (Transition(storage_class, days),),
    )


DOCUMENTED = (
    tagged("archive", "fast", 7),
    tagged("archive", "normal", 30),
    tagged("archive", "delayed", 90, "GLACIER"),
    tagged("backup", "deep-archive", 0),
)
"""Row D34: the four rules that the session archiver documents."""


def test_e1_the_key_is_upper_case() -> None:
    """E1: ``Id`` is CloudFormation's; the API refuses it, and we say which it wants."""
    wrong = rule() | {"Id": "fast"}
    del wrong["ID"]
    assert told(wrong) == ["rule fast has no field Id; the API calls it ID"]


def test_e2_glacier_flexible_retrieval_is_glacier() -> None:
    """E2: the class that people call Flexible Retrieval is GLACIER in the API."""
    wrong = rule(Transitions=[{"Days": 7, "StorageClass": "GLACIER_FLEXIBLE_RETRIEVAL"}])
    assert told(wrong) == [
        "rule fast: there is no storage class GLACIER_FLEXIBLE_RETRIEVAL; the API calls it GLACIER"
    ]


def test_e3_zero_days_are_allowed_and_explained() -> None:
    """E3: valid, and not at once."""
    zero = rule(Transitions=[{"Days": 0, "StorageClass": "DEEP_ARCHIVE"}])
    assert told(zero) == []
    (warning,) = told(zero, severity="warning")
    assert "not at once" in warning
    assert "upload with it" in warning


def test_e5_the_zero_day_rule_cancels_the_others() -> None:
    """E5: an object with both tags goes to DEEP_ARCHIVE on day 0, whatever archive= says."""
    found = shadowed(DOCUMENTED, DEFAULT_MINIMUM, versioned=False)
    assert {(one.loser, one.winner) for one in found} == {
        ("archive-fast", "backup-deep-archive"),
        ("archive-normal", "backup-deep-archive"),
        ("archive-delayed", "backup-deep-archive"),
    }
    both = Example("x", 1 << 30, frozenset({("archive", "normal"), ("backup", "deep-archive")}))
    assert timeline(DOCUMENTED, both, DEFAULT_MINIMUM, versioned=False) == (
        Event(0, "backup-deep-archive", "DEEP_ARCHIVE"),
    )


def test_rules_whose_tags_exclude_each_other_do_not_overlap() -> None:
    """Row D34: archive=fast and archive=normal are never on one object."""
    assert shadowed(DOCUMENTED[:3], DEFAULT_MINIMUM, versioned=False) == ()


def days(name: str, *transitions: tuple[int, str], prefix: str = "", expire: int = 0) -> Rule:
    return Rule(
        name,
        True,
        Filter(prefix),
        tuple(Transition(storage_class, day) for day, storage_class in transitions),
        Expiration(expire) if expire else None,
    )


@pytest.mark.parametrize(
    ("rules", "versioned", "expected"),
    [
        # Example 1: overlapping prefixes, no conflict.
        (
            [days("1", expire=365), days("2", (30, "STANDARD_IA"), prefix="logs/")],
            False,
            [(30, "STANDARD_IA"), (365, None)],
        ),
        # Example 2: transition and expiration on the same day: expiration.
        (
            [days("1", expire=365), days("2", (365, "STANDARD_IA"), prefix="logs/")],
            False,
            [(365, None)],
        ),
        # ... and with versions the transition comes before the delete marker.
        (
            [days("1", expire=365), days("2", (365, "STANDARD_IA"), prefix="logs/")],
            True,
            [(365, "STANDARD_IA"), (365, None)],
        ),
        # Example 3: overlapping prefixes, the shorter expiration.
        (
            [days("1", expire=30), days("2", (365, "STANDARD_IA"), prefix="logs/")],
            False,
            [(30, None)],
        ),
        # "When eligible for both GLACIER and STANDARD_IA, S3 chooses GLACIER".
        ([days("1", (10, "STANDARD_IA")), days("2", (10, "GLACIER"))], False, [(10, "GLACIER")]),
        (
            [days("1", (10, "GLACIER")), days("2", (10, "DEEP_ARCHIVE"))],
            False,
            [(10, "DEEP_ARCHIVE")],
        ),
        # "INTELLIGENT_TIERING is favored over any class but the two archives".
        (
            [days("1", (10, "GLACIER_IR")), days("2", (10, "INTELLIGENT_TIERING"))],
            False,
            [(10, "INTELLIGENT_TIERING")],
        ),
        (
            [days("1", (10, "GLACIER")), days("2", (10, "INTELLIGENT_TIERING"))],
            False,
            [(10, "GLACIER")],
        ),
        # Only ever down: what is in the archive does not come back.
        ([days("1", (1, "GLACIER")), days("2", (9, "STANDARD_IA"))], False, [(1, "GLACIER")]),
    ],
)
def test_conflicts_end_as_the_user_guide_says(
    rules: list[Rule], versioned: bool, expected: list[tuple[int, str | None]]
) -> None:
    """S3 user guide, "How Amazon S3 handles conflicts in lifecycle configurations"."""
    found = timeline(
        rules, Example("logs/a", 1 << 30, frozenset()), DEFAULT_MINIMUM, versioned=versioned
    )
    assert [(event.day, event.storage_class) for event in found] == expected


@pytest.mark.parametrize(
    ("size", "minimum", "bounds", "moves"),
    [
        (100_000, "all_storage_classes_128K", {}, False),
        (131_072, "all_storage_classes_128K", {}, True),
        (100_000, "varies_by_storage_class", {}, True),
        (100_000, "all_storage_classes_128K", {"larger_than": 1_000}, True),
        (900, "all_storage_classes_128K", {"larger_than": 1_000}, False),
    ],
)
def test_small_objects_stay_unless_told_otherwise(
    size: int, minimum: Any, bounds: Any, moves: bool
) -> None:
    """S3 moves nothing below 128 KB by default; a size in the filter takes that away."""
    one = Rule("r", True, Filter(**bounds), (Transition("DEEP_ARCHIVE", 1),))
    found = timeline([one], Example("k", size, frozenset()), minimum, versioned=False)
    assert bool(found) is moves


def test_small_objects_never_go_to_classes_with_a_minimum() -> None:
    """varies_by_storage_class lets them into the two archives only."""
    one = days("r", (1, "STANDARD_IA"))
    small = Example("k", 1_000, frozenset())
    assert timeline([one], small, "varies_by_storage_class", versioned=False) == ()


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"Filter": {"Prefix": "a", "Tag": WEB}}, "a Filter has one member"),
        ({"Status": "enabled"}, "no Status"),
        ({"Transitions": [{"StorageClass": "GLACIER"}]}, "days or a date"),
        ({"Transitions": [{"Days": "7", "StorageClass": "GLACIER"}]}, "a whole number"),
        ({"Transitions": [{"Days": -1, "StorageClass": "GLACIER"}]}, "in the past"),
        ({"Transitions": [{"Days": 1, "StorageClass": "STANDARD"}]}, "moves nothing to STANDARD"),
        (
            {"Transitions": [{"Date": "2026-01-31T12:00:00Z", "StorageClass": "GLACIER"}]},
            "midnight",
        ),
        ({"Transitions": []}, "it does nothing"),
        ({"Expiration": {"Days": 7}}, "expire on day 7"),
        ({"Expiration": {"Days": 90, "ExpiredObjectDeleteMarker": True}}, "two rules"),
        ({"Expiration": {"ExpiredObjectDeleteMarker": True}}, "delete markers have no tags"),
        ({"AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 3}}, "have no tags"),
        ({"Expiration": {"Date": "2030-01-01"}}, "days and dates"),
        (
            {
                "Transitions": [
                    {"Days": 30, "StorageClass": "GLACIER"},
                    {"Days": 90, "StorageClass": "STANDARD_IA"},
                ]
            },
            "from GLACIER (day 30) nothing moves to STANDARD_IA",
        ),
        (
            {"NoncurrentVersionExpiration": {"NoncurrentDays": 9, "NewerNoncurrentVersions": 0}},
            "1 to 100",
        ),
        ({"Transition": []}, "the API calls it Transitions"),
    ],
)
def test_what_s3_refuses_is_said_before(fields: dict[str, Any], words: str) -> None:
    """Constraints of LifecycleRule, each with what to do about it."""
    assert any(words in line for line in told(rule() | fields)), told(rule() | fields)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"Filter": {"Prefix": "/raw"}}, "begins with a slash"),
        ({"Filter": {"Prefix": ""}, "Transitions": [], "Expiration": {"Days": 1}}, "every object"),
    ],
)
def test_what_may_surprise_is_said_too(fields: dict[str, Any], words: str) -> None:
    """Hazard 18: a leading slash matches nothing, an empty prefix everything."""
    assert told(rule() | fields) == []
    assert any(words in line for line in told(rule() | fields, severity="warning"))


def test_more_than_s3_takes() -> None:
    """1,000 rules, each id once."""
    many = [rule(ID=f"r{number}") for number in range(1_001)]
    assert told(*many) == ["1,001 rules; S3 takes 1,000; join some"]
    assert told(rule(), rule()) == ["two rules have the id fast; rename one"]
    assert told(rule(ID="x" * 256)) != []


FULL = Rule(
    "all",
    True,
    Filter("raw/", frozenset({("a", "b"), ("c", "d")}), 1_000, 5_000),
    (Transition("GLACIER", 7), Transition("DEEP_ARCHIVE", 97)),
    Expiration(400),
    (Noncurrent("GLACIER", 7, 5),),
    Noncurrent(None, 90, 5),
)


@pytest.mark.parametrize(
    "one",
    [
        FULL,
        Rule("prefix", False, Filter("raw/"), abort_days=3),
        Rule("tag", True, Filter(tags=frozenset({("a", "b")})), (Transition("GLACIER", 0),)),
        Rule(
            "size",
            True,
            Filter(larger_than=1),
            (Transition("GLACIER", date="2026-01-31T00:00:00Z"),),
        ),
        Rule("all", True, Filter(), expiration=Expiration(markers=True)),
    ],
)
def test_a_rule_comes_back_as_it_was_written(one: Rule) -> None:
    """Rows D16, D34, D54: every part of a rule survives S3's spelling."""
    assert read_rule(rule_document(one)) == one
    assert not [
        fault for fault in all_faults({"Rules": [rule_document(one)]}) if fault.severity == "error"
    ]


def test_the_many_spellings_of_one_rule_are_equal() -> None:
    """A prefix in the rule, the filter or its And; dates of boto3; the order of rules."""
    plain = {"ID": "a", "Status": "Enabled", "Expiration": {"Days": 1}}
    spelt = [
        plain | {"Prefix": "raw/"},
        plain | {"Filter": {"Prefix": "raw/"}},
        plain | {"Filter": {"And": {"Prefix": "raw/"}}},
    ]
    assert len({repr(read_rule(one)) for one in spelt}) == 1
    other = rule()
    assert same_lifecycle({"Rules": [spelt[0], other]}, {"Rules": [other, spelt[2]]})
    assert not same_lifecycle({"Rules": [other]}, {"Rules": [other, spelt[0]]})
    dated = {
        "Transitions": [{"Date": datetime(2026, 1, 31, tzinfo=UTC), "StorageClass": "GLACIER"}]
    }
    text = {"Transitions": [{"Date": "2026-01-31", "StorageClass": "GLACIER"}]}
    assert read_rule(rule() | dated) == read_rule(rule() | text)


def test_e21_foreign_rules_stay_exactly_as_they_are_written() -> None:
    """E21, hazard 17: S3's PUT replaces everything, so what others put there is sent again."""
    foreign = rule(ID="theirs", Unheard={"of": 1})
    before = {
        "Rules": [foreign, rule()],
        "TransitionDefaultMinimumObjectSize": "varies_by_storage_class",
    }
    wanted = tagged("archive", "fast", 14)
    named = Rule("fast", True, wanted.filter, wanted.transitions)
    after = merged(before, [named], keep_foreign=True, minimum=None)
    assert after == {
        "Rules": [foreign, rule_document(named)],
        "TransitionDefaultMinimumObjectSize": "varies_by_storage_class",
    }
    assert merged(before, [named], keep_foreign=False, minimum=None) == {
        "Rules": [rule_document(named)],
        "TransitionDefaultMinimumObjectSize": "varies_by_storage_class",
    }
    assert merged({"Rules": [foreign]}, [], keep_foreign=False, minimum=None) is None


@given(
    names=st.lists(st.sampled_from("abcdefg"), unique=True),
    wanted=st.lists(st.sampled_from("abcdefg"), unique=True),
)
def test_no_foreign_rule_is_ever_lost(names: list[str], wanted: list[str]) -> None:
    """E21: whatever is there and whatever is wanted, the others' rules come out as they went in."""
    there = [rule(ID=name, Unheard=name) for name in names]
    rules = [days(name, (number, "GLACIER")) for number, name in enumerate(wanted)]
    after = merged({"Rules": there}, rules, keep_foreign=True, minimum=None)
    found = {one["ID"]: one for one in (after or {"Rules": []})["Rules"]}
    assert set(found) == {*names, *wanted}
    for one in there:
        if one["ID"] not in wanted:
            assert found[one["ID"]] == one
    for ours in rules:
        assert read_rule(found[ours.id]) == ours


def test_a_rule_that_is_there_already_is_not_rewritten() -> None:
    """Equal documents are No changes, whatever the spelling."""
    spelt = rule(Filter={"And": {"Tags": [WEB]}})
    wanted = read_rule(rule())
    assert merged({"Rules": [spelt]}, [wanted], keep_foreign=True, minimum=None) == {
        "Rules": [spelt]
    }
