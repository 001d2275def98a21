"""Plans that no kind makes: steps as a test wants them, sealed for the server of a scene."""

from __future__ import annotations

import socket
from collections.abc import Sequence

from s3plan.model.buckets import Document, DocumentName
from s3plan.model.connection import Connection
from s3plan.model.plan import PLAN_FORMAT, PlanHeader, Target
from s3plan.model.steps import Configure, Need, Probe
from s3plan.plan import StepDraft
from s3plan.plan.reading import PlanFile
from s3plan.plan.seal import seal
from s3plan.tables import Database
from tests.engine.scene import Scene


def change(
    scene: Scene,
    document: DocumentName,
    before: Document,
    after: Document,
    *,
    probe: tuple[Probe, ...] = (),
    needs: Sequence[StepDraft] = (),
) -> StepDraft:
    """A configure step for the scene's bucket."""
    return StepDraft(
        Configure(document, before, after, probe),
        scene.bucket,
        reversibility="free",
        undo="The old document is put back.",
        reason="The test says so.",
        needs=tuple(Need(draft.id) for draft in needs),
    )


def drafted(scene: Scene, *drafts: StepDraft) -> PlanFile:
    """Write plan.json with these steps."""
    server = scene.server
    header = PlanHeader(
        format=PLAN_FORMAT,
        tool="test",
        created="2026-11-20T04:00:00.000Z",
        host=socket.gethostname(),
        target=Target(server.endpoint, server.region),
        connection=Connection(endpoint=server.endpoint, region=server.region),
    )
    with Database(scene.directory / "scratch") as database:
        return seal(drafts, database, header, scene.directory / "plan.json")
