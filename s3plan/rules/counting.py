"""Counts with their nouns, as sentences of planners and views write them."""

from __future__ import annotations


def counted(value: int, noun: str, plural: str | None = None) -> str:
    """Write a count with its noun: ``1 object``, ``1,204 objects``."""
    return f"{value:,} {noun if value == 1 else plural or noun + 's'}"
