"""Golden plans: a folder's ``manifest.yaml`` and ``inventory.json`` give exactly its ``plan.json``.

``S3PLAN_WRITE_GOLDEN=1 pytest tests/golden`` writes what is planned now; review the difference.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.kinds.planned import plan, read

CASES = sorted(path.parent for path in Path(__file__).parent.glob("*/manifest.yaml"))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_golden(case: Path, tmp_path: Path) -> None:
    planned = plan(tmp_path, case / "manifest.yaml", read(case / "inventory.json"))
    golden = case / "plan.json"
    if os.environ.get("S3PLAN_WRITE_GOLDEN"):
        golden.write_bytes(planned.file.path.read_bytes())
    assert planned.file.path.read_text() == golden.read_text()


def test_there_are_cases() -> None:
    assert len(CASES) >= 8
