"""What pydantic found wrong with a document, said in the words and at the place of the manifest."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from s3plan.errors import ManifestError
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
    path = details["loc"]
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
        case "delete_bucket" | "layout":
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


def _fields_at(model: type[BaseModel], path: tuple[str | int, ...]) -> list[str]:
    """The names that fields may have at ``path``."""
    for part in path:
        for name, field in model.model_fields.items():
            if part in {name, field.alias}:
                annotation = field.annotation
                candidates = [annotation, *get_args(annotation)]
                models = [c for c in candidates if isinstance(c, type) and issubclass(c, BaseModel)]
                model = models[0] if models else model
    return [field.alias or name for name, field in model.model_fields.items()]
