"""Copies on a server that knows ACLs of single objects, and regions."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from s3plan import api
from tests.engine.conftest import enter
from tests.engine.copying import by_type, plan_copies
from tests.engine.scene import Scene, open_scene
from tests.servers import Server

MANIFEST = """\
apiVersion: s3plan/v1
kind: Connection
metadata: {{name: default}}
spec: {{endpoint: "{endpoint}", region: {region}}}
---
apiVersion: s3plan/v1
kind: ObjectGrouping
metadata: {{name: by-type}}
spec:
  source: {{bucket: {bucket}}}
  target: {{{target}}}
"""
EVERYBODY = "http://acs.amazonaws.com/groups/global/AllUsers"


def _readers(scene: Scene, key: str) -> set[str]:
    grants = scene.s3.get_object_acl(Bucket=scene.bucket, Key=key)["Grants"]
    return {grant["Grantee"]["URI"] for grant in grants if "URI" in grant["Grantee"]}


@pytest.mark.parametrize(
    ("target", "readers"),
    [("acl: keep", {EVERYBODY}), ("acl: private", set()), ("", set())],
    ids=["keep", "private", "default"],
)
def test_a_copy_has_the_acl_that_the_manifest_asks_for(
    moto_server: Server,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    target: str,
    readers: set[str],
) -> None:
    """B22: and where it is not kept, the plan says that it is lost."""
    with open_scene(moto_server, tmp_path) as scene:
        enter(scene, monkeypatch)
        scene.put("1/Ann/open.mp3", b"open", ACL="public-read")
        scene.put("1/Ann/closed.mp3", b"closed")
        server = scene.server
        (scene.directory / "manifest.yaml").write_text(
            MANIFEST.format(
                endpoint=server.endpoint, region=server.region, bucket=scene.bucket, target=target
            )
        )
        made = api.plan([Path("manifest.yaml")])
        assert made.plan is not None
        told = " ".join(made.plan.steps[0].warnings)
        assert ("Access control lists" in told) == (target != "acl: keep")
        assert scene.apply().exit_code == 0, scene.problems()
        assert _readers(scene, "audio/1_Ann_open.mp3") == readers
        assert _readers(scene, "audio/1_Ann_closed.mp3") == set()


@pytest.mark.parametrize(
    ("target", "encryption", "storage_class"),
    [
        ("storageClass: GLACIER_IR, encryption: AES256", "AES256", "GLACIER_IR"),
        ("encryption: keep", "aws:kms", "STANDARD_IA"),
        ('encryption: "aws:kms"', "aws:kms", "STANDARD_IA"),
    ],
)
def test_a_copy_has_the_class_and_the_encryption_that_the_manifest_asks_for(
    moto_server: Server,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    target: str,
    encryption: str,
    storage_class: str,
) -> None:
    """B20, B21: kept where nothing is said, and planning again says No changes although what KMS
    encrypted has an ETag of its own.
    """
    with open_scene(moto_server, tmp_path) as scene:
        enter(scene, monkeypatch)
        scene.put("1/Ann/a.mp3", b"a", StorageClass="STANDARD_IA", ServerSideEncryption="aws:kms")
        server = scene.server
        (scene.directory / "manifest.yaml").write_text(
            MANIFEST.format(
                endpoint=server.endpoint, region=server.region, bucket=scene.bucket, target=target
            )
        )
        assert api.plan([Path("manifest.yaml")]).plan is not None
        assert scene.apply().exit_code == 0, scene.problems()
        head = scene.s3.head_object(Bucket=scene.bucket, Key="audio/1_Ann_a.mp3")
        assert (head["ServerSideEncryption"], head["StorageClass"]) == (encryption, storage_class)
        assert api.plan([Path("manifest.yaml")]).plan is None


def test_copies_go_to_a_bucket_of_another_region(
    moto_server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cross-bucket and cross-region in one connection; and back."""
    with open_scene(moto_server, tmp_path) as scene:
        enter(scene, monkeypatch)
        scene.fill(3)
        before = scene.objects()
        far = f"{scene.bucket}-far"
        scene.s3.create_bucket(
            Bucket=far, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"}
        )
        elsewhere = replace(scene, bucket=far)
        plan_copies(scene, headers=-1, target=far)
        assert scene.apply().exit_code == 0, scene.problems()
        assert elsewhere.objects() == {by_type(key): body for key, body in before.items()}
        rolled = scene.rollback()
        assert rolled is not None
        assert rolled.exit_code == 0
        assert (elsewhere.objects(), scene.objects()) == ({}, before)
