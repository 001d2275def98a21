"""How S3 bills: storage, requests, retrieval, restored copies, egress, early deletion. Pure.

The rules are AWS's; the prices are those of a :class:`PriceList`, which ``rules.pricelist`` ships
and a file of the user's may replace. A price is a number, or a lower and an upper bound where the
bill depends on what s3plan cannot know (how much else the account stores, where the reader runs).

Sources: "Understanding and managing Amazon S3 storage classes" and "Transitioning objects using
Amazon S3 Lifecycle" (user guide: minimum durations and sizes, the 32 KB and 8 KB that an archived
object is billed for besides its bytes); "Restoring an archived object" (user guide: both the
archive and the restored copy are paid for); "Understanding your AWS billing and usage reports for
Amazon S3" (user guide: which request is billed as what); https://aws.amazon.com/s3/pricing/.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from msgspec import Struct, structs

from s3plan.model.cost import Dollars

GIGABYTE = 1024**3
"""A billed GB is 2**30 bytes."""

DAYS_A_MONTH = 30
"""Storage is billed by the hour; estimates take months of 30 days."""

MINIMUM_DAYS = {
    "STANDARD_IA": 30,
    "ONEZONE_IA": 30,
    "GLACIER_IR": 90,
    "GLACIER": 90,
    "DEEP_ARCHIVE": 180,
}
"""Deleted, overwritten or moved earlier, an object is billed for the rest of these days."""

MINIMUM_BYTES = {"STANDARD_IA": 128 * 1024, "ONEZONE_IA": 128 * 1024, "GLACIER_IR": 128 * 1024}
"""A smaller object is billed as one of this size."""

ARCHIVE_OVERHEAD = 32 * 1024
"""Bytes billed at the archive's own rate for every object of GLACIER and DEEP_ARCHIVE."""

STANDARD_OVERHEAD = 8 * 1024
"""Bytes billed at the STANDARD rate for every object of GLACIER and DEEP_ARCHIVE."""

ARCHIVES = frozenset({"GLACIER", "DEEP_ARCHIVE"})

MONITORED_BYTES = 128 * 1024
"""INTELLIGENT_TIERING neither monitors nor moves smaller objects."""

Price = float | tuple[float, float]
"""US dollars, or their lower and upper bound."""


class ClassPrices(Struct, frozen=True, forbid_unknown_fields=True):
    """One storage class: ``storage`` a GB-month; ``put`` (also COPY and POST), ``get`` (also HEAD)
    and lifecycle ``transition`` into it per 1,000 requests; ``retrieval`` a GB read.
    """

    storage: Price
    put: Price
    get: Price
    retrieval: Price = 0.0
    transition: Price = 0.0


class RestorePrices(Struct, frozen=True, forbid_unknown_fields=True):
    """One retrieval option of one archive: per ``gb`` restored and per ``thousand`` requests."""

    gb: Price
    thousand: Price


class RegionPrices(Struct, frozen=True, forbid_unknown_fields=True):
    """One region. ``restores`` is by class and retrieval option; ``egress`` is a GB that leaves;
    ``list`` and ``monitoring`` (INTELLIGENT_TIERING, a month) are per 1,000 requests and objects.
    What is None is not known.
    """

    classes: dict[str, ClassPrices]
    restores: dict[str, dict[str, RestorePrices]] = {}
    egress: Price | None = None
    list: Price | None = None
    monitoring: Price | None = None


class PriceList(Struct, frozen=True, forbid_unknown_fields=True):
    """Prices by region, as of ``date``. ``endpoints`` are the hosts, or ends of them, it is for."""

    date: str
    source: str
    regions: dict[str, RegionPrices]
    endpoints: tuple[str, ...] = ("amazonaws.com",)

    def region(self, endpoint: str, region: str) -> RegionPrices | None:
        """The prices of a region of an endpoint; None where they are not known."""
        host = urlsplit(endpoint).hostname or ""
        if not any(host == name or host.endswith(f".{name}") for name in self.endpoints):
            return None
        return self.regions.get(region)

    def replaced_by(self, other: PriceList) -> PriceList:
        """This list with the regions of another, which gives its date, source and endpoints.

        What the other does not say of a region keeps its price here.
        """
        regions = dict(self.regions)
        for name, prices in other.regions.items():
            known = regions.get(name)
            if known is not None:
                prices = structs.replace(  # noqa: PLW2901 - what is said of it wins
                    prices,
                    classes={**known.classes, **prices.classes},
                    restores={**known.restores, **prices.restores},
                    egress=known.egress if prices.egress is None else prices.egress,
                    list=known.list if prices.list is None else prices.list,
                    monitoring=known.monitoring if prices.monitoring is None else prices.monitoring,
                )
            regions[name] = prices
        return structs.replace(other, regions=regions)


