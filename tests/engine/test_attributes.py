"""What belongs to objects besides their bytes: it comes back, or is a loss that is said before."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from s3plan.errors import AccessDeniedError, EndpointError, NoSuchKeyError, StoreError
from s3plan.inventory.annotations import Annotated, sample_annotations
from s3plan.model.objects import ObjectHead
from s3plan.model.steps import Delete, Verify
from s3plan.store import Bucket, heads
from tests.engine.scene import OBJECTS_ONLY, Scene
from tests.kinds.planned import ENFORCED, manifest, plan

REMOVE = """
buckets: {include: [b]}
destination: {path: /archive}
delete: afterVerification"""

OPEN = {"Rules": [{"ObjectOwnership": "ObjectWriter"}]}


def _emptied(scene: Scene) -> None:
    evidence = scene.apply_to_gate(OBJECTS_ONLY)
    assert not scene.gate().losses
    assert scene.apply(delete=evidence).exit_code == 0
    assert scene.keys() == []


def _grants(scene: Scene, key: str) -> list[str]:
    return sorted(map(repr, scene.s3.get_object_acl(Bucket=scene.bucket, Key=key)["Grants"]))


def test_acls_come_back_with_their_objects(moto_scene: Scene) -> None:
    """A bucket without ownership controls is an old one, and allows ACLs."""
    moto_scene.put("public", ACL="public-read")
    moto_scene.put("plain")
    before = {key: _grants(moto_scene, key) for key in ("public", "plain")}
    _emptied(moto_scene)
    undone = moto_scene.rollback()
    assert undone is not None
    assert undone.exit_code == 0
    assert {key: _grants(moto_scene, key) for key in ("public", "plain")} == before


def test_redirects_and_locks_come_back(moto_scene: Scene) -> None:
    moto_scene.put("moved", WebsiteRedirectLocation="/elsewhere", Expires="2027-01-01")
    _emptied(moto_scene)
    assert moto_scene.rollback() is not None
    head = moto_scene.s3.head_object(Bucket=moto_scene.bucket, Key="moved")
    assert head["WebsiteRedirectLocation"] == "/elsewhere"


@pytest.mark.parametrize("refusal", [AccessDeniedError, partial(EndpointError, status=500)])
def test_an_acl_that_cannot_be_read_is_a_loss(
    moto_scene: Scene, monkeypatch: pytest.MonkeyPatch, refusal: Callable[[str], StoreError]
) -> None:
    moto_scene.put("secret")

    async def denied(*_: Any, **__: Any) -> Any:
        raise refusal("not told")

    monkeypatch.setattr(Bucket, "grants", denied)
    evidence = moto_scene.apply_to_gate(OBJECTS_ONLY)
    (loss,) = moto_scene.gate().losses
    assert (loss.reason, loss.totals.items, loss.names) == ("grants", 1, ("secret",))
    assert [json.loads(line) for line in Path(loss.listed).read_text().splitlines()] == ["secret"]
    assert moto_scene.apply(delete=evidence).exit_code == 4, "the loss is approved by itself"
    assert moto_scene.keys() == ["secret"]
    assert moto_scene.apply(delete=evidence, loss=evidence).exit_code == 0


def test_metadata_that_no_header_carries_is_a_loss(
    moto_scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """x-amz-missing-meta counts entries that S3 keeps and cannot send."""
    moto_scene.put("soap")
    moto_scene.put("plain")
    real = heads.object_head

    def missing(key: str, headers: dict[str, str]) -> ObjectHead:
        return real(key, headers | ({"x-amz-missing-meta": "2"} if key == "soap" else {}))

    monkeypatch.setattr(heads, "object_head", missing)
    moto_scene.apply_to_gate(OBJECTS_ONLY)
    (loss,) = moto_scene.gate().losses
    assert (loss.reason, loss.names) == ("metadata", ("soap",))


def test_annotations_are_a_loss_and_part_of_the_evidence(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Finding 6 of the facts: no listing tells of annotations, and nothing here can save them."""
    scene.fill(3)
    annotated = {"d0/object-0000.txt"}

    async def sampled(*_: Any) -> Annotated:
        return Annotated(3, ("d0/object-0000.txt",))

    async def names(_: Bucket, key: str, **__: Any) -> tuple[str, ...]:
        return ("caption",) if key in annotated else ()

    monkeypatch.setattr("s3plan.inventory.survey.is_aws", lambda _: True)
    monkeypatch.setattr("s3plan.inventory.survey.sample_annotations", sampled)
    monkeypatch.setattr(Bucket, "annotations", names)
    evidence = scene.apply_to_gate(OBJECTS_ONLY)
    (loss,) = scene.gate().losses
    assert (loss.reason, loss.names) == ("annotations", ("d0/object-0000.txt",))
    annotated.add("d1/object-0001.txt")
    scene.run().evidence(scene.step("verify").id).unlink()
    finished = scene.apply(delete=evidence, loss=evidence)
    assert finished.exit_code == 4, "another loss is other evidence"
    assert len(scene.keys()) == 3


class _Asked:
    """A bucket of which one object has annotations."""

    async def annotations(self, key: str) -> tuple[str, ...]:
        if key == "gone":
            raise NoSuchKeyError("no such object")
        if key == "denied":
            raise AccessDeniedError("access denied")
        return ("caption",) if key == "has" else ()


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        (["has", "none", "gone"], Annotated(3, ("has",))),
        (["none"], Annotated(1)),
        (["none", "denied"], Annotated(0, refused=True)),
        ([], Annotated(0)),
    ],
)
def test_a_sample_tells_whether_all_must_be_asked(keys: list[str], expected: Annotated) -> None:
    assert asyncio.run(sample_annotations(_Asked(), keys)) == expected


@pytest.mark.parametrize(
    ("facts", "annotated", "asked", "said"),
    [
        ({"configuration": {"ownership": ENFORCED}}, {}, (), ""),
        ({"configuration": {"ownership": OPEN}}, {}, ("acl",), ""),
        ({"configuration": {}, "absent": ["ownership"]}, {}, ("acl",), ""),
        ({"configuration": {}, "unreadable": ["ownership"]}, {}, ("acl",), ""),
        ({"configuration": {}}, {}, ("acl",), ""),
        ({}, {"looked_at": 16, "keys": ("k",)}, ("annotations",), ""),
        ({}, {"looked_at": 16}, (), "looked for at 16 objects, and none found"),
        ({}, {"looked_at": 0, "refused": True}, (), "may not be listed"),
    ],
)
def test_only_what_can_be_there_is_asked_for(
    tmp_path: Path,
    facts: dict[str, Any],
    annotated: dict[str, Any],
    asked: tuple[str, ...],
    said: str,
) -> None:
    """Invariant 9, without a request per object where the bucket's facts rule it out."""
    inventory = {
        "buckets": {"b": {"objects": [{"key": "a"}], **facts}},
        "annotated": {"b": annotated} if annotated else {},
    }
    made = plan(tmp_path, manifest(tmp_path, REMOVE), inventory).file
    (verify,) = (step.action for step in made.steps if isinstance(step.action, Verify))
    (delete,) = (step for step in made.steps if isinstance(step.action, Delete))
    assert (verify.attributes or ()) == asked
    assert said in " ".join(delete.warnings)
