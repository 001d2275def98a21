"""What the runs of a grouping left on disk, put away once all is done: journals, evidence, reports.

One compressed tar for each run that copied, with the runs that deleted its sources, to a cold class
of another bucket. What is put away is not looked at again: that an archive is there is enough.
"""

from __future__ import annotations

from msgspec.structs import replace

from s3plan.kinds.grouping.mapping import Mapping
from s3plan.kinds.kind import Observed
from s3plan.model.soak import EarlierRun
from s3plan.model.steps import Archive
from s3plan.plan import StepDraft
from s3plan.rules.soak import obstacles
from s3plan.rules.tarlayout import tar_size
from s3plan.tables import ITEMS

INDEX = ".index"
"""What the key of an index ends in, after that of its archive."""


def put_away(work: Mapping, observed: Observed) -> list[StepDraft]:
    """A step for each run whose soak is over, checked and signed, and that has no archive yet."""
    spec, place = work.spec, work.spec.artifacts
    if place is None:
        return []
    drafts: list[StepDraft] = []
    terms = spec.soak_terms
    for run in _by_run(work, observed):
        key = f"{place.prefix}{run.copies.run}.tar.gz"
        there = next(
            work.rows(
                "SELECT count(*) FROM listing WHERE bucket = $place AND key = $key",
                place=place.bucket,
                key=key,
            )
        )
        if there != (0,):
            continue
        closed = obstacles(run.soak, terms, observed.now)
        if closed:
            observed.notes.append(
                f"the logs of run {run.copies.run} are not archived yet: {'; '.join(closed)}"
            )
            continue
        drafts.append(_archived(work, run, key))
    return drafts


def _by_run(work: Mapping, observed: Observed) -> list[EarlierRun]:
    """The runs between these buckets, each once."""
    spec = work.spec
    return list(
        {
            run.copies.run: run
            for run in observed.earlier
            if (run.source, run.target) == (spec.source.bucket, spec.target_bucket)
        }.values()
    )


def _archived(work: Mapping, run: EarlierRun, key: str) -> StepDraft:
    place = work.spec.artifacts
    assert place is not None
    name = run.copies.run
    files = sorted(run.files, key=lambda file: f"{name}/{file.path}".encode())
    members = [f"{name}/{file.path}" for file in files]
    action = Archive(
        source=run.folder,
        key=key,
        index=f"{key}{INDEX}",
        name=name,
        tar=tar_size(
            name, [(member, file.size) for member, file in zip(members, files, strict=True)]
        ),
        compression="gzip",
        storage_class=place.storage_class,
        metadata={"run": name},
    )
    draft = StepDraft(
        action,
        place.bucket,
        reversibility="free",
        undo="The archive and its index are deleted, if they are still as the run left them.",
        reason=f"Plan, journal, evidence, soak and reports of run {name} and of what followed it.",
        warnings=("It holds keys of the objects, and names of people where these do.",),
    )
    work.database.append(
        ITEMS,
        {
            "n": list(range(len(files))),
            "key": members,
            "path": [file.path for file in files],
            "size": [file.size for file in files],
            "etag": [""] * len(files),
            "modified": [file.modified for file in files],
            "storage_class": ["STANDARD"] * len(files),
        },
        {"step": draft.id},
    )
    return replace(draft, worklist=draft.id)
