"""The scenes of the engine's tests, for the way from a plan to its approval."""

from tests.engine.conftest import moto_scene, scene

__all__ = ["moto_scene", "scene"]
