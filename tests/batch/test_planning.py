"""Where the project file gives copies to the service, the plan says the split and the price."""

from __future__ import annotations

from pathlib import Path

from msgspec.structs import replace

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
