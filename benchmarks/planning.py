"""Cases: plans, from a live listing beside programs that list or dry-run, and from reports."""

from __future__ import annotations

import tempfile
from pathlib import Path

from benchmarks import limits, ours
from benchmarks.case import Case, Contender, Job, Place
from benchmarks.datasets import Dataset, fill
from benchmarks.goals import Goal, Peak, Ratio, Seconds
from benchmarks.inventories import HOLDER, Format, folder_of, publish
from benchmarks.listing import BARE, LISTED
from benchmarks.programs import RCLONE, S3PLAN, WrongResultError, rclone
from s3plan.plan.reading import PlanFile


def _plan(job: Job) -> list[str]:
    """The plan goes to plan.json."""
    del job
    return ours.s3plan("plan", "manifest.yaml")


def _planned(job: Job) -> None:
    """Every object is in the plan."""
    (step, *_) = PlanFile.open(job.work / "plan.json").steps
    items = step.totals.items
    if items != job.dataset.count:
        raise WrongResultError(f"the plan holds {items} of {job.dataset.count} objects")


def _dry_run(job: Job) -> list[str]:
    """Its log of a line per object goes to a file, as the plan does."""
    log = ["--dry-run", "--log-file", str(job.work / "dry-run.log")]
    return rclone("copy", f"bench:{job.dataset.bucket}", str(job.output), *log)


def _named(job: Job) -> None:
    named = (job.work / "dry-run.log").read_text().count("Skipped copy as --dry-run is set")
    if named != job.dataset.count:
        raise WrongResultError(f"rclone names {named} of {job.dataset.count} objects")


OURS = Contender(S3PLAN, _plan, "keys, order, pages", prepare=ours.evacuation, check=_planned)
DRY = Contender(RCLONE, _dry_run, does=" copy --dry-run", check=_named)


def from_report(
    name: str,
    dataset: Dataset,
    form: Format,
    peers: tuple[Contender, ...] = (limits.READ,),
    goals: tuple[Goal, ...] = (),
) -> Case:
    """From a report of ``form`` that names every object of the dataset."""

    def prepare(job: Job) -> None:
        # Nothing is written there, but a memory disk has not enough inodes for ten million files.
        nowhere = Path(tempfile.gettempdir()) / "s3plan-bench-destination"
        ours.declare(job, ours.EVACUATION, output=nowhere, delete="never")
        with (job.work / "manifest.yaml").open("a") as file:
            report = f"s3://{HOLDER}/{folder_of(dataset)}/manifest.json"
            file.write(f"  inventory: {{from: {report}}}\n")

    def fill_report(place: Place, dataset: Dataset) -> None:
        place.once(f"report of {dataset.bucket}", lambda: publish(place, dataset, form))

    return Case(
        name,
        f"Plan {dataset.count:,} objects of an S3 Inventory report ({form})",
        dataset,
        (Contender(S3PLAN, _plan, "MD5 of the report", prepare=prepare, check=_planned), *peers),
        goals,
        fill_report,
        note="Nobody else plans from a report. The report's objects are nowhere: it alone is read. "
        "A plan asks whether they fit, so ten million want 57 GB and as many inodes in TMPDIR.",
        long=dataset.count > 1_000_000,
    )


MILLION, TEN = 1_000_000, 10_000_000
PROMISED, TENFOLD = (Seconds(5.0), Peak(500.0)), (Seconds(50.0), Peak(1024.0))

CASES = (
    Case(
        "plan-live",
        f"Plan the download of {LISTED.count:,} objects, listed live",
        LISTED,
        (OURS, DRY, *BARE),
        (Ratio(1.0, (DRY.name,)), Ratio(1.2, tuple(one.name for one in BARE))),
        fill,
        note="`s5cmd ls` and `rclone lsf` list and print; they plan nothing. `s5cmd --dry-run "
        "sync` took a minute and is left out.",
    ),
    from_report("plan-parquet", Dataset("parquet", MILLION, 1024), "Parquet", goals=PROMISED),
    from_report("plan-csv", Dataset("csv", MILLION, 1024), "CSV", goals=PROMISED),
    from_report("plan-parquet-10m", Dataset("parquet10", TEN, 1024), "Parquet", goals=TENFOLD),
    from_report("plan-csv-10m", Dataset("csv10", TEN, 1024), "CSV", goals=TENFOLD),
)