class Holding(Struct, frozen=True):
    """Objects of one storage class, summed up.

    ``billed`` counts every object at least at its class's minimum size. ``monitored`` objects are
    those of 128 KB or more. ``early`` is byte-days still to be paid for if all were deleted now:
    as their dates say, and at most, since a lifecycle rule may have moved an object into its class
    long after its date.
    """

    storage_class: str
    objects: int
    bytes: int
    billed: int
    monitored: int = 0
    early: tuple[int, int] = (0, 0)


def dollars(price: Price) -> Dollars:
    """A price as a range."""
    return Dollars(*price) if isinstance(price, tuple) else Dollars(price, price)


def billed_size(storage_class: str, size: int) -> int:
    """Bytes that an object of ``size`` is billed as, besides what archives add."""
    return max(size, MINIMUM_BYTES.get(storage_class, 0))


def storage_month(prices: RegionPrices, holding: Holding) -> Dollars | None:
    """What the objects cost a month; None where the class has no price."""
    known = prices.classes.get(holding.storage_class)
    if known is None:
        return None
    if holding.storage_class not in ARCHIVES:
        return _gigabytes(known.storage, holding.billed)
    own = _gigabytes(known.storage, holding.billed + holding.objects * ARCHIVE_OVERHEAD)
    standard = prices.classes.get("STANDARD")
    if standard is None:
        return None
    return own + _gigabytes(standard.storage, holding.objects * STANDARD_OVERHEAD)


def monitoring_month(prices: RegionPrices, holding: Holding) -> Dollars | None:
    """What watching the objects costs a month; nothing outside INTELLIGENT_TIERING."""
    if holding.storage_class != "INTELLIGENT_TIERING":
        return Dollars()
    return None if prices.monitoring is None else _thousands(prices.monitoring, holding.monitored)


def early_deletion(prices: RegionPrices, holding: Holding) -> Dollars | None:
    """What is still to be paid if all are deleted now; None where the class has no price."""
    known = prices.classes.get(holding.storage_class)
    if known is None:
        return None
    rate = dollars(known.storage)
    low, high = holding.early
    return Dollars(rate.low * low, rate.high * high).times(1 / GIGABYTE / DAYS_A_MONTH)


def put_requests(prices: RegionPrices, storage_class: str, count: int) -> Dollars | None:
    """PUT, COPY, POST and each part of an upload into a class."""
    known = prices.classes.get(storage_class)
    return None if known is None else _thousands(known.put, count)


def get_requests(prices: RegionPrices, storage_class: str, count: int) -> Dollars | None:
    """GET and HEAD of objects of a class. DELETE is free."""
    known = prices.classes.get(storage_class)
    return None if known is None else _thousands(known.get, count)


def list_requests(prices: RegionPrices, count: int) -> Dollars | None:
    """Listings, each of up to 1,000 keys; billed as of STANDARD whatever is listed."""
    return None if prices.list is None else _thousands(prices.list, count)


def transitions(prices: RegionPrices, storage_class: str, objects: int) -> Dollars | None:
    """Lifecycle transitions of objects into a class."""
    known = prices.classes.get(storage_class)
    return None if known is None else _thousands(known.transition, objects)


def retrieval(prices: RegionPrices, storage_class: str, size: int) -> Dollars | None:
    """Reading so many bytes of a class that can be read at once."""
    known = prices.classes.get(storage_class)
    return None if known is None else _gigabytes(known.retrieval, size)


def restore(
    prices: RegionPrices, storage_class: str, tier: str, objects: int, size: int
) -> Dollars | None:
    """RestoreObject of archived objects by ``tier`` (Expedited, Standard, Bulk); None: no price.

    The copies themselves are :func:`restored_copies`, reading them is that of STANDARD.
    """
    known = prices.restores.get(storage_class, {}).get(tier)
    if known is None:
        return None
    return _gigabytes(known.gb, size) + _thousands(known.thousand, objects)


def restored_copies(prices: RegionPrices, size: int, days: float) -> Dollars | None:
    """Temporary copies for ``days``: billed as STANDARD, while the archive is billed on."""
    standard = prices.classes.get("STANDARD")
    return None if standard is None else _gigabytes(standard.storage, size).times(days / 30)


def egress(prices: RegionPrices, size: int) -> Dollars | None:
    """Bytes sent out: nothing to a reader in the same region, at most the internet's price."""
    return None if prices.egress is None else Dollars(0.0, _gigabytes(prices.egress, size).high)


def _gigabytes(price: Price, size: int) -> Dollars:
    return dollars(price).times(size / GIGABYTE)


def _thousands(price: Price, count: int) -> Dollars:
    return dollars(price).times(count / 1000)
