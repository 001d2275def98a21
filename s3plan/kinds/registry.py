"""The kinds there are: a new kind is one folder in this package and one line here."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import cast

from s3plan.kinds.kind import Kind

FOLDERS = {
    "BucketEvacuation": "evacuation",
    "ObjectGrouping": "grouping",
    "BucketAccess": "access",
    "BucketLifecycle": "lifecycle",
    "ArchiveRestore": "restore",
    "ObjectLayout": "layout",
    "SessionArchive": "sessions",
    "LayoutCleanup": "cleanup",
}


@cache
def kind_named(name: str) -> Kind:
    """The kind, imported when it is first wanted. Raises KeyError for what is none."""
    return cast("Kind", import_module(f"s3plan.kinds.{FOLDERS[name]}").KIND)
