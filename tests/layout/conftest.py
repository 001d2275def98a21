"""Scenes of changed layouts: a bucket of objects, and what stands beside them."""

from tests.engine.conftest import moto_scene, scene, versioned

__all__ = ["moto_scene", "scene", "versioned"]
