"""Narrowing a listing to what a manifest selects: the same query when planning and at the gate."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from s3plan.model.steps import Select
from s3plan.tables import Database
from s3plan.tables.database import Value


def narrow(database: Database, bucket: str, select: Select | None, step: str | None = None) -> None:
    """Remove the rows of ``bucket`` that ``select`` does not choose; they belong to nobody here.

    The keys of a worklist are those in ``asked``, or, once there is a plan, in ``items`` of
    ``step``.

    What a key held before goes with what it holds now: a noncurrent version or delete marker is
    chosen if the key's object is. Where the key holds none, its entries are chosen by key alone,
    and not at all where age or size is asked for.

    Every condition that is given must hold; of ``keys`` any one. Ages compare LastModified
    with a time that was fixed when the plan was made, so that both sides of a plan agree.
    """
    if select is None:
        return
    keys, key_values = _key_conditions(bucket, select, step)
    others, other_values = _other_conditions(select)
    if not keys and not others:
        return
    of_keys = " AND ".join(keys) or "true"
    chosen = " AND ".join([*keys, *others])
    values = [*key_values, *other_values]
    (history,) = database.row("SELECT count(history) FROM listing WHERE bucket = ?", [bucket])
    # The conditions are this module's constants; every value is bound.
    if history:
        objects = "SELECT key FROM listing WHERE bucket = ? AND history IS NULL"
        alone = "false" if others else f"{of_keys} AND key NOT IN ({objects})"
        database.execute(
            f"DELETE FROM listing WHERE bucket = ? AND history IS NOT NULL"  # noqa: S608
            f" AND NOT (key IN ({objects} AND {chosen}) OR ({alone}))",
            [bucket, bucket, *values, *([] if others else [*key_values, bucket])],
        )
    database.execute(
        f"DELETE FROM listing WHERE bucket = ? AND history IS NULL AND NOT ({chosen})",  # noqa: S608
        [bucket, *values],
    )


def conditions(bucket: str, select: Select) -> tuple[list[str], list[Value]]:
    """SQL about columns of ``listing`` that all hold for what is selected of ``bucket``, and its
    values.
    """
    keys, key_values = _key_conditions(bucket, select, None)
    others, other_values = _other_conditions(select)
    return ["bucket = ?", "history IS NULL", *keys, *others], [bucket, *key_values, *other_values]


def _key_conditions(bucket: str, select: Select, step: str | None) -> tuple[list[str], list[Value]]:
    conditions: list[str] = []
    values: list[Value] = []
    if select.prefix:
        conditions.append("starts_with(key, ?)")
        values.append(select.prefix)
    if select.keys:
        conditions.append("regexp_full_match(key, ?, 's')")
        values.append("|".join(f"(?:{glob_pattern(glob)})" for glob in select.keys))
    if select.items and step is None:
        conditions.append("key IN (SELECT key FROM asked WHERE bucket = ?)")
        values.append(bucket)
    elif select.items:
        conditions.append("key IN (SELECT key FROM items WHERE step = ?)")
        values.append(step)
    return conditions, values


def _other_conditions(select: Select) -> tuple[list[str], list[Value]]:
    asked: tuple[tuple[str, Value], ...] = (
        ("modified < ?", select.older_than),
        ("modified > ?", select.newer_than),
        ("size >= ?", select.min_size),
        ("size <= ?", select.max_size),
    )
    given = [(condition, value) for condition, value in asked if value is not None]
    return [condition for condition, _ in given], [value for _, value in given]


def glob_pattern(glob: str) -> str:
    """A glob as an RE2 pattern: ``*`` is any text (``/`` too, as in S3 policies), ``?`` one
    character; everything else is itself.
    """
    return "".join(
        ".*" if part == "*" else "." if part == "?" else re.escape(part)
        for part in re.split(r"([*?])", glob)
    )


def matches_any(globs: Iterable[str], name: str) -> bool:
    """Whether one of the globs is about ``name``, all of it."""
    return any(re.fullmatch(glob_pattern(glob), name, re.DOTALL) for glob in globs)


def any_of(globs: Sequence[str]) -> str:
    """A regular expression of what one of the globs matches."""
    return "|".join(f"(?:{glob_pattern(glob)})" for glob in globs)
