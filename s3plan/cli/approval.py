"""What people approve on the command line: a plan by its digest, a deletion by its evidence."""

from __future__ import annotations

import getpass
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import click

_DIGEST = re.compile(r"sha256:[0-9a-fA-F]{12,64}")

ANY = ""
"""``--approve`` without a value: whatever the plan says."""


@dataclass(frozen=True)
class Asked:
    """``--approve`` as given: whether at all, for which digest, and the path it carried, if any."""

    approved: bool
    digest: str | None
    path: str | None


def read_approve(value: str | None, path: str | None, what: str) -> Asked:
    """Tell digest and path apart: what is no digest is the path (``apply --approve plan.json``).

    Raises click.UsageError where it is neither. ``what`` names the argument in messages.
    """
    if value is None:
        return Asked(False, None, path)
    if value == ANY:
        return Asked(True, None, path)
    if _DIGEST.fullmatch(value):
        return Asked(True, value.lower(), path)
    if value.lower().startswith("sha256:"):
        message = f"`{value}` is no digest: `sha256:` and 12 to 64 hex digits are expected"
        raise click.UsageError(message)
    if path is not None:
        message = f"`{value}` is no digest, and the {what} is named already: `{path}`"
        raise click.UsageError(message)
    return Asked(True, None, value)


def read_evidences(values: Sequence[str]) -> dict[str, str]:
    """Return evidence by subject from ``SUBJECT@EVIDENCE``, split at the last ``@``.

    Raises click.UsageError for a value without both, and for two different ones of a subject.
    """
    found: dict[str, str] = {}
    for value in values:
        subject, _, evidence = value.rpartition("@")
        if not subject or not evidence:
            message = f"`{value}` is not SUBJECT@EVIDENCE, as the gate printed it"
            raise click.UsageError(message)
        if found.setdefault(subject, evidence) != evidence:
            message = f"`{subject}` is approved with two different evidences"
            raise click.UsageError(message)
    return found


def read_classes(value: str) -> frozenset[str]:
    """Return the verbs of ``--approve-class copy,upload``.

    Raises click.UsageError for one that no step has.
    """
    from s3plan.model.steps import APPROVAL_CLASSES

    given = [name.strip() for name in value.split(",") if name.strip()]
    unknown = [name for name in given if name not in APPROVAL_CLASSES]
    if unknown or not given:
        what = ", ".join(f"`{name}`" for name in unknown) or "nothing"
        message = f"{what} is no verb; there are {', '.join(sorted(APPROVAL_CLASSES))}"
        raise click.UsageError(message)
    return frozenset(given)


def approver() -> str:
    """Return who approves, for the journal: the user's login name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user need not have a name
        return f"uid {os.getuid()}"


def approve_option(names: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Make the option ``--approve [DIGEST]``. ``names`` is what it approves."""
    return click.option(
        "--approve",
        is_flag=False,
        flag_value=ANY,
        metavar="[DIGEST]",
        help=f"Approve {names}; with DIGEST (sha256: and at least 12 hex digits) only that one.",
    )
