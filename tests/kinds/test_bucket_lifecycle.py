"""BucketLifecycle, planned from data: the mistakes of the replaced tools, numbers and money."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from s3plan.errors import ProblemsError
from s3plan.inventory.tags import SAMPLED
from s3plan.kinds import load
from s3plan.model.steps import Configure, Step
from s3plan.tables import LISTING, Database
from tests.kinds.planned import append, manifest, plan

AWS = {"endpoint": "https://s3.us-east-1.amazonaws.com", "region": "us-east-1"}
GIB = 1024**3


def moving(name: str, tag: str, days: int, storage_class: str = "DEEP_ARCHIVE") -> str:
    """A rule in a manifest."""
    return (
        f"- {{id: {name}, filter: {{tag: {{{tag}}}}},"
        f" transitions: [{{days: {days}, storageClass: {storage_class}}}]}}\n"
    )


FAST = moving("fast", "archive: fast", 7)
DOCUMENTED = (
    FAST
    + moving("normal", "archive: normal", 30)
    + moving("delayed", "archive: delayed", 90, "GLACIER")
    + moving("backup", "backup: deep-archive", 0)
)
THEIRS = {
    "ID": "theirs",
    "Status": "Enabled",
    "Filter": {"Prefix": "tmp/"},
    "Expiration": {"Days": 3},
}


def spec(rules: str, more: str = "") -> str:
    indented = "".join(f"  {line}\n" for line in rules.strip().splitlines())
    return f"buckets: {{include: [astro]}}\nrules:\n{indented}{more}"


def objects(count: int, size: int = GIB, prefix: str = "raw/", **more: Any) -> list[dict[str, Any]]:
    return [{"key": f"{prefix}{number:04}", "size": size} | more for number in range(count)]


def astro(rules: list[dict[str, Any]] | None = None, **more: Any) -> dict[str, Any]:
    configuration = {"lifecycle": {"Rules": rules}} if rules else {}
    return {"astro": {"configuration": configuration, "region": "us-east-1"} | more}


def steps(tmp_path: Path, text: str, **inventory: Any) -> list[Step]:
    looked = {"buckets": astro(objects=objects(4)), "target": AWS} | inventory
    return list(plan(tmp_path, manifest(tmp_path, text, "BucketLifecycle"), looked).file.steps)


def step(tmp_path: Path, text: str, **inventory: Any) -> Step:
    (one,) = steps(tmp_path, text, **inventory)
    return one


def after(one: Step) -> dict[str, dict[str, Any]]:
    assert isinstance(one.action, Configure)
    return {rule["ID"]: rule for rule in one.action.after["Rules"]}


def told(one: Step) -> tuple[str, ...]:
    """What the plan says that the step means."""
    return one.meaning or ()


def tagged(**tags: str) -> dict[str, dict[str, dict[str, str]]]:
    return {"astro": {f"raw/{number:04}": tags for number in range(4)}}


def said(tmp_path: Path, text: str) -> list[str]:
    with pytest.raises(ProblemsError) as caught:
        load([manifest(tmp_path, text, "BucketLifecycle")], variables={}, environ={})
    return [f"{one.what} {one.expected} {one.next_step}" for one in caught.value.problems]


def test_e1_id_is_lower_case_in_manifests_and_upper_case_in_s3(tmp_path: Path) -> None:
    """E1: both wrong spellings are answered with the right one, at their place."""
    wrong = spec("- {Id: fast, transitions: [{days: 7, storageClass: GLACIER}]}")
    assert any("there is no field spec.rules[0].Id" in line for line in said(tmp_path, wrong))
    assert any("did you mean id?" in line for line in said(tmp_path, wrong))
    (tmp_path / "l.json").write_text(json.dumps({"Rules": [{"Id": "fast", "Status": "Enabled"}]}))
    with pytest.raises(ProblemsError) as caught:
        steps(tmp_path, "buckets: {include: [astro]}\nrules: {from: l.json}")
    found = [str(problem) for problem in caught.value.problems]
    assert any("has no field Id" in line and "calls it ID" in line for line in found)
    assert str(tmp_path / "l.json") in found[0]


def test_e2_the_class_has_another_name(tmp_path: Path) -> None:
    """E2: GLACIER_FLEXIBLE_RETRIEVAL is GLACIER."""
    wrong = spec(FAST.replace("DEEP_ARCHIVE", "GLACIER_FLEXIBLE_RETRIEVAL"))
    (line,) = said(tmp_path, wrong)
    assert "there is no storage class GLACIER_FLEXIBLE_RETRIEVAL: the API calls it GLACIER" in line


def test_e3_zero_days_are_explained(tmp_path: Path) -> None:
    """E3: allowed, and the daily run is not now."""
    one = step(tmp_path, spec(FAST.replace("days: 7", "days: 0")), tags=tagged(archive="fast"))
    assert after(one)["fast"]["Transitions"] == [{"Days": 0, "StorageClass": "DEEP_ARCHIVE"}]
    assert any("not at once" in warning for warning in one.warnings)


def test_e4_rules_that_match_nothing_are_flagged(tmp_path: Path) -> None:
    """E4: the uploader sets archive_policy and backup_policy, the rules want archive and backup."""
    one = step(tmp_path, spec(DOCUMENTED), tags=tagged(archive_policy="fast", backup_policy="deep"))
    flagged = [warning for warning in one.warnings if "matches nothing" in warning]
    assert len(flagged) == 4
    assert flagged[0] == (
        "rule fast matches nothing: no object has archive=fast;"
        " they have archive_policy=fast, backup_policy=deep"
    )


def test_e5_overlapping_rules_are_evaluated(tmp_path: Path) -> None:
    """E5: with both tags the 0-day rule cancels the 7, 30 and 90 days."""
    one = step(tmp_path, spec(DOCUMENTED), tags=tagged(archive="fast"))
    lost = [warning for warning in one.warnings if "does not get to" in warning]
    assert len(lost) == 3
    assert lost[0] == (
        "rule fast does not get to move to DEEP_ARCHIVE on day 7: objects with archive=fast and"
        " backup=deep-archive are also meant by rule backup, which will move to DEEP_ARCHIVE on"
        " day 0; S3 takes the earlier and the cheaper"
    )


def test_e6_the_actions_have_their_iam_names(tmp_path: Path) -> None:
    """E6: s3:GetLifecycleConfiguration, not s3:GetBucketLifecycleConfiguration."""
    with pytest.raises(ProblemsError) as caught:
        steps(tmp_path, spec(FAST), buckets=astro(unreadable=("lifecycle",)))
    assert "s3:GetLifecycleConfiguration" in str(caught.value.problems[0])


def test_e21_others_rules_stay(tmp_path: Path) -> None:
    """E21 and hazard 17: PUT replaces the whole document, so the plan holds the whole document."""
    there = astro([THEIRS], objects=objects(4))
    one = step(tmp_path, spec(FAST), buckets=there)
    assert list(after(one)) == ["theirs", "fast"]
    assert after(one)["theirs"] == THEIRS
    assert "rules of others that stay as they are: theirs" in told(one)
    gone = step(tmp_path, spec(FAST, "foreign: remove"), buckets=there)
    assert list(after(gone)) == ["fast"]
    assert "rules that are removed: theirs" in told(gone)
    named = step(tmp_path, spec(FAST, "absent: [theirs]"), buckets=there)
    assert list(after(named)) == ["fast"]


def test_planned_again_it_is_no_change(tmp_path: Path) -> None:
    """Whatever S3 makes of the order and of a filter."""
    one = step(tmp_path, spec(DOCUMENTED))
    rules = [rule | {"Transitions": rule["Transitions"][::-1]} for rule in after(one).values()]
    again = astro(rules[::-1], objects=objects(4))
    assert steps(tmp_path, spec(DOCUMENTED), buckets=again) == []
    changed = step(tmp_path, spec(DOCUMENTED.replace("days: 30", "days: 31")), buckets=again)
    assert isinstance(changed.action, Configure)
    assert changed.action.before == {"Rules": rules[::-1]}


def test_d34_the_documented_rules(tmp_path: Path) -> None:
    """Row D34: tags and days as the archiver's guide says them."""
    found = after(step(tmp_path, spec(DOCUMENTED)))
    assert {name: (rule["Filter"], rule["Transitions"]) for name, rule in found.items()} == {
        "fast": (
            {"Tag": {"Key": "archive", "Value": "fast"}},
            [{"Days": 7, "StorageClass": "DEEP_ARCHIVE"}],
        ),
        "normal": (
            {"Tag": {"Key": "archive", "Value": "normal"}},
            [{"Days": 30, "StorageClass": "DEEP_ARCHIVE"}],
        ),
        "delayed": (
            {"Tag": {"Key": "archive", "Value": "delayed"}},
            [{"Days": 90, "StorageClass": "GLACIER"}],
        ),
        "backup": (
            {"Tag": {"Key": "backup", "Value": "deep-archive"}},
            [{"Days": 0, "StorageClass": "DEEP_ARCHIVE"}],
        ),
    }


