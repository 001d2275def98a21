"""What each verb costs: which requests it sends, what it reads, keeps and gives up.

How that is billed is ``rules.prices``. Estimates are shown, and compared with ``maxCost``; nothing
else is decided by them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import assert_never

from msgspec import structs

from s3plan.model.archivesteps import Adopt, Tag, VerifyReplacement
from s3plan.model.cost import Charge, ChargeLine, Cost, Dollars
from s3plan.model.steps import (
    AbortUploads,
    AnyAction,
    Archive,
    BackupFile,
    Configure,
    Copy,
    CreateBucket,
    Delete,
    DeleteBucket,
    DeleteSource,
    Download,
    Extract,
    Purge,
    PutFiles,
    Reencrypt,
    RemoveArchive,
    RemoveCopy,
    RemoveExtracted,
    RemoveFile,
    RemovePut,
    Restore,
    RestoreFile,
    RewriteFile,
    RunCommand,
    Stage,
    Swap,
    SwapBack,
    Upload,
    Verify,
    VerifyCopies,
    VerifyStaged,
)
from s3plan.rules import prices as billing
from s3plan.rules.classes import ARCHIVED_CLASSES, TIERED_CLASS
from s3plan.rules.prices import Holding, RegionPrices
from s3plan.rules.restores import SECONDS, is_free

PART = 8 * 1024 * 1024
"""The smallest part that large objects are moved in: more parts are more requests."""

_KEYS_A_LISTING = 1_000

_SLOWEST_RESTORE = max(most for _, most in SECONDS.values())


class _Bill:
    """Adds charges up by kind and class; one price that is not known makes the whole unknown."""

    def __init__(self, prices: RegionPrices) -> None:
        self.prices = prices
        self._once: dict[tuple[Charge, str], Dollars] = {}
        self._monthly: dict[tuple[Charge, str], Dollars] = {}
        self._unknown = False

    def once(self, charge: Charge, storage_class: str, *amounts: Dollars | None) -> None:
        """Add what is paid once; two amounts are a lower and an upper bound of the same thing."""
        self._add(self._once, charge, storage_class, amounts)

    def monthly(self, charge: Charge, storage_class: str, amount: Dollars | None) -> None:
        """Add to the bill of every later month."""
        self._add(self._monthly, charge, storage_class, (amount,))

    def _add(
        self,
        lines: dict[tuple[Charge, str], Dollars],
        charge: Charge,
        storage_class: str,
        amounts: tuple[Dollars | None, ...],
    ) -> None:
        known = [amount for amount in amounts if amount is not None]
        if len(known) != len(amounts):
            self._unknown = True
            return
        spread = Dollars(min(each.low for each in known), max(each.high for each in known))
        if spread == Dollars():
            return
        key = (charge, storage_class)
        lines[key] = lines.get(key, Dollars()) + spread

    def cost(self) -> Cost | None:
        return None if self._unknown else _cost(self._once, self._monthly)


def cost_of(  # noqa: PLR0912, PLR0915 - one case a verb
    action: AnyAction, holdings: Sequence[Holding], prices: RegionPrices | None
) -> Cost | None:
    """What a step costs whose worklist is ``holdings``; None where a price is not known."""
    if prices is None:
        return None
    bill = _Bill(prices)
    match action:
        case Restore():
            _each(holdings, bill, partial(_restored, action))
        case Extract() if action.unpacked:
            # Packed as one piece: read from its beginning; without an index once more before that.
            times = 1 if action.index else 2
            read = times * action.size
            _read_out(Holding("STANDARD", times, read, read, 0, (0, 0)), bill)
        case Download() | Extract():
            _each(holdings, bill, _read_out)
        case Verify() | VerifyCopies() | RemoveCopy():
            _listings(holdings, bill)
        case Copy() if action.shared:
            _each(holdings, bill, _compared_twice)
        case Archive():
            _archived(action, bill)
        case Adopt():
            _adopted(action, bill)
        case Tag():
            _each(holdings, bill, _keyed)
        case VerifyReplacement():
            pass  # a look at two objects; what it reads is on this host
        case RemoveArchive() | RemovePut() | RemoveExtracted():
            _each(holdings, bill, _looked_at)
        case PutFiles():
            _each(holdings, bill, _written)
        case Delete() | DeleteSource() | Purge():
            _listings(holdings, bill)
            _each(holdings, bill, _given_up)
        case Upload():
            _each(holdings, bill, _written)
        case Copy():
            _each(holdings, bill, partial(_copied, action.storage_class))
        case Stage():
            # The new form, and the old one beside it where nothing else keeps it, until a cleanup.
            for _ in range(2 if action.keeps_old else 1):
                _each(holdings, bill, partial(_copied, "STANDARD"))
        case VerifyStaged():
            _each(holdings, bill, _compared_twice)
        case Reencrypt():
            _each(holdings, bill, _keyed)
        case Swap():
            _each(holdings, bill, partial(_swapped, action))
        case SwapBack():
            _each(holdings, bill, partial(_copied, None))
        case RemoveFile():
            _each(holdings, bill, _looked_at)
        case AbortUploads() | CreateBucket() | DeleteBucket() | Configure():
            pass  # a handful of requests; aborting is free
        case BackupFile() | RewriteFile() | RestoreFile():
            pass  # a local file
        case RunCommand():
            pass  # what it asks S3 for is its own
        case _:
            assert_never(action)
    return bill.cost()


def total(costs: Iterable[Cost]) -> Cost:
    """The sum, line by line."""
    once: dict[tuple[Charge, str], Dollars] = {}
    monthly: dict[tuple[Charge, str], Dollars] = {}
    for cost in costs:
        for lines, into in ((cost.lines, once), (cost.monthly_lines, monthly)):
            for line in lines:
                key = (line.charge, line.storage_class)
                into[key] = into.get(key, Dollars()) + line.dollars
    return _cost(once, monthly)


def _cost(
    once: dict[tuple[Charge, str], Dollars], monthly: dict[tuple[Charge, str], Dollars]
) -> Cost:
    return Cost(
        once=sum(once.values(), Dollars()).rounded(),
        monthly=sum(monthly.values(), Dollars()).rounded(),
        lines=_lines(once),
        monthly_lines=_lines(monthly),
    )


def _lines(amounts: dict[tuple[Charge, str], Dollars]) -> tuple[ChargeLine, ...]:
    return tuple(
        ChargeLine(charge, storage_class, amount.rounded())
        for (charge, storage_class), amount in amounts.items()
    )


def _each(
    holdings: Sequence[Holding], bill: _Bill, charge: Callable[[Holding, _Bill], None]
) -> None:
    for holding in holdings:
        charge(holding, bill)


def _read_out(held: Holding, bill: _Bill) -> None:
    """Objects read and sent out of the region: a GET each, or tags and parts besides."""
    # What was restored is read from its temporary copy, which is billed as STANDARD.
    name = "STANDARD" if held.storage_class in ARCHIVED_CLASSES else held.storage_class
    prices = bill.prices
    most = 2 * held.objects + held.bytes // PART
    bill.once(
        "requests",
        name,
        billing.get_requests(prices, name, held.objects),
        billing.get_requests(prices, name, most),
    )
    bill.once("retrieval", name, billing.retrieval(prices, name, held.bytes))
    bill.once("egress", name, billing.egress(prices, held.bytes))


def _restored(action: Restore, held: Holding, bill: _Bill) -> None:
    """Temporary copies made of archived objects; INTELLIGENT_TIERING makes none, and asks little.

    Listings say how far it is: at least one, at most one every ``poll`` seconds of the two days
    that the slowest option takes.
    """
    name, prices = held.storage_class, bill.prices
    tier = action.tiers[name]
    if is_free(name, tier):
        bill.once("requests", name, billing.put_requests(prices, name, held.objects))
    else:
        bill.once("retrieval", name, billing.restore(prices, name, tier, held.objects, held.bytes))
    if name != TIERED_CLASS:
        copies = billing.restored_copies(prices, held.bytes, action.days)
        bill.once("restored-copies", name, copies)
    pages = -(-held.objects // _KEYS_A_LISTING)
    looks = pages * (_SLOWEST_RESTORE // action.poll + 2)
    bill.once(
        "requests",
        "STANDARD",
        billing.list_requests(prices, pages),
        billing.list_requests(prices, looks),
    )


def _looked_at(held: Holding, bill: _Bill) -> None:
    name = held.storage_class
    bill.once("requests", name, billing.get_requests(bill.prices, name, held.objects))


def _given_up(held: Holding, bill: _Bill) -> None:
    """Objects deleted: DELETE is free, a look at each right before may not be in a listing."""
    name, prices = held.storage_class, bill.prices
    bill.once("requests", name, Dollars(), billing.get_requests(prices, name, held.objects))
    bill.once("early-deletion", name, billing.early_deletion(prices, held))
    kept = billing.storage_month(prices, held)
    bill.monthly("storage", name, None if kept is None else -kept)
    watched = billing.monitoring_month(prices, held)
    bill.monthly("monitoring", name, None if watched is None else -watched)


def _written(held: Holding, bill: _Bill) -> None:
    """Objects made: a PUT each, or a multipart upload's parts besides; then they are kept."""
    name, prices = held.storage_class, bill.prices
    most = 3 * held.objects + held.bytes // PART
    bill.once(
        "requests",
        name,
        billing.put_requests(prices, name, held.objects),
        billing.put_requests(prices, name, most),
    )
    bill.monthly("storage", name, billing.storage_month(prices, held))
    bill.monthly("monitoring", name, billing.monitoring_month(prices, held))


