"""The steps of one bucket: which there are, in which order, and why in that order."""

from __future__ import annotations

from typing import Literal

from msgspec import UNSET, structs

from s3plan.errors import ProblemsError
from s3plan.inventory.annotations import Annotated
from s3plan.kinds.evacuation.attributes import (
    asked_attributes,
    deletion_warnings,
    verification_notes,
)
from s3plan.kinds.evacuation.freeze import freezing, thawing
from s3plan.kinds.evacuation.manifest import EvacuationSpec
from s3plan.kinds.evacuation.restores import (
    Archived,
    archived_objects,
    cost_obstacles,
    restore_draft,
    restore_obstacles,
    restored_draft,
)
from s3plan.kinds.evacuation.workspace import Workspace
from s3plan.kinds.kind import Observed
from s3plan.model.buckets import BucketFacts, DocumentName
from s3plan.model.steps import (
    AnyAction,
    Attribute,
    Delete,
    DeleteBucket,
    Download,
    Gate,
    Need,
    Restore,
    Select,
    Totals,
    Verify,
)
from s3plan.plan import StepDraft, step_id
from s3plan.plan.estimate import delete_seconds, transfer_seconds, verify_seconds
from s3plan.rules.bucketdocuments import NOT_PUT, is_default, lost

# row_number() over nothing counts rows as they come, without gathering them: a third of the time
# and of the memory. They come as the subquery orders them (DuckDB's preserve_insertion_order); a
# test holds that for more rows than one thread takes.
_ITEMS = """
    INSERT INTO items
    SELECT $step, row_number() OVER () - 1, * FROM (
        SELECT key, path, size, etag, modified, storage_class, checksum
        FROM evacuation_objects WHERE CASE $which
            WHEN 'readable' THEN state = 'download' AND archived IS NULL
            WHEN 'archived' THEN state = 'download' AND archived IS NOT NULL
            ELSE true END
        ORDER BY key
    )
"""

Which = Literal["readable", "archived", "all"]
"""What a worklist is of: objects to download that can be read, that must be restored; or all."""


def steps_of(
    work: Workspace,
    spec: EvacuationSpec,
    select: Select | None,
    facts: BucketFacts,
    observed: Observed,
) -> list[StepDraft]:
    """Steps that make the manifest true of one bucket, their worklists in ``items``.

    Raises ProblemsError where archived objects cannot be restored as the manifest says.
    """
    all_objects = _totals(work, missing_only=False)
    missing = _totals(work, missing_only=True)
    delete = spec.delete == "afterVerification"
    archived = archived_objects(work, spec.restore)
    frozen = sum((held.totals for held in archived), Totals())
    drafts: list[StepDraft] = []
    if archived:
        # Asked for first: S3 takes hours, in which everything else is downloaded.
        drafts += _restore(work, spec, archived, missing, observed)
    if missing.items > frozen.items:
        readable = Totals(missing.items - frozen.items, missing.bytes - frozen.bytes)
        drafts.append(_download(work, readable, facts, delete=delete))
    if archived:
        drafts.append(restored_draft(work, drafts[0], frozen))
    if missing.items or (delete and (all_objects.items or spec.delete_bucket)):
        if spec.freeze == "policy" and delete:
            drafts += freezing(facts, drafts)
        annotated = observed.annotated.get(work.bucket)
        asked = asked_attributes(facts, annotated) if delete else ()
        verify = _verify(work, spec, select, all_objects, drafts, asked)
        drafts.append(verify)
        if delete:
            drafts += _deletions(work, spec, facts, all_objects, verify, annotated)
        if spec.freeze == "policy" and delete and not spec.delete_bucket:
            drafts += thawing(facts, drafts)
    return drafts


def _restore(
    work: Workspace,
    spec: EvacuationSpec,
    archived: tuple[Archived, ...],
    missing: Totals,
    observed: Observed,
) -> list[StepDraft]:
    draft = restore_draft(work, spec.restore, archived)
    draft = structs.replace(draft, worklist=_fill(work, draft.action, "archived"))
    problems = [
        *restore_obstacles(work, spec.restore, archived, missing, observed),
        *cost_obstacles(work, spec.restore, draft, observed),
    ]
    if problems:
        raise ProblemsError(f"s3://{work.bucket} cannot be planned", problems)
    return [draft]


def _download(work: Workspace, totals: Totals, facts: BucketFacts, *, delete: bool) -> StepDraft:
    action = Download(work.destination)
    identity = _fill(work, action, "readable")
    warnings: tuple[str, ...] = ()
    if facts.versioning != "never" and not delete:
        warnings = (
            f"The bucket has versioning {facts.versioning}: only current versions are downloaded.",
        )
    return StepDraft(
        action,
        work.bucket,
        reversibility="free",
        undo="Files that are still as written are removed, where their objects are still in S3.",
        reason=f"{_objects(totals)} of {work.bucket} not yet in {work.destination}.",
        worklist=identity,
        seconds=transfer_seconds(totals),
        warnings=warnings,
    )


