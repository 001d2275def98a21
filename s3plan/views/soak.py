"""What a check of a soak came to, in words and as a record."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from s3plan.model.soak import Checked, CheckKind, MonitorResult
from s3plan.views.quantities import number, size
from s3plan.views.text import visible

_KINDS: Mapping[CheckKind, str] = {
    "daily": "daily check",
    "weekly": "weekly check",
    "full": "full check, content compared",
}


def monitored(result: MonitorResult) -> tuple[str, dict[str, object]]:
    """The lines and the record of ``s3plan monitor``."""
    soak = result.soak
    lines = list(_check(result.check)) if result.check is not None else ["No check is due."]
    lines[0] = f"Run {soak.run}: {lines[0][0].lower()}{lines[0][1:]}"
    if result.check is None and soak.last is not None:
        words = "nothing found" if soak.last.passes else "something found"
        lines.append(f"The last check was at {soak.last.time}: {words}.")
    lines += _after(result)
    return "\n".join(map(visible, lines)), _record("monitor", result)


def signed(result: MonitorResult) -> tuple[str, dict[str, object]]:
    """The lines and the record of ``s3plan signoff``."""
    signature = result.soak.signatures[-1]
    lines = [
        f"Run {result.soak.run}: signed by {signature.name}, {signature.role},"
        f" for the journal with SHA-256 {signature.journal}."
    ]
    lines += _after(result)
    return "\n".join(map(visible, lines)), _record("signoff", result)


def _check(check: Checked) -> Iterator[str]:
    figures = check.figures
    found = "something found" if check.problems else "nothing found"
    yield f"{_KINDS[check.kind]}: {number(figures['copies'])} copies, {found}."
    for problem in check.problems:
        yield f"  - {problem}"
    old = f"{number(figures['old_objects'])} objects, {size(figures['old_bytes'])}"
    if "old_versions" in figures:
        versions, held = figures["old_versions"], figures["old_version_bytes"]
        old += f"; with all versions {number(versions)}, {size(held)}"
    yield f"The old layout holds {old}."


def _after(result: MonitorResult) -> Iterator[str]:
    if result.next_due is not None:
        yield f"The next check is due from {result.next_due} on."
    if result.deleted:
        yield f"{number(result.deleted)} sources were deleted after the soak."
    elif result.obstacles:
        yield "Before the sources may be deleted:"
        yield from (f"  - {obstacle}" for obstacle in result.obstacles)
    else:
        yield "The sources may be deleted: s3plan plan with `sources: deleteAfterSoak`."


def _record(kind: str, result: MonitorResult) -> dict[str, object]:
    record: dict[str, object] = {"type": kind, **msgspec.to_builtins(result)}
    return record
