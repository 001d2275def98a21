"""Condition operators: whether one holds in a request's context, as far as that is known.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html
and, for keys of many values,
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-single-vs-multi-valued-context-keys.html
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Final

from s3plan.rules.policies.document import Condition

Context = Mapping[str, tuple[str, ...] | None]
"""Values by key in lower case. An empty tuple: the request has no such key. A key that is not here,
or is None: nobody knows."""

Holds = bool | None
"""None: it cannot be told."""

_VARIABLE = re.compile(r"\$\{([^}]*)\}")
_LITERALS = {"*": "*", "?": "?", "$": "$"}


def holds(condition: Condition, context: Context) -> Holds:
    """Whether the condition holds; None where that cannot be told, or the operator is not known."""
    name, quantifier = condition.operator, ""
    if ":" in name:
        quantifier, _, name = name.partition(":")
    if_exists = name.endswith("IfExists")
    name = name.removesuffix("IfExists")
    found = context.get(condition.key)
    if found is None:
        return None
    if name == "Null":
        wanted = {value.lower() for value in condition.values}
        return ("true" in wanted) is not bool(found) if len(wanted) == 1 else None
    if not found and if_exists:
        return True
    operator = OPERATORS.get(name)
    if operator is None:
        return None
    test, negated = operator
    values = _resolved(condition.values, context)
    if values is None:
        return None
    if quantifier == "ForAllValues":
        return all(_one(test, one, values, negated) for one in found)
    if quantifier == "ForAnyValue":
        return any(_one(test, one, values, negated) for one in found)
    if quantifier:
        return None
    if not found:
        return negated
    return _one(test, found[0], values, negated)


def _one(test: Test, found: str, values: frozenset[str], negated: bool) -> bool:
    return any(test(found, value) for value in values) is not negated


def _resolved(values: frozenset[str], context: Context) -> frozenset[str] | None:
    """Values with their policy variables; None where a variable is not known.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html
    """
    resolved: set[str] = set()
    for value in values:
        text = value
        for name in set(_VARIABLE.findall(value)):
            key, _, default = name.partition(",")
            found = _LITERALS.get(key) or _only(context.get(key.strip().lower()))
            if found is None and default:
                found = default.strip().strip("'")
            if found is None:
                return None
            text = text.replace("${" + name + "}", found)
        resolved.add(text)
    return frozenset(resolved)


def _only(values: tuple[str, ...] | None) -> str | None:
    return values[0] if values else None


def matches_glob(text: str, glob: str) -> bool:
    """``*`` is any text, ``?`` one character."""
    pattern = "".join(
        ".*" if part == "*" else "." if part == "?" else re.escape(part)
        for part in re.split(r"([*?])", glob)
    )
    return re.fullmatch(pattern, text, re.DOTALL) is not None


def _arn(found: str, value: str) -> bool:
    """Each of the six parts by itself; ArnEquals and ArnLike do the same."""
    ours, theirs = found.split(":", 5), value.split(":", 5)
    return len(ours) == len(theirs) == 6 and all(map(matches_glob, ours, theirs))


def _bool(found: str, value: str) -> bool:
    return found.lower() == value.lower()


def _ip(found: str, value: str) -> bool:
    try:
        return ipaddress.ip_address(found) in ipaddress.ip_network(value, strict=False)
    except (ValueError, TypeError):
        return False


def _numeric(compare: Callable[[float, float], bool]) -> Test:
    def test(found: str, value: str) -> bool:
        try:
            return compare(float(found), float(value))
        except ValueError:
            return False

    return test


def _date(compare: Callable[[float, float], bool]) -> Test:
    def test(found: str, value: str) -> bool:
        try:
            return compare(_moment(found), _moment(value))
        except ValueError:
            return False

    return test


def _moment(text: str) -> float:
    if re.fullmatch(r"[0-9]+", text):
        return float(text)
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _equal(found: str, value: str) -> bool:
    return found == value


def _ignoring_case(found: str, value: str) -> bool:
    return found.lower() == value.lower()


Test = Callable[[str, str], bool]

_COMPARISONS: Final[tuple[tuple[str, Callable[[float, float], bool]], ...]] = (
    ("LessThan", lambda found, value: found < value),
    ("LessThanEquals", lambda found, value: found <= value),
    ("GreaterThan", lambda found, value: found > value),
    ("GreaterThanEquals", lambda found, value: found >= value),
)

OPERATORS: Final[dict[str, tuple[Test, bool]]] = {
    "StringEquals": (_equal, False),
    "StringNotEquals": (_equal, True),
    "StringEqualsIgnoreCase": (_ignoring_case, False),
    "StringNotEqualsIgnoreCase": (_ignoring_case, True),
    "StringLike": (matches_glob, False),
    "StringNotLike": (matches_glob, True),
    "ArnEquals": (_arn, False),
    "ArnLike": (_arn, False),
    "ArnNotEquals": (_arn, True),
    "ArnNotLike": (_arn, True),
    "Bool": (_bool, False),
    "BinaryEquals": (_equal, False),
    "IpAddress": (_ip, False),
    "NotIpAddress": (_ip, True),
    "NumericEquals": (_numeric(lambda found, value: found == value), False),
    "NumericNotEquals": (_numeric(lambda found, value: found == value), True),
    "DateEquals": (_date(lambda found, value: found == value), False),
    "DateNotEquals": (_date(lambda found, value: found == value), True),
    **{f"Numeric{name}": (_numeric(compare), False) for name, compare in _COMPARISONS},
    **{f"Date{name}": (_date(compare), False) for name, compare in _COMPARISONS},
}
"""Operators by name: the test of one value against one, and whether the whole is negated."""
