"""What changes between two policies, statement by statement, with order ignored where IAM does."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from msgspec import Struct

from s3plan.rules.policies.document import Policy, Statement, read_policy
from s3plan.rules.policies.known import spelt

Change = Literal["added", "removed", "changed"]


class StatementChange(Struct, frozen=True):
    """One statement: its name, what happened to it, and how, a line each.

    Lines start with ``+`` (only after), ``-`` (only before) or ``~`` (another value).
    """

    name: str
    change: Change
    lines: tuple[str, ...]


def policy_changes(before: object, after: object) -> tuple[StatementChange, ...]:
    """Every statement that differs; None is no policy. Raises PlanningError for what is none."""
    old, new = _named(before), _named(after)
    changes: list[StatementChange] = []
    for name in [*old, *(name for name in new if name not in old)]:
        was, becomes = old.get(name), new.get(name)
        if was is None and becomes is not None:
            changes.append(StatementChange(name, "added", _lines("+", becomes)))
        elif was is not None and becomes is None:
            changes.append(StatementChange(name, "removed", _lines("-", was)))
        elif was is not None and becomes is not None and was != becomes:
            changes.append(StatementChange(name, "changed", tuple(_altered(was, becomes))))
    return tuple(changes)


def _named(document: object) -> dict[str, Statement]:
    """Statements by Sid; those without one are known by what they say."""
    policy = Policy("", ()) if document is None else read_policy(document, "policy")
    named: dict[str, Statement] = {}
    for statement in policy.statements:
        # What has no name cannot have changed: it is the same, or it is another one.
        name = statement.sid or f"without Sid: {'; '.join(_lines('', statement))}"
        named[name] = statement
    return named


def _plain(statement: Statement) -> dict[str, Any]:
    """A statement as deepdiff compares it: what IAM reads, order gone, names as in policies."""
    plain: dict[str, Any] = {"Effect": statement.effect}
    for name, matching in (
        ("Principal", statement.principals),
        ("Action", statement.actions),
        ("Resource", statement.resources),
    ):
        if matching is not None:
            values = map(spelt, matching.values) if name == "Action" else matching.values
            plain[f"Not{name}" if matching.inverted else name] = sorted(values)
    for condition in statement.in_order():
        plain[f"Condition {condition.operator} {condition.key}"] = sorted(condition.values)
    return plain


def _altered(was: Statement, becomes: Statement) -> Iterator[str]:
    # Loading deepdiff takes longer than planning a bucket; only differing policies need it.
    from deepdiff import DeepDiff  # noqa: PLC0415

    old, new = _plain(was), _plain(becomes)
    found = DeepDiff(old, new, ignore_order=True, view="tree", threshold_to_diff_deeper=0)
    lines: set[tuple[str, int, str]] = set()
    for kind, entries in found.items():
        for entry in entries:
            field = str(entry.path(output_format="list")[0])
            if kind in {"dictionary_item_added", "dictionary_item_removed"}:
                sign, values = ("+", entry.t2) if kind.endswith("added") else ("-", entry.t1)
                lines |= {(field, ord(sign), f"{sign} {field}: {one}") for one in _many(values)}
            elif kind == "iterable_item_added":
                lines.add((field, 1, f"+ {field}: {entry.t2}"))
            elif kind == "iterable_item_removed":
                lines.add((field, 0, f"- {field}: {entry.t1}"))
            elif isinstance(new[field], list):
                lines |= {
                    (field, 0, f"- {field}: {entry.t1}"),
                    (field, 1, f"+ {field}: {entry.t2}"),
                }
            else:
                lines.add((field, 2, f"~ {field}: {entry.t1} becomes {entry.t2}"))
    for _, _, line in sorted(lines):
        yield line


def _many(values: object) -> list[object]:
    return values if isinstance(values, list) else [values]


def _lines(sign: str, statement: Statement) -> tuple[str, ...]:
    mark = f"{sign} " if sign else ""
    return tuple(
        f"{mark}{name}: {', '.join(map(str, _many(value)))}"
        for name, value in _plain(statement).items()
    )


def words_of(statement: Statement) -> str:
    """A statement in half a line, for sentences that name it."""
    return statement.sid or "a statement without Sid"
