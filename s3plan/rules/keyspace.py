"""Places in the space of keys: what lies between two of them, by which a listing can be divided."""

from __future__ import annotations

_LOW, _HIGH = 0x20, 0x7E
_BASE = _HIGH - _LOW + 1
_DIGITS = 6
"""Characters after what both keys share that are taken as digits: 95^6 places between them."""


def between(low: str, high: str | None) -> str | None:
    """A text of printable ASCII behind ``low`` and before ``high``, about half way.

    ``high`` None is the end of all keys that share ``low``'s first character or come after it.
    None where nothing simple lies between them. In byte order, as S3 lists keys.

    >>> between("a/1000", "a/9000")
    'a/5'
    >>> between("b", None)
    'p'
    >>> between("a", "a ") is None
    True
    """
    shared = "" if high is None else _shared(low, high)
    first = _number(low[len(shared) :])
    last = _BASE**_DIGITS if high is None else _number(high[len(shared) :])
    middle = (first + last) // 2
    # The shortest text that lies between them: less to send, and less to read in a log.
    for kept in range(1, _DIGITS + 1):
        unit = _BASE ** (_DIGITS - kept)
        found = shared + _text(middle // unit, kept)
        if low < found and (high is None or found < high):
            return found
    return None


def behind_folder(place: str, high: str | None) -> str | None:
    """A place behind ``place`` and all that may be in a folder of that name, and before ``high``.

    None where that is too near. SeaweedFS takes a start-after that is a folder's name for the
    folder, and passes over what is in it: behind `a` it lists nothing of `a/`.

    >>> behind_folder("a/5", "a/9000")
    'a/5~'
    >>> behind_folder("a/5", "a/5/") is None
    True
    """
    behind = f"{place}~"
    return behind if high is None or behind < high else None


def _shared(one: str, other: str) -> str:
    count = 0
    for mine, theirs in zip(one, other, strict=False):
        if mine != theirs:
            break
        count += 1
    return one[:count]


def _number(text: str) -> int:
    """The first characters as a number; those beyond printable ASCII count as its ends."""
    value = 0
    for at in range(_DIGITS):
        digit = min(max(ord(text[at]), _LOW), _HIGH) - _LOW if at < len(text) else 0
        value = value * _BASE + digit
    return value


def _text(value: int, digits: int) -> str:
    found = ""
    for _ in range(digits):
        value, digit = divmod(value, _BASE)
        found = chr(_LOW + digit) + found
    return found


def spread(places: list[str], count: int) -> list[str]:
    """At most ``count`` of the places, evenly.

    >>> spread(["a/", "b/", "c/", "d/", "e/", "f/"], 2)
    ['c/', 'e/']
    """
    count = min(count, len(places))
    return [places[(number + 1) * len(places) // (count + 1)] for number in range(count)]
