"""Restores by jobs: what is complete was only asked for; how far it is S3 tells."""

from __future__ import annotations

import os
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from s3plan import __version__
from s3plan.model.connection import Batch, Connection, Limits
from s3plan.model.journal import Restores
from s3plan.model.plan import PLAN_FORMAT, PlanHeader, Target
from s3plan.model.steps import Restore
from s3plan.plan import StepDraft
from s3plan.plan.seal import seal
from s3plan.tables import ITEMS, Database
from tests.batch.conftest import unprobed
from tests.batch.fake import ROLE, BatchOperations, batch_operations
from tests.batch.jobs import SCRATCH, apply_jobs, stages
from tests.engine.conftest import enter
from tests.engine.scene import Scene, open_scene
from tests.servers import Server


@pytest.fixture
def moto(moto_server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    """On moto, which restores at once."""
    with open_scene(moto_server, tmp_path) as made:
        enter(made, monkeypatch)
        unprobed(monkeypatch)
        made.s3.create_bucket(Bucket=SCRATCH)
        yield made


def _plan(scene: Scene, service: BatchOperations) -> None:
    pages = scene.s3.list_objects_v2(Bucket=scene.bucket)["Contents"]
    action = Restore(3, {"GLACIER": "Bulk", "DEEP_ARCHIVE": "Standard"}, 1)
    draft = StepDraft(action, scene.bucket, "costs", "", "told to")
    draft = StepDraft(action, scene.bucket, "costs", "", "told to", worklist=draft.id)
    with tempfile.TemporaryDirectory() as folder, Database(Path(folder)) as database:
        database.append(
            ITEMS,
            {
                "n": list(range(len(pages))),
                "key": [entry["Key"] for entry in pages],
                "path": [entry["Key"] for entry in pages],
                "size": [entry["Size"] for entry in pages],
                "etag": [entry["ETag"].strip('"') for entry in pages],
                "modified": [e["LastModified"].strftime("%Y-%m-%dT%H:%M:%S.000Z") for e in pages],
                "storage_class": [entry["StorageClass"] for entry in pages],
            },
            {"step": draft.id},
        )
        header = PlanHeader(
            format=PLAN_FORMAT,
            tool=__version__,
            created="2026-11-20T00:00:00.000Z",
            host=socket.gethostname(),
            target=Target(scene.server.endpoint, scene.server.region),
            connection=Connection(
                endpoint=scene.server.endpoint,
                region=scene.server.region,
                limits=Limits(connections=8),
                scratch=f"s3://{SCRATCH}/p",
                batch=Batch(ROLE, endpoint=service.endpoint, least_objects=2, poll=0.01),
            ),
        )
        os.chdir(scene.directory)
        seal([draft], database, header, Path("plan.json"))


def test_jobs_ask_and_what_they_fail_with_is_told(moto: Scene) -> None:
    """A job for each class; an object alone in its class is asked for here."""
    for number in range(4):
        moto.put(f"{number}", b"1", StorageClass="GLACIER")
    moto.put("deep", b"1", StorageClass="DEEP_ARCHIVE")
    with batch_operations(moto.s3) as service:
        _plan(moto, service)
        service.refuse = {"1": ("AccessDenied", 403), "2": ("RestoreAlreadyInProgress", 409)}
        service.on_active = lambda: _restore(moto, "2")
        finished = apply_jobs(moto)
        assert (finished.exit_code, finished.failed) == (3, 1), (finished, moto.problems())
        assert {p.key: p.reason for p in moto.problems()} == {"1": "AccessDenied"}
        assert [key for key, _ in service.restored] == ["0", "3"]
        asked = {"ExpirationInDays": 3, "GlacierJobTier": "BULK"}
        assert all(told == asked for _, told in service.restored)
        assert stages(moto) == ["planned", "created", "confirmed", "ended"]
        told = [r for r in moto.journal() if isinstance(r, Restores)]
        assert ("requested", (0, 3)) in {(record.stage, record.items) for record in told}
        service.refuse = {}
        assert moto.apply().exit_code == 0


def _restore(scene: Scene, key: str) -> None:
    scene.s3.restore_object(Bucket=scene.bucket, Key=key, RestoreRequest={"Days": 3})
