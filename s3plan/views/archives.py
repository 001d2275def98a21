"""What archives of sessions turned out to be: counts, then the first problems, then the verdict."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from s3plan.model.verification import ArchiveProblem, ArchivesVerified
from s3plan.views.findings import ending, figures, verdict_of
from s3plan.views.quantities import counted, elapsed, number, size
from s3plan.views.text import visible

_FAULTS = {
    "missing": "archives or indexes missing",
    "changed": "not what was archived",
    "damaged": "without an index, and no whole tar",
    "differs": "files that an archive without an index does not hold as they are on disk",
    "wrong-class": "in another storage class than expected",
}


def archive_parts(verified: ArchivesVerified) -> Iterator[RenderableType]:
    """Yield the parts of the result, top to bottom; the verdict comes last."""
    yield _figures(verified)
    looked = f"{counted(verified.archives, 'archive')} in {elapsed(verified.seconds)}"
    good = "every archive that was looked at is what it should be"
    verdict = verdict_of(verified.problem_count, good, "Not as it should be", looked)
    yield from ending(verified, _problem, verdict)


def _figures(verified: ArchivesVerified) -> Table:
    table = figures()
    table.add_row(number(verified.sessions), "sessions")
    table.add_row(number(verified.archives), f"archives ({size(verified.bytes)})")
    table.add_row(number(verified.by_checksum), "with the stored checksum that their index names")
    rows = (
        (verified.by_etag, "with the ETag that their index names; S3 stores no checksum of them"),
        (verified.examined, "adopted: whole, and all that is on disk is in them"),
        (verified.unindexed - verified.examined, "adopted, unverified: --adopted reads them"),
        (verified.downloaded, "read whole"),
        (verified.asleep, "not read: they must be restored first"),
    )
    for count, words in rows:
        if count:
            table.add_row(number(count), words)
    for fault, words in _FAULTS.items():
        if fault in verified.faults:
            table.add_row(Text(number(verified.faults[fault]), style="bold red"), words)
    return table


def _problem(problem: ArchiveProblem) -> Iterator[Text]:
    line = Text(problem.fault, style="red")
    yield line.append(visible(f": {problem.session}: {problem.message}"), style="default")
    yield Text(visible(f"  s3://{problem.bucket}/{problem.key}"))
    yield Text(visible(f"  expected {problem.expected}; found {problem.found}"))
