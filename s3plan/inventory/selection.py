"""Narrowing a listing to what a manifest selects: the same query when planning and at the gate."""

from __future__ import annotations

import re
from collections.abc import Iterable

from s3plan.model.steps import Select
from s3plan.tables import Database


def narrow(database: Database, bucket: str, select: Select | None) -> None:
    """Remove the rows of ``bucket`` that ``select`` does not choose; they belong to nobody here.

    Every condition that is given must hold; of ``keys`` any one. Ages compare LastModified
    with a time that was fixed when the plan was made, so that both sides of a plan agree.
    """
    if select is None:
        return
    conditions: list[str] = []
    values: list[str | int | float | bool | None] = [bucket]
    if select.prefix:
        conditions.append("starts_with(key, ?)")
        values.append(select.prefix)
    if select.keys:
        conditions.append("regexp_full_match(key, ?, 's')")
        values.append("|".join(f"(?:{glob_pattern(glob)})" for glob in select.keys))
    if select.older_than is not None:
        conditions.append("modified < ?")
        values.append(select.older_than)
    if select.newer_than is not None:
        conditions.append("modified > ?")
        values.append(select.newer_than)
    if select.min_size is not None:
        conditions.append("size >= ?")
        values.append(select.min_size)
    if select.max_size is not None:
        conditions.append("size <= ?")
        values.append(select.max_size)
    if conditions:
        chosen = " AND ".join(conditions)
        # The conditions are this module's constants; every value is bound.
        database.execute(f"DELETE FROM listing WHERE bucket = ? AND NOT ({chosen})", values)  # noqa: S608


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
