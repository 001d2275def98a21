"""What stands in the way of deleting a bucket: uploads that nobody finished, Object Lock, MFA."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from s3plan import api
from s3plan.errors import AccessDeniedError, ProblemsError
from s3plan.model.steps import AbortUploads, Totals
from s3plan.store import Bucket, IncompleteUpload
from tests.engine.scene import OBJECTS_ONLY, WHOLE, Scene
from tests.kinds.planned import manifest, plan

ABANDONED = WHOLE + '  abandonedAfter: "2099-01-01"\n'
"""Every upload that there can be was begun before that."""


def begin(scene: Scene, key: str, *parts: bytes) -> str:
    """A multipart upload that is not finished; its id."""
    made = scene.s3.create_multipart_upload(Bucket=scene.bucket, Key=key)
    for number, part in enumerate(parts, 1):
        go_on(scene, key, made["UploadId"], number, part)
    return str(made["UploadId"])


def go_on(scene: Scene, key: str, upload: str, number: int, part: bytes) -> None:
    scene.s3.upload_part(
        Bucket=scene.bucket, Key=key, UploadId=upload, PartNumber=number, Body=part
    )


def uploads(scene: Scene) -> list[str]:
    return [
        u["Key"] for u in scene.s3.list_multipart_uploads(Bucket=scene.bucket).get("Uploads", [])
    ]


def forget(scene: Scene) -> None:
    found = scene.s3.list_multipart_uploads(Bucket=scene.bucket).get("Uploads", [])
    for upload in found:
        scene.s3.abort_multipart_upload(
            Bucket=scene.bucket, Key=upload["Key"], UploadId=upload["UploadId"]
        )


def test_an_abandoned_upload_is_in_the_plan_and_aborted_behind_the_gate(scene: Scene) -> None:
    """A73: deletion aborts the uploads that the plan lists, then the bucket goes."""
    scene.put("a.txt", b"a")
    upload = begin(scene, "big/file", b"12345", b"678")
    evidence = scene.apply_to_gate(ABANDONED)
    made = api.show(Path("plan.json"))
    assert [step.verb for step in made.steps] == [
        "download", "verify", "delete", "abort-uploads", "delete-bucket",
    ]  # fmt: skip
    step = made.steps[3]
    assert isinstance(step.action, AbortUploads)
    assert (step.totals, step.reversibility) == (Totals(1, 8), "never")
    assert step.gate == made.steps[2].gate
    (item,) = made.items(step.id)
    assert (item.key, item.path, item.upload_id) == ("big/file", "", upload)
    assert uploads(scene) == ["big/file"], "not before it is approved"
    assert scene.apply(delete=evidence).exit_code == 0
    assert not scene.bucket_exists()


def test_an_upload_that_may_go_on_is_reported_and_holds_the_bucket(scene: Scene) -> None:
    """Only uploads recorded as abandoned are aborted; younger ones are reported."""
    scene.put("a.txt", b"a")
    begin(scene, "going/on", b"12345")
    evidence = scene.apply_to_gate(WHOLE)
    made = api.show(Path("plan.json"))
    assert "abort-uploads" not in [step.verb for step in made.steps]
    assert "going/on" in " ".join(made.steps[-1].warnings)
    finished = scene.apply(delete=evidence)
    assert finished.exit_code == 4
    assert "a multipart upload" in finished.message
    assert (scene.keys(), uploads(scene)) == ([], ["going/on"])
    forget(scene)
    assert scene.apply().exit_code == 0
    assert not scene.bucket_exists()


@pytest.mark.long
def test_an_upload_that_grew_after_the_plan_is_left_alone(scene: Scene) -> None:
    scene.put("a.txt", b"a")
    upload = begin(scene, "k", b"12345")
    evidence = scene.apply_to_gate(ABANDONED)
    go_on(scene, "k", upload, 2, b"and more")
    finished = scene.apply(delete=evidence)
    assert (finished.exit_code, finished.drifted) == (3, 1)
    assert "gone on with" in scene.problems()[0].message
    assert (uploads(scene), scene.bucket_exists()) == (["k"], True)
    forget(scene)


def test_an_upload_that_is_completed_after_the_plan_holds_the_gate(scene: Scene) -> None:
    scene.put("a.txt", b"a")
    upload = begin(scene, "k", b"12345")
    scene.plan(ABANDONED)
    where = {"Bucket": scene.bucket, "Key": "k", "UploadId": upload}
    (part,) = scene.s3.list_parts(**where)["Parts"]
    parts = [{"PartNumber": 1, "ETag": part["ETag"]}]
    scene.s3.complete_multipart_upload(**where, MultipartUpload={"Parts": parts})
    assert scene.apply().exit_code == 4
    assert scene.gate().figures["appeared"] == 1


def test_uploads_that_nobody_may_list_are_said(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(self: Bucket) -> AsyncIterator[IncompleteUpload]:
        raise AccessDeniedError("access denied", address=f"s3://{self.name}")

    scene.put("a.txt", b"a")
    monkeypatch.setattr(Bucket, "uploads", refused)
    evidence = scene.apply_to_gate(WHOLE)
    warnings = " ".join(api.show(Path("plan.json")).steps[-1].warnings)
    assert "cannot be listed here (s3:ListBucketMultipartUploads)" in warnings
    assert scene.apply(delete=evidence).exit_code == 0


def test_without_the_buckets_deletion_uploads_are_none_of_the_plans_business(
    scene: Scene,
) -> None:
    scene.put("a.txt", b"a")
    begin(scene, "k", b"12345")
    evidence = scene.apply_to_gate(OBJECTS_ONLY)
    assert scene.apply(delete=evidence).exit_code == 0
    assert uploads(scene) == ["k"]
    forget(scene)


# -- Object Lock and MFA delete -----------------------------------------------------------------


@pytest.fixture
def locked(scene: Scene) -> Any:
    """The scene's bucket, made anew with Object Lock."""
    scene.s3.delete_bucket(Bucket=scene.bucket)
    scene.bucket += "-locked"
    scene.s3.create_bucket(Bucket=scene.bucket, ObjectLockEnabledForBucket=True)
    yield scene
    if scene.bucket_exists():
        for version in scene.versions():
            scene.s3.put_object_legal_hold(
                Bucket=scene.bucket, Key=version.key, LegalHold={"Status": "OFF"},
                VersionId=version.version_id,
            )  # fmt: skip
        scene.forget_versions()
        scene.s3.delete_bucket(Bucket=scene.bucket)