def test_d54_housekeeping(tmp_path: Path) -> None:
    """Row D54: uploads nobody completed, versions nobody sees, markers over nothing."""
    text = "buckets: {include: [astro]}\nhousekeeping: {noncurrentDays: 90, noncurrentKeep: 5}"
    one = step(tmp_path, text)
    assert after(one) == {
        "s3plan-housekeeping": {
            "ID": "s3plan-housekeeping",
            "Status": "Enabled",
            "Filter": {"Prefix": ""},
            "Expiration": {"ExpiredObjectDeleteMarker": True},
            "NoncurrentVersionExpiration": {"NoncurrentDays": 90, "NewerNoncurrentVersions": 5},
            "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7},
        }
    }
    assert one.reversibility == "until"
    assert any("never had versions" in warning for warning in one.warnings)


def test_everything_a_rule_can_say(tmp_path: Path) -> None:
    """And of several conditions, sizes, dates, noncurrent versions, a rule that is off."""
    rules = """\
- id: all
  enabled: false
  filter: {prefix: raw/, tag: {a: b, c: d}, largerThan: 1KiB, smallerThan: 5MiB}
  transitions: [{date: 2030-01-31, storageClass: GLACIER}]
  noncurrent:
    transitions: [{days: 7, storageClass: GLACIER, keep: 2}]
    expiration: {days: 90, keep: 5}
"""
    assert after(step(tmp_path, spec(rules)))["all"] == {
        "ID": "all",
        "Status": "Disabled",
        "Filter": {
            "And": {
                "Prefix": "raw/",
                "Tags": [{"Key": "a", "Value": "b"}, {"Key": "c", "Value": "d"}],
                "ObjectSizeGreaterThan": 1024,
                "ObjectSizeLessThan": 5 * 1024**2,
            }
        },
        "Transitions": [{"Date": "2030-01-31T00:00:00Z", "StorageClass": "GLACIER"}],
        "NoncurrentVersionTransitions": [
            {"NoncurrentDays": 7, "NewerNoncurrentVersions": 2, "StorageClass": "GLACIER"}
        ],
        "NoncurrentVersionExpiration": {"NoncurrentDays": 90, "NewerNoncurrentVersions": 5},
    }


