"""Destination layouts: templates such as ``{bucket}/{key}`` that say where a bucket's files go."""

from __future__ import annotations

import re

from s3plan.errors import ManifestError
from s3plan.rules.naming import encode_component

DEFAULT_LAYOUT = "{bucket}/{key}"

_FIELD = re.compile(r"\{[^{}]*\}|[{}]")


def check_layout(layout: str, *, address: str | None = None) -> None:
    """Raise :class:`ManifestError` unless ``layout`` names one directory for each bucket.

    ``address`` is where the manifest says it (``file:line:col``).
    """
    if problem := _problem(layout):
        raise ManifestError(
            f"the layout {problem}",
            address=address,
            expected="directories, {bucket} at most once, then {key} as the last component",
            found=repr(layout),
            next_step=f"use {DEFAULT_LAYOUT!r}",
        )


def root_of(layout: str, bucket: str) -> str:
    """The directory of ``bucket`` below the destination, without a slash at its end.

    Empty for ``{key}``: the bucket then owns the whole destination. Raises :class:`ManifestError`
    as :func:`check_layout`.
    """
    check_layout(layout)
    root = layout.removesuffix("{key}").removesuffix("/")
    parts = [part.replace("{bucket}", bucket) for part in root.split("/")] if root else []
    return "/".join(encode_component(part, first=index == 0) for index, part in enumerate(parts))


def _problem(layout: str) -> str | None:
    fields = _FIELD.findall(layout)
    if unknown := [field for field in fields if field not in ("{bucket}", "{key}")]:
        return f"uses {unknown[0]}"
    *directories, last = layout.split("/")
    if last != "{key}" or fields.count("{key}") != 1:
        return "does not end with {key}"
    if fields.count("{bucket}") > 1:
        return "names {bucket} more than once"
    for index, directory in enumerate(directories):
        # A letter in the place of the bucket: what is checked is the template's own text.
        text = directory.replace("{bucket}", "b")
        if encode_component(text, first=index == 0) != text:
            return f"holds {directory!r}, which cannot be the name of a directory"
    return None
