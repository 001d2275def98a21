"""Scenes of changed layouts, to be cleaned up."""

from tests.engine.conftest import scene, versioned

__all__ = ["scene", "versioned"]
