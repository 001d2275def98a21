"""What archives cost month by month, by hand: E7 to E10 are not repeated."""

from __future__ import annotations

import json

import pytest

from s3plan.cli import main
from s3plan.rules.archivecosts import Archives, deleted_early, months, retrievals, total
from s3plan.rules.lifecycle.document import Transition
from s3plan.rules.pricelist import shipped
from s3plan.rules.prices import GIGABYTE, RegionPrices
from tests.engine.conftest import scene
from tests.engine.scene import Scene
from tests.sessions.test_archiving import library, plan

__all__ = ["scene"]  # a fixture

FAST = (Transition("DEEP_ARCHIVE", 7),)


def prices() -> RegionPrices:
    found = shipped().region("https://s3.us-east-1.amazonaws.com", "us-east-1")
    assert found is not None
    return found


def test_the_first_month_depends_on_the_days_in_standard() -> None:
    """D43, E10: seven of thirty days at STANDARD's rate, the rest at DEEP_ARCHIVE's."""
    archives = Archives(248, 827 * GIGABYTE, "STANDARD", FAST)
    found = months(archives, prices(), 13)
    assert found is not None
    one = prices()
    deep, standard = one.classes["DEEP_ARCHIVE"], one.classes["STANDARD"]
    assert isinstance(deep.storage, float)
    kept = 827 * deep.storage
    # 40 KB more for each of 248 archives are a hundredth of a cent.
    assert found[1].storage.high == pytest.approx(kept, rel=1e-2)
    top = standard.storage[1] if isinstance(standard.storage, tuple) else standard.storage
    assert found[0].storage.high == pytest.approx(827 * top * 7 / 30 + kept * 23 / 30, rel=1e-2)
    # E9: requests and moves are counted, in the month in which they happen.
    assert found[0].requests.high > 0
    assert found[0].moves.high > 0
    assert found[1].requests.high == found[1].moves.high == 0
    assert total(found[1:13]).high == pytest.approx(12 * found[1].total.high, rel=1e-3)


def test_a_later_move_falls_into_its_month() -> None:
    moves = (Transition("GLACIER", 30), Transition("DEEP_ARCHIVE", 120))
    archives = Archives(10, GIGABYTE, "STANDARD", moves)
    assert archives.stays() == [
        ("STANDARD", 0.0, 30.0),
        ("GLACIER", 30.0, 120.0),
        ("DEEP_ARCHIVE", 120.0, float("inf")),
    ]
    found = months(archives, prices(), 5)
    assert found is not None
    assert [month.moves.high > 0 for month in found] == [False, True, False, False, True]


def test_a_move_on_the_first_day_is_the_class_at_once() -> None:
    archives = Archives(1, GIGABYTE, "STANDARD", (Transition("DEEP_ARCHIVE", 0),))
    assert archives.stays() == [("DEEP_ARCHIVE", 0.0, float("inf"))]


def test_everything_back_by_each_tier() -> None:
    """D35, E7: DEEP_ARCHIVE has Standard and Bulk, within 12 and 48 hours; 100 GB leave free."""
    found = retrievals(Archives(248, 827 * GIGABYTE, "DEEP_ARCHIVE"), prices(), 7)
    assert {(one.tier, one.hours) for one in found} == {("Standard", 12.0), ("Bulk", 48.0)}
    few = retrievals(Archives(1, 50 * GIGABYTE, "DEEP_ARCHIVE"), prices(), 7)
    # 50 GB out would cost 4.50 by themselves.
    assert all(one.dollars.high < 3 for one in few)
    assert retrievals(Archives(1, GIGABYTE, "STANDARD"), prices(), 7) == []


def test_what_is_deleted_early_is_paid() -> None:
    """E9: 180 days of DEEP_ARCHIVE are owed from the first day on."""
    one = prices()
    owed = deleted_early(Archives(1, GIGABYTE, "DEEP_ARCHIVE"), one)
    assert owed is not None
    deep = one.classes["DEEP_ARCHIVE"].storage
    assert isinstance(deep, float)
    assert owed.high == pytest.approx(deep * 6, rel=0.05)


def test_the_bill_of_a_manifest(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    """D43: first year, later years, each month, and everything back; where nobody knows the prices
    of the endpoint, those of a region that is named.
    """
    library(scene)
    plan(scene)
    assert main(["cost", "manifest.yaml"]) == 64
    assert "--region" in capsys.readouterr().err
    assert main(["--json", "cost", "manifest.yaml", "--region", "us-east-1", "--months", "3"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["facts"][f"{scene.bucket}: archives"] == 3
    assert [row["month"] for row in found["sections"][f"months of {scene.bucket}"]] == [1, 2, 3]
