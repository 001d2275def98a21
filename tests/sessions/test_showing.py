"""A plan of many archives is read by people: three whole, the others in a line each."""

from __future__ import annotations

from pathlib import Path

import pytest

from s3plan.cli import main
from tests.golden.test_golden_plans import CASES
from tests.kinds.planned import plan as planned
from tests.kinds.planned import read


@pytest.mark.long
def test_many_archives_are_a_line_each(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (case,) = [one for one in CASES if one.name == "sessions"]
    inventory = read(case / "inventory.json")
    night = next(row for row in inventory["tables"]["session_files"] if "2025" in row["session"])
    for number in range(10, 30):
        name = f"202502{number}_4B772986"
        inventory["tables"]["session_files"].append(
            night | {"session": name, "path": f"2025/{name}/a", "member": f"{name}/a"}
        )
    made = planned(tmp_path, case / "manifest.yaml", inventory)
    capsys.readouterr()
    assert main(["show", str(made.file.path)]) == 0
    shown = capsys.readouterr().out
    whole = shown.count("index     s3://")
    assert shown.count("archive astro: 202502") == 20
    assert shown.count("archive astro-far: 202502") == 20
    # What replaces an archive is always whole.
    assert whole == 1 + 3 + 3
    assert "replaces" in shown
