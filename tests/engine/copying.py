"""Plans of copies within S3, sealed by hand: the verbs without the kind that plans them."""

from __future__ import annotations

import os
import socket
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from s3plan import __version__
from s3plan.model.connection import Batch, Connection, Limits
from s3plan.model.plan import PLAN_FORMAT, PlanHeader, Target
from s3plan.model.steps import Copy, Need, VerifyCopies
from s3plan.plan import PlanFile, StepDraft
from s3plan.plan.seal import seal
from s3plan.tables import ITEMS, Database
from tests.engine.scene import Scene

Rename = Callable[[str], str]


def by_type(key: str) -> str:
    """A key as it is regrouped: its extension in front, its folders joined."""
    return f"grouped/{key.rpartition('.')[2]}/{key.replace('/', '_')}"


def plan_copies(
    scene: Scene,
    rename: Rename = by_type,
    *,
    prefix: str = "",
    headers: int = 0,
    scratch: str | None = None,
    target: str | None = None,
    batch: Batch | None = None,
    connections: int = 8,
    **changes: Any,
) -> PlanFile:
    """Write plan.json: every object below ``prefix`` copied to its new name, then verified."""
    source = scene.bucket
    subject = target or source
    pages = scene.s3.get_paginator("list_objects_v2").paginate(Bucket=source, Prefix=prefix)
    listed = sorted(
        (entry for page in pages for entry in page.get("Contents", ())),
        key=lambda entry: str(entry["Key"]),
    )
    copying = Copy(source=source, **changes)
    draft = StepDraft(copying, subject, "free", "the copies are removed", "told to")
    draft = _with_own_worklist(draft)
    verifying = StepDraft(
        VerifyCopies(source=source, copied=draft.id, headers=headers),
        subject,
        "free",
        "nothing",
        "told to",
        needs=(Need(draft.id),),
        worklist=draft.id,
    )
    with tempfile.TemporaryDirectory() as folder, Database(Path(folder)) as database:
        if listed:
            database.append(
                ITEMS,
                {
                    "n": list(range(len(listed))),
                    "key": [entry["Key"] for entry in listed],
                    "path": [rename(entry["Key"]) for entry in listed],
                    "size": [entry["Size"] for entry in listed],
                    "etag": [entry["ETag"].strip('"') for entry in listed],
                    "modified": [
                        entry["LastModified"].strftime("%Y-%m-%dT%H:%M:%S.")
                        + f"{entry['LastModified'].microsecond // 1000:03}Z"
                        for entry in listed
                    ],
                    "storage_class": [entry.get("StorageClass", "STANDARD") for entry in listed],
                },
                {"step": draft.id},
            )
        server = scene.server
        header = PlanHeader(
            format=PLAN_FORMAT,
            tool=__version__,
            created="2026-11-20T00:00:00.000Z",
            host=socket.gethostname(),
            target=Target(server.endpoint, server.region),
            connection=Connection(
                endpoint=server.endpoint,
                region=server.region,
                limits=Limits(connections=connections),
                scratch=scratch,
                batch=batch,
            ),
        )
        os.chdir(scene.directory)
        return seal([draft, verifying], database, header, Path("plan.json"))


def _with_own_worklist(draft: StepDraft) -> StepDraft:
    return StepDraft(
        draft.action, draft.subject, "free", draft.undo, draft.reason, worklist=draft.id
    )
