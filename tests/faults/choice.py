"""Which of a long list of faults run in every test run; all of them do in `make test-load`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest


def some(names: Iterable[str], *always: str) -> list[Any]:
    """Parameters: those named run always, the others only with ``-m load``."""
    return [
        name if name in always else pytest.param(name, marks=pytest.mark.load) for name in names
    ]
