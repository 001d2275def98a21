"""A request of S3 Control read by botocore's own model, and refused where it is not like that."""

from __future__ import annotations

import re
from typing import Any
from xml.etree import ElementTree

import botocore.session
from botocore.model import ListShape, MapShape, Shape, StringShape, StructureShape

NAMESPACE = "{http://awss3control.amazonaws.com/doc/2018-08-20/}"


class BadRequest(Exception):
    """The request is not as the model, or the documentation, says."""


def model() -> Any:
    """Botocore's model of S3 Control."""
    return botocore.session.get_session().get_service_model("s3control")


def decoded(operation: str, body: bytes) -> dict[str, Any]:
    """The body of a request of that operation."""
    shape = model().operation_model(operation).input_shape
    root = ElementTree.fromstring(body)
    _expect(root.tag == f"{NAMESPACE}{operation}Request", f"the body is {root.tag}")
    inside = {
        name: member
        for name, member in shape.members.items()
        if member.serialization.get("location") is None
    }
    required = [name for name in shape.required_members if name in inside]
    return _structure(root, inside, required, operation)


def _value(element: ElementTree.Element, shape: Shape, path: str) -> Any:
    match shape:
        case StructureShape():
            return _structure(element, dict(shape.members), list(shape.required_members), path)
        case ListShape():
            return [_value(child, shape.member, f"{path}[]") for child in element]
        case MapShape():
            return {}
    text = element.text or ""
    _check(text, shape, path)
    if shape.type_name == "boolean":
        _expect(text in ("true", "false"), f"{path}: {text} is no boolean")
        return text == "true"
    return int(text) if shape.type_name in ("integer", "long") else text


def _structure(
    element: ElementTree.Element, members: dict[str, Shape], required: list[str], path: str
) -> dict[str, Any]:
    names = {member.serialization.get("name", name): name for name, member in members.items()}
    value: dict[str, Any] = {}
    for child in element:
        name = names.get(child.tag.removeprefix(NAMESPACE))
        _expect(name is not None, f"{path} has no {child.tag}")
        assert name is not None
        _expect(name not in value, f"{path}.{name} is there twice")
        value[name] = _value(child, members[name], f"{path}.{name}")
    missing = set(required) - set(value)
    _expect(not missing, f"{path} lacks {missing}")
    return value


def _check(text: str, shape: Shape, path: str) -> None:
    told = shape.metadata
    if isinstance(shape, StringShape):
        if shape.enum:
            _expect(text in shape.enum, f"{path}: {text} is none of {shape.enum}")
        low, high = told.get("min", 0), told.get("max", 1 << 30)
        _expect(low <= len(text) <= high, f"{path}: {len(text)} characters")
        pattern = told.get("pattern", "")
        if pattern and "\\p{" not in pattern:
            _expect(re.search(pattern, text) is not None, f"{path}: {text} is not {pattern}")
    elif shape.type_name in ("integer", "long"):
        _expect(re.fullmatch(r"-?\d+", text) is not None, f"{path}: {text} is no number")
        low, high = told.get("min", -(1 << 62)), told.get("max", 1 << 62)
        _expect(low <= int(text) <= high, f"{path}: {text}")
    elif shape.type_name == "timestamp":
        _expect(
            re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", text) is not None, f"{path}: {text}"
        )


def _expect(holds: bool, problem: str) -> None:
    if not holds:
        raise BadRequest(problem)
