"""Scenes on every server, as in tests/hostile."""

from tests.hostile.conftest import scene as scene  # noqa: PLC0414
