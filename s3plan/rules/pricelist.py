"""The prices that s3plan ships, by region of AWS. Data: what they mean is in ``rules.prices``.

Where the figures come from:

- storage, requests, standard retrieval and egress of every region: AWS's price list offer files
  (https://pricing.us-east-1.amazonaws.com/offers/v1.0/aws/AmazonS3/current/<region>/index.json and
  AWSDataTransfer), as extracted in github.com/scttfrdmn/objectfs at 7c70dc0e,
  internal/awsrates/rates_generated.go. It does not tell the day of the offer files; its
  generator is younger than the release of 2026-08-02;
- retrieval options of us-east-1: AWS re:Post, "How do I manage data retrieval and storage costs"
  (https://repost.aws/knowledge-center/s3-manage-data-retrieval) for GLACIER; infracost's golden
  file of s3_bucket at 068dadf9 for DEEP_ARCHIVE;
- the bands of STANDARD storage (first 50 TB, next 450 TB, over 500 TB) of us-east-1: the price
  list, read on 2025-10-28.

What is not in them is a range: the lowest band of STANDARD in other regions is taken as 10 % below
the first (it is 9 % in us-east-1); retrieval options other than standard are us-east-1's as the
lower bound, and multiplied by the region's factor for standard retrieval as the upper.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

from s3plan.rules.prices import ClassPrices, Price, PriceList, RegionPrices, RestorePrices

DATE = "2026-11-20"
"""The day on which this table was put together, from what others had read of AWS's price list; AWS
changes prices without notice."""

SOURCE = "put together from copies of AWS's price list, none of them younger; see docs/cost.md"


class _Row(NamedTuple):
    """A GB-month by class; 1,000 requests; a GB of standard retrieval and of egress."""

    standard: float
    standard_ia: float
    onezone_ia: float
    glacier_ir: float
    glacier: float
    deep_archive: float
    put: float
    get: float
    glacier_put: float
    deep_archive_put: float
    archive_get: float
    glacier_retrieval: float
    deep_archive_retrieval: float
    egress: float
    reduced_redundancy: float


# fmt: off
_REGIONS = {
    "af-south-1":     _Row(.0274, .0149, .0119, .005, .00405, .0018, .006, .0004, .036, .06, .00043, .012, .024, .154, .024),
    "ap-east-1":      _Row(.025, .0138, .011, .005, .0045, .002, .005, .0004, .036, .06, .0004, .012, .024, .12, .024),
    "ap-east-2":      _Row(.0225, .01242, .0099, .005, .0045, .002, .00423, .000333, .03426, .0585, .00037, .011, .022, .1083, .02376),
    "ap-northeast-1": _Row(.025, .0138, .011, .005, .0045, .002, .0047, .00037, .03426, .065, .00037, .011, .022, .114, .0264),
    "ap-northeast-2": _Row(.025, .0138, .011, .005, .0045, .002, .0045, .00035, .03258, .06, .00035, .011, .022, .126, .0251),
    "ap-northeast-3": _Row(.025, .0138, .011, .005, .0045, .002, .0047, .00037, .03426, .065, .00037, .011, .022, .114, .0264),
    "ap-south-1":     _Row(.025, .0138, .011, .005, .0045, .002, .005, .0004, .036, .07, .0004, .012, .024, .1093, .024),
    "ap-south-2":     _Row(.025, .0138, .011, .005, .0045, .002, .005, .0004, .036, .07, .0004, .012, .024, .1093, .024),
    "ap-southeast-1": _Row(.025, .0138, .011, .005, .0045, .002, .005, .0004, .036, .06, .0004, .012, .024, .12, .024),
    "ap-southeast-2": _Row(.025, .0138, .011, .005, .0045, .002, .0055, .00044, .036, .06, .00044, .012, .024, .114, .0264),
    "ap-southeast-3": _Row(.025, .0138, .011, .005, .0045, .002, .005, .0004, .036, .06, .0004, .012, .024, .132, .024),
    "ap-southeast-4": _Row(.025, .0138, .011, .005, .0045, .002, .0055, .00044, .036, .06, .00044, .012, .024, .114, .0264),
    "ap-southeast-5": _Row(.0225, .01242, .0099, .0045, .00405, .0018, .0045, .00036, .0324, .054, .00036, .0108, .0216, .108, .0216),
    "ap-southeast-6": _Row(.02625, .01449, .01155, .00525, .004725, .0021, .005775, .000462, .0378, .063, .000462, .0126, .0252, .114, .02772),
    "ap-southeast-7": _Row(.0225, .01242, .0099, .0045, .00405, .0018, .0045, .00036, .0324, .054, .00036, .0108, .0216, .108, .0216),
    "ca-central-1":   _Row(.025, .0138, .01104, .005, .00405, .0018, .0055, .00044, .033, .06, .00044, .011, .022, .09, .0264),
    "ca-west-1":      _Row(.025, .0138, .01104, .005, .00405, .0018, .0055, .00044, .033, .06, .00044, .011, .022, .09, .0264),
    "eu-central-1":   _Row(.0245, .0135, .0108, .005, .00405, .0018, .0054, .00043, .036, .06, .00043, .012, .024, .09, .026),
    "eu-central-2":   _Row(.02695, .01485, .01188, .0055, .004455, .00198, .0054, .00043, .036, .06, .00043, .012, .024, .09, .0286),
    "eu-north-1":     _Row(.023, .0125, .01, .004, .0036, .00099, .005, .0004, .033, .055, .0004, .01, .02, .09, .024),
    "eu-south-1":     _Row(.024, .0131, .0105, .005, .00405, .0018, .0053, .0004, .036, .06, .00043, .012, .024, .09, .024),
    "eu-south-2":     _Row(.023, .0125, .01, .005, .00405, .0018, .0053, .0004, .036, .06, .00043, .012, .024, .09, .024),
    "eu-west-1":      _Row(.023, .0125, .01, .004, .0036, .00099, .005, .0004, .033, .055, .0004, .01, .02, .09, .024),
    "eu-west-2":      _Row(.024, .0131, .01048, .005, .00405, .0018, .0053, .00042, .0318, .06, .00042, .0105, .021, .09, .0252),
    "eu-west-3":      _Row(.024, .0131, .01048, .005, .00405, .0018, .0053, .00042, .0318, .06, .00042, .0105, .021, .09, .0252),
    "il-central-1":   _Row(.025, .0138, .01104, .005, .00405, .0018, .0055, .00044, .0363, .0605, .00044, .011, .022, .11, .0264),
    "me-central-1":   _Row(.025, .0138, .01104, .005, .00405, .0018, .0055, .00044, .0363, .0605, .00044, .011, .022, .11, .0264),
    "me-south-1":     _Row(.025, .0138, .01104, .005, .00405, .0018, .0055, .00044, .0363, .0605, .00044, .011, .022, .117, .0264),
    "mx-central-1":   _Row(.02415, .013125, .0105, .0042, .00378, .002, .00525, .00042, .0315, .0525, .00042, .0105, .021, .09, .0252),
    "sa-east-1":      _Row(.0405, .0221, .0177, .0083, .00765, .0032, .007, .00056, .042, .1, .00056, .014, .028, .15, .0326),
    "us-east-1":      _Row(.023, .0125, .01, .004, .0036, .00099, .005, .0004, .03, .05, .0004, .01, .02, .09, .024),
    "us-east-2":      _Row(.023, .0125, .01, .004, .0036, .00099, .005, .0004, .03, .05, .0004, .01, .02, .09, .024),
    "us-gov-east-1":  _Row(.039, .02, .016, .0064, .0054, .0024, .005, .0004, .039, .065, .0004, .013, .026, .155, .0312),
    "us-gov-west-1":  _Row(.039, .02, .016, .0064, .0054, .0024, .005, .0004, .039, .065, .0004, .013, .026, .155, .0312),
    "us-west-1":      _Row(.026, .0144, .0115, .005, .0045, .002, .0055, .00044, .033, .06, .00044, .011, .022, .09, .0264),
    "us-west-2":      _Row(.023, .0125, .01, .004, .0036, .00099, .005, .0004, .03, .05, .0004, .01, .02, .09, .024),
}
# fmt: on

# Of us-east-1: a GB restored and 1,000 requests.
_RESTORES = {
    "GLACIER": {"Expedited": (0.03, 10.0), "Standard": (0.01, 0.05), "Bulk": (0.0, 0.0)},
    "DEEP_ARCHIVE": {"Standard": (0.02, 0.10), "Bulk": (0.0025, 0.025)},
}

# The lowest band of STANDARD storage of us-east-1 is 0.021 of 0.023 a GB-month.
_LOWEST_BAND = {"us-east-1": 0.021 / 0.023, "us-east-2": 0.021 / 0.023, "us-west-2": 0.021 / 0.023}
_LOWEST_BAND_ELSEWHERE = 0.9

_IA_REQUESTS = (0.01, 0.001)
_IR_REQUESTS = (0.02, 0.01)
_IA_RETRIEVAL = 0.01
_IR_RETRIEVAL = 0.03
_TIERING_TRANSITION = 0.01
_MONITORING = 0.0025


@cache
def shipped() -> PriceList:
    """The whole list."""
    return PriceList(DATE, SOURCE, {name: _prices(name, row) for name, row in _REGIONS.items()})


def _prices(region: str, row: _Row) -> RegionPrices:
    lowest = row.standard * _LOWEST_BAND.get(region, _LOWEST_BAND_ELSEWHERE)
    standard = (round(lowest, 6), row.standard)
    return RegionPrices(
        classes={
            "STANDARD": ClassPrices(standard, row.put, row.get),
            "REDUCED_REDUNDANCY": ClassPrices(row.reduced_redundancy, row.put, row.get),
            # Which tier an object is in a listing does not show. The archive tiers are opted into
            # by object, so the lower bound is the instant archive tier, priced as GLACIER_IR.
            "INTELLIGENT_TIERING": ClassPrices(
                (row.glacier_ir, row.standard), row.put, row.get, transition=_TIERING_TRANSITION
            ),
            "STANDARD_IA": _infrequent(row.standard_ia),
            "ONEZONE_IA": _infrequent(row.onezone_ia),
            "GLACIER_IR": ClassPrices(
                row.glacier_ir, *_IR_REQUESTS, _IR_RETRIEVAL, transition=_IR_REQUESTS[0]
            ),
            "GLACIER": ClassPrices(
                row.glacier, row.glacier_put, row.archive_get, transition=row.glacier_put
            ),
            "DEEP_ARCHIVE": ClassPrices(
                row.deep_archive,
                row.deep_archive_put,
                row.archive_get,
                transition=row.deep_archive_put,
            ),
        },
        restores={
            name: {
                tier: _restore(name, tier, gigabyte, thousand, row)
                for tier, (gigabyte, thousand) in tiers.items()
            }
            for name, tiers in _RESTORES.items()
        },
        egress=row.egress,
        list=row.put,
        monitoring=_MONITORING,
    )


def _infrequent(storage: float) -> ClassPrices:
    return ClassPrices(storage, *_IA_REQUESTS, _IA_RETRIEVAL, transition=_IA_REQUESTS[0])


def _restore(
    storage_class: str, tier: str, gigabyte: float, thousand: float, row: _Row
) -> RestorePrices:
    own = row.glacier_retrieval if storage_class == "GLACIER" else row.deep_archive_retrieval
    factor = own / _RESTORES[storage_class]["Standard"][0]
    return RestorePrices(
        own if tier == "Standard" else _between(gigabyte, factor), _between(thousand, factor)
    )


def _between(price: float, factor: float) -> Price:
    """``price`` where the region is priced as us-east-1, otherwise from it to its multiple."""
    scaled = round(price * factor, 6)
    return price if scaled == price else (min(price, scaled), max(price, scaled))
