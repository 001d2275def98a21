"""Conditions on items, as ``show --step ID --filter`` takes them: one thing, a sign, a value."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from typing import Any

import click

from s3plan.inventory.selection import glob_pattern
from s3plan.kinds.quantities import parse_size
from s3plan.model.steps import Item

Condition = Callable[[Item], bool]

_SHAPE = re.compile(r"(?P<what>[a-z]+)(?P<sign>!=|<=|>=|=|<|>)(?P<value>.*)", re.DOTALL)

_TEXTS: dict[str, Callable[[Item], str]] = {
    "key": lambda item: item.key,
    "path": lambda item: item.path,
    "class": lambda item: item.storage_class,
    "etag": lambda item: item.etag,
    "modified": lambda item: item.modified,
}


def read_filter(text: str) -> Condition:
    """Return the condition: ``key=*.jpg``, ``class!=STANDARD``, ``size>=1GB``, ``modified<2024``.

    ``=`` and ``!=`` take globs; times compare as text. Raises click.UsageError.
    """
    found = _SHAPE.fullmatch(text)
    if found is None or (found["what"] not in _TEXTS and found["what"] != "size"):
        message = (
            f"`{text}` is no filter: name one of size, {', '.join(_TEXTS)}, then = != < <= > >= "
            "and a value, such as key=*.jpg or size>1GB"
        )
        raise click.UsageError(message)
    sign, value = found["sign"], found["value"]
    if found["what"] == "size":
        return _size(sign, value, text)
    read = _TEXTS[found["what"]]
    if sign in ("=", "!="):
        pattern = re.compile(glob_pattern(value), re.DOTALL)
        return lambda item: (pattern.fullmatch(read(item)) is not None) == (sign == "=")
    compared = _ORDER[sign]
    return lambda item: compared(read(item), value)


def _size(sign: str, value: str, text: str) -> Condition:
    try:
        most = parse_size(value)
    except ValueError as error:
        message = f"`{text}`: {error}"
        raise click.UsageError(message) from error
    if sign in ("=", "!="):
        return lambda item: (item.size == most) == (sign == "=")
    compared = _ORDER[sign]
    return lambda item: compared(item.size, most)


_ORDER: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
