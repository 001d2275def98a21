"""Objects of gigabytes, only where ``-m`` names them: ``make test-large``."""

from __future__ import annotations

import pytest

from tests.engine.conftest import scene

__all__ = ["scene"]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """They take minutes, and room on the disk three times over."""
    if "large" in (config.option.markexpr or ""):
        return
    left_out = [item for item in items if item.get_closest_marker("large")]
    if left_out:
        items[:] = [item for item in items if item not in left_out]
        config.hook.pytest_deselected(items=left_out)
