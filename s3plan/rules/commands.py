"""The commands that people are told to type, quoted so that a shell takes them as they are."""

from __future__ import annotations

import shlex
from collections.abc import Iterable

from s3plan.model.journal import Approves
from s3plan.model.plan import Stage

DEFAULT_PLAN = "plan.json"
"""The plan that ``s3plan apply`` runs when none is named."""

SHORT_DIGEST = len("sha256:") + 12
"""As much of a digest as ``--approve`` needs; 12 hex digits are what it takes at least."""

SHORT_EVIDENCE = 16
"""As many hex digits of evidence as ``--approve-delete`` and its like are shown with."""


def short(digest: str) -> str:
    """The shortest form of a digest that ``--approve`` accepts."""
    return digest[:SHORT_DIGEST]


def apply_command(plan: str, digest: str) -> str:
    """The command that approves exactly this plan and runs it."""
    name = [] if plan == DEFAULT_PLAN else [plan]
    return shlex.join(["s3plan", "apply", *name, "--approve", short(digest)])


def rollback_command(journal: str, digest: str | None = None, *, only: Stage | None = None) -> str:
    """The command that approves this rollback (or, without a digest, whatever it is now).

    ``only`` is the stage that it takes back; None is the whole run.
    """
    stage = [] if only is None else ["--only", only]
    approved = [] if digest is None else [short(digest)]
    return shlex.join(["s3plan", "rollback", journal, *stage, "--approve", *approved])


def monitor_command(journal: str) -> str:
    """The command that checks the copies of a finished run."""
    return shlex.join(["s3plan", "monitor", journal])


def signoff_command(journal: str) -> str:
    """The command that signs a finished run off; the names are to be filled in."""
    return f"{shlex.join(['s3plan', 'signoff', journal])} --name NAME --role ROLE"


def diff_command(old: str, new: str) -> str:
    """The command that shows what a plan does differently from another."""
    return shlex.join(["s3plan", "diff", old, new])


def step_command(plan: str, step: str) -> str:
    """The command that lists every item of a step."""
    return shlex.join(["s3plan", "show", plan, "--step", step])


def receipts_command(plan: str, step: str) -> str:
    """The command that looks at what another program did of a step."""
    name = [] if plan == DEFAULT_PLAN else [plan]
    return shlex.join(["s3plan", "import", "receipts", *name, "--step", step])


def approve_options(what: Iterable[Approves], subject: str, evidence: str) -> str:
    """The options that approve each of these, on that evidence only."""
    value = f"{subject}@{evidence[:SHORT_EVIDENCE]}"
    return shlex.join(word for name in what for word in (f"--approve-{name}", value))
