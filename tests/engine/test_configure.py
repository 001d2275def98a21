"""``configure``: look, write, look; what the probe finds broken is put back at once."""

from __future__ import annotations

import json
from typing import Any

import pytest

from s3plan.engine.handlers import configure
from s3plan.model.buckets import Document, DocumentName
from s3plan.model.events import RunFinished
from s3plan.rules.bucketdocuments import same
from s3plan.store import Control
from tests.engine.drafted import change, drafted
from tests.engine.scene import Scene

RULES = {
    "Rules": [
        {"Status": "Enabled", "Filter": {"Prefix": "raw/"}, "Expiration": {"Days": 30}},
        {
            "ID": "named",
            "Status": "Enabled",
            "Filter": {"And": {"Prefix": "a", "Tags": [{"Key": "k", "Value": "v"}]}},
            "Transitions": [{"Days": 7, "StorageClass": "DEEP_ARCHIVE"}],
        },
    ]
}


def _policy(scene: Scene, effect: str, action: str, sid: str = "S") -> dict[str, Any]:
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": sid,
                "Effect": effect,
                "Principal": "*",
                "Action": [action],
                "Resource": f"arn:aws:s3:::{scene.bucket}/*",
            }
        ],
    }


def _live(scene: Scene) -> Any:
    try:
        return json.loads(scene.s3.get_bucket_policy(Bucket=scene.bucket)["Policy"])
    except scene.s3.exceptions.from_code("NoSuchBucketPolicy"):
        return None


def _put(scene: Scene, policy: dict[str, Any]) -> None:
    scene.s3.put_bucket_policy(Bucket=scene.bucket, Policy=json.dumps(policy))


def _because(scene: Scene, finished: RunFinished, exit_code: int) -> tuple[str, str]:
    """Outcome and reason of the one document that did not end well."""
    assert finished.exit_code == exit_code, finished
    (problem,) = scene.problems()
    return problem.outcome, problem.reason


@pytest.fixture(autouse=True)
def _without_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(configure, "PROBE_PAUSES", (0.0, 0.0))
    monkeypatch.setattr(configure, "READ_BACK_PAUSES", (0.0,))


def test_a_document_is_made_and_taken_back(moto_scene: Scene) -> None:
    drafted(moto_scene, change(moto_scene, "lifecycle", None, RULES))
    finished = moto_scene.apply()
    assert (finished.outcome, finished.done, finished.skipped) == ("done", 1, 0), finished
    found = moto_scene.s3.get_bucket_lifecycle_configuration(Bucket=moto_scene.bucket)
    assert same("lifecycle", {"Rules": found["Rules"]}, RULES)
    assert all(rule["ID"] for rule in found["Rules"]), "S3 never has to invent an id"

    undone = moto_scene.rollback()
    assert undone is not None
    assert undone.exit_code == 0
    with pytest.raises(moto_scene.s3.exceptions.ClientError, match="NoSuchLifecycle"):
        moto_scene.s3.get_bucket_lifecycle_configuration(Bucket=moto_scene.bucket)


def test_several_documents_of_a_bucket_go_back_in_turn(moto_scene: Scene) -> None:
    block = dict.fromkeys(
        ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"), True
    )
    policy = _policy(moto_scene, "Allow", "s3:GetObject")
    first = change(moto_scene, "public-access-block", None, block)
    drafted(moto_scene, first, change(moto_scene, "policy", None, policy, needs=[first]))
    assert moto_scene.apply().done == 2
    undone = moto_scene.rollback()
    assert undone is not None
    assert (undone.outcome, undone.done) == ("done", 2)
    assert _live(moto_scene) is None
    (again,) = [step.document for step in _configured(moto_scene)][:1]
    assert again == "policy", "the last one first"


def _configured(scene: Scene) -> list[Any]:
    from s3plan import api

    return [step.action for step in api.show(scene.run().rollback_plan).steps]


def test_a_document_that_changed_since_the_plan_is_left_alone(moto_scene: Scene) -> None:
    planned = _policy(moto_scene, "Allow", "s3:GetObject")
    drafted(moto_scene, change(moto_scene, "policy", None, planned))
    theirs = _policy(moto_scene, "Allow", "s3:PutObject", "Theirs")
    _put(moto_scene, theirs)
    finished = moto_scene.apply()
    assert _because(moto_scene, finished, 3) == ("drifted", "document-changed")
    assert "plan again" in str(finished.next_step)
    assert _live(moto_scene) == theirs
    assert moto_scene.rollback() is None, "nothing was written, so nothing is taken back"
    assert _live(moto_scene) == theirs


def test_a_change_that_somebody_made_already_is_not_ours(moto_scene: Scene) -> None:
    planned = _policy(moto_scene, "Allow", "s3:GetObject")
    drafted(moto_scene, change(moto_scene, "policy", None, planned))
    _put(moto_scene, planned)
    assert moto_scene.apply().exit_code == 0
    assert moto_scene.rollback() is None
    assert _live(moto_scene) == planned


def test_a_document_changed_since_the_run_is_kept(moto_scene: Scene) -> None:
    drafted(
        moto_scene,
        change(moto_scene, "policy", None, _policy(moto_scene, "Allow", "s3:GetObject")),
    )
    moto_scene.apply()
    theirs = _policy(moto_scene, "Allow", "s3:PutObject", "Theirs")
    _put(moto_scene, theirs)
    undone = moto_scene.rollback()
    assert undone is not None
    assert _because(moto_scene, undone, 7) == ("kept", "not-ours")
    assert _live(moto_scene) == theirs


