"""BucketLifecycle from plan to rollback: documents on moto, objects that really move on RGW."""

from __future__ import annotations

import time
from typing import Any

import pytest

from s3plan import api
from tests.access.conftest import Account

FAST = (
    "- {id: fast, filter: {tag: {archive: fast}}, transitions: [{days: 7, storageClass: GLACIER}]}"
)
THEIRS = {
    "ID": "theirs",
    "Status": "Enabled",
    "Filter": {"Prefix": "tmp/"},
    "Expiration": {"Days": 3},
}


def rules(bucket: str, *written: str, more: str = "") -> str:
    lines = "".join(f"  {line}\n" for line in written)
    return f"buckets: {{include: [{bucket}]}}\nrules:\n{lines}{more}"


def put(account: Account, bucket: str, *found: dict[str, Any]) -> None:
    account.s3.put_bucket_lifecycle_configuration(
        Bucket=bucket, LifecycleConfiguration={"Rules": list(found)}
    )


def test_the_whole_way_and_back(account: Account) -> None:
    """Row D16: merged with what is there, the old configuration saved for the way back."""
    bucket = account.bucket("astro", "raw/a")
    put(account, bucket, THEIRS)
    account.write("BucketLifecycle", rules(bucket, FAST, more="housekeeping: {}"))
    (action,) = account.plan()
    assert action.before["Rules"][0]["ID"] == "theirs"
    assert account.apply().exit_code == 0
    assert set(account.lifecycle(bucket)) == {"theirs", "fast", "s3plan-housekeeping"}
    assert account.plan() == [], "No changes"
    finished = account.rollback()
    assert finished is not None
    assert finished.exit_code == 0
    assert set(account.lifecycle(bucket)) == {"theirs"}


def test_rules_that_changed_since_the_plan_are_left_alone(account: Account) -> None:
    """Hazard 17: somebody's new rule is not dropped by a plan that does not know it."""
    bucket = account.bucket("astro")
    put(account, bucket, THEIRS)
    account.write("BucketLifecycle", rules(bucket, FAST))
    account.plan()
    put(account, bucket, THEIRS, THEIRS | {"ID": "new", "Filter": {"Prefix": "new/"}})
    assert account.apply().exit_code == 3
    assert set(account.lifecycle(bucket)) == {"theirs", "new"}


def test_the_tags_of_real_objects_are_counted(account: Account, capsys: Any) -> None:
    """E4 on a server: the uploader's tags are others than the rules', and the plan shows which."""
    from s3plan.cli.program import main

    bucket = account.bucket("astro")
    for number in range(3):
        account.s3.put_object(
            Bucket=bucket,
            Key=f"raw/{number}",
            Body=b"x" * 140_000,
            Tagging="archive_policy=fast&backup_policy=deep" if number else "archive=fast",
        )
    normal = FAST.replace("fast", "normal")
    account.write("BucketLifecycle", rules(bucket, FAST, normal))
    assert main(["plan", "manifest.yaml"]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "rule fast: matches 1 object, 136.7 KiB" in out
    assert "rule normal matches nothing: no object has archive=normal; they have" in out
    assert "archive_policy=fast" in out


@pytest.mark.timeout(240)
def test_objects_really_move(ceph: Account) -> None:
    """The document that a plan writes acts: a tagged object moves, the others stay."""
    bucket = ceph.bucket("astro")
    for key, tags in (("fast", "archive=fast"), ("normal", "archive=normal"), ("none", "")):
        ceph.s3.put_object(Bucket=bucket, Key=key, Body=b"x" * 140_000, Tagging=tags)
    put(ceph, bucket, {"ID": "theirs", "Status": "Enabled", "Filter": {"Prefix": "no/"}} | {
        "Expiration": {"Days": 300}
    })  # fmt: skip
    moving = FAST.replace("days: 7", "days: 1").replace("GLACIER", "DEEP_ARCHIVE")
    ceph.write("BucketLifecycle", rules(bucket, moving))
    assert len(ceph.plan()) == 1
    assert ceph.apply().exit_code == 0
    assert set(ceph.lifecycle(bucket)) == {"theirs", "fast"}
    assert ceph.plan() == [], "No changes, in RGW's spelling too"
    classes: dict[str, str] = {}
    for _ in range(90):
        listed = ceph.s3.list_objects_v2(Bucket=bucket)["Contents"]
        classes = {entry["Key"]: entry.get("StorageClass", "STANDARD") for entry in listed}
        if classes["fast"] == "DEEP_ARCHIVE":
            break
        time.sleep(1)
    assert classes == {"fast": "DEEP_ARCHIVE", "normal": "STANDARD", "none": "STANDARD"}
    finished = ceph.rollback()
    assert finished is not None
    assert finished.exit_code == 0
    assert set(ceph.lifecycle(bucket)) == {"theirs"}


def test_a_bucket_is_made_and_taken_back(account: Account) -> None:
    """Rows D14, D15 and D16: in a region, closed, with versions, with rules; empty, it goes."""
    account.write(
        "BucketLifecycle",
        "buckets: {include: [sessions-2026]}\n"
        "bucket: {create: true, region: eu-central-1, versioning: enabled}\n"
        "housekeeping: {noncurrentDays: 90}",
    )
    made = api.plan([account.directory / "manifest.yaml"]).plan
    assert made is not None
    assert [step.verb for step in made.steps] == ["create-bucket", *["configure"] * 3]
    assert account.apply().exit_code == 0, account.problems()
    where = account.s3.get_bucket_location(Bucket="sessions-2026")["LocationConstraint"]
    assert where == "eu-central-1"
    assert account.s3.get_bucket_versioning(Bucket="sessions-2026")["Status"] == "Enabled"
    block = account.s3.get_public_access_block(Bucket="sessions-2026")
    assert all(block["PublicAccessBlockConfiguration"].values())
    assert set(account.lifecycle("sessions-2026")) == {"s3plan-housekeeping"}
    assert account.plan() == [], "No changes"
    finished = account.rollback()
    assert finished is not None
    assert finished.exit_code == 0
    names = [bucket["Name"] for bucket in account.s3.list_buckets()["Buckets"]]
    assert "sessions-2026" not in names


def test_a_bucket_that_was_used_meanwhile_stays(account: Account) -> None:
    """Rollback deletes what it made only if nothing is in it."""
    account.write("BucketLifecycle", "buckets: {include: [used]}\nbucket: {create: true}")
    assert api.plan([account.directory / "manifest.yaml"]).plan is not None
    assert account.apply().exit_code == 0, account.problems()
    account.s3.put_object(Bucket="used", Key="a", Body=b"x")
    finished = account.rollback()
    assert finished is not None
    assert finished.exit_code == 7
    assert account.s3.get_object(Bucket="used", Key="a")["Body"].read() == b"x"


def test_versioning_of_a_bucket_that_is_there(account: Account) -> None:
    """Row D15: enabled; the plan says that it can only be suspended, which rollback does."""
    bucket = account.bucket("there")
    account.write(
        "BucketLifecycle", f"buckets: {{include: [{bucket}]}}\nbucket: {{versioning: enabled}}"
    )
    made = api.plan([account.directory / "manifest.yaml"]).plan
    assert made is not None
    (step,) = made.steps
    assert step.reversibility == "never"
    assert account.apply().exit_code == 0
    assert account.plan() == []
    finished = account.rollback()
    assert finished is not None
    assert finished.exit_code == 0
    assert account.s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Suspended"
