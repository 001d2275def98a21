"""The scenes of the engine's tests."""

from tests.engine.conftest import scene

__all__ = ["scene"]