def test_locked_versions_are_found_when_planning_and_named(locked: Scene) -> None:
    """A73: a legal hold or retention is no surprise at the very end."""
    locked.put("free.txt", b"free")
    locked.put("held.txt", b"held", ObjectLockLegalHoldStatus="ON")
    with pytest.raises(ProblemsError) as caught:
        locked.plan(WHOLE)
    text = str(caught.value.problems[0])
    assert "1 versions are under Object Lock" in text
    assert "held.txt (version " in text
    assert ": legal hold)" in text
    assert locked.plan("  delete: never\n").plan is not None, "copying needs no deletion"


def test_versions_that_were_never_locked_go_with_their_bucket(locked: Scene) -> None:
    locked.put("free.txt", b"free")
    evidence = locked.apply_to_gate(WHOLE)
    assert locked.apply(delete=evidence).exit_code == 0
    assert not locked.bucket_exists()


def test_a_hold_that_is_set_after_the_gate_keeps_its_version_and_no_other(
    locked: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hazard 20: what DeleteObjects refuses is named, and not taken for deleted."""
    locked.put("free.txt", b"free")
    locked.put("held.txt", b"old")
    locked.put("held.txt", b"new")
    evidence = locked.apply_to_gate(WHOLE + "  versions: all\n")
    delete_many = Bucket.delete_many

    async def late(self: Bucket, targets: Any) -> Any:
        # Not sooner: SeaweedFS gives a version that is held a new date.
        newest = next(version for version in locked.versions() if version.key == "held.txt")
        locked.s3.put_object_legal_hold(
            Bucket=locked.bucket, Key="held.txt", VersionId=newest.version_id,
            LegalHold={"Status": "ON"},
        )  # fmt: skip
        return await delete_many(self, targets)

    monkeypatch.setattr(Bucket, "delete_many", late)
    finished = locked.apply(delete=evidence)
    assert finished.exit_code == 3
    assert [problem.key for problem in locked.problems()] == ["held.txt"]
    assert locked.stacks() == {"held.txt": [b"new"]}
    rolled_back = locked.rollback()
    assert rolled_back is not None
    assert (rolled_back.exit_code, locked.problems()) == (0, [])
    # What could not be removed lies below what was put back on top of the old version.
    assert locked.stacks() == {"free.txt": [b"free"], "held.txt": [b"new", b"old", b"new"]}


def test_mfa_delete_is_found_when_planning(tmp_path: Path) -> None:
    facts = {
        "versioning": "enabled",
        "configuration": {"versioning": {"Status": "Enabled", "MFADelete": "Enabled"}},
        "objects": [{"key": "a", "version_id": "1", "newer": 0, "marker": False}],
    }
    spec = "buckets: {include: [b]}\ndestination: {path: /archive}\ndelete: afterVerification"
    with pytest.raises(ProblemsError) as caught:
        plan(tmp_path, manifest(tmp_path, spec), {"buckets": {"b": facts}})
    assert "MFA delete" in str(caught.value.problems[0])
