"""The steps of one bucket: which there are, in which order, and why in that order."""

from __future__ import annotations

from typing import Literal

from msgspec import UNSET, UnsetType, structs

from s3plan.errors import ProblemsError
from s3plan.kinds.evacuation.attributes import (
    asked_attributes,
    deletion_warnings,
    verification_notes,
)
from s3plan.kinds.evacuation.freeze import freezing, thawing
from s3plan.kinds.evacuation.leftovers import abort_drafts, upload_warnings
from s3plan.kinds.evacuation.manifest import EvacuationSpec
from s3plan.kinds.evacuation.restores import archived_objects, restored_draft
from s3plan.kinds.evacuation.workspace import Workspace
from s3plan.kinds.kind import Observed
from s3plan.kinds.quantities import parse_moment
from s3plan.kinds.restoring import Archived, cost_obstacles, restore_draft, restore_obstacles
from s3plan.model.buckets import BucketFacts, DocumentName
from s3plan.model.connection import Limits
from s3plan.model.steps import (
    AnyAction,
    Attribute,
    Delete,
    DeleteBucket,
    Download,
    Gate,
    Kept,
    Need,
    Restore,
    Select,
    Totals,
    Verify,
)
from s3plan.plan import StepDraft, step_id
from s3plan.plan.estimate import delete_seconds, download_seconds, verify_seconds
from s3plan.rules.bucketdocuments import NOT_PUT, is_default, lost
from s3plan.rules.counting import counted

# row_number() over nothing counts rows as they come, without gathering them: a third of the time
# and of the memory. They come as the subquery orders them (DuckDB's preserve_insertion_order); a
# test holds that for more rows than one thread takes.
_ITEMS = """
    INSERT INTO items BY NAME
    SELECT $step AS step, row_number() OVER () - 1 AS n, * FROM (
        SELECT key, path, size, etag, modified, storage_class, checksum
        FROM evacuation_objects WHERE {which}
        ORDER BY key
    )
"""

Which = Literal["readable", "archived", "all"]
"""What a worklist is of: objects to download that can be read, that must be restored; or all."""

_WHICH: dict[Which, str] = {
    "readable": "state = 'download' AND archived IS NULL",
    "archived": "state = 'download' AND archived IS NOT NULL",
    "all": "true",
}
# Oldest first: what a key holds now goes last, so that nobody reads an older version meanwhile, and
# what is put back lies in its order.
_VERSIONS = """
    INSERT INTO items BY NAME
    SELECT $step AS step, row_number() OVER () - 1 AS n, * FROM (
        SELECT key, path, size, etag, modified, storage_class, checksum,
            version_id, newer, marker, history
        FROM evacuation_objects WHERE {which}
        ORDER BY key, newer DESC
    )
"""

_LOST = """
    INSERT INTO items BY NAME
    SELECT $step AS step, row_number() OVER () - 1 AS n, * FROM (
        SELECT key, '' AS path, size, etag, modified, storage_class, checksum,
            version_id, newer, marker, history
        FROM evacuation_lost
        ORDER BY key, newer DESC
    )
"""


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
        drafts.append(_download(work, readable, facts, observed.connection.limits))
    if archived:
        drafts.append(restored_draft(work, drafts[0], frozen, observed.connection.limits))
    losing = delete and work.versions and spec.versions == "current" and has_history(work)
    if missing.items or (delete and (all_objects.items or losing or spec.delete_bucket)):
        if spec.freeze == "policy" and delete:
            drafts += freezing(facts, drafts)
        annotated = observed.annotated.get(work.bucket)
        asked = asked_attributes(facts, annotated) if delete else ()
        verify = _verify(work, spec, select, facts, all_objects, drafts, asked)
        drafts.append(verify)
        if delete:
            drafts += _deletions(work, spec, facts, all_objects, verify, observed)
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
    draft = restore_draft(work.bucket, spec.restore, archived)
    draft = structs.replace(draft, worklist=_fill(work, draft.action, "archived"))
    problems = [
        *restore_obstacles(work.bucket, spec.restore, archived, missing, observed),
        *cost_obstacles(work.bucket, spec.restore, draft, observed),
    ]
    if problems:
        raise ProblemsError(f"s3://{work.bucket} cannot be planned", problems)
    return [draft]


def _download(work: Workspace, totals: Totals, facts: BucketFacts, limits: Limits) -> StepDraft:
    action = Download(work.destination)
    identity = _fill(work, action, "readable")
    warnings: tuple[str, ...] = ()
    if facts.versioning != "never" and not work.versions:
        warnings = (
            f"The bucket has versioning {facts.versioning}: only current versions are downloaded.",
        )
    return StepDraft(
        action,
        work.bucket,
        reversibility="free",
        undo="Files that are still as written are removed, where their objects are still in S3.",
        reason=f"{_entries(work)} of {work.bucket} not yet in {work.destination}.",
        worklist=identity,
        seconds=download_seconds(totals, limits),
        warnings=warnings,
    )


def _verify(
    work: Workspace,
    spec: EvacuationSpec,
    select: Select | None,
    facts: BucketFacts,
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
        versions=_kept(work, facts),
    )
    warnings: tuple[str, ...] = ()
    (skipped,) = work.row("SELECT count(*) FROM evacuation_objects WHERE state = 'skipped'")
    if skipped:
        warnings = (
            f"{counted(skipped, 'folder marker')} (zero-byte keys that end in /): not downloaded,"
            " as markers: skip says. Their metadata and tags are not kept.",
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
        warnings=(*warnings, *verification_notes(asked)),
    )


