"""The logs of the runs, compressed, in a cold class of another bucket, once all is done."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import pytest

from s3plan import api
from s3plan.cli import main
from tests.engine.conftest import scene
from tests.engine.scene import Scene
from tests.soak.soaking import Soaking

__all__ = ["scene"]


@pytest.mark.long
def test_logs_and_reports_are_archived_by_the_last_plan(scene: Scene) -> None:
    """B59, B64: verified, journaled, and the final report says where."""
    place = f"{scene.bucket}-logs"
    scene.s3.create_bucket(Bucket=place)
    more = f"  artifacts: {{bucket: {place}, prefix: done/, storageClass: STANDARD_IA}}\n"
    soaking = Soaking(scene)
    soaking.fill()
    soaking.migrate(more=more)
    made = scene.plan()
    assert made.plan is not None, "the sources first: their gate says what is missing"
    soaking.soak()
    assert soaking.clean().exit_code == 0
    run = soaking.journal.parent.name
    cleanup = scene.run().id
    reports = Path(".s3plan") / "runs" / run / "reports"
    journal = ["--from", str(soaking.journal)]
    assert main(["report", "migration", *journal, "--out", str(reports)]) == 0
    plan = scene.plan().plan
    assert plan is not None
    (step,) = plan.steps
    assert (step.verb, step.subject) == ("archive", place)
    assert scene.apply().exit_code == 0, scene.problems()
    key = f"done/{run}.tar.gz"
    stored = scene.s3.get_object(Bucket=place, Key=key)
    assert stored["StorageClass"] == "STANDARD_IA"
    with tarfile.open(fileobj=io.BytesIO(stored["Body"].read()), mode="r:gz") as tar:
        names = {name.partition("/")[2] for name in tar.getnames()}
        inside = tar.extractfile(f"{run}/{run}/journal.json")
        assert inside is not None
        assert inside.read() == soaking.journal.read_bytes()
    assert {f"{run}/soak.json", f"{cleanup}/journal.json"} <= names
    assert f"{run}/reports/certificate.md" in names
    assert scene.plan().plan is None
    out = Path("final.md")
    assert main(["report", "final", *journal, "--out", str(out)]) == 0
    assert f"s3&#58;//{place}/{key}" in out.read_text() or f"s3://{place}/{key}" in out.read_text()
    result = api.monitor(soaking.journal, by="tester", full=True)
    assert json.dumps(result.check is not None and result.check.passes) == "true"