def test_an_s3_document_is_taken_as_it_is(tmp_path: Path) -> None:
    """``rules.from``: the document that the AWS CLI takes."""
    document = {
        "TransitionDefaultMinimumObjectSize": "varies_by_storage_class",
        "Rules": [THEIRS],
    }
    (tmp_path / "lifecycle_policy.json").write_text(json.dumps(document))
    text = "buckets: {include: [astro]}\nrules: {from: lifecycle_policy.json}"
    one = step(tmp_path, text)
    assert isinstance(one.action, Configure)
    assert one.action.after == {
        "Rules": [THEIRS],
        "TransitionDefaultMinimumObjectSize": "varies_by_storage_class",
    }


ALL = "- {id: all, transitions: [{days: 30, storageClass: DEEP_ARCHIVE}]}"


def test_how_many_bytes_and_how_much_money(tmp_path: Path) -> None:
    """By hand, us-east-1: a GB of STANDARD 0.023, DEEP_ARCHIVE 0.00099; moving 1,000 0.05."""
    one = step(tmp_path, spec(ALL), buckets=astro(objects=objects(1_000)))
    assert told(one)[0] == "rule all: matches 1,000 objects, 1,000.0 GiB"
    # 1,000 GiB + 1,000 x 32 KiB at 0.00099, and 1,000 x 8 KiB at 0.023 (0.021 in the lowest band).
    assert told(one)[1] == (
        "rule all: 1,000 objects to DEEP_ARCHIVE after 30 days: $21.00 to $23.00 a month becomes"
        " $0.99; moving them costs $0.05 once"
    )


def test_without_prices_there_is_no_money(tmp_path: Path) -> None:
    """An endpoint that is not AWS has no prices here."""
    other = {"endpoint": "http://s3.example:8333", "region": "us-east-1"}
    one = step(tmp_path, spec(ALL), target=other)
    assert told(one) == (
        "rule all: matches 4 objects, 4.0 GiB",
        "rule all: 4 objects to DEEP_ARCHIVE after 30 days",
    )


