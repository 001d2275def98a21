"""What pydantic found wrong with a document, said in the words and at the place of the manifest."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from s3plan.errors import ManifestError
from s3plan.kinds import fields
from s3plan.kinds.documents import MOST_PROBLEMS
from s3plan.kinds.places import Document

_LONGEST_SHOWN = 80

_EXPECTED = {
    "string_type": "a text; put it in quotes",
    "bool_type": "true or false",
    "int_type": "a whole number",
    "float_type": "a number",
    "tuple_type": "a list",
    "model_type": "a mapping of fields",
    "string_too_short": "a text that is not empty",
    "too_short": "at least one entry",
}


def problems_of(
    error: ValidationError, document: Document, model: type[BaseModel]
) -> list[ManifestError]:
    """One ManifestError per problem, each with its ``file:line:col``; the first hundred."""
    found = error.errors(include_url=False)[:MOST_PROBLEMS]
    return [_problem(details, document, model) for details in found]


def nearest(name: str, known: Sequence[str]) -> str:
    """Advice for a name that is not among ``known``."""
    # A difference in case alone is the nearest there is, whatever its share of the letters.
    same = [candidate for candidate in known if candidate.lower() == name.lower()]
    near = same or difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"did you mean {near[0]}?" if near else "remove it, or use one of those"


def _problem(details: ErrorDetails, document: Document, model: type[BaseModel]) -> ManifestError:
    path = _written_path(details["loc"], document)
    address = str(document.place_of(path))
    name = _dotted(path)
    match details["type"]:
        case "missing":
            return ManifestError(
                f"the field {name} is missing", address=address, next_step=f"add {path[-1]}: ..."
            )
        case "extra_forbidden":
            known = _fields_at(model, path[:-1])
            return ManifestError(
                f"there is no field {name}",
                address=address,
                expected="one of " + ", ".join(known),
                next_step=nearest(str(path[-1]), known),
            )
        case "delete_bucket" | "layout" | fields.CONTRADICTION:
            return ManifestError(
                details["msg"], address=address, next_step=f"change {name or 'the document'} there"
            )
    return ManifestError(
        f"the field {name} is not right" if name else "the document is not right",
        address=address,
        expected=_EXPECTED.get(details["type"], _lowered(details["msg"])),
        found=_shown(document, path),
        next_step="correct it there; s3plan schema KIND describes every field",
    )


def _shown(document: Document, path: tuple[str | int, ...]) -> str:
    """The value as the file spells it: what a variable held may be a secret."""
    if path in document.written:
        text = document.written[path]
        return repr(text if len(text) <= _LONGEST_SHOWN else text[:_LONGEST_SHOWN] + "...")
    value = document.value
    for part in path:
        if isinstance(value, dict):
            value = value.get(str(part))
        elif isinstance(value, tuple) and isinstance(part, int):
            value = value[part]
    return "a list" if isinstance(value, tuple) else "a mapping"


def _dotted(path: tuple[str | int, ...]) -> str:
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def _lowered(message: str) -> str:
    message = message.removeprefix("Value error, ").removeprefix("Input should be ")
    return message[:1].lower() + message[1:]


def _written_path(path: tuple[str | int, ...], document: Document) -> tuple[str | int, ...]:
    """The path without the names that pydantic gives to the forms a value may have."""
    kept: tuple[str | int, ...] = ()
    for part in path[:-1]:
        if (*kept, part) in document.places:
            kept = (*kept, part)
    is_form = isinstance(path[-1], str) and path[-1] in fields.FORMS if path else False
    return kept if is_form or not path else (*kept, path[-1])


def _fields_at(model: type[BaseModel], path: tuple[str | int, ...]) -> list[str]:
    """The names that fields may have at ``path``."""
    found: list[Any] = [model]
    for part in path:
        if isinstance(part, int):
            found = [inner for one in found for inner in _entries(one)]
        else:
            found = [
                field.annotation
                for one in found
                for inner in _models(one)
                for name, field in inner.model_fields.items()
                if part in {name, field.alias}
            ]
    models = [inner for one in found for inner in _models(one)]
    return [field.alias or name for one in models for name, field in one.model_fields.items()]


def _models(annotation: Any) -> list[type[BaseModel]]:
    """The models that a value of the annotation may be, but for those in lists."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    if get_origin(annotation) is tuple:
        return []
    return [inner for one in get_args(annotation) for inner in _models(one)]


def _entries(annotation: Any) -> list[Any]:
    """The annotations of the entries of lists that a value of the annotation may be."""
    if get_origin(annotation) is tuple:
        return list(get_args(annotation))
    return [inner for one in get_args(annotation) for inner in _entries(one)]
