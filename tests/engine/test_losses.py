"""The loss that a deletion brings: listed, asked about by itself, approved alone.

The objects are SSE-KMS ones without a stored checksum: their ETag is no MD5, so S3 tells nothing
that their content can be compared with; and the manifest says not to read them a second time.
"""

from __future__ import annotations

import json
from pathlib import Path

import boto3
import pytest
from botocore.config import Config

from s3plan import api
from s3plan.model.events import GateReached
from s3plan.model.journal import Approved, Declined, GateRecord
from s3plan.model.steps import Totals
from tests.crash.harness import executioner
from tests.engine.scene import COPY_ONLY, OBJECTS_ONLY, WHOLE, Scene

ONCE = "  verify: {secondRead: false}\n"
OBJECTS = OBJECTS_ONLY + ONCE
EVERYTHING = WHOLE + ONCE

SEALED = ("sealed-1.bin", "sealed-2.bin")


def put_without_evidence(scene: Scene, key: str, body: bytes) -> None:
    """An object of which S3 tells only its size."""
    client = boto3.client(
        "s3",
        endpoint_url=scene.server.endpoint,
        region_name=scene.server.region,
        aws_access_key_id=scene.server.access_key,
        aws_secret_access_key=scene.server.secret_key,
        config=Config(
            s3={"addressing_style": "path"}, request_checksum_calculation="when_required"
        ),
    )
    client.put_object(
        Bucket=scene.bucket, Key=key, Body=body, ServerSideEncryption="aws:kms", SSEKMSKeyId="k"
    )
    client.close()


@pytest.fixture
def sealed(moto_scene: Scene) -> Scene:
    """A bucket with two objects that nothing can be compared with, and one that is fine."""
    moto_scene.put("fine.txt", b"fine")
    for key in SEALED:
        put_without_evidence(moto_scene, key, f"content of {key}".encode())
    return moto_scene


def _kinds(scene: Scene) -> list[tuple[str, str]]:
    """Decisions in the journal: what they are about and how they were made."""
    return [
        (record.what, "no" if isinstance(record, Declined) else record.how)
        for record in scene.journal()
        if isinstance(record, Approved | Declined)
    ]


def test_what_cannot_be_verified_is_listed_as_a_loss_and_holds_the_deletion(
    sealed: Scene,
) -> None:
    """A51: size alone is never enough."""
    evidence = sealed.apply_to_gate(OBJECTS)
    gate = sealed.gate()
    assert gate.passes, "but for the loss"
    assert gate.figures["unverifiable"] == 2
    (loss,) = gate.losses
    assert (loss.reason, loss.totals, loss.names) == ("unverifiable", Totals(2, 46), SEALED)
    lines = [json.loads(line) for line in Path(loss.listed).read_text().splitlines()]
    assert [line["key"] for line in lines if line["verdict"] == "unverifiable"] == [*SEALED]

    held = sealed.apply(delete=evidence)
    assert (held.outcome, held.exit_code) == ("held", 4)
    assert "waits for approval of the loss" in held.message
    assert held.next_step is not None
    assert f"--approve-loss {sealed.bucket}@{evidence[:16]}" in held.next_step
    assert "--approve-delete" not in held.next_step, "that is in the journal"
    assert set(sealed.keys()) == {"fine.txt", *SEALED}


@pytest.mark.long
def test_both_approvals_together_delete_and_both_are_in_the_journal(sealed: Scene) -> None:
    evidence = sealed.apply_to_gate(EVERYTHING)
    finished = sealed.apply(delete=evidence, loss=evidence)
    assert finished.exit_code == 0, finished
    assert not sealed.bucket_exists()
    assert _kinds(sealed) == [("delete", "option"), ("loss", "option")]
    (record,) = [r for r in sealed.journal() if isinstance(r, GateRecord)]
    (loss,) = record.losses
    assert (loss.reason, loss.totals, loss.names) == ("unverifiable", Totals(2, 46), SEALED)

    rolled_back = sealed.rollback()
    assert rolled_back is not None
    assert rolled_back.exit_code == 0, sealed.problems()
    bodies = {key: stored.body for key, stored in sealed.objects().items()}
    assert bodies == {"fine.txt": b"fine"} | {k: f"content of {k}".encode() for k in SEALED}


