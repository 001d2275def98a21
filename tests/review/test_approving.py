"""Approving: exactly the plan that was reviewed, by those who may, step class by step class."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from s3plan.engine.approval import Approval, House, check_people
from s3plan.errors import ApprovalError, StaleError
from s3plan.model.approvals import PlanApproval
from tests.engine.scene import COPY_ONLY, WHOLE, Scene, approval_in
from tests.review.inside import s3plan

DIGEST = "sha256:" + "1" * 64
OTHER = "sha256:" + "2" * 64


def by(*names: str, digest: str = DIGEST) -> tuple[PlanApproval, ...]:
    return tuple(PlanApproval(name, digest, "2026-11-20T10:00:00Z") for name in names)


def test_different_people_count_once_each() -> None:
    house = House(required=2)
    assert check_people(Approval("ci", granted=by("ann", "bob", "ann")), DIGEST, house) == (
        "ann",
        "bob",
    )
    with pytest.raises(ApprovalError):
        check_people(Approval("ci", granted=by("ann", "ann")), DIGEST, house)


def test_only_those_who_may_approve_count() -> None:
    house = House(required=1, approvers=("ann",))
    with pytest.raises(ApprovalError) as caught:
        check_people(Approval("ci", granted=by("mallory")), DIGEST, house)
    assert caught.value.exit_code == 4
    assert check_people(Approval("ci", granted=by("mallory", "ann")), DIGEST, house)


@pytest.mark.parametrize("granted", [(), by("ann", digest=OTHER)])
def test_approvals_of_another_plan_are_none(granted: tuple[PlanApproval, ...]) -> None:
    with pytest.raises(StaleError):
        check_people(Approval("ci", granted=granted), DIGEST, House())


def test_a_house_that_asks_for_people_does_not_take_a_flag() -> None:
    with pytest.raises(ApprovalError):
        check_people(Approval("ci", DIGEST), DIGEST, House(required=1))
    assert check_people(Approval("ci", DIGEST), DIGEST, House()) == ()


def _approvals(digest: str, *names: str) -> None:
    entries = [
        {"name": name, "digest": digest, "time": "2026-11-20T10:00:00Z", "note": "review 7"}
        for name in names
    ]
    document = {"apiVersion": "s3plan/v1", "kind": "Approvals", "approvals": entries}
    Path("approvals.json").write_text(json.dumps(document))


def test_a_review_approves_exactly_the_plan_it_saw(scene: Scene) -> None:
    scene.fill(3)
    scene.manifest(COPY_ONLY)
    Path("s3plan.yaml").write_text(
        "apiVersion: s3plan/v1\nkind: Project\nspec: {approvals: {required: 1, approvers: [ann]}}\n"
    )
    planned = scene.plan(COPY_ONLY).plan
    assert planned is not None

    alone = s3plan("apply", "--approve")
    assert alone.code == 4
    assert "error[approval]: not enough people have approved the plan" in alone.err
    _approvals(OTHER, "ann")
    stale = s3plan("apply", "--approvals", "approvals.json")
    assert stale.code == 5
    assert not Path(".s3plan").exists()

    _approvals(planned.digest, "bob", "ann")
    done = s3plan("apply", "--approvals", "approvals.json")
    assert done.code == 0, done.err
    assert "bob, ann (by " in scene.run().journal.read_text()


def test_an_approvals_file_that_is_not_right_is_refused(scene: Scene) -> None:
    scene.fill(1)
    scene.plan(COPY_ONLY)
    for text in ("", "[]", '{"apiVersion":"s3plan/v1","kind":"Approvals","approvals":[{}]}'):
        Path("approvals.json").write_text(text)
        refused = s3plan("apply", "--approvals", "approvals.json")
        assert refused.code == 1, text
        assert "approvals.json" in refused.err
    _approvals("sha256:123456789012", "ann")
    assert s3plan("apply", "--approvals", "approvals.json").code == 1, "the whole digest"
    assert not Path(".s3plan").exists()


def test_classes_of_steps_are_approved_separately(scene: Scene) -> None:
    """D37: a weekly job may add, and only add; a deletion is never included silently."""
    scene.fill(3)
    scene.plan(WHOLE)

    nothing = s3plan("apply", "--approve-class", "upload")
    assert nothing.code == 4
    assert not scene.files(), "a download was not approved"

    added = s3plan("apply", "--approve-class", "download")
    assert added.code == 4, added.out
    assert len(scene.files()) == 3
    assert "not among the classes that were approved" in added.out
    assert len(scene.keys()) == 3

    gate = s3plan("apply", "--approve-class", "download,delete")
    assert gate.code == 4
    approval = approval_in(gate.out)
    assert len(scene.keys()) == 3, "the class opens no gate"

    other = s3plan("apply", "--approve-class", "download", "--approve-delete", approval)
    assert other.code == 4
    assert len(scene.keys()) == 3, "a gate opens no class"

    held = s3plan("apply", "--approve-class", "download,delete", "--approve-delete", approval)
    assert held.code == 4
    assert scene.keys() == []
    assert scene.bucket_exists(), "delete-bucket is a class of its own"

    done = s3plan("apply", "--approve", "--approve-delete", approval)
    assert done.code == 0, done.out + done.err
    assert not scene.bucket_exists()


@pytest.mark.parametrize("given", ["", "copy,everything", " , "])
def test_a_class_that_is_none_is_a_usage_error(scene: Scene, given: str) -> None:
    refused = s3plan("apply", "--approve-class", given)
    assert refused.code == 64
    assert "is no verb; there are" in refused.err
