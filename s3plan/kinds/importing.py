"""Manifests made from what is there: planned at once, they give No changes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

import yaml

from s3plan.errors import PlanningError
from s3plan.kinds.access.importing import access_spec
from s3plan.kinds.fields import API_VERSION
from s3plan.kinds.lifecycle.importing import lifecycle_spec
from s3plan.model.buckets import BucketFacts, DocumentName

Importer = Callable[[BucketFacts], dict[str, Any]]


class Source(NamedTuple):
    """The kind to import to, the documents that it is made of, and what makes its spec."""

    kind: str
    documents: tuple[DocumentName, ...]
    spec: Importer


SOURCES: Final[dict[str, Source]] = {
    "bucket-access": Source(
        "BucketAccess",
        ("encryption", "ownership", "policy", "public-access-block"),
        access_spec,
    ),
    "bucket-lifecycle": Source("BucketLifecycle", ("lifecycle",), lifecycle_spec),
}
"""By the name on the command line."""


def imported(what: str, facts: BucketFacts) -> str:
    """The text of a manifest that says what the bucket has.

    Raises PlanningError for what may not be read. Only ASCII, so that a terminal shows it as it is.
    """
    source = SOURCES[what]
    hidden = [name for name in source.documents if name in facts.unreadable]
    if hidden:
        raise PlanningError(
            f"the bucket's {', '.join(hidden)} may not be read",
            address=f"s3://{facts.name}",
            expected="permission to read what is to be imported",
            next_step="ask for it, or write the manifest by hand",
        )
    document = {
        "apiVersion": API_VERSION,
        "kind": source.kind,
        "metadata": {"name": facts.name},
        "spec": {"buckets": {"include": [facts.name]}, **source.spec(facts)},
    }
    return yaml.safe_dump(
        _escaped(document),
        sort_keys=False,
        allow_unicode=False,
        width=100,
        default_flow_style=False,
    )


def _escaped(value: Any) -> Any:
    """Text as the loader gives it back: it would take ``${`` for a variable."""
    if isinstance(value, str):
        return value.replace("${", "$${")
    if isinstance(value, dict):
        return {key: _escaped(one) for key, one in value.items()}
    return [_escaped(one) for one in value] if isinstance(value, list | tuple) else value
