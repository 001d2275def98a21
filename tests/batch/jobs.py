"""Plans whose copies are for S3 Batch Operations."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from s3plan import api
from s3plan.model.connection import Batch
from s3plan.model.events import RunFinished
from s3plan.model.journal import BatchJob
from s3plan.plan import PlanFile
from tests.batch.fake import ROLE, BatchOperations
from tests.engine.copying import plan_copies
from tests.engine.scene import Scene

SCRATCH = "scratch-of-jobs"


def prefixed(key: str) -> str:
    """A new key that the service can make: a folder before the old one."""
    return f"new/{key}"


def plan_jobs(
    scene: Scene,
    service: BatchOperations,
    rename: Callable[[str], str] = prefixed,
    *,
    exclusive: bool = True,
    **changes: Any,
) -> PlanFile:
    """Write plan.json: everything copied, under terms that let jobs do it."""
    targets = (scene.bucket,) if exclusive else ()
    batch = Batch(ROLE, 10, service.endpoint, targets, least_objects=2, poll=0.01)
    return plan_copies(
        scene, rename, headers=-1, scratch=f"s3://{SCRATCH}/of/s3plan", batch=batch, **changes
    )


def apply_jobs(scene: Scene, **options: Any) -> RunFinished:
    """``s3plan apply --approve --runner s3-batch``."""
    scene.events.clear()
    return api.apply(
        Path("plan.json"),
        approval=api.Approval("tester"),
        observer=scene.events.append,
        runner="s3-batch",
        **options,
    )


def stages(scene: Scene) -> list[str]:
    """What the journal says of jobs, in order."""
    return [record.stage for record in scene.journal() if isinstance(record, BatchJob)]