def _verify(
    work: Workspace,
    spec: EvacuationSpec,
    select: Select | None,
    totals: Totals,
    before: list[StepDraft],
    asked: tuple[Attribute, ...],
) -> StepDraft:
    delete = spec.delete == "afterVerification"
    action = Verify(
        work.destination,
        work.root,
        inventory=spec.verify.inventory,
        ignore=spec.verify.ignore,
        read_back=delete,
        select=select,
        second_read=UNSET if spec.verify.second_read else False,
        attributes=asked or UNSET,
    )
    shared = before[0].worklist if before and _same_worklist(work) else None
    return StepDraft(
        action,
        work.bucket,
        reversibility="free",
        undo="Nothing to undo: it only reads.",
        reason="Nothing is deleted whose copy was not read back from disk and found the same."
        if delete
        else "What was downloaded is compared with a fresh listing and with what S3 stored.",
        # The whole download first: the gate compares the bucket and the tree as wholes.
        needs=tuple(Need(draft.id) for draft in before if not isinstance(draft.action, Restore)),
        worklist=shared or _fill(work, action, "all"),
        seconds=verify_seconds(totals, read_back=delete),
        warnings=verification_notes(asked),
    )


def _deletions(
    work: Workspace,
    spec: EvacuationSpec,
    facts: BucketFacts,
    totals: Totals,
    verify: StepDraft,
    annotated: Annotated | None,
) -> list[StepDraft]:
    gate = Gate("approve-delete", work.bucket, verify.id)
    drafts: list[StepDraft] = []
    if totals.items:
        drafts.append(
            StepDraft(
                Delete(work.destination),
                work.bucket,
                reversibility="costs",
                undo="Objects are uploaded again from the verified files, with their metadata,"
                " tags and class; their dates are new.",
                reason="The manifest says delete: afterVerification.",
                needs=(Need(verify.id),),
                gate=gate,
                worklist=verify.worklist,
                seconds=delete_seconds(totals),
                warnings=(
                    "Where the endpoint does not honour conditional deletes, an object written"
                    " between the last look and its deletion is lost.",
                    *deletion_warnings(annotated),
                ),
            )
        )
    if spec.delete_bucket:
        drafts.append(
            StepDraft(
                DeleteBucket(
                    facts.region, work.destination, _unsaved(facts), _saved(facts) or UNSET
                ),
                work.bucket,
                reversibility="until",
                undo="The bucket is created again with the configuration that was saved, until"
                " somebody else takes its name.",
                reason="The manifest says deleteBucket: true.",
                # Last, and only when it is empty: S3 refuses to delete a bucket that is not.
                needs=(Need((drafts[-1] if drafts else verify).id),),
                gate=gate,
                seconds=1.0,
                warnings=(
                    "After the deletion anybody may take the name, and receive what is still"
                    " sent to it.",
                ),
            )
        )
    return drafts


def _fill(work: Workspace, action: AnyAction, which: Which) -> str:
    """Write the rows of a step's own worklist; its id."""
    identity = step_id(action, work.bucket)
    work.execute(_ITEMS, step=identity, which=which)
    return identity


def _same_worklist(work: Workspace) -> bool:
    """Whether everything selected is still to be downloaded, by one step."""
    here, kinds = work.row(
        "SELECT count(*) FILTER (state <> 'download'), count(DISTINCT archived IS NULL)"
        " FROM evacuation_objects"
    )
    return not here and kinds == 1


def _totals(work: Workspace, *, missing_only: bool) -> Totals:
    items, size = work.row(
        "SELECT count(*), CAST(coalesce(sum(size), 0) AS BIGINT) FROM evacuation_objects"
        " WHERE state = 'download' OR NOT $missing_only",
        missing_only=missing_only,
    )
    return Totals(items, size)


def _saved(facts: BucketFacts) -> tuple[DocumentName, ...]:
    """Documents that the catalogue keeps and a rollback puts back, as far as they say anything."""
    return tuple(
        sorted(
            name
            for name, found in facts.configuration.items()
            if not is_default(name, found) and name not in NOT_PUT
        )
    )


def _unsaved(facts: BucketFacts) -> tuple[str, ...]:
    """Configuration that goes with the bucket for good; what may not be read may be there too."""
    gone = [lost(name, found) for name, found in facts.configuration.items()]
    hidden = [f"{name} (unreadable)" for name in facts.unreadable]
    return tuple(sorted([*filter(None, gone), *hidden]))


def _objects(totals: Totals) -> str:
    return "1 object" if totals.items == 1 else f"{totals.items:,} objects"
