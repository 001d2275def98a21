"""What reading an evacuated tree again came to: figures a bucket, then the first problems."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from s3plan.model.verification import BucketFigures, TreeProblem, TreeVerified
from s3plan.views.findings import ending, verdict_of
from s3plan.views.quantities import counted, elapsed, number, size
from s3plan.views.text import visible


def tree_parts(verified: TreeVerified) -> Iterator[RenderableType]:
    """Yield the parts of the result, top to bottom; the verdict comes last."""
    yield _table(verified.buckets)
    for bucket in verified.buckets:
        yield from _remarks(bucket)
    files = sum(bucket.verified_file_count for bucket in verified.buckets)
    volume = sum(bucket.total_bytes_verified for bucket in verified.buckets)
    rate = f" ({size(volume / verified.seconds)}/s)" if verified.seconds >= 1 else ""
    read = f"{counted(files, 'file')}, {size(volume)} in {elapsed(verified.seconds)}{rate}"
    good = "every file is as its catalogue says"
    read = read if verified.passes else f"verified {read}"
    verdict = verdict_of(verified.problem_count, good, "Not as recorded", read)
    yield from ending(verified, _problem, verdict)


def _table(buckets: tuple[BucketFigures, ...]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    table.add_column("bucket", overflow="fold")
    for heading in ("files", "bytes", "verified", "missing", "differ", "unreadable", "extra"):
        table.add_column(heading, justify="right")
    for bucket in buckets:
        table.add_row(
            Text(visible(bucket.bucket)),
            number(bucket.file_count),
            size(bucket.total_size),
            number(bucket.verified_file_count),
            *(
                Text(number(count), style="bold red" if count else "")
                for count in (
                    bucket.missing,
                    bucket.mismatched,
                    bucket.unreadable,
                    bucket.extra,
                )
            ),
        )
    return table


def _remarks(bucket: BucketFigures) -> Iterator[Text]:
    name = visible(bucket.bucket)
    if bucket.size_only_count:
        files = counted(bucket.size_only_count, "file")
        yield Text(
            f"note: {name}: {files} as downloaded, of which S3 stored no checksum to compare with"
        )
    if bucket.retained:
        yield Text(f"note: {name}: the bucket was deleted from S3; these files are the only copies")


def _problem(problem: TreeProblem) -> Iterator[Text]:
    line = Text(problem.fault, style="red")
    path = visible(f"{problem.destination}/{problem.path}")
    yield line.append(f": {path}: {problem.message}", style="default")
    if problem.key:
        yield Text(visible(f"  object: s3://{problem.bucket}/{problem.key}"))
    yield Text(visible(f"  expected {problem.expected}; found {problem.found}"))
