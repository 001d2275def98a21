"""``freeze: policy``: nobody writes between the last listing and the deletion, and it ends."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from s3plan import api
from s3plan.engine import freezing
from s3plan.engine.handlers import configure
from s3plan.errors import EndpointError, ProblemsError
from s3plan.model.events import GateReached, Warned
from s3plan.model.steps import Configure
from s3plan.rules.bucketdocuments import same
from s3plan.rules.freezing import SID, frozen, thawed
from s3plan.store import Bucket
from tests.engine.scene import OBJECTS_ONLY, WHOLE, Scene

FREEZE = "  freeze: policy\n"


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(configure, "PROBE_PAUSES", (0.0,))
    monkeypatch.setattr(freezing, "PATIENCE", 1)


@pytest.fixture
def owned(scene: Scene) -> Iterator[Scene]:
    """A bucket with a policy and three objects; scenes use buckets again, policies must not."""
    scene.fill(3)
    scene.s3.put_bucket_policy(Bucket=scene.bucket, Policy=json.dumps(_policy(scene)))
    yield scene
    if scene.bucket_exists():
        scene.s3.delete_bucket_policy(Bucket=scene.bucket)


def _policy(scene: Scene) -> dict[str, Any]:
    statement = {
        "Sid": "Read",
        "Effect": "Allow",
        "Principal": "*",
        "Action": "s3:GetObject",
        "Resource": f"arn:aws:s3:::{scene.bucket}/*",
    }
    return {"Version": "2012-10-17", "Statement": [statement]}


def _live(scene: Scene) -> Any:
    return json.loads(scene.s3.get_bucket_policy(Bucket=scene.bucket)["Policy"])


def _is_frozen(scene: Scene) -> bool:
    try:
        scene.put("late")
    except ClientError as error:
        return error.response["Error"]["Code"] == "AccessDenied"
    scene.delete("late")
    return False


def _told(scene: Scene) -> str:
    return "\n".join(event.message for event in scene.events if isinstance(event, Warned))


@pytest.mark.long
def test_writers_are_kept_off_from_the_listing_to_the_deletion(owned: Scene) -> None:
    """Mistake E19: what is written after the last look must not be deleted unseen."""
    evidence = owned.apply_to_gate(WHOLE + FREEZE)
    assert "an upload was refused just now" in owned.gate().guard
    assert "stays frozen until its deletion is approved or declined" in _told(owned)
    assert _is_frozen(owned)
    assert owned.apply(delete=evidence).exit_code == 0
    assert not owned.bucket_exists()
    undone = owned.rollback()
    assert undone is not None
    assert undone.exit_code == 0, owned.problems()
    assert same("policy", _live(owned), _policy(owned)), "the policy of before, not the frozen one"
    assert len(owned.keys()) == 3
    assert not _is_frozen(owned)


@pytest.mark.long
def test_a_bucket_that_stays_is_thawed_after_its_objects(owned: Scene) -> None:
    evidence = owned.apply_to_gate(OBJECTS_ONLY + FREEZE)
    assert owned.apply(delete=evidence).exit_code == 0
    assert owned.keys() == []
    assert same("policy", _live(owned), _policy(owned))
    undone = owned.rollback()
    assert undone is not None
    assert undone.exit_code == 0
    assert "configure" not in {step.verb for step in _rollback_steps(owned)}
    assert same("policy", _live(owned), _policy(owned))
    assert len(owned.keys()) == 3


def _rollback_steps(scene: Scene) -> Any:
    return api.show(scene.run().rollback_plan).steps


@pytest.mark.long
def test_a_declined_deletion_thaws_and_the_same_command_freezes_again(owned: Scene) -> None:
    owned.plan(WHOLE + FREEZE)
    finished = owned.apply(ask=lambda _: False)
    assert finished.exit_code == 4
    assert "the deletion was declined, so its old policy is back" in _told(owned)
    assert same("policy", _live(owned), _policy(owned))
    shown = owned.s3plan("status").out
    assert "thawed: the deletion was declined" in shown

    seen: list[bool] = []

    def agree(gate: GateReached) -> bool:
        seen.append(_is_frozen(owned))
        return True

    assert owned.apply(ask=agree).exit_code == 0
    assert seen == [True]
    assert not owned.bucket_exists()


@pytest.mark.long
def test_a_deletion_that_fails_thaws(owned: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    evidence = owned.apply_to_gate(WHOLE + FREEZE)

    async def failing(*_: Any) -> Any:
        raise EndpointError("no answer")

    with monkeypatch.context() as broken:
        broken.setattr(Bucket, "delete_many", failing)
        assert owned.apply(delete=evidence).exit_code == 3
    assert "delete did not come to its end, so its old policy is back" in _told(owned)
    assert same("policy", _live(owned), _policy(owned))
    assert owned.apply(delete=evidence).exit_code == 0
    assert not owned.bucket_exists()


def test_a_verification_that_does_not_pass_thaws(owned: Scene) -> None:
    owned.plan(WHOLE + FREEZE)
    owned.put("appeared")
    assert owned.apply().exit_code == 4
    assert "the verification did not pass, so its old policy is back" in _told(owned)
    assert not _is_frozen(owned)


@pytest.mark.long
def test_a_rollback_before_the_deletion_thaws(owned: Scene) -> None:
    owned.apply_to_gate(WHOLE + FREEZE)
    undone = owned.rollback()
    assert undone is not None
    assert undone.exit_code == 0
    assert same("policy", _live(owned), _policy(owned))


def test_a_policy_that_changed_while_frozen_is_left_alone(owned: Scene) -> None:
    owned.plan(WHOLE + FREEZE)
    theirs = frozen(owned.bucket, "us-east-1", None)

    def meanwhile(_: GateReached) -> bool:
        owned.s3.put_bucket_policy(Bucket=owned.bucket, Policy=json.dumps(theirs))
        return False

    owned.apply(ask=meanwhile)
    assert "changed meanwhile and left alone" in _told(owned)
    assert same("policy", _live(owned), theirs)


@pytest.mark.long
def test_an_endpoint_that_does_not_enforce_it_is_named_at_the_gate(moto_scene: Scene) -> None:
    """The server of moto lets uploads in parts begin, whatever the policy says."""
    moto_scene.put("a")
    moto_scene.apply_to_gate(WHOLE + FREEZE)
    assert "this endpoint does not enforce that" in moto_scene.gate().guard
    assert "this endpoint does not enforce that" in _told(moto_scene)
    uploads = moto_scene.s3.list_multipart_uploads(Bucket=moto_scene.bucket)
    assert "Uploads" not in uploads, "what was begun to see it is aborted"


def test_the_plan_shows_the_statement_and_the_old_policy(owned: Scene) -> None:
    planned = owned.plan(WHOLE + FREEZE).plan
    assert planned is not None
    assert [step.verb for step in planned.steps] == [
        "download", "configure", "verify", "delete", "delete-bucket",
    ]  # fmt: skip
    action = planned.steps[1].action
    assert isinstance(action, Configure)
    assert same("policy", action.before, _policy(owned))
    assert same("policy", thawed(action.after), _policy(owned))
    shown = owned.s3plan("show").out
    assert f"added: {SID}" in shown
    assert "until     the deletion is done, is declined or fails" in shown


def test_freeze_needs_a_deletion(scene: Scene) -> None:
    with pytest.raises(ProblemsError) as caught:
        scene.plan("  delete: never\n" + FREEZE)
    assert "freeze: policy needs delete: afterVerification" in str(caught.value.problems[0])


def test_a_policy_without_room_is_refused(moto_scene: Scene) -> None:
    long = {**_policy(moto_scene), "Id": "x" * 20_000}
    moto_scene.s3.put_bucket_policy(Bucket=moto_scene.bucket, Policy=json.dumps(long))
    with pytest.raises(ProblemsError) as caught:
        moto_scene.plan(WHOLE + FREEZE)
    assert "its policy would be too large" in str(caught.value.problems)
