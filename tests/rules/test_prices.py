"""The bill, calculated by hand from AWS's published rules and prices, and by the rules module."""

from __future__ import annotations

import botocore.loaders
import pytest

from s3plan.model.cost import Dollars
from s3plan.rules import prices
from s3plan.rules.pricelist import shipped
from s3plan.rules.prices import (
    GIGABYTE,
    ClassPrices,
    Holding,
    PriceList,
    RegionPrices,
    RestorePrices,
)

AWS = "https://s3.us-east-1.amazonaws.com"


def region(name: str = "us-east-1") -> RegionPrices:
    found = shipped().region(AWS, name)
    assert found is not None
    return found


def holding(storage_class: str, objects: int, each: int) -> Holding:
    billed = prices.billed_size(storage_class, each)
    return Holding(storage_class, objects, objects * each, objects * billed, objects)


def exactly(value: float) -> Between:
    return Between(value, value)


class Between:
    """Equal to dollars with about these bounds."""

    def __init__(self, low: float, high: float) -> None:
        self._bounds = (low, high)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Dollars) and (other.low, other.high) == pytest.approx(self._bounds)

    def __hash__(self) -> int:
        return hash(self._bounds)

    def __repr__(self) -> str:
        return f"Between{self._bounds}"


@pytest.mark.parametrize(
    ("tier", "total"),
    # https://repost.aws/knowledge-center/s3-manage-data-retrieval: 15,000,000 objects, 102,400 GB.
    [("Standard", 750 + 1_024), ("Expedited", 150_000 + 3_072), ("Bulk", 0)],
)
def test_the_restore_of_aws_own_example(tier: str, total: float) -> None:
    """A40: 15 million objects of 100 TB in S3 Glacier Flexible Retrieval."""
    found = prices.restore(region(), "GLACIER", tier, 15_000_000, 102_400 * GIGABYTE)
    assert found == exactly(total)