def test_small_objects_stay_and_that_is_said(tmp_path: Path) -> None:
    """The 128 KB default is kept and warned about; a size in the filter takes it away."""
    mixed = [*objects(3), *objects(5, 2_880, "small/")]
    one = step(tmp_path, spec(ALL), buckets=astro(objects=mixed))
    assert any("5 objects below 128 KB will not move" in warning for warning in one.warnings)
    assert any(line.startswith("rule all: 3 objects to DEEP_ARCHIVE") for line in told(one))
    bounded = ALL.replace("id: all,", "id: all, filter: {largerThan: 0},")
    one = step(tmp_path, spec(bounded), buckets=astro(objects=mixed))
    assert any(line.startswith("rule all: 8 objects to DEEP_ARCHIVE") for line in told(one))
    varies = spec(ALL, "minimumSize: varies_by_storage_class")
    one = step(tmp_path, varies, buckets=astro(objects=mixed))
    assert any(line.startswith("rule all: 8 objects to DEEP_ARCHIVE") for line in told(one))


def test_what_is_in_the_class_already_does_not_move(tmp_path: Path) -> None:
    """Nor does anything move up."""
    there = [
        *objects(2),
        *objects(3, prefix="cold/", storage_class="DEEP_ARCHIVE"),
    ]
    one = step(tmp_path, spec(ALL), buckets=astro(objects=there))
    assert any(line.startswith("rule all: 2 objects to DEEP_ARCHIVE") for line in told(one))


def test_a_sample_of_tags_says_about(tmp_path: Path) -> None:
    """Tags cost a request each: of large buckets a sample, and the plan says of how many."""
    rows = objects(50)
    with Database(tmp_path / "choosing") as database:
        append(database, LISTING, rows, bucket="astro")
        chosen = [key for key, _, _ in database.rows(SAMPLED, ["astro", 10])]
    assert len(chosen) == 10
    sample = {key: {"archive": "fast"} if n < 2 else {} for n, key in enumerate(chosen)}
    one = step(tmp_path, spec(FAST), buckets=astro(objects=rows), tags={"astro": sample})
    assert told(one)[0] == (
        "rule fast: matches about 10 objects, 10.0 GiB (by the tags of 10 of 50)"
    )


def test_tags_that_may_not_be_read(tmp_path: Path) -> None:
    """What is not known is not guessed, and no rule is said to match nothing."""
    one = step(tmp_path, spec(FAST), tags={})
    assert any("is not known" in line and "s3:GetObjectTagging" in line for line in told(one))
    assert not any("matches nothing" in warning for warning in one.warnings)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("buckets: {include: [astro]}", "say at least one of"),
        (spec(FAST.replace("days: 7, ", "")), "days or a date"),
        (spec(FAST + FAST), "two rules have the id fast"),
        (spec(FAST.replace("7", "-7")), "in the past"),
        (spec(FAST, "absent: [fast]"), "wanted and absent"),
        (spec("- {id: x}"), "it does nothing"),
        (spec("- {id: x, filter: {tag: {a: b}}, abortUploads: 3}"), "have no tags"),
        ("buckets: {include: [astro]}\nrules: {from: missing.json}", "cannot be read"),
        ("buckets: {include: [astro]}\nhousekeeping: {noncurrentKeep: 3}", "needs noncurrentDays"),
        ("buckets: {include: [astro]}\nbucket: {region: eu-west-1}", "needs bucket.create"),
    ],
)
def test_rules_that_s3_would_refuse(tmp_path: Path, text: str, words: str) -> None:
    """Everything that is wrong, before anything is written."""
    with pytest.raises(ProblemsError) as caught:
        steps(tmp_path, text)
    found = [f"{one.what} {one.expected} {one.next_step}" for one in caught.value.problems]
    assert any(words in line for line in found), found


def test_d14_a_named_bucket_is_made(tmp_path: Path) -> None:
    """Rows D14 and D15: made first, everything else after it; a glob makes none."""
    more = "bucket: {create: true, region: eu-west-1, versioning: enabled}"
    found = steps(tmp_path, spec(FAST, more), buckets={})
    assert [one.verb for one in found] == ["create-bucket", *["configure"] * 3]
    assert all(found[0].id in {need.step for need in one.needs} for one in found[1:])
    again = astro(versioning="enabled", objects=objects(1))
    again["astro"]["configuration"] = {
        "lifecycle": {"Rules": list(after(found[-1]).values())},
        "versioning": {"Status": "Enabled"},
    }
    assert steps(tmp_path, spec(FAST, more), buckets=again) == []
    text = spec(FAST, more).replace("[astro]", "['astro*']")
    assert steps(tmp_path, text, buckets={}) == []


def test_a_bucket_that_is_not_there(tmp_path: Path) -> None:
    """Row D39: name, region and credentials are the three things to check."""
    with pytest.raises(ProblemsError) as caught:
        steps(tmp_path, spec(FAST), buckets={})
    assert "the region and the credentials" in str(caught.value.problems[0])
