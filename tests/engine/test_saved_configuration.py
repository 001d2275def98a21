"""A bucket that is deleted and comes back is the bucket that it was, with all its documents."""

from __future__ import annotations

import json
from typing import Any

import pytest

from s3plan import api
from s3plan.engine.handlers import buckets
from s3plan.errors import StoreError
from s3plan.inventory.catalogue import observe_catalogue
from s3plan.localfs.tree import Tree
from s3plan.model.buckets import BucketFacts
from s3plan.model.events import Warned
from s3plan.model.local import CatalogueConfiguration
from s3plan.model.steps import Configure, DeleteBucket
from s3plan.rules.bucketdocuments import same
from s3plan.store import Bucket, Control
from s3plan.store.configuration import DOCUMENTS
from s3plan.tables import Database
from tests.engine.scene import WHOLE, Scene
from tests.store.test_configuration import EXAMPLES, UNKNOWN_TO_MOTO, control_of, example


def _facts(scene: Scene) -> BucketFacts:
    return control_of(scene.server).facts(scene.bucket)


def _deleted(scene: Scene) -> None:
    """The bucket, evacuated and gone."""
    evidence = scene.apply_to_gate()
    finished = scene.apply(delete=evidence)
    assert finished.exit_code == 0, finished
    assert not scene.bucket_exists()


def _rolled_back(scene: Scene) -> None:
    finished = scene.rollback()
    assert finished is not None
    assert finished.exit_code == 0, (finished, scene.problems())


def _saved(scene: Scene) -> CatalogueConfiguration:
    with (
        Tree.open(scene.here, create=False) as tree,
        Database(scene.directory / "scratch") as database,
    ):
        found = observe_catalogue(tree, scene.bucket, database)
    assert found is not None
    assert found.configuration is not None
    return found.configuration


def test_every_document_comes_back(moto_scene: Scene) -> None:
    """A73, issue 4 item 6: the configuration after the rollback is the one before the run."""
    plane = control_of(moto_scene.server)
    # Object Lock and versions are for another test; a lock cannot be had without them.
    names = sorted({*EXAMPLES} - UNKNOWN_TO_MOTO - {"versioning", "object-lock", "replication"})
    plane.create_bucket("logs", "us-east-1")
    plane.put_document("logs", "acl", EXAMPLES["acl"])
    for name in names:
        plane.put_document(moto_scene.bucket, name, example(name, moto_scene.bucket, "logs"))
    before = _facts(moto_scene)
    assert {*names} <= {*before.configuration}
    moto_scene.put("a")
    _deleted(moto_scene)
    _rolled_back(moto_scene)
    after = _facts(moto_scene)
    for name in DOCUMENTS:
        found, was = after.configuration.get(name), before.configuration.get(name)
        assert same(name, found, was), (name, found, was)
    assert after.region == before.region
    assert moto_scene.keys() == ["a"]


