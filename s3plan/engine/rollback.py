"""What it takes to take a run back: a plan of its own, made by looking at what is there now.

The journal says what the run began; the bucket, the catalogue and the local tree say what became of
it. Whatever is no longer as the run left it is not in the plan, or is kept when its turn comes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from msgspec import UNSET, Struct, UnsetType

from s3plan.engine.handlers.configure import OURS
from s3plan.engine.handlers.placing import mtime_of
from s3plan.engine.putback import AFTER_OBJECTS, BEFORE_OBJECTS, put_back
from s3plan.engine.rollback_archives import archive_drafts, extract_drafts, put_drafts, tag_drafts
from s3plan.engine.rollback_grouping import grouping_drafts
from s3plan.engine.rollback_layout import layout_drafts
from s3plan.engine.rollback_versions import stack_drafts
from s3plan.engine.runs import Run
from s3plan.engine.state import ItemState, RunState
from s3plan.engine.undoing import fill_items, kept_if_any
from s3plan.errors import AccessDeniedError, NoSuchBucketError
from s3plan.inventory.catalogue import observe_catalogue
from s3plan.inventory.local import recorded_stat
from s3plan.inventory.s3 import observe_bucket
from s3plan.localfs.tree import Tree
from s3plan.model.buckets import Document, DocumentName
from s3plan.model.local import CatalogueConfiguration, FileStat
from s3plan.model.plan import PLAN_FORMAT, ManifestRef, PlanHeader, Stage
from s3plan.model.steps import (
    Configure,
    CreateBucket,
    Delete,
    DeleteBucket,
    Download,
    Kept,
    Need,
    RemoveFile,
    Step,
    Upload,
    Verify,
)
from s3plan.plan.drafts import StepDraft
from s3plan.plan.reading import PlanFile
from s3plan.plan.seal import seal
from s3plan.rules.bucketdocuments import same
from s3plan.rules.endpoints import is_aws
from s3plan.store import Bucket, Store
from s3plan.tables import Database

_LEFT = (ItemState.DONE, ItemState.UNKNOWN, ItemState.FAILED)
"""States of a delete item whose object may be gone; only the bucket can tell."""

_WRITTEN = (ItemState.VERIFIED, ItemState.UNVERIFIABLE, ItemState.UNKNOWN)
"""States of a download item whose file may be there."""

_ABSENT = """
    DELETE FROM items WHERE step = ? AND key IN (SELECT key FROM listing)"""

# A delete marker has no file that could have been there before.
_NOT_OURS = """
    DELETE FROM items WHERE step = ?
        AND NOT list_contains(?::VARCHAR[], key || chr(0) || coalesce(history, ''))
        AND NOT EXISTS (
            SELECT 1 FROM catalogue c WHERE c.run = ? AND NOT coalesce(c.adopted, false)
                AND c.key = items.key AND c.history IS NOT DISTINCT FROM items.history)"""

_RECORDED = """
    SELECT key, history, device, inode, size, mtime_ns FROM catalogue
    WHERE key IN (SELECT unnest(?::VARCHAR[]))"""


class _Subject(Struct, frozen=True):
    """The steps of the run that are about one bucket."""

    bucket: str
    downloads: tuple[Step, ...]
    delete: Step | None
    delete_bucket: Step | None
    verify: Step | None
    configures: tuple[Step, ...]
    create_bucket: Step | None = None

    @property
    def destination(self) -> str | None:
        """Where the copies are; None where the run only configured the bucket."""
        for step in (*self.downloads, self.delete, self.delete_bucket):
            if step is not None:
                assert isinstance(step.action, Download | Delete | DeleteBucket)
                return step.action.destination
        return None

    @property
    def versions(self) -> Kept | UnsetType:
        """How the bucket keeps versions, where the run went by them."""
        for step in (self.delete, self.verify):
            if step is not None:
                assert isinstance(step.action, Delete | Verify)
                return step.action.versions
        return UNSET


class _Place(Struct, frozen=True):
    """A bucket, and the tree that holds its copies."""

    bucket: str
    destination: str


async def plan_rollback(
    run: Run,
    plan: PlanFile,
    state: RunState,
    store: Store,
    scratch: Path,
    *,
    created: str,
    tool: str,
    only: Stage | None = None,
) -> PlanFile | None:
    """Write the plan of a rollback into the run's folder; None where nothing is to be taken back.

    ``created`` is the time for the header, RFC 3339. ``only`` is one stage of a grouping.
    """
    with Database(scratch) as database:
        drafts = await grouping_drafts(run, plan, state, store, database, only)
        if only is None:
            drafts += archive_drafts(plan, state, database)
            drafts += tag_drafts(plan, state, database)
            drafts += extract_drafts(plan, state, database)
            drafts += put_drafts(plan, state, database)
            drafts += layout_drafts(plan, state, database)
        for subject in _subjects(plan.steps) if only is None else ():
            drafts += await _subject(run, plan, state, store, database, subject)
        if not drafts:
            return None
        header = PlanHeader(
            format=PLAN_FORMAT,
            tool=tool,
            created=created,
            host=plan.header.host,
            target=plan.header.target,
            connection=plan.header.connection,
            manifests=tuple(
                ManifestRef(m.path, m.kind, m.name, m.sha256) for m in plan.header.manifests
            ),
            rollback_of=run.id,
            notify=plan.header.notify,
            status_every=plan.header.status_every,
            only=only if only is not None else UNSET,
            shared=plan.header.shared,
        )
        return await asyncio.to_thread(seal, drafts, database, header, run.back(only).plan)


def _subjects(steps: Iterable[Step]) -> list[_Subject]:
    found: dict[str, dict[str, Step]] = {}
    configures: dict[str, list[Step]] = {}
    downloads: dict[str, list[Step]] = {}
    for step in steps:
        if isinstance(step.action, Delete) and step.action.lost:
            continue  # there is no copy that could be put back
        if isinstance(step.action, Download | Verify | Delete | DeleteBucket):
            found.setdefault(step.subject, {})[step.verb] = step
            if isinstance(step.action, Download):
                downloads.setdefault(step.subject, []).append(step)
        elif isinstance(step.action, CreateBucket):
            found.setdefault(step.subject, {})[step.verb] = step
        elif isinstance(step.action, Configure):
            found.setdefault(step.subject, {})
            configures.setdefault(step.subject, []).insert(0, step)
    return [
        _Subject(
            bucket,
            tuple(downloads.get(bucket, ())),
            by.get("delete"),
            by.get("delete-bucket"),
            by.get("verify"),
            tuple(configures.get(bucket, ())),
            by.get("create-bucket"),
        )
        for bucket, by in found.items()
    ]


async def _subject(
    run: Run, plan: PlanFile, state: RunState, store: Store, database: Database, subject: _Subject
) -> list[StepDraft]:
    bucket = store.bucket(subject.bucket)
    there = await _is_there(bucket, subject)
    if subject.create_bucket is not None and any(state.step(subject.create_bucket.id).items):
        return [_uncreate(subject.create_bucket)] if there else []
    # First of all: a document of the run may stand in the way of what is uploaded.
    drafts = await _unconfigure(state, store, subject) if there else []
    destination = subject.destination
    if destination is None:
        return drafts
    database.execute("DELETE FROM listing")
    database.execute("DELETE FROM catalogue")
    if there:
        try:
            await observe_bucket(
                bucket,
                database,
                prefix="",
                observer=lambda _: None,
                versions=bool(subject.versions),
            )
        except NoSuchBucketError:
            there = False
    unrecorded: list[str] = []
    with Tree.open(Path(destination), create=False) as tree:
        known = await asyncio.to_thread(observe_catalogue, tree, subject.bucket, database)
        for download in subject.downloads:
            unrecorded += await asyncio.to_thread(
                _unrecorded, plan, state, download, tree, database
            )
    saved: CatalogueConfiguration | None = None
    aws = is_aws(plan.header.target.endpoint)
    if subject.delete_bucket is not None and not there:
        action = subject.delete_bucket.action
        assert isinstance(action, DeleteBucket)
        if any(state.step(subject.delete_bucket.id).items):
            saved = known.configuration if known else None
            drafts.append(_create(subject.bucket, action, destination, saved))
    if saved is not None:
        drafts += put_back(subject.bucket, saved, BEFORE_OBJECTS, drafts, aws=aws)
    place = _Place(subject.bucket, destination)
    if subject.delete is not None and subject.versions:
        drafts += await stack_drafts(
            plan, state, store, database, subject.delete, subject.versions, drafts, there=there
        )
    elif subject.delete is not None:
        drafts += _upload(plan, state, database, place, subject.delete, drafts)
    filled = list(drafts)
    if saved is not None:
        drafts += put_back(subject.bucket, saved, AFTER_OBJECTS, drafts, aws=aws)
    if subject.downloads:
        drafts += _remove(
            run,
            plan,
            state,
            database,
            place,
            subject.downloads,
            True if subject.versions else UNSET,
            unrecorded,
            filled,
        )
    return drafts


async def _is_there(bucket: Bucket, subject: _Subject) -> bool:
    try:
        return await bucket.exists()
    except AccessDeniedError:
        if subject.destination is not None:
            raise
        # What is to be taken back may be the very policy that denies this.
        return True


async def _unconfigure(state: RunState, store: Store, subject: _Subject) -> list[StepDraft]:
    """Each document that the run may have written back to what it was, the last one first.

    What is no longer as the run left it gets a step as well, which will leave it alone and say so.
    """
    drafts: list[StepDraft] = []
    ours: dict[DocumentName, list[Configure]] = {}
    for step in subject.configures:
        assert isinstance(step.action, Configure)
        if state.step(step.id).of(0) in OURS:
            ours.setdefault(step.action.document, []).append(step.action)
    for document, changes in ours.items():
        live = await asyncio.to_thread(store.control.document, subject.bucket, document)
        if same(document, live, _before_of(document, changes[-1])):
            continue  # the run put it back itself, or it was never changed
        for change in changes:
            drafts.append(
                StepDraft(
                    action=Configure(
                        document, before=change.after, after=_before_of(document, change)
                    ),
                    subject=subject.bucket,
                    reversibility="free",
                    undo="put this document back again",
                    reason=f"the run changed the {document} of the bucket",
                    needs=tuple(Need(earlier.id) for earlier in drafts),
                )
            )
    return drafts


def _before_of(document: DocumentName, change: Configure) -> Document:
    """What a rollback puts in place of a change: what was there, as far as S3 lets it.

    Versioning that was once enabled is suspended, never taken back
    (https://docs.aws.amazon.com/AmazonS3/latest/userguide/Versioning.html).
    """
    if document == "versioning" and change.before is None:
        return {"Status": "Suspended"}
    return change.before


def _uncreate(made: Step) -> StepDraft:
    """The bucket that the run made goes again, with its documents, if nothing is in it."""
    assert isinstance(made.action, CreateBucket)
    return StepDraft(
        action=DeleteBucket(region=made.action.region, destination=""),
        subject=made.subject,
        reversibility="until",
        undo="make it again, as long as nobody else has taken the name",
        reason="the run made the bucket; it goes if nothing is in it",
    )


def _create(
    bucket: str, action: DeleteBucket, destination: str, saved: CatalogueConfiguration | None
) -> StepDraft:
    locked = saved is not None and "object-lock" in saved.documents
    return StepDraft(
        action=CreateBucket(
            region=action.region, destination=destination, object_lock=True if locked else UNSET
        ),
        subject=bucket,
        reversibility="free",
        undo="delete the bucket if it is empty",
        reason="the run deleted the bucket",
        warnings=tuple(f"not put back: {name}" for name in action.unsaved),
    )


def _upload(
    plan: PlanFile,
    state: RunState,
    database: Database,
    place: _Place,
    deleted: Step,
    before: list[StepDraft],
) -> list[StepDraft]:
    draft = StepDraft(
        action=Upload(destination=place.destination),
        subject=place.bucket,
        reversibility="free",
        undo="delete the objects again",
        reason="the run deleted these objects; their verified copies are on disk",
        needs=tuple(Need(earlier.id) for earlier in before),
    )
    fill_items(plan, state, database, deleted, draft.id, _LEFT)
    database.execute(_ABSENT, [draft.id])
    return kept_if_any(database, draft)


def _remove(
    run: Run,
    plan: PlanFile,
    state: RunState,
    database: Database,
    place: _Place,
    downloads: Iterable[Step],
    versions: Literal[True] | UnsetType,
    unrecorded: list[str],
    before: list[StepDraft],
) -> list[StepDraft]:
    draft = StepDraft(
        action=RemoveFile(destination=place.destination, versions=versions),
        subject=place.bucket,
        reversibility="free",
        undo="download the objects again",
        reason="the run wrote these files; each goes only if its object is in S3 and matches",
        needs=tuple(Need(earlier.id) for earlier in before),
    )
    for download in downloads:
        fill_items(plan, state, database, download, draft.id, _WRITTEN)
    database.execute(_NOT_OURS, [draft.id, unrecorded, run.id])
    return kept_if_any(database, draft)


def _unrecorded(
    plan: PlanFile, state: RunState, downloaded: Step, tree: Tree, database: Database
) -> list[str]:
    """What has a file with its name and no row in the catalogue, as the process was killed.

    Keys, each with a NUL and the id of the version where it is not the key's object.

    The run began these items, and the files bear the objects' sizes and times. Whether they bear
    their content is looked at before they are removed. No more than an intent or two covers.
    """
    known = state.step(downloaded.id)
    if not known.count(ItemState.UNKNOWN):
        return []
    found: dict[tuple[str, str | None], FileStat] = {}
    for item in plan.items(downloaded.id):
        if known.mine(item.n) and item.path and not item.path.endswith("/"):
            stat = tree.stat(item.path)
            if stat is not None and (stat.size, stat.mtime_ns) == (item.size, mtime_of(item)):
                found[item.key, item.history] = stat
    for key, history, *recorded in database.rows(_RECORDED, [[key for key, _ in found]]):
        if (key, history) in found and recorded_stat(*recorded) == found[key, history]:
            del found[key, history]
    return [f"{key}\0{history or ''}" for key, history in found]
