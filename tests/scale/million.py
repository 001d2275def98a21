"""``python -m tests.scale.million DIRECTORY``: a million objects mapped and sealed as a plan.

A process of its own, so that its memory is that of planning alone.
"""

from __future__ import annotations

import sys
from pathlib import Path

from s3plan.kinds.grouping.asking import inquiry_of
from s3plan.kinds.grouping.manifest import GroupingDocument
from s3plan.kinds.grouping.mapping import Mapping, map_sources, place_backup, place_copies
from s3plan.kinds.grouping.obstacles import key_obstacles, source_obstacles
from s3plan.kinds.grouping.steps import steps_of
from s3plan.kinds.kind import Filters
from s3plan.model.buckets import BucketFacts
from s3plan.model.connection import Connection
from s3plan.model.plan import PLAN_FORMAT, PlanHeader, Target
from s3plan.plan.seal import seal
from s3plan.tables import Database

COUNT = 1_000_000


def plan_a_million(place: Path) -> None:
    """From rows of a listing to a plan file in ``place``."""
    spec = GroupingDocument.model_validate(
        {
            "apiVersion": "s3plan/v1",
            "kind": "ObjectGrouping",
            "metadata": {"name": "x"},
            "spec": {"source": {"bucket": "people"}},
        }
    ).spec
    with Database(place / "scratch", memory_limit=256 << 20) as database:
        database.execute(
            "INSERT INTO listing (bucket, key, size, etag, modified, storage_class)"
            " SELECT 'people', (i // 4) || '/Name_' || (i // 4) || '/file_' || i || '.mp3', i,"
            f" md5(i::VARCHAR), '2026-11-01T00:00:00.000Z', 'STANDARD' FROM range({COUNT}) t(i)"
        )
        for _ in inquiry_of(spec).questions(database):
            pass
        work = Mapping(database, spec)
        map_sources(work)
        place_copies(work)
        place_backup(work)
        assert [*source_obstacles(work), *key_obstacles(work)] == []
        facts = {"people": BucketFacts("people", "eu-central-1", "never")}
        drafts = steps_of(work, facts, Filters(), None, {})
        header = PlanHeader(
            format=PLAN_FORMAT, tool="t", created="2026-11-20T00:00:00.000Z", host="h",
            target=Target("http://s3.example:8333", "eu-central-1"), connection=Connection(),
        )  # fmt: skip
        made = seal(drafts, database, header, place / "plan.json.zst")
        assert made.steps[0].totals.items == COUNT


if __name__ == "__main__":
    plan_a_million(Path(sys.argv[1]))
