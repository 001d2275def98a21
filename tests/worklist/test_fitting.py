"""C38: what has to be in memory as a whole and is more than may be used is refused by the plan."""

from __future__ import annotations

from pathlib import Path

import pytest

from s3plan.api.fitting import check_fits
from s3plan.errors import ProblemsError
from s3plan.model.connection import Limits
from s3plan.model.layout import Recipe
from s3plan.model.steps import Archive, Swap
from s3plan.plan import StepDraft
from s3plan.tables import ITEMS, Database

MIB = 1 << 20
GIB = 1 << 30
LIMITS = Limits(memory=64 * MIB)


def _draft(action: Swap | Archive) -> StepDraft:
    return StepDraft(action, "data", "free", "", "", worklist="stage-1")


def _swap(largest_put: int) -> StepDraft:
    return _draft(Swap("stage-1", "verify-staged-1", Recipe(), True, largest_put=largest_put))


@pytest.fixture
def database(tmp_path: Path) -> Database:
    made = Database(tmp_path)
    sizes = {"small": MIB, "large": 65 * MIB, "parts": 5 * GIB, "huge": 4 * GIB}
    made.append(
        ITEMS,
        {
            "key": list(sizes),
            "size": list(sizes.values()),
            "etag": ["0" * 32 + ("-3" if key == "parts" else "") for key in sizes],
        },
        {"step": "stage-1"},
    )
    return made


def test_a_form_that_is_sent_again_must_fit(database: Database) -> None:
    """5 GB parts are copied within S3, and what is above largestPut never comes here."""
    check_fits([_swap(8 * MIB)], database, LIMITS)
    with pytest.raises(ProblemsError) as caught:
        check_fits([_swap(5 * GIB)], database, LIMITS)
    (problem,) = caught.value.problems
    assert problem.address == "s3://data/huge"
    assert "2 forms" in problem.what
    assert problem.found == f"{4 * GIB:,} bytes, within cutover.largestPut"
    check_fits([_swap(5 * GIB)], database, Limits(memory=6 * GIB))


def test_the_parts_of_an_archive_must_fit(database: Database) -> None:
    """An archive has at most 10,000 parts: a large one needs memory for large ones."""
    archive = Archive("/src", "a.tar", "a.json", "a", tar=600 * GIB)
    with pytest.raises(ProblemsError) as caught:
        check_fits([_draft(archive)], database, LIMITS)
    assert caught.value.problems[0].address == "s3://data/a.tar"
    check_fits([_draft(archive)], database, Limits(memory=GIB))
