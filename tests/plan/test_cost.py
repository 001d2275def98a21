"""The cost in a plan: from its worklists, outside its digest, unknown rather than wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from s3plan.errors import ProblemsError
from s3plan.kinds.prices import read_prices
from s3plan.model.cost import Cost, Dollars, PlanCost
from s3plan.model.steps import Download, Extract
from s3plan.plan import PlanFile
from s3plan.plan.cost import cost_of as step_cost
from s3plan.rules.pricelist import shipped
from s3plan.rules.prices import Holding
from s3plan.views.bill import months
from tests.kinds.planned import TIME, manifest, plan

GIB = 1024**3
AWS = {"endpoint": "https://s3.us-east-1.amazonaws.com", "region": "us-east-1", "account": None}
SPEC = """
buckets: {include: [photos]}
destination: {path: /archive}
delete: afterVerification
"""


def planned(tmp_path: Path, objects: list[dict[str, Any]], target: Any = AWS) -> PlanFile:
    inventory = {"target": target, "buckets": {"photos": {"objects": objects}}}
    return plan(tmp_path, manifest(tmp_path, SPEC), inventory).file


def cost_of(found: PlanFile, verb: str) -> Cost:
    known = found.header.known_cost
    assert known is not None
    (step,) = (step for step in found.steps if step.verb == verb)
    return known.steps[step.id]


def gigabytes(count: int, storage_class: str, modified: str = TIME) -> list[dict[str, Any]]:
    return [
        {
            "key": f"{storage_class}/{n}",
            "size": GIB,
            "storage_class": storage_class,
            "modified": modified,
        }
        for n in range(count)
    ]


def charges(cost: Cost) -> dict[tuple[str, str], tuple[float, float]]:
    lines = (*cost.lines, *cost.monthly_lines)
    return {
        (line.charge, line.storage_class): (line.dollars.low, line.dollars.high) for line in lines
    }


def test_an_evacuation_by_hand(tmp_path: Path) -> None:
    """A40, A41: egress, retrieval, early deletion and what is saved every month.

    100 GB of STANDARD_IA and 10 GB of GLACIER_IR that the plan's own time finds 0 days old.
    """
    found = planned(
        tmp_path,
        gigabytes(100, "STANDARD_IA") + gigabytes(10, "GLACIER_IR"),
    )
    download = charges(cost_of(found, "download"))
    assert download["egress", "STANDARD_IA"] == pytest.approx((0, 100 * 0.09))
    assert download["retrieval", "STANDARD_IA"] == pytest.approx((1.0, 1.0))
    assert download["retrieval", "GLACIER_IR"] == pytest.approx((0.3, 0.3))
    # A GET each, or two and 12,800 parts of 8 MiB together, at .001 per 1,000.
    assert download["requests", "STANDARD_IA"] == pytest.approx((1e-4, 0.013), abs=1e-4)
    delete = charges(cost_of(found, "delete"))
    assert delete["early-deletion", "STANDARD_IA"][1] == pytest.approx(100 * 0.0125)
    assert delete["early-deletion", "GLACIER_IR"][1] == pytest.approx(10 * 0.004 * 3)
    assert delete["storage", "STANDARD_IA"] == (-1.25, -1.25)
    assert delete["storage", "GLACIER_IR"] == (-0.04, -0.04)


def test_a_restore_by_hand(tmp_path: Path) -> None:
    """A40: retrieval and temporary copies for 7 days, and reading these as STANDARD."""
    found = planned(tmp_path, gigabytes(10, "GLACIER") + gigabytes(100, "DEEP_ARCHIVE"))
    restore = charges(cost_of(found, "restore"))
    assert restore["retrieval", "GLACIER"] == pytest.approx((0.1005, 0.1005))
    assert restore["retrieval", "DEEP_ARCHIVE"] == pytest.approx((0.2525, 0.2525))
    for name, count in (("GLACIER", 10), ("DEEP_ARCHIVE", 100)):
        low, high = restore["restored-copies", name]
        assert high == pytest.approx(count * 0.023 * 7 / 30, abs=1e-4)
        assert low <= high
    # Looked at once for 1,000 keys, or every five minutes for two days: at .005 per 1,000.
    assert restore["requests", "STANDARD"][1] == pytest.approx(2 * 578 * 5e-6, abs=1e-4)
    download = charges(cost_of(found, "download"))
    assert download["egress", "STANDARD"] == pytest.approx((0, 110 * 0.09))
    assert not [kind for kind, _ in download if kind == "retrieval"]


def test_intelligent_tiering_is_restored_for_its_requests(tmp_path: Path) -> None:
    objects = [
        each | {"archive": "ARCHIVE_ACCESS"} for each in gigabytes(10, "INTELLIGENT_TIERING")
    ]
    restore = charges(cost_of(planned(tmp_path, objects), "restore"))
    assert {kind for kind, _ in restore} == {"requests"}


def test_an_old_object_has_no_early_deletion_by_its_date(tmp_path: Path) -> None:
    found = planned(tmp_path, gigabytes(100, "STANDARD_IA", "2026-10-22T00:00:00.000Z"))
    # 10 of 30 days old when the plan is made: 20 days are left, or 30 if it was moved just now.
    low, high = charges(cost_of(found, "delete"))["early-deletion", "STANDARD_IA"]
    assert low == pytest.approx(1.25 * 20 / 30, abs=1e-4)
    assert high == pytest.approx(1.25)


def test_small_objects_are_billed_at_their_minimum(tmp_path: Path) -> None:
    small = [{"key": f"{n}", "size": 1, "storage_class": "STANDARD_IA"} for n in range(8_192)]
    low, high = charges(cost_of(planned(tmp_path, small), "delete"))["storage", "STANDARD_IA"]
    assert low == high == pytest.approx(-0.0125)  # 8,192 x 128 KB are one GB


def test_a_packed_archive_is_paid_for_twice_as_a_whole() -> None:
    """Whatever is wanted of it: one reading shows that it is as planned, one gives the files."""
    prices = shipped().region("https://s3.us-east-1.amazonaws.com", "us-east-1")
    assert prices is not None
    twice = Extract("/here", "night.tar.gz", "etag", 10 * GIB, "", "digest", unpacked=30 * GIB)
    one = step_cost(
        Download("/here"), [Holding("STANDARD", 1, 10 * GIB, 10 * GIB, 0, (0, 0))], prices
    )
    both = step_cost(twice, [Holding("STANDARD", 500, GIB, GIB, 0, (0, 0))], prices)
    assert one is not None
    assert both is not None
    egress = [charges(cost)["egress", "STANDARD"][1] for cost in (one, both)]
    assert egress[1] == pytest.approx(2 * egress[0])


def test_the_whole_is_the_sum_of_its_steps(tmp_path: Path) -> None:
    found = planned(tmp_path, [{"key": "a", "size": GIB}, {"key": "b", "size": GIB}])
    known = found.header.known_cost
    assert known is not None
    assert set(known.steps) == {step.id for step in found.steps}
    assert known.total.once.high == pytest.approx(
        sum(cost.once.high for cost in known.steps.values()), abs=1e-3
    )
    assert known.total.monthly == Dollars(-0.046, -0.042)
    assert known.region == "us-east-1"
    assert known.date
    assert known.source


@pytest.mark.parametrize(
    ("target", "storage_class"),
    [
        (
            {"endpoint": "http://s3.example:8333", "region": "us-east-1", "account": None},
            "STANDARD",
        ),
        (AWS, "EXPRESS_ONEZONE"),
        ({**AWS, "region": "xx-new-1"}, "STANDARD"),
    ],
)
def test_what_has_no_price_is_unknown_not_free(
    tmp_path: Path, target: Any, storage_class: str
) -> None:
    found = planned(tmp_path, [{"key": "a", "size": 1, "storage_class": storage_class}], target)
    assert found.header.known_cost is None
    assert b'"cost"' not in found.path.read_bytes()


def test_prices_are_outside_the_digest(tmp_path: Path) -> None:
    objects = [{"key": "a", "size": GIB}]
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    here = planned(tmp_path / "one", objects, {**AWS, "region": "us-east-1"})
    text = here.path.read_bytes()
    changed = text.replace(b'"once":{"low"', b'"once":{ "low"')
    assert changed != text
    here.path.write_bytes(changed)
    assert PlanFile.open(here.path).digest == here.digest


def test_months_add_up() -> None:
    """D43: month by month; what is paid once is paid in the first."""
    cost = PlanCost(Cost(Dollars(1, 10), Dollars(-3, -2)), {}, "us-east-1", "2026", "list")
    assert list(months(cost, 3)) == [
        (1, Dollars(-2, 8), Dollars(-2, 8)),
        (2, Dollars(-3, -2), Dollars(-5, 6)),
        (3, Dollars(-3, -2), Dollars(-8, 4)),
    ]


def test_the_list_in_the_documentation_is_read(tmp_path: Path) -> None:
    """A41: prices of one's own."""
    page = (Path(__file__).parents[2] / "docs" / "cost.md").read_text()
    (tmp_path / "prices.yaml").write_text(page.split("```yaml\n")[1].split("```")[0])
    found = read_prices(tmp_path / "prices.yaml")
    assert found.date == "2026-11-01"
    assert found.regions["eu-central-1"].egress == 0.05
    assert found.region("http://s3.example.com", "eu-central-1") is not None


@pytest.mark.parametrize(
    "text",
    [
        "date: x\n",
        "- 1\n",
        "date: x\nsource: y\nregions: {a: {classes: {STANDARD: {storage: cheap}}}}\n",
        "date: x\nsource: y\nregions: {}\nmore: 1\n",
        "a: 1\n---\nb: 2\n",
        "",
    ],
)
def test_a_price_list_that_is_not_right_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "prices.yaml").write_text(text)
    with pytest.raises(ProblemsError) as caught:
        read_prices(tmp_path / "prices.yaml")
    assert all("prices.yaml" in str(problem.address) for problem in caught.value.problems)
