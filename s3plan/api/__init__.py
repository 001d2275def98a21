"""The library: everything the command line does, as functions; the one place that wires parts.

Functions here are synchronous and run their own event loop. While they work they tell an observer
what happens (:mod:`s3plan.model.events`), on the calling thread. They raise errors of
:mod:`s3plan.errors` and print nothing.
"""

from __future__ import annotations

from s3plan.api.asking import query, report, verify, verify_urls
from s3plan.api.discovery import (
    doctor,
    iam_policy,
    import_configuration,
    import_manifest,
    list_buckets,
    list_policies,
    whoami,
)
from s3plan.api.handover import export, import_receipts
from s3plan.api.places import Observer, ignore, load_connection
from s3plan.api.planning import PlanResult, plan, render, resolve, resolve_upload, validate
from s3plan.api.reviewing import (
    approvals_from,
    compare,
    drift,
    read_approvals,
    recheck,
    region_prices,
    show,
)
from s3plan.api.running import (
    abandon_run,
    apply,
    break_lock,
    journal_rebuild,
    journal_reset,
    list_runs,
    locks,
    recover_run,
    rollback,
    rollback_plan,
    status,
)
from s3plan.api.sessions import (
    archive_bill,
    has_sessions,
    list_extras,
    list_sessions,
    sessions,
    sessions_by_year,
    sessions_standing,
    verify_archives,
)
from s3plan.api.soaking import monitor, sign_off
from s3plan.api.worklists import worklist_of_file, worklist_of_object, worklist_of_run
from s3plan.engine.approval import Approval, Ask
from s3plan.engine.livefiles import Outlets
from s3plan.inventory.worklist import Worklist

__all__ = [
    "Approval",
    "Ask",
    "Observer",
    "Outlets",
    "PlanResult",
    "Worklist",
    "abandon_run",
    "apply",
    "approvals_from",
    "archive_bill",
    "break_lock",
    "compare",
    "doctor",
    "drift",
    "export",
    "has_sessions",
    "iam_policy",
    "ignore",
    "import_configuration",
    "import_manifest",
    "import_receipts",
    "journal_rebuild",
    "journal_reset",
    "list_buckets",
    "list_extras",
    "list_policies",
    "list_runs",
    "list_sessions",
    "load_connection",
    "locks",
    "monitor",
    "plan",
    "query",
    "read_approvals",
    "recheck",
    "recover_run",
    "region_prices",
    "render",
    "report",
    "resolve",
    "resolve_upload",
    "rollback",
    "rollback_plan",
    "sessions",
    "sessions_by_year",
    "sessions_standing",
    "show",
    "sign_off",
    "status",
    "validate",
    "verify",
    "verify_archives",
    "verify_urls",
    "whoami",
    "worklist_of_file",
    "worklist_of_object",
    "worklist_of_run",
]
