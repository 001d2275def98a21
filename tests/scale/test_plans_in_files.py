"""A plan of three million items in files: shown at once, read with memory that does not grow."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from s3plan.plan.reading import PlanFile
from s3plan.plan.seal import seal
from s3plan.tables import Database
from tests.peaks import peak
from tests.plan.worklists import HEADER, drafts

pytestmark = [pytest.mark.load, pytest.mark.timeout(1800)]

COUNT = 3_000_000
CEILING = 300 << 20
"""Bytes of a process that reads all of it: Python, DuckDB, and a few parts."""

_FILL = """
    INSERT INTO items (step, n, key, path, size, etag, modified, storage_class)
    SELECT $step, i, printf('%06d/%09d.bin', i // 100, i), printf('b/%06d/%09d.bin', i // 100, i),
        i, md5(i::VARCHAR), '2026-01-01T00:00:00.000Z', 'STANDARD' FROM range($count) t(i)"""

_READ = """
import sys
from pathlib import Path
from s3plan.plan.reading import PlanFile
plan = PlanFile.open(Path(sys.argv[1]))
assert sum(1 for _ in plan.items(plan.steps[0].id)) == int(sys.argv[2])
assert sum(len(rows) for rows in plan.rows(plan.steps[0].id)) == int(sys.argv[2])
"""


def test_a_plan_of_millions_is_shown_at_once_and_read_in_little_memory(tmp_path: Path) -> None:
    step = drafts()[0].id
    with Database(tmp_path / "scratch") as database:
        database.execute(_FILL, {"step": step, "count": COUNT})
        plan = seal(drafts(), database, HEADER, tmp_path / "plan.json")
    assert plan.header.format == "s3plan.plan/2"
    assert sum(part.size for part in plan.parts) < 50 * COUNT, "bytes"
    assert plan.path.stat().st_size < 50_000, "the plan itself is a page"

    began = time.process_time()
    assert PlanFile.open(plan.path).digest == plan.digest
    assert time.process_time() - began < 0.1, "seconds: nothing but the page was read"
    for place in (0, COUNT // 2, COUNT - 1):
        began = time.process_time()
        item = next(plan.items(step, place))
        assert (item.n, item.size) == (place, place)
        assert time.process_time() - began < 2, "seconds: a single file was read"

    reading = subprocess.Popen([sys.executable, "-c", _READ, str(plan.path), str(COUNT)])
    assert peak(reading) < CEILING