@pytest.mark.long
def test_what_the_bucket_did_not_have_it_does_not_get(
    moto_scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S3 blocks public access of every new bucket since April 2023; the old one did not have it."""
    moto_scene.put("a")
    _deleted(moto_scene)
    real = Control.create_bucket
    blocks = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")

    def today(self: Control, name: str, region: str, **rest: Any) -> None:
        real(self, name, region, **rest)
        self.put_document(name, "public-access-block", dict.fromkeys(blocks, True))
        enforced = {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
        self.put_document(name, "ownership", enforced)

    monkeypatch.setattr(Control, "create_bucket", today)
    _rolled_back(moto_scene)
    after = _facts(moto_scene)
    assert not {"public-access-block", "ownership"} & {*after.configuration}


def test_the_plan_says_what_is_saved_and_what_is_lost(moto_scene: Scene) -> None:
    plane = control_of(moto_scene.server)
    plane.put_document(moto_scene.bucket, "cors", EXAMPLES["cors"])
    tags = [{"Key": "aws:cloudformation:stack-name", "Value": "s"}, {"Key": "k", "Value": "v"}]
    real = Control.document

    def document(self: Control, bucket: str, name: Any, **rest: Any) -> Any:
        return tags if name == "tagging" else real(self, bucket, name, **rest)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Control, "document", document)
        moto_scene.put("a")
        planned = moto_scene.plan(WHOLE)
    assert planned.plan is not None
    (action,) = [
        step.action for step in planned.plan.steps if isinstance(step.action, DeleteBucket)
    ]
    assert action.saved == ("cors", "tagging")
    assert action.unsaved == ("tagging (tags of AWS itself)",)
    shown = moto_scene.s3plan("show").out
    assert "saves     cors, tagging" in shown
    assert "loses     tagging (tags of AWS itself)" in shown
    assert "anybody may take the name" in shown


@pytest.mark.long
def test_a_configuration_that_changes_after_the_gate_holds_the_deletion(moto_scene: Scene) -> None:
    """What was approved is what is deleted, the bucket's own documents included."""
    moto_scene.put("a")
    evidence = moto_scene.apply_to_gate()
    control_of(moto_scene.server).put_document(moto_scene.bucket, "cors", EXAMPLES["cors"])
    finished = moto_scene.apply(delete=evidence)
    assert finished.exit_code == 4, finished
    assert moto_scene.keys() == ["a"]
    anew = moto_scene.gate().evidence
    assert anew != evidence
    assert moto_scene.apply(delete=anew).exit_code == 0
    assert same("cors", _saved(moto_scene).documents["cors"], EXAMPLES["cors"])


@pytest.mark.long
def test_a_configuration_that_changes_during_the_deletion_keeps_the_bucket(
    moto_scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    moto_scene.put("a")
    evidence = moto_scene.apply_to_gate()
    real = Bucket.delete_many

    async def meanwhile(self: Bucket, targets: Any) -> Any:
        plane = control_of(moto_scene.server)
        plane.put_document(moto_scene.bucket, "cors", EXAMPLES["cors"])
        return await real(self, targets)

    monkeypatch.setattr(Bucket, "delete_many", meanwhile)
    finished = moto_scene.apply(delete=evidence)
    assert finished.exit_code == 4, finished
    assert "configuration of the bucket was changed" in finished.message
    assert moto_scene.bucket_exists()


@pytest.mark.long
def test_the_same_documents_in_another_order_are_the_same_evidence(moto_scene: Scene) -> None:
    plane = control_of(moto_scene.server)
    plane.put_document(moto_scene.bucket, "tagging", EXAMPLES["tagging"])
    moto_scene.put("a")
    evidence = moto_scene.apply_to_gate()
    plane.put_document(moto_scene.bucket, "tagging", EXAMPLES["tagging"][::-1])
    assert moto_scene.apply(delete=evidence).exit_code == 0


@pytest.mark.long
def test_policies_come_after_the_objects_and_after_the_block(moto_scene: Scene) -> None:
    plane = control_of(moto_scene.server)
    for name in ("policy", "public-access-block", "ownership"):
        plane.put_document(moto_scene.bucket, name, example(name, moto_scene.bucket))
    moto_scene.put("a")
    _deleted(moto_scene)
    plan = api.rollback_plan(moto_scene.directory / "journal.json")
    assert plan is not None
    order = [
        step.action.document if isinstance(step.action, Configure) else step.verb
        for step in plan.steps
    ]
    assert order == [
        "create-bucket",
        "ownership",
        "upload",
        "public-access-block",
        "policy",
        "remove-file",
    ]


@pytest.mark.long
def test_a_bucket_that_s3_still_deletes_is_waited_for(
    moto_scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OperationAborted after a deletion: sometimes for hours."""
    moto_scene.put("a")
    _deleted(moto_scene)
    monkeypatch.setattr(buckets, "FIRST_PAUSE", 0.01)
    refusals = [StoreError("refused", s3_code="OperationAborted") for _ in range(3)]
    real = Control.create_bucket

    def create(self: Control, name: str, region: str, **rest: Any) -> None:
        if refusals:
            raise refusals.pop()
        real(self, name, region, **rest)

    monkeypatch.setattr(Control, "create_bucket", create)
    _rolled_back(moto_scene)
    assert not refusals
    told = [event.message for event in moto_scene.events if isinstance(event, Warned)]
    assert any("still works on the deletion" in message for message in told)
    assert moto_scene.keys() == ["a"]


@pytest.mark.long
def test_waiting_for_a_name_ends_with_ctrl_c_and_goes_on_later(
    moto_scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    moto_scene.put("a")
    _deleted(moto_scene)
    real_wait, real_create = buckets._wait, Control.create_bucket

    def create(self: Control, name: str, region: str, **rest: Any) -> None:
        raise StoreError("refused", s3_code="OperationAborted")

    async def interrupted(context: Any, *rest: Any) -> None:
        context.stop()
        await real_wait(context, *rest)

    monkeypatch.setattr(Control, "create_bucket", create)
    monkeypatch.setattr(buckets, "_wait", interrupted)
    stopped = moto_scene.rollback()
    assert stopped is not None
    assert stopped.exit_code == 130
    monkeypatch.setattr(Control, "create_bucket", real_create)
    _rolled_back(moto_scene)
    assert moto_scene.keys() == ["a"]


def test_a_name_that_a_stranger_took_is_said(
    moto_scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    moto_scene.put("a")
    _deleted(moto_scene)

    def create(self: Control, name: str, region: str, **rest: Any) -> None:
        raise StoreError("refused", s3_code="BucketAlreadyExists", found="409")

    monkeypatch.setattr(Control, "create_bucket", create)
    finished = moto_scene.rollback()
    assert finished is not None
    assert finished.exit_code == 3
    assert "was taken by another account" in finished.message
    assert moto_scene.files() == {"a": b"data"}, "the only copy stays"


@pytest.mark.long
def test_a_bucket_that_somebody_made_meanwhile_keeps_its_own_documents(
    moto_scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    plane = control_of(moto_scene.server)
    plane.put_document(moto_scene.bucket, "cors", EXAMPLES["cors"])
    moto_scene.put("a")
    _deleted(moto_scene)
    theirs = [{"AllowedMethods": ["DELETE"], "AllowedOrigins": ["*"]}]
    real = buckets.create_bucket

    async def meanwhile(*arguments: Any) -> None:
        moto_scene.s3.create_bucket(Bucket=moto_scene.bucket)
        plane.put_document(moto_scene.bucket, "cors", theirs)
        await real(*arguments)

    monkeypatch.setattr(buckets, "create_bucket", meanwhile)
    finished = moto_scene.rollback()
    assert finished is not None
    assert finished.exit_code == 7, finished
    assert plane.document(moto_scene.bucket, "cors") == theirs
    assert {problem.reason for problem in moto_scene.problems()} == {"not-ours"}


@pytest.mark.long
def test_a_server_without_most_documents_has_its_bucket_back(scene: Scene) -> None:
    """SeaweedFS answers 501 to many of them."""
    policy = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "R",
                "Effect": "Allow",
                "Principal": "*",
                "Action": "s3:GetObject",
                "Resource": f"arn:aws:s3:::{scene.bucket}/*",
            }
        ],
    }
    scene.s3.put_bucket_policy(Bucket=scene.bucket, Policy=json.dumps(policy))
    scene.put("a")
    _deleted(scene)
    _rolled_back(scene)
    found = json.loads(scene.s3.get_bucket_policy(Bucket=scene.bucket)["Policy"])
    assert same("policy", found, policy)
    scene.s3.delete_bucket_policy(Bucket=scene.bucket)
