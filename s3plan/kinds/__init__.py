"""What users declare: manifests are read here, checked, and compiled into steps over tables.

One folder per kind, one line per kind in ``registry``. Kinds decide; they neither act nor ask S3.
"""

from s3plan.kinds.commands import missing_commands
from s3plan.kinds.documents import read_variables
from s3plan.kinds.kind import Filters, Manifest, Observed, Rendered, Scope, SessionFilters
from s3plan.kinds.loading import Loaded, load, load_connection
from s3plan.kinds.planning import (
    parallel_buckets,
    permissions,
    plan_all,
    render_all,
    scopes,
    shared_destinations,
)
from s3plan.kinds.schemas import json_schemas

__all__ = [
    "Filters",
    "Loaded",
    "Manifest",
    "Observed",
    "Rendered",
    "Scope",
    "SessionFilters",
    "json_schemas",
    "load",
    "load_connection",
    "missing_commands",
    "parallel_buckets",
    "permissions",
    "plan_all",
    "read_variables",
    "render_all",
    "scopes",
    "shared_destinations",
]
