"""What ``s3plan doctor`` found, for people: findings first, then the endpoint's capabilities."""

from __future__ import annotations

from collections.abc import Iterator
from typing import get_args

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from s3plan.model.capabilities import Capabilities, Capability, CapabilityName
from s3plan.model.diagnosis import Diagnosis, Health
from s3plan.views.quantities import number
from s3plan.views.text import visible

_MARKS: dict[Health, tuple[str, str]] = {
    "ok": ("ok", "green"),
    "warning": ("warning", "yellow"),
    "problem": ("problem", "red"),
}


def diagnosis_parts(diagnosis: Diagnosis) -> Iterator[RenderableType]:
    """Yield the findings, each with what to do about it, and the table of capabilities."""
    for finding in diagnosis.findings:
        mark, style = _MARKS[finding.health]
        line = Text(f"{mark:<9}", style=style)
        yield line.append(visible(f"{finding.subject}: {finding.what}"), style="default")
        if finding.next_step:
            yield Text(f"{'':<9}next: {visible(finding.next_step)}")
    yield Text()
    known = diagnosis.capabilities
    probed = f"as probed {known.time}" if known.time else "not probed"
    yield Text(visible(f"The endpoint, {probed}:"), style="bold")
    yield _table(known)


def _table(known: Capabilities) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    table.add_column("capability", no_wrap=True)
    table.add_column("standing", no_wrap=True)
    table.add_column("two writers at once")
    table.add_column("relied upon")
    table.add_column("found", overflow="fold")
    for name in get_args(CapabilityName):
        capability = known.get(name)
        table.add_row(
            name,
            capability.standing.replace("-", " "),
            _races(capability),
            "yes" if capability.holds else "no",
            Text(visible(capability.detail)),
        )
    return table


def _races(capability: Capability) -> str:
    """Each race with how often both writers got their way."""
    return "; ".join(
        f"{race.between}: both in {number(race.broken)} of {number(race.races)}"
        for race in capability.races
    )