def _archived(action: Archive, bill: _Bill) -> None:
    """One object, made in parts whatever its size, and its index, whose bytes count for nothing."""
    name, size = action.storage_class, action.tar
    billed = max(size, billing.MINIMUM_BYTES.get(name, 0))
    _written(Holding(name, 1, size, billed, int(size >= billing.MONITORED_BYTES), (0, 0)), bill)
    prices = bill.prices
    index = action.index_class
    bill.once("requests", index, billing.put_requests(prices, index, 1))
    bill.once("requests", name, billing.get_requests(prices, name, 4))


def _adopted(action: Adopt, bill: _Bill) -> None:
    """The archive read once, sent out of the region, and an index whose bytes count for nothing."""
    _read_out(Holding(action.storage_class, 1, action.size, action.size, 0, (0, 0)), bill)
    index = action.index_class
    bill.once("requests", index, billing.put_requests(bill.prices, index, 1))


def _copied(storage_class: str | None, held: Holding, bill: _Bill) -> None:
    """Objects copied within S3: the source is retrieved, its region is not left."""
    source = held.storage_class
    bill.once("retrieval", source, billing.retrieval(bill.prices, source, held.bytes))
    target = source if storage_class is None else storage_class
    smallest = billing.MINIMUM_BYTES.get(target, 0) * held.objects
    _written(structs.replace(held, storage_class=target, billed=max(held.bytes, smallest)), bill)


def _compared_twice(held: Holding, bill: _Bill) -> None:
    """Two objects looked at, and their tags; bodies only where S3 keeps nothing to compare."""
    for name in (held.storage_class, "STANDARD"):
        bill.once("requests", name, billing.get_requests(bill.prices, name, 2 * held.objects))


def _keyed(held: Holding, bill: _Bill) -> None:
    """Looks before and after, and a request between that is billed as a PUT."""
    name, prices = held.storage_class, bill.prices
    bill.once("requests", name, billing.get_requests(prices, name, 2 * held.objects))
    bill.once("requests", name, billing.put_requests(prices, name, held.objects))


def _swapped(action: Swap, held: Holding, bill: _Bill) -> None:
    """New forms in place; where the bucket keeps versions the old ones stay, and are paid for."""
    _copied(action.recipe.storage_class, held, bill)
    if action.keeps_old:
        _given_up(held, bill)


def _listings(holdings: Sequence[Holding], bill: _Bill) -> None:
    """A fresh listing, 1,000 keys a request."""
    pages = -(-sum(held.objects for held in holdings) // _KEYS_A_LISTING)
    bill.once("requests", "STANDARD", billing.list_requests(bill.prices, pages))
