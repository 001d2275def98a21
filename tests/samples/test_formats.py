"""Files of every format that ever landed stay readable, and say what they said.

``v1`` was written by the commit that brought the formats; see ``make.py``.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import get_args

import msgspec
import pytest

from s3plan import api
from s3plan.engine.runs import Run
from s3plan.engine.state import ItemState
from s3plan.localfs.catalogue import path_of, read_catalogue
from s3plan.localfs.tree import Tree
from s3plan.model.journal import JOURNAL_FORMAT, JournalRecord
from s3plan.model.local import CATALOGUE_FORMAT, CatalogueHeader, CatalogueRow
from s3plan.model.plan import PARTED_FORMAT, PLAN_FORMAT
from s3plan.plan.reading import PlanFile
from tests.samples.make import parted

HERE = Path(__file__).parent
VERSIONS = sorted(path.name for path in HERE.iterdir() if (path / "expected.json").exists())
KEYS = ("..", "2019/été.jpg", "a b.txt", "nul", "tab\there", "wide \U0001f600", "x/")


@pytest.fixture(params=VERSIONS)
def sample(request: pytest.FixtureRequest) -> Path:
    """The folder of one version."""
    return HERE / str(request.param)


@pytest.fixture
def run(sample: Path, tmp_path: Path) -> Run:
    """A copy of the sample as the run folder it was."""
    expected = json.loads((sample / "expected.json").read_text())
    made = Run(tmp_path / ".s3plan" / "runs" / expected["run"])
    made.folder.mkdir(parents=True)
    for name in ("plan.json", "journal.json", "rollback-plan.json", "rollback.json"):
        shutil.copy(sample / name, made.folder / name)
    return made


def _expected(run: Run) -> dict[str, str]:
    found: dict[str, str] = json.loads((HERE / "v1" / "expected.json").read_text())
    assert run.id == found["run"]
    return found


def test_every_current_format_has_a_sample() -> None:
    """A format with another number lands together with its sample."""
    first_lines = {
        name: {
            json.loads((HERE / v / name).read_bytes().splitlines()[0])["format"] for v in VERSIONS
        }
        for name in ("plan.json", "journal.json", "catalogue.jsonl", "rollback.json")
    }
    assert PLAN_FORMAT in first_lines["plan.json"]
    assert PlanFile.open(HERE / "plan2" / "plan.json").header.format == PARTED_FORMAT
    assert JOURNAL_FORMAT in first_lines["journal.json"] & first_lines["rollback.json"]
    assert CATALOGUE_FORMAT in first_lines["catalogue.jsonl"]


def test_a_worklist_in_files_has_the_same_items_and_digest(tmp_path: Path) -> None:
    """Whatever version of DuckDB reads the files, or would write them."""
    plan = PlanFile.open(HERE / "plan2" / "plan.json")
    lines = (HERE / "plan2" / "items.jsonl").read_bytes().splitlines()
    assert [msgspec.json.encode(item) for item in plan.items(plan.steps[0].id)] == lines
    again = parted(tmp_path)
    assert again.digest == plan.digest
    assert [part.digest for part in again.parts] == [part.digest for part in plan.parts]
    assert (tmp_path / "items.jsonl").read_bytes().splitlines() == lines


def test_every_record_of_a_sample_is_still_known(sample: Path) -> None:
    known = {variant.__struct_config__.tag for variant in get_args(JournalRecord)}
    lines = (sample / "journal.json").read_bytes().splitlines()
    told = {json.loads(line)["type"] for line in lines}
    assert len(told) == 13, "all that the first version had"
    assert told <= known


def test_a_plan_has_the_same_digest_steps_and_items(run: Run) -> None:
    plan = PlanFile.open(run.plan)
    assert plan.digest == _expected(run)["digest"]
    assert [step.verb for step in plan.steps] == ["download", "verify", "delete", "delete-bucket"]
    assert tuple(item.key for item in plan.items(plan.steps[0].id)) == KEYS
    rollback = PlanFile.open(run.rollback_plan)
    assert rollback.digest == _expected(run)["rollback_digest"]
    assert rollback.header.rollback_of == run.id


def test_a_journal_folds_to_the_same_state(run: Run) -> None:
    state = run.state()
    assert state.started.digest == _expected(run)["digest"]
    assert (state.outcome, state.sessions, state.finished) == ("done", 3, True)
    assert state.rolled_back is not None
    plan = PlanFile.open(run.plan)
    download, verify, delete, bucket = (state.step(step.id) for step in plan.steps)
    assert download.count(ItemState.VERIFIED) == verify.count(ItemState.VERIFIED) == len(KEYS)
    assert delete.count(ItemState.DONE) == len(KEYS)
    assert all(step.done for step in (download, verify, delete, bucket))
    (gate,) = state.gates.values()
    assert gate.passes
    assert gate.evidence.startswith(state.approvals[gate.subject, "delete"].evidence)

    undone = run.rollback_state()
    assert undone.started.rollback_of == run.id
    assert undone.outcome == "done"


def test_a_status_is_told(run: Run) -> None:
    status = api.status(run.journal)
    assert (status.run, status.command, status.phase) == (run.id, "rollback", "complete")
    (bucket,) = status.buckets
    assert bucket.state == "completed"


def test_a_catalogue_is_read(run: Run, sample: Path, tmp_path: Path) -> None:
    bucket = _expected(run)["bucket"]
    place = tmp_path / "archive" / path_of(bucket)
    place.parent.mkdir(parents=True)
    shutil.copy(sample / "catalogue.jsonl", place)
    with Tree.open(tmp_path / "archive", create=False) as tree:
        found = read_catalogue(tree, bucket)
        assert found is not None
        header, records = found
        rows = {row.key: row for row in records if isinstance(row, CatalogueRow)}
    assert header == msgspec.json.decode(
        (sample / "catalogue.jsonl").read_bytes().splitlines()[0], type=CatalogueHeader
    )
    assert tuple(sorted(rows, key=str.encode)) == KEYS
    assert rows["nul"].attributes.metadata == {"n": "2"}
    assert rows["nul"].verdict == "verified"
