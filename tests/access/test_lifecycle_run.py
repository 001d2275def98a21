"""BucketLifecycle from plan to rollback: documents on moto, objects that really move on RGW."""

from __future__ import annotations

import time
from typing import Any

import pytest

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
