"""The final report: drawn from the runs and the record of the soak, with room for the rest."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from s3plan import api
from s3plan.cli import main
from tests.engine.conftest import scene
from tests.engine.scene import Scene
from tests.soak.soaking import COUNT, Soaking

__all__ = ["scene"]


def _report(soaking: Soaking, *options: str) -> Any:
    out = Path("final.json")
    journal = str(soaking.journal)
    assert main(["report", "final", "--from", journal, "--out", str(out), *options]) == 0
    made = json.loads(out.read_text())
    return made["facts"] | made["sections"]


def test_the_final_report(scene: Scene) -> None:
    """B56-B60, B62-B66: phases with their estimate, checks, notes, signatures, bytes before and
    after, every file with its digest, lessons, what to update.
    """
    soaking = Soaking(scene)
    soaking.fill()
    soaking.migrate()
    assert _report(soaking)["sources_deleted"] == 0
    api.monitor(soaking.journal, by="cron", notes=[("performance", "as before in bucket x")])
    soaking.sign()
    assert soaking.clean().exit_code == 0
    held = _report(soaking)
    assert held["old_layout_bytes_before"] > 0
    assert held["old_layout_bytes_after"].startswith("not measured: s3plan monitor ")
    soaking.check(full=True)
    found = _report(soaking)
    assert found["old_layout_bytes_after"] == 0
    assert found["sources_deleted"] == COUNT
    assert found["signed_off"] is True
    verbs = [phase["verb"] for phase in found["phases"]]
    assert verbs == ["copy", "verify-copies", "verify-copies", "delete-source"]
    assert all(phase["took_seconds"] for phase in found["phases"])
    assert [check["kind"] for check in found["checks"]] == ["full", "full"]
    assert found["notes"][0]["text"] == "as before in bucket x"
    assert found["signatures"][0]["name"] == "Ann Lee"
    named = {row["file"].partition("/")[2] for row in found["artifacts"]}
    assert {"plan.json", "journal.json", "soak.json", "ROLLBACK.md"} <= named
    assert found["lessons"]
    assert found["documents"]
    assert all(row["answer"] == "" for row in found["lessons"])

    hidden = json.dumps(_report(soaking, "--redact"))
    assert "Ann Lee" not in hidden
    assert "as before" not in hidden
    assert scene.bucket not in hidden
