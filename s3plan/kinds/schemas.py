"""JSON Schemas of the manifests, for editors: one whole-document schema per kind."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from s3plan.kinds.approvals import ApprovalsDocument
from s3plan.kinds.connection import ConnectionDocument
from s3plan.kinds.project import ProjectDocument
from s3plan.kinds.registry import FOLDERS, kind_named

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def json_schemas() -> dict[str, dict[str, Any]]:
    """Schemas by file name, such as ``bucketevacuation.schema.json``."""
    models: dict[str, type[BaseModel]] = {
        "Connection": ConnectionDocument,
        "Project": ProjectDocument,
        "Approvals": ApprovalsDocument,
    }
    models |= {name: kind_named(name).document for name in FOLDERS}
    schemas = {name: _schema(name, model) for name, model in models.items()}
    schemas["Manifest"] = _any_of([*FOLDERS, "Connection"])
    return {f"{name.lower()}.schema.json": schema for name, schema in schemas.items()}


def _any_of(kinds: list[str]) -> dict[str, Any]:
    """For editors: each document of a file by its kind. It lies beside the schemas it names."""
    return {
        "$schema": DIALECT,
        "title": "Manifest",
        "description": "Any document of a manifest file, by its kind.",
        "type": "object",
        "required": ["apiVersion", "kind"],
        "properties": {"kind": {"enum": sorted(kinds)}},
        "allOf": [
            {
                "if": {"properties": {"kind": {"const": kind}}},
                "then": {"$ref": f"{kind.lower()}.schema.json"},
            }
            for kind in sorted(kinds)
        ],
    }


def _schema(name: str, model: type[BaseModel]) -> dict[str, Any]:
    schema = model.model_json_schema(by_alias=True)
    return {"$schema": DIALECT, "$id": f"urn:s3plan:v1:{name}", "title": name, **_untitled(schema)}


def _untitled(schema: dict[str, Any]) -> dict[str, Any]:
    """Without the titles that pydantic makes from names, which say nothing that names do not."""
    return {
        key: _untitled_value(value)
        for key, value in schema.items()
        if not (key == "title" and isinstance(value, str))
    }


def _untitled_value(value: Any) -> Any:
    if isinstance(value, dict):
        return _untitled(value)
    if isinstance(value, list):
        return [_untitled_value(entry) for entry in value]
    return value
