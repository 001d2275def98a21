"""A policy in normal form: two documents that IAM treats alike are equal values.

IAM does not care for the order of statements, for one value or a list of one, for the case of
action names and condition keys, for the order of lists; ``"*"`` as principal is ``{"AWS": "*"}``,
and an account number is its root's ARN
(https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, Literal

from msgspec import Struct

from s3plan.errors import PlanningError

Effect = Literal["Allow", "Deny"]

_ACCOUNT = re.compile(r"[0-9]{12}")


class Matching(Struct, frozen=True):
    """``Action`` or ``NotAction`` (likewise Resource, Principal): values, perhaps inverted."""

    values: frozenset[str]
    inverted: bool = False


class Condition(Struct, frozen=True):
    """One operator on one key. ``operator`` is spelt as written, ``key`` in lower case."""

    operator: str
    key: str
    values: frozenset[str]


class Statement(Struct, frozen=True):
    """One statement. ``principals`` are ``TYPE:value``, such as ``AWS:*``; None where not said."""

    sid: str | None
    effect: Effect
    principals: Matching | None
    actions: Matching
    resources: Matching
    conditions: frozenset[Condition] = frozenset()

    def in_order(self) -> list[Condition]:
        """The conditions, in an order that does not depend on the process."""
        return sorted(self.conditions, key=lambda one: (one.operator, one.key, sorted(one.values)))


class Policy(Struct, frozen=True):
    """A policy's statements in the order of the document, and its version."""

    version: str
    statements: tuple[Statement, ...]

    def meaning(self) -> tuple[str, ...]:
        """What is equal of two policies that IAM treats alike; statements have no order."""
        return (self.version, *sorted(repr(_sorted(one)) for one in self.statements))


def _sorted(statement: Statement) -> tuple[object, ...]:
    """A statement as something whose repr does not depend on the order of sets."""

    def matching(one: Matching | None) -> object:
        return None if one is None else (sorted(one.values), one.inverted)

    return (
        statement.sid,
        statement.effect,
        matching(statement.principals),
        matching(statement.actions),
        matching(statement.resources),
        sorted((one.operator, one.key, sorted(one.values)) for one in statement.conditions),
    )


def read_policy(document: object, address: str) -> Policy:
    """The normal form of a policy as JSON gives it. Raises PlanningError for what is none."""
    if not isinstance(document, Mapping):
        raise _wrong("a policy is a JSON object", address, document)
    statements = document.get("Statement")
    if isinstance(statements, Mapping):
        statements = [statements]
    if not isinstance(statements, list | tuple) or not statements:
        raise _wrong("a policy holds at least one Statement", address, statements)
    return Policy(
        # Without a version IAM takes the oldest, which knows no variables.
        str(document.get("Version", "2008-10-17")),
        tuple(
            _statement(one, f"{address}, Statement[{number}]")
            for number, one in enumerate(statements)
        ),
    )


def same_policy(one: object, other: object) -> bool:
    """Whether two documents, None being no policy, mean the same to IAM."""
    if one is None or other is None:
        return one is other
    return read_policy(one, "policy").meaning() == read_policy(other, "policy").meaning()


def policy_text(document: object) -> str:
    """A policy as it is written to files: two spaces, keys in their order, one line end."""
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _statement(value: object, address: str) -> Statement:
    if not isinstance(value, Mapping):
        raise _wrong("a statement is a JSON object", address, value)
    effect = value.get("Effect")
    if effect not in {"Allow", "Deny"}:
        raise _wrong("a statement's Effect is Allow or Deny", address, effect)
    sid = value.get("Sid")
    return Statement(
        str(sid) if sid else None,
        effect,
        _principals(value, address),
        _matching(value, "Action", address, lower=True),
        _matching(value, "Resource", address),
        frozenset(_conditions(value.get("Condition", {}), address)),
    )


def _matching(
    statement: Mapping[str, Any], name: str, address: str, *, lower: bool = False
) -> Matching:
    positive, negative = statement.get(name), statement.get(f"Not{name}")
    if (positive is None) == (negative is None):
        raise _wrong(
            f"a statement has {name} or Not{name}, one of them", address, sorted(statement)
        )
    values = texts(positive if negative is None else negative)
    if values is None or not values:
        raise _wrong(f"{name} is a text or a list of texts", address, positive or negative)
    return Matching(frozenset(v.lower() if lower else v for v in values), negative is not None)


def _principals(statement: Mapping[str, Any], address: str) -> Matching | None:
    positive, negative = statement.get("Principal"), statement.get("NotPrincipal")
    if positive is None and negative is None:
        return None
    if positive is not None and negative is not None:
        raise _wrong("a statement has Principal or NotPrincipal, one of them", address, None)
    written = positive if negative is None else negative
    if written == "*":
        written = {"AWS": "*"}
    if not isinstance(written, Mapping):
        raise _wrong('a Principal is "*" or an object by type', address, written)
    found = set()
    for kind, value in written.items():
        values = texts(value)
        if not values:
            raise _wrong("a Principal's value is a text or a list of texts", address, value)
        found |= {f"{kind}:{_principal(kind, one)}" for one in values}
    return Matching(frozenset(found), negative is not None)


def _principal(kind: str, value: str) -> str:
    is_account = kind == "AWS" and _ACCOUNT.fullmatch(value)
    return f"arn:aws:iam::{value}:root" if is_account else value


def _conditions(value: object, address: str) -> Iterable[Condition]:
    if not isinstance(value, Mapping):
        raise _wrong("a Condition is an object by operator", address, value)
    for operator, keys in value.items():
        if not isinstance(keys, Mapping):
            raise _wrong("a condition operator holds an object by key", address, keys)
        for key, written in keys.items():
            values = texts(written)
            if values is None:
                raise _wrong("a condition's value is a text or a list of texts", address, written)
            yield Condition(str(operator), str(key).lower(), frozenset(values))


def texts(value: object) -> tuple[str, ...] | None:
    """One value or a list of values as texts, as IAM reads them; None for anything else."""
    if isinstance(value, bool):
        return ("true" if value else "false",)
    if isinstance(value, str | int | float):
        return (str(value),)
    if isinstance(value, list | tuple):
        found = [texts(one) for one in value if not isinstance(one, list | tuple)]
        if len(found) == len(value) and None not in found:
            return tuple(one for some in found if some is not None for one in some)
    return None


def _wrong(what: str, address: str, found: object) -> PlanningError:
    return PlanningError(
        what,
        address=address,
        found=json.dumps(found, default=str)[:200] if found is not None else None,
        next_step="correct the policy document",
    )
