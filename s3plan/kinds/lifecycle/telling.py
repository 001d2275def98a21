"""What lifecycle rules mean, in sentences: what each matches and costs, and which never acts."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator

from s3plan.kinds.lifecycle.matching import Inventory, Matched, Share, moving
from s3plan.model.cost import Dollars
from s3plan.rules.lifecycle.document import Filter, MinimumSize, Rule
from s3plan.rules.lifecycle.evaluation import Event, Shadowed
from s3plan.rules.prices import MINIMUM_BYTES, Holding, RegionPrices, storage_month, transitions

_GIB = 1024**3
_UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB", "PiB")


def rule_sentences(
    rule: Rule, inventory: Inventory, minimum: MinimumSize, prices: RegionPrices | None
) -> Iterator[str]:
    """What an enabled rule will do to the objects that are there now, and what that saves."""
    if not (rule.transitions or _deletes(rule)):
        return
    matched = inventory.match(rule.filter)
    if not matched.known:
        yield f"rule {rule.id}: what it matches is not known: {_unknown(matched)}"
        return
    if not matched.objects:
        return  # which a warning says
    yield f"rule {rule.id}: matches {_amount(matched)}{_basis(matched)}"
    for transition in rule.transitions:
        going = moving(matched.shares, rule, transition.storage_class, minimum)
        when = (
            f"after {transition.days} days" if transition.date is None else f"on {transition.date}"
        )
        there = _count(going)
        if not there:
            continue
        line = f"rule {rule.id}: {there:,} {_objects(there)} to {transition.storage_class} {when}"
        yield line + _money(going, transition.storage_class, prices)
    if _deletes(rule) and rule.expiration is not None:
        days, date = rule.expiration.days, rule.expiration.date
        when = f"after {days} days" if date is None else f"on {date}"
        yield f"rule {rule.id}: deletes them {when}{_saved(matched, prices)}"


def nothing_matched(rule: Rule, inventory: Inventory) -> str | None:
    """A warning about an enabled rule that no object there now is meant by; None where one is.

    Where the tags are the reason, it names those that objects do have.
    """
    if not (rule.enabled and (rule.transitions or _deletes(rule))):
        return None
    matched = inventory.match(rule.filter)
    if not matched.known or matched.objects:
        return None
    if not inventory.objects():
        return f"rule {rule.id} matches nothing: the bucket is empty"
    plain = Filter(
        rule.filter.prefix, frozenset(), rule.filter.larger_than, rule.filter.smaller_than
    )
    if not inventory.match(plain).objects or not rule.filter.tags:
        return f"rule {rule.id} matches nothing: no object has {_filter_words(plain)}"
    basis = "" if matched.sampled is None else f" of {matched.sampled:,} that were looked at"
    text = f"rule {rule.id} matches nothing: no object{basis} has {_tag_words(rule.filter.tags)}"
    found = inventory.tag_pairs()
    if not found:
        return f"{text}; none has any tag"
    return f"{text}; they have {_nearest(rule.filter, found)}"


def small_objects(rule: Rule, inventory: Inventory, minimum: MinimumSize) -> str | None:
    """A warning about objects that stay because they are small; None where there are none."""
    if not (rule.enabled and rule.transitions) or rule.filter.bounded:
        return None
    matched = inventory.match(rule.filter)
    staying = {
        share
        for transition in rule.transitions
        for share in matched.shares
        if share.small
        and not moving((share,), rule, transition.storage_class, minimum)
        and moving(
            (Share(share.storage_class, False, share.objects, share.bytes, share.padded),),
            rule,
            transition.storage_class,
            minimum,
        )
    }
    count = _count(staying)
    if not count:
        return None
    return (
        f"rule {rule.id}: {count:,} {_objects(count)} below 128 KB will not move, which is S3's"
        " default; filter.largerThan says otherwise, and each small object in an archive"
        " is billed as 40 KB more"
    )


def shadow_sentence(found: Shadowed) -> str:
    """Which rule never gets to act, on what, and because of which other one."""
    objects = _filter_words(found.overlap)
    lost, instead = _event(found.lost), _event(found.instead)
    return (
        f"rule {found.loser} does not get to {lost}: objects with {objects} are also meant by rule"
        f" {found.winner}, which will {instead}; S3 takes the earlier and the cheaper"
    )


def _event(event: Event) -> str:
    if event.storage_class is None:
        return f"delete on day {event.day}"
    return f"move to {event.storage_class} on day {event.day}"


def _deletes(rule: Rule) -> bool:
    return rule.expiration is not None and not rule.expiration.markers


def _count(shares: Iterable[Share]) -> int:
    return round(sum(share.objects for share in shares))


def _objects(count: int) -> str:
    return "object" if count == 1 else "objects"


def _amount(matched: Matched) -> str:
    count = matched.objects
    about = "" if matched.sampled is None else "about "
    return f"{about}{count:,} {_objects(count)}, {_size(matched.bytes)}"


def _basis(matched: Matched) -> str:
    if matched.sampled is None:
        return ""
    return f" (by the tags of {matched.sampled:,} of {matched.of:,})"


def _unknown(matched: Matched) -> str:
    if matched.sampled == 0:
        return "no object that it could mean was in the sample of tags (tagSample)"
    return "tags may not be read (s3:GetObjectTagging), or the endpoint has none"


def _money(shares: tuple[Share, ...], storage_class: str, prices: RegionPrices | None) -> str:
    if prices is None or not shares:
        return ""
    held = [storage_month(prices, _holding(share, share.storage_class)) for share in shares]
    then = [storage_month(prices, _holding(share, storage_class)) for share in shares]
    move = transitions(prices, storage_class, _count(shares))
    if move is None or None in held or None in then:
        return ""
    return (
        f": {_dollars(held)} a month becomes {_dollars(then)}; moving them costs {_dollars([move])}"
        " once"
    )


def _saved(matched: Matched, prices: RegionPrices | None) -> str:
    if prices is None:
        return ""
    held = [storage_month(prices, _holding(one, one.storage_class)) for one in matched.shares]
    return "" if None in held else f": {_dollars(held)} a month until then"


def _holding(share: Share, storage_class: str) -> Holding:
    padded = storage_class in MINIMUM_BYTES
    size = round(share.bytes)
    billed = round(share.padded) if padded else size
    return Holding(storage_class, round(share.objects), size, billed)


def _dollars(amounts: Iterable[Dollars | None]) -> str:
    total = sum((amount for amount in amounts if amount is not None), Dollars()).rounded()
    if total.low == total.high:
        return f"${total.low:,.2f}"
    return f"${total.low:,.2f} to ${total.high:,.2f}"


def _size(size: int) -> str:
    amount, unit = float(size), 0
    while amount >= 1024 and unit < len(_UNITS) - 1:
        amount, unit = amount / 1024, unit + 1
    return f"{size:,} bytes" if unit == 0 else f"{amount:,.1f} {_UNITS[unit]}"


def _filter_words(found: Filter) -> str:
    words = []
    if found.prefix:
        words.append(f"the prefix {found.prefix!r}")
    if found.tags:
        words.append(_tag_words(found.tags))
    if found.larger_than is not None:
        words.append(f"more than {_size(found.larger_than)}")
    if found.smaller_than is not None:
        words.append(f"less than {_size(found.smaller_than)}")
    return " and ".join(words) or "any key"


def _tag_words(tags: Iterable[tuple[str, str]]) -> str:
    return " and ".join(f"{key}={value}" for key, value in sorted(tags))


def _nearest(wanted: Filter, found: dict[tuple[str, str], int]) -> str:
    """The tags there are, those first that look like the wanted ones."""
    names = [
        f"{key}={value}" for key, value in sorted(found, key=lambda pair: (-found[pair], pair))
    ]
    near: list[str] = []
    for key, value in sorted(wanted.tags):
        near += difflib.get_close_matches(f"{key}={value}", names, n=3, cutoff=0.5)
    shown = list(dict.fromkeys([*near, *names]))[:5]
    more = len(names) - len(shown)
    return ", ".join(shown) + (f" and {more:,} other tags" if more > 0 else "")
