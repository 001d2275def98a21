"""The library's public names: complete, documented, and honest about what they raise."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path
from types import FunctionType

import pytest

from s3plan import api, errors

FUNCTIONS = sorted(name for name in api.__all__ if isinstance(getattr(api, name), FunctionType))


def _defined_here() -> set[str]:
    """Public functions and classes that api.py itself defines."""
    tree = ast.parse(Path(api.__file__).read_text())
    return {
        node.name
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        and not node.name.startswith("_")
    }


def test_everything_public_is_exported_and_everything_exported_exists() -> None:
    assert _defined_here() <= set(api.__all__)
    assert all(hasattr(api, name) for name in api.__all__)
    assert list(api.__all__) == sorted(api.__all__)
    assert len(set(api.__all__)) == len(api.__all__)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_public_function_is_documented_and_typed(name: str) -> None:
    function = getattr(api, name)
    assert function.__doc__
    signature = inspect.signature(function)
    assert signature.return_annotation is not inspect.Signature.empty
    assert all(p.annotation is not p.empty for p in signature.parameters.values())


@pytest.mark.parametrize("name", sorted(set(FUNCTIONS) - {"ignore"}))
def test_a_public_function_says_what_it_raises_with_names_that_exist(name: str) -> None:
    doc = inspect.getdoc(getattr(api, name)) or ""
    assert "Raises" in doc, "everything here reads files or asks S3, so it can fail"
    said = doc[doc.index("Raises") :]
    named = {
        word.strip("`.,;()") for word in said.split() if word.strip("`.,;()").endswith("Error")
    }
    assert named, said
    assert all(issubclass(getattr(errors, name), errors.S3PlanError) for name in named), named
