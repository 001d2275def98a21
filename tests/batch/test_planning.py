"""Where the project file gives copies to the service, the plan says the split and the price."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from msgspec.structs import replace

from s3plan import api
from s3plan.errors import UsageError
from s3plan.model.connection import Batch, Connection
from s3plan.model.plan import PLAN_FORMAT, PlanHeader, Target
from s3plan.model.runners import RunnerChoice
from s3plan.model.steps import Copy
from s3plan.plan import PlanFile, StepDraft
from s3plan.plan.seal import seal
from s3plan.tables import ITEMS, Database
from tests.batch.fake import ROLE

ENDPOINT = "https://s3.us-east-1.amazonaws.com"
COPY = StepDraft(Copy(source="photos"), "archive", "free", "removed", "told to")
LARGE = 6 * 10**9

HEADER = PlanHeader(
    format=PLAN_FORMAT,
    tool="0",
    created="2026-11-20T00:00:00.000Z",
    host="here",
    target=Target(ENDPOINT, "us-east-1", "123456789012"),
    connection=Connection(
        scratch="s3://scratch/p",
        batch=Batch(ROLE, exclusive_targets=("archive",), least_objects=2),
    ),
    notes=("a note",),
)


def _sealed(
    tmp_path: Path, verbs: dict[str, str], exclusive: tuple[str, ...] = ("archive",)
) -> PlanFile:
    """Six objects: three for a job, one of them in a class of its own, one large, two renamed."""
    draft = StepDraft(COPY.action, COPY.subject, "free", COPY.undo, COPY.reason, worklist=COPY.id)
    paths = ["n/a", "n/b", "n/c", "n/d", "x", "y"]
    with Database(tmp_path) as database:
        database.append(
            ITEMS,
            {
                "n": list(range(6)),
                "key": ["a", "b", "c", "d", "e", "f"],
                "path": paths,
                "size": [1, 1, 1, LARGE, 1, 1],
                "etag": ["e"] * 6,
                "modified": ["2026-11-20T00:00:00.000Z"] * 6,
                "storage_class": ["STANDARD", "STANDARD", "STANDARD_IA", *["STANDARD"] * 3],
            },
            {"step": draft.id},
        )
        batch = HEADER.connection.batch
        assert batch is not None
        connection = replace(HEADER.connection, batch=replace(batch, exclusive_targets=exclusive))
        return seal(
            [draft],
            database,
            replace(HEADER, connection=connection),
            tmp_path / "plan.json",
            runners=RunnerChoice(by_verb=verbs),  # type: ignore[arg-type]
        )


def test_the_split_is_told_and_the_price_is_in_the_cost(tmp_path: Path) -> None:
    plan = _sealed(tmp_path, {"copy": "s3-batch"})
    assert plan.header.notes == (
        "a note",
        "copy archive: 2 of 6 objects go to S3 Batch Operations in 1 job; what stays here is"
        " 1 (objects over 5 GB), 2 (new names that are not a folder before the old name),"
        " 1 (fewer than 2 of a job)",
    )
    cost = plan.header.known_cost
    assert cost is not None
    jobs = [line.dollars for line in cost.total.lines if line.charge == "batch-jobs"]
    assert [line.low for line in jobs] == [0.25]


def test_the_digest_knows_nothing_of_it(tmp_path: Path) -> None:
    digest = _sealed(tmp_path, {}).digest
    assert _sealed(tmp_path, {"copy": "s3-batch"}).digest == digest


def test_nothing_is_said_of_what_is_not_given_away(tmp_path: Path) -> None:
    assert _sealed(tmp_path, {}).header.notes == ("a note",)
    plan = _sealed(tmp_path, {"copy": "s3-batch"}, exclusive=())
    assert plan.header.notes == ("a note",)


def test_what_is_exported_for_the_service_waits_to_be_confirmed(tmp_path: Path) -> None:
    """A manifest and a request for each class; what stays here is said."""
    plan = _sealed(tmp_path, {})
    exported = api.export("s3-batch", plan.path, plan.steps[0].id)
    assert exported.given.items == 3
    assert {left.totals.items for left in exported.left} == {1, 2}
    assert "update-job-status" in exported.remark
    folder = Path(exported.folder)
    assert (folder / "manifest-0001.csv").read_text() == "photos,a\nphotos,b\n"
    requests = [json.loads(path.read_text()) for path in sorted(folder.glob("job-*.json"))]
    assert [request["ConfirmationRequired"] for request in requests] == [True, True]
    classes = [request["Operation"]["S3PutObjectCopy"]["StorageClass"] for request in requests]
    assert classes == ["STANDARD", "STANDARD_IA"]
    etag = hashlib.md5(b"photos,a\nphotos,b\n").hexdigest()
    assert requests[0]["Manifest"]["Location"]["ETag"] == etag


def test_nothing_is_exported_for_a_target_that_others_write_to(tmp_path: Path) -> None:
    plan = _sealed(tmp_path, {}, exclusive=())
    with pytest.raises(UsageError, match="exclusive"):
        api.export("s3-batch", plan.path, plan.steps[0].id, out=tmp_path / "jobs")
    assert not (tmp_path / "jobs").exists()