@pytest.mark.parametrize("given", ["--approve", "--approve-delete", "--approve-loss"])
def test_no_approval_covers_another(sealed: Scene, given: str) -> None:
    evidence = sealed.apply_to_gate(OBJECTS)
    delete = evidence if given == "--approve-delete" else None
    loss = evidence if given == "--approve-loss" else None
    assert sealed.apply(delete=delete, loss=loss).exit_code == 4
    assert set(sealed.keys()) == {"fine.txt", *SEALED}


def test_approvals_of_two_sessions_add_up(sealed: Scene) -> None:
    evidence = sealed.apply_to_gate(OBJECTS)
    assert sealed.apply(delete=evidence).exit_code == 4
    assert sealed.apply(loss=evidence).exit_code == 0
    assert sealed.keys() == []


def test_an_approved_loss_expires_with_its_evidence(sealed: Scene) -> None:
    """What was approved is the loss that was listed, not another one."""
    evidence = sealed.apply_to_gate(OBJECTS)
    held = sealed.apply(delete=evidence, loss="0123456789abcdef")
    assert held.exit_code == 4
    assert "the loss of" in held.message
    # Its copy is harmed: what was approved is another state of things.
    path = sealed.copies / SEALED[0]
    path.write_bytes(path.read_bytes()[::-1])
    held = sealed.apply(delete=evidence, loss=evidence)
    assert held.exit_code == 4
    assert not sealed.gate().passes, "mismatched never passes"
    assert sealed.gate().figures["mismatched"] == 1
    assert set(sealed.keys()) == {"fine.txt", *SEALED}


def test_the_loss_is_a_question_of_its_own_with_its_own_figures(sealed: Scene) -> None:
    asked: list[GateReached] = []

    def yes(gate: GateReached) -> bool:
        asked.append(gate)
        return True

    sealed.plan(OBJECTS)
    assert sealed.apply(ask=yes).exit_code == 0
    assert [gate.asks for gate in asked] == ["delete", "loss"]
    assert [loss.totals for loss in asked[1].losses] == [Totals(2, 46)]
    assert _kinds(sealed) == [("delete", "prompt"), ("loss", "prompt")]


def test_no_to_the_loss_keeps_everything(sealed: Scene) -> None:
    sealed.plan(OBJECTS)
    held = sealed.apply(ask=lambda gate: gate.asks == "delete")
    assert held.exit_code == 4
    assert "the loss was declined" in held.message
    assert set(sealed.keys()) == {"fine.txt", *SEALED}
    assert _kinds(sealed) == [("delete", "prompt"), ("loss", "no")]


def test_a_copy_that_is_not_followed_by_deletion_has_no_loss(sealed: Scene) -> None:
    sealed.plan(COPY_ONLY)
    assert sealed.apply().exit_code == 0
    assert sealed.gate().losses == ()
    assert "2 not verified by content" in sealed.gate().problems[0]


def test_the_status_tells_the_loss_and_the_option_that_is_missing(sealed: Scene) -> None:
    evidence = sealed.apply_to_gate(OBJECTS)
    (bucket,) = api.status().buckets
    assert [loss.reason for loss in bucket.losses] == ["unverifiable"]
    both = f"{sealed.bucket}@{evidence[:16]}"
    assert bucket.approve == f"--approve-delete {both} --approve-loss {both}"
    sealed.apply(delete=evidence)
    assert api.status().buckets[0].approve == f"--approve-loss {both}"


@pytest.mark.long
def test_a_deletion_with_a_loss_that_is_killed_goes_on(sealed: Scene, tmp_path: Path) -> None:
    """Killed between the approvals and in the deletion, the same command ends the same."""
    evidence = sealed.apply_to_gate(EVERYTHING)
    given = f"{sealed.bucket}@{evidence[:16]}"
    command = ("apply", "--approve", "--approve-delete", given, "--approve-loss", given)
    with executioner(tmp_path) as sessions:
        for last in (
            "after journal approved #1",
            "before journal approved #1",
            "after journal approved #1",
            "after delete objects #1",
        ):
            assert sessions.run(sealed, *command, last=last).code is None, last
        # Both approvals are in the journal: they need not be given again.
        ended = sessions.run(sealed, "apply", "--approve")
    assert ended.code == 0, sessions.log.read_text()[-3000:]
    assert not sealed.bucket_exists()
    assert len(sealed.files()) == 3
    assert _kinds(sealed) == [("delete", "option"), ("loss", "option")]