def _deletions(
    work: Workspace,
    spec: EvacuationSpec,
    facts: BucketFacts,
    totals: Totals,
    verify: StepDraft,
    observed: Observed,
) -> list[StepDraft]:
    gate = Gate("approve-delete", work.bucket, verify.id)
    drafts: list[StepDraft] = []
    if work.versions and spec.versions == "current" and has_history(work):
        drafts.append(_loss(work, facts, verify))
    if totals.items:
        before = drafts[-1] if drafts else verify
        notes = deletion_warnings(observed.annotated.get(work.bucket))
        drafts.append(_delete(work, spec, facts, totals, verify.worklist, before, gate, notes))
    if spec.delete_bucket:
        since = parse_moment(spec.abandoned_after, observed.now)
        needs = (Need((drafts[-1] if drafts else verify).id),)
        drafts += abort_drafts(work, since, needs, gate)
        hidden = work.bucket in observed.hidden_uploads
        drafts.append(
            StepDraft(
                DeleteBucket(
                    facts.region,
                    work.destination,
                    _unsaved(facts),
                    _saved(facts) or UNSET,
                    _kept(work, facts),
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
                    *upload_warnings(work, since, hidden=hidden),
                ),
            )
        )
    return drafts


def _delete(
    work: Workspace,
    spec: EvacuationSpec,
    facts: BucketFacts,
    totals: Totals,
    worklist: str | None,
    before: StepDraft,
    gate: Gate,
    notes: tuple[str, ...],
) -> StepDraft:
    action = Delete(work.destination, versions=_kept(work, facts))
    undo = (
        "Objects are uploaded again from the verified files, with their metadata, tags and class;"
        " their dates are new."
    )
    warnings: tuple[str, ...] = (
        "Where the endpoint does not honour conditional deletes, an object written between the last"
        " look and its deletion is lost.",
    )
    if work.versions:
        undo = (
            "Versions and delete markers are put back oldest first from the verified files, with"
            " their metadata, tags and class; their dates and version ids are new."
        )
        warnings = ()
    if work.versions and facts.versioning == "suspended" and spec.versions == "all":
        warnings = (
            "Versioning is suspended: rollback enables it until all versions are back. A version"
            " with the id null gets an id like the others.",
        )
    return StepDraft(
        action,
        work.bucket,
        reversibility="costs",
        undo=undo,
        reason="The manifest says delete: afterVerification.",
        needs=(Need(before.id),),
        gate=gate,
        worklist=worklist,
        seconds=delete_seconds(totals),
        warnings=(*warnings, *notes),
    )


def _loss(work: Workspace, facts: BucketFacts, verify: StepDraft) -> StepDraft:
    """What the objects were before, and no copy is made of; gone before the objects go.

    The other way round, what is deleted would show what it was before.
    """
    action = Delete(work.destination, versions=_kept(work, facts), lost=True)
    identity = step_id(action, work.bucket)
    work.execute(_LOST, step=identity)
    items, size, markers = work.row(
        "SELECT count(*), CAST(sum(size) AS BIGINT), count(*) FILTER (WHERE marker)"
        " FROM evacuation_lost"
    )
    return StepDraft(
        action,
        work.bucket,
        reversibility="never",
        undo="Cannot be undone: there is no copy of them.",
        reason="The manifest says versions: current, so"
        f" {counted(items - markers, 'noncurrent version')}"
        f" and {counted(markers, 'delete marker')} are given up.",
        needs=(Need(verify.id),),
        gate=Gate("approve-loss", work.bucket, verify.id),
        worklist=identity,
        seconds=delete_seconds(Totals(items, size)),
    )


def has_history(work: Workspace) -> bool:
    """Whether the bucket has noncurrent versions or delete markers that are not taken along."""
    (count,) = work.row("SELECT count(*) FROM evacuation_lost")
    return bool(count)


def _kept(work: Workspace, facts: BucketFacts) -> Kept | UnsetType:
    """How the bucket keeps versions, where that is any of the plan's business."""
    if not work.versions or facts.versioning == "never":
        return UNSET
    return facts.versioning


def _fill(work: Workspace, action: AnyAction, which: Which) -> str:
    """Write the rows of a step's own worklist; its id."""
    identity = step_id(action, work.bucket)
    query = _VERSIONS if work.versions else _ITEMS
    work.execute(query.format(which=_WHICH[which]), step=identity)
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


def _entries(work: Workspace) -> str:
    """What is to be downloaded, in words."""
    objects, versions, markers = work.row(
        "SELECT count(*) FILTER (WHERE history IS NULL),"
        " count(*) FILTER (WHERE history IS NOT NULL AND NOT marker),"
        " count(*) FILTER (WHERE marker) FROM evacuation_objects"
        " WHERE state = 'download' AND archived IS NULL"
    )
    told = [counted(objects, "object")]
    told += [counted(versions, "noncurrent version")] if versions else []
    told += [counted(markers, "delete marker")] if markers else []
    return " and ".join([", ".join(told[:-1]), told[-1]]) if len(told) > 1 else told[0]
