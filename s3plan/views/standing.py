"""The standing of a run (``s3plan status``): one row a bucket, then what stands in its way."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import asdict
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from s3plan.model.status import BucketStatus, Counts, JobStatus, RunStatus, StepStatus
from s3plan.views.losses import loss_parts
from s3plan.views.names import name_lines
from s3plan.views.quantities import number, size
from s3plan.views.text import visible
from s3plan.views.wording import STATE_STYLES


def standing(status: RunStatus, most_names: int) -> Iterator[RenderableType]:
    """Yield the parts of a status, top to bottom. ``most_names`` bounds the failed names shown."""
    holder = f", running: {status.running}" if status.running else ""
    yield Text(visible(f"{status.command} {status.run}: {status.outcome}{holder}"), style="bold")
    yield Text(visible(f"journal: {status.journal}"))
    yield Text(visible(f"plan: {status.digest}"))
    yield Text(visible(f"started {status.started}, last record {status.updated}"))
    yield Text()
    yield _table(status)
    yield Text()
    for bucket in status.buckets:
        yield from _held_up(bucket)
    yield from name_lines("failed", status.failures, len(status.failures), most_names)
    finished = sum(bucket.state == "completed" for bucket in status.buckets)
    yield Text(
        f"phase: {status.phase}; {number(finished)} of {number(len(status.buckets))} buckets "
        f"completed; {number(status.totals.items)} objects, {size(status.totals.bytes)}"
    )
    if status.next_step:
        yield Text(f"next: {visible(status.next_step)}")


def _table(status: RunStatus) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    table.add_column("bucket", overflow="fold")
    table.add_column("state")
    table.add_column("objects", justify="right")
    table.add_column("bytes", justify="right")
    for flag in ("Sync", "Verify", "Delete"):
        table.add_column(flag, justify="center")
    for bucket in status.buckets:
        table.add_row(
            Text(visible(bucket.bucket)),
            Text(bucket.state, style=STATE_STYLES[bucket.state]),
            number(bucket.totals.items),
            size(bucket.totals.bytes),
            *(_flag(is_set) for is_set in (bucket.synced, bucket.verified, bucket.deleted)),
        )
    return table


def _flag(is_set: bool) -> Text:
    return Text("✓", style="green") if is_set else Text("○", style="dim")


def _held_up(bucket: BucketStatus) -> Iterator[Text]:
    """The steps of a bucket that is not completed, and the option that opens its gate; of one that
    is, those that S3 Batch Operations was given.
    """
    is_over = bucket.state == "completed"
    steps = [step for step in bucket.steps if step.jobs or not is_over]
    if not steps:
        return
    yield Text(visible(bucket.bucket), style="bold")
    for step in steps:
        yield _step_line(step)
        for job in step.jobs or ():
            yield _job_line(job)
    yield from loss_parts(bucket.losses)
    if bucket.approve:
        yield Text(f"  opens with: {visible(bucket.approve)}", style="yellow")
    yield Text()


def _step_line(step: StepStatus) -> Text:
    line = Text(f"  {step.verb:<14}{step.state:<12}")
    line.append(_counts(step.counts))
    if step.done_bytes:
        line.append(f", {size(step.done_bytes)} of {size(step.totals.bytes)}")
    if step.reason:
        line.append(f" ({visible(step.reason)})")
    line.rstrip()
    return line


def _job_line(job: JobStatus) -> Text:
    """A job of S3 Batch Operations; its id is what S3's console and CLI know it by."""
    name = f"job {job.id}" if job.id else "a job without an id yet"
    ended = f" ({job.status})" if job.status else ""
    told = f"{name}: {job.stage}{ended}, {number(job.items)} objects, {job.time}"
    return Text(visible(f"    {told}"))


def _counts(counts: Counts) -> str:
    found = [f"{number(value)} {name}" for name, value in asdict(counts).items() if value]
    return ", ".join(found)