@pytest.mark.parametrize("had_one", [True, False])
def test_a_document_that_breaks_a_probe_is_put_back(moto_scene: Scene, *, had_one: bool) -> None:
    """The server of moto denies object reads under any Deny, whatever its Condition says."""
    moto_scene.put("a")
    before = _policy(moto_scene, "Allow", "s3:GetObject") if had_one else None
    if before:
        _put(moto_scene, before)
    denied = _policy(moto_scene, "Deny", "s3:GetObject")
    drafted(
        moto_scene,
        change(moto_scene, "policy", before, denied, probe=("list", "get", "document")),
    )
    finished = moto_scene.apply()
    assert _because(moto_scene, finished, 3) == ("failed", "probe-failed")
    (problem,) = moto_scene.problems()
    undone = "The old document is back" if had_one else "It was removed again"
    assert undone in problem.message
    assert _live(moto_scene) == before
    assert moto_scene.rollback() is None


def test_what_s3_makes_something_else_of_is_put_back(
    moto_scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Control.put_document
    wanted = _policy(moto_scene, "Allow", "s3:GetObject")

    def garbled(self: Control, bucket: str, name: DocumentName, document: Document) -> None:
        real(self, bucket, name, document and {**document, "Version": "2008-10-17"})

    monkeypatch.setattr(Control, "put_document", garbled)
    drafted(moto_scene, change(moto_scene, "policy", None, wanted))
    assert _because(moto_scene, moto_scene.apply(), 3) == ("failed", "not-as-put")
    assert _live(moto_scene) is None


class _Killed(BaseException):
    pass


@pytest.mark.parametrize("moment", ["before the request", "after the request"])
def test_killed_around_the_request_the_same_command_ends_the_same(
    moto_scene: Scene, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    real = Control.put_document
    wanted = _policy(moto_scene, "Allow", "s3:GetObject")

    def killed(self: Control, bucket: str, name: DocumentName, document: Document) -> None:
        if moment == "after the request":
            real(self, bucket, name, document)
        raise _Killed

    monkeypatch.setattr(Control, "put_document", killed)
    drafted(moto_scene, change(moto_scene, "policy", None, wanted))
    with pytest.raises(_Killed):
        moto_scene.apply()
    monkeypatch.setattr(Control, "put_document", real)
    finished = moto_scene.apply()
    assert (finished.outcome, finished.done) == ("done", 1)
    assert _live(moto_scene) == wanted
    undone = moto_scene.rollback()
    assert undone is not None
    assert undone.exit_code == 0
    assert _live(moto_scene) is None


def test_an_endpoint_without_the_document_says_so(scene: Scene) -> None:
    block = {"BlockPublicAcls": True}
    drafted(scene, change(scene, "public-access-block", None, block))
    finished = scene.apply()
    assert finished.exit_code == 3
    assert "does not support s3:GetPublicAccessBlock" in finished.message
    assert scene.rollback() is None


@pytest.mark.long
def test_status_and_review_show_the_change(moto_scene: Scene) -> None:
    before = _policy(moto_scene, "Allow", "s3:GetObject")
    _put(moto_scene, before)
    after = _policy(moto_scene, "Allow", "s3:PutObject")
    drafted(moto_scene, change(moto_scene, "policy", before, after, probe=("list",)))
    shown = moto_scene.s3plan("show").out
    assert "- Action: s3:GetObject" in shown, shown
    assert "+ Action: s3:PutObject" in shown
    assert "puts the old one back unless this still works: listing the bucket" in shown
    assert "Plan: 1 to configure." in shown
    (step,) = json.loads(moto_scene.s3plan("show", "--json").out)["steps"]
    assert step["action"]["before"] == before
    assert step["action"]["after"] == after
    ran = moto_scene.s3plan("apply", "--approve")
    assert (ran.code, "1 configured" in ran.out) == (0, True), ran
    assert "completed" in moto_scene.s3plan("status").out


@pytest.mark.long
@pytest.mark.parametrize("denied", [False, True], ids=["probes pass", "a probe fails"])
def test_killed_at_any_request_the_same_command_ends_the_same(
    moto_scene: Scene, monkeypatch: pytest.MonkeyPatch, *, denied: bool
) -> None:
    """Before and after every request about the document, also those that put the old one back."""
    moto_scene.put("a")
    before = _policy(moto_scene, "Allow", "s3:ListBucket", "Before")
    after = _policy(moto_scene, "Deny" if denied else "Allow", "s3:GetObject")
    reached = True
    moment = 0
    while reached:
        _put(moto_scene, before)
        # Another Sid each time: a plan that was applied once is consumed.
        wanted = json.loads(json.dumps(after).replace('"S"', f'"S{moment}"'))
        drafted(moto_scene, change(moto_scene, "policy", before, wanted, probe=("get",)))
        with monkeypatch.context() as patch:
            reached = _killed_at(moto_scene, patch, moment)
        finished = moto_scene.apply() if reached else None
        if finished is not None:
            assert finished.exit_code == (3 if denied else 0), (moment, finished)
        assert same("policy", _live(moto_scene), before if denied else wanted), moment
        moment += 1
    assert moment > 6


def _killed_at(scene: Scene, patch: pytest.MonkeyPatch, moment: int) -> bool:
    """Apply, and die at that moment (even: before a request, odd: after it); whether it came."""
    seen = 0

    def dying(real: Any) -> Any:
        def call(self: Control, *arguments: Any, **options: Any) -> Any:
            nonlocal seen
            mine, seen = seen, seen + 1
            if mine == moment // 2 and moment % 2 == 0:
                raise _Killed
            result = real(self, *arguments, **options)
            if mine == moment // 2:
                raise _Killed
            return result

        return call

    for name in ("document", "put_document"):
        patch.setattr(Control, name, dying(getattr(Control, name)))
    try:
        scene.apply()
    except _Killed:
        return True
    return False