def test_deep_archive_by_hand() -> None:
    """E8, E9: 827 GB in ca-west-1 as 100 tars: 827 x .0018, and 40 KB of overhead each."""
    held = holding("DEEP_ARCHIVE", 100, 827 * GIGABYTE // 100)
    month = prices.storage_month(region("ca-west-1"), held)
    assert month is not None
    own = 827 * 0.0018 + 100 * 32 / 1024 / 1024 * 0.0018
    assert month.high == pytest.approx(own + 100 * 8 / 1024 / 1024 * 0.025, rel=1e-6)
    assert month.high == pytest.approx(1.49, abs=0.005)


def test_a_million_small_objects_in_deep_archive() -> None:
    """E9: 1,000,000 transitions are $50; the overhead is 30.5 GB of archive and 7.6 GB STANDARD."""
    assert prices.transitions(region(), "DEEP_ARCHIVE", 1_000_000) == exactly(50)
    empty = prices.storage_month(region(), Holding("DEEP_ARCHIVE", 1_000_000, 0, 0))
    assert empty is not None
    by_hand = 1_000_000 * 32 / 1024**2 * 0.00099 + 1_000_000 * 8 / 1024**2 * 0.023
    assert empty.high == pytest.approx(by_hand)
    assert by_hand == pytest.approx(0.2057, abs=1e-4)


def test_small_objects_of_infrequent_access_are_billed_as_128_kb() -> None:
    """1,000,000 objects of 1 KB are billed as 122.07 GB at .0125: $1.53 a month."""
    month = prices.storage_month(region(), holding("STANDARD_IA", 1_000_000, 1024))
    assert month == exactly(1_000_000 * 128 / 1024**2 * 0.0125)
    assert month is not None
    assert month.high == pytest.approx(1.5259, abs=1e-4)


def test_early_deletion_pays_for_the_rest_of_the_minimum() -> None:
    """90 GB of GLACIER after 30 of 90 days: 60 days of 90 GB at .0036 a GB-month, $0.648."""
    left = 60 * 90 * GIGABYTE
    held = Holding("GLACIER", 1, 90 * GIGABYTE, 90 * GIGABYTE, early=(left, left))
    assert prices.early_deletion(region(), held) == exactly(0.648)


def test_evacuating_a_tebibyte_is_mostly_egress() -> None:
    """A41: 1,024 GB from us-east-2 at .09 are $92.16 over the internet, nothing in the region."""
    assert prices.egress(region("us-east-2"), 1024 * GIGABYTE) == Between(0, 92.16)


def test_restored_copies_are_billed_as_standard() -> None:
    """A40: 1,000 GB for 7 days: 1,000 x .023 x 7/30 = $5.37 at most."""
    found = prices.restored_copies(region(), 1000 * GIGABYTE, 7)
    assert found is not None
    assert found.high == pytest.approx(5.3667, abs=1e-4)
    assert found.low == pytest.approx(1000 * 0.021 * 7 / 30)


def test_requests_are_billed_by_class() -> None:
    """As 1,000 tars: 1,000,000 GET are $0.40 and 1,000 PUT to DEEP_ARCHIVE $0.05."""
    assert prices.get_requests(region(), "STANDARD", 1_000_000) == exactly(0.40)
    assert prices.put_requests(region(), "DEEP_ARCHIVE", 1_000) == exactly(0.05)
    assert prices.get_requests(region(), "GLACIER_IR", 1_000) == exactly(0.01)
    assert prices.list_requests(region(), 1_000) == exactly(0.005)
    assert prices.retrieval(region(), "GLACIER_IR", GIGABYTE) == exactly(0.03)


def test_intelligent_tiering_watches_objects_of_128_kb_and_more() -> None:
    held = Holding("INTELLIGENT_TIERING", 3_000, 0, 0, monitored=2_000)
    assert prices.monitoring_month(region(), held) == exactly(0.005)
    assert prices.monitoring_month(region(), holding("STANDARD", 5, 5)) == Dollars()


def test_an_endpoint_that_is_not_aws_has_no_prices() -> None:
    assert shipped().region("http://s3.example:8333", "us-east-1") is None
    assert shipped().region("https://notamazonaws.com", "us-east-1") is None
    assert shipped().region(AWS, "nowhere-1") is None
    assert shipped().region("https://s3.eu-west-1.amazonaws.com", "eu-west-1") is not None


def test_a_class_without_a_price_is_unknown_not_free() -> None:
    assert prices.storage_month(region(), holding("EXPRESS_ONEZONE", 1, 1)) is None
    assert prices.restore(region(), "DEEP_ARCHIVE", "Expedited", 1, 1) is None


def test_every_class_of_the_service_model_that_is_stored_in_a_region_has_a_price() -> None:
    model = botocore.loaders.Loader().load_service_model("s3", "service-2")
    # Of other services and kinds of buckets.
    elsewhere = ("OUTPOSTS", "SNOW", "EXPRESS_ONEZONE", "FSX_", "AWS_BACKUP_")
    known = {
        name for name in model["shapes"]["StorageClass"]["enum"] if not name.startswith(elsewhere)
    }
    for found in shipped().regions.values():
        assert known == set(found.classes)


def test_ranges_are_the_right_way_round() -> None:
    for found in shipped().regions.values():
        for each in found.classes.values():
            for price in (each.storage, each.put, each.get, each.retrieval, each.transition):
                amount = prices.dollars(price)
                assert 0 <= amount.low <= amount.high
        for tiers in found.restores.values():
            for tier in tiers.values():
                assert prices.dollars(tier.gb).low <= prices.dollars(tier.gb).high


def test_a_list_of_ones_own_replaces_what_it_names_and_keeps_the_rest() -> None:
    """A41: prices of a contract, or of another endpoint."""
    own = PriceList(
        "2027-01-01",
        "our contract",
        {
            "us-east-1": RegionPrices(
                {"STANDARD": ClassPrices(0.02, 0.004, 0.0003)},
                {"GLACIER": {"Bulk": RestorePrices(0.001, 0.01)}},
                egress=0.05,
            )
        },
        endpoints=("amazonaws.com", "s3.example"),
    )
    both = shipped().replaced_by(own)
    found = both.region("http://s3.example:8333", "us-east-1")
    assert found is not None
    assert prices.storage_month(found, holding("STANDARD", 1, GIGABYTE)) == exactly(0.02)
    assert prices.storage_month(found, holding("STANDARD_IA", 1, GIGABYTE)) == exactly(0.0125)
    assert prices.egress(found, GIGABYTE) == Dollars(0, 0.05)
    assert prices.list_requests(found, 1_000) == exactly(0.005)
    assert both.date == "2027-01-01"
    assert both.region(AWS, "eu-west-1") == shipped().region(AWS, "eu-west-1")
