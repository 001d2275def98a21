"""The kind as the rest of s3plan sees it: what to look at, and what follows archive by archive."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from s3plan.errors import PlanningError, ProblemsError
from s3plan.inventory.selection import any_of
from s3plan.kinds.buckets import missing_bucket
from s3plan.kinds.kind import Manifest, Observed, Scope
from s3plan.kinds.obstacles import found, unserved
from s3plan.kinds.restore.extras import extra_problems, extra_steps, find_extras
from s3plan.kinds.restore.manifest import ArchiveRestoreSpec, RestoreDocument, destination_path
from s3plan.kinds.restore.wanted import COLD, COLD_ITEMS, ITEMS, Wanted
from s3plan.kinds.restoring import (
    archived_in,
    cost_obstacles,
    restore_draft,
    restore_obstacles,
)
from s3plan.model.archives import Unindexed
from s3plan.model.connection import Limits
from s3plan.model.sessions import INDEX_SUFFIX
from s3plan.model.steps import AnyAction, Download, Extract, Need, Restore, Totals
from s3plan.plan import StepDraft
from s3plan.plan.estimate import download_seconds
from s3plan.rules.counting import counted

_FLAT = "{key}"
"""The whole destination belongs to the manifest's archives."""

_MISSING = """
    SELECT a.key, a.etag, a.size, a.digest, a.cold, a.unindexed, count(*),
        CAST(sum(m.size) AS BIGINT), a.unpacked
    FROM restore_archives a JOIN restore_members m ON m.archive = a.key AND m.state = 'missing'
    GROUP BY ALL ORDER BY a.key"""

_UNINDEXED = """
    SELECT count(*) FILTER (asleep), CAST(coalesce(sum(others), 0) AS BIGINT),
        count(*) FILTER (NOT asleep AND problem IS NULL AND unpacked = 0),
        count(*) FILTER (NOT asleep AND problem IS NULL AND unpacked > 0)
    FROM restore_archives WHERE unindexed"""

_COLD = """
    SELECT storage_class, cold, count(*), CAST(sum(size) AS BIGINT), min(key)
    FROM restore_cold GROUP BY ALL ORDER BY ALL"""

_HINTS = {
    "list": "; source.withoutIndex: read reads the headers of tars",
    "read": "; source.withoutIndex: unpack reads packed ones too, each whole",
    "unpack": "",
}
"""What could be done about archives without an index that are left alone."""

_MISSING_EXTRAS = """
    SELECT count(*), CAST(coalesce(sum(size), 0) AS BIGINT) FROM restore_extras
    WHERE state = 'missing'"""


class ArchiveRestore:
    """``kind: ArchiveRestore``; see kind.Kind."""

    document = RestoreDocument

    def connection(self, manifest: Manifest) -> str | None:
        """The name of the connection that the manifest asks for."""
        return _spec(manifest).connection

    def scope(self, manifest: Manifest) -> Scope:
        """The bucket with the indexes in it, and the destination."""
        spec = _spec(manifest)
        return Scope(
            include=(spec.source.bucket,),
            prefix=spec.source.prefix,
            destination=destination_path(spec, manifest.directory),
            shared=spec.destination.shared,
            layout=_FLAT,
            documents=(),
            filters=manifest.filters,
            inventory="superset",
            indexes=spec.archives,
            headers=_unindexed(spec) if spec.archives else None,
        )

    def uses(self, manifest: Manifest) -> Iterator[tuple[str, AnyAction]]:
        """Objects asked for, and files read out of them."""
        spec = _spec(manifest)
        bucket = spec.source.bucket
        yield bucket, Restore(0, {}, 0)
        if spec.archives:
            yield bucket, Extract("", "", "", 0, "", "")
        if spec.extras is not None:
            yield bucket, Download("")

    def plan(self, manifest: Manifest, observed: Observed) -> list[StepDraft]:
        """Archive by archive, in the order of their keys; those that are asleep last.

        A restore waits for hours, and what follows it with it: so what can be read goes before it.
        """
        spec = _spec(manifest)
        bucket = spec.source.bucket
        if not manifest.filters.keeps(bucket):
            return []
        problems = list(_bucket_problems(manifest, spec, observed))
        if problems:
            raise ProblemsError(f"{manifest.kind} {manifest.name} cannot be planned", problems)
        destination = destination_path(spec, manifest.directory)
        wanted = Wanted(observed.database, spec, destination, manifest.filters)
        # Who chooses sessions on the command line means nothing else.
        chosen = spec.model_copy(
            update={"extras": None} if manifest.filters.sessions.is_narrow else {}
        )
        find_extras(observed, chosen, destination)
        problems += _archive_problems(spec, wanted, destination)
        problems += extra_problems(observed, chosen, destination)
        readable: list[StepDraft] = []
        asleep: list[StepDraft] = []
        limits = observed.connection.limits
        missing_rows = list(wanted.rows(_MISSING))
        first = list(_restore(spec, wanted, missing_rows, observed, problems))
        for key, etag, size, digest, cold, unindexed, items, total, unpacked in missing_rows:
            index = "" if unindexed else key + INDEX_SUFFIX
            draft = StepDraft(
                Extract(destination, key, etag, size, index, digest, unpacked),
                bucket,
                reversibility="free",
                undo="Files that are still as written are removed, where the archive is in S3.",
                reason=f"{counted(items, 'file')} of {key} {'is' if items == 1 else 'are'} not in"
                " the destination.",
                needs=tuple(Need(one.id) for one in first) if cold is not None else (),
                seconds=_seconds(items, total, limits),
            )
            observed.database.execute(ITEMS, {"step": draft.id, "archive": key})
            (readable if cold is None else asleep).append(replace(draft, worklist=draft.id))
        if problems:
            raise ProblemsError(f"{manifest.kind} {manifest.name} cannot be planned", problems)
        fetched, later = extra_steps(observed, chosen, destination, [Need(one.id) for one in first])
        if spec.archives:
            observed.notes.extend(_untouched(spec, wanted))
        observed.notes.extend(_told(wanted))
        return [*fetched, *readable, *first, *later, *asleep]


def _unindexed(spec: ArchiveRestoreSpec) -> Unindexed | None:
    """Archives without an index that are looked into."""
    source = spec.source
    if source.without_index == "list":
        return None
    return Unindexed(any_of(spec.keys), source.without_index == "unpack", source.most_unpacked)


def _untouched(spec: ArchiveRestoreSpec, wanted: Wanted) -> Iterator[str]:
    """Objects that are no archives, and no extras that are meant."""
    bucket = spec.source.bucket
    strangers = wanted.without_index(bucket, spec.source.prefix)
    if strangers:
        it = "it" if strangers == 1 else "them"
        yield (
            f"{counted(strangers, 'object')} of {bucket} without an index beside {it}"
            f" (KEY{INDEX_SUFFIX}): nothing of {it} is extracted{_HINTS[spec.source.without_index]}"
        )


def _told(wanted: Wanted) -> Iterator[str]:
    """What a person should know of archives without an index."""
    asleep, others, known, packed = next(wanted.rows(_UNINDEXED))
    if known:
        yield (
            f"{counted(known, 'archive')} without an index: nothing says what"
            " their files must be, so each is read twice and has to be the same both times"
        )
    if packed:
        yield (
            f"{counted(packed, 'archive')} without an index {'is' if packed == 1 else 'are'} packed"
            " as one piece: read whole for this plan, and twice when it is applied, first to see"
            " that everything is as planned"
        )
    if others:
        yield f"{counted(others, 'entry', 'entries')} that are no files, such as links, are left"
    if asleep:
        yield (
            f"{counted(asleep, 'archive')} without an index asleep: this plan asks for"
            f" {'it' if asleep == 1 else 'them'}; what to extract shows once"
            f" {'it is' if asleep == 1 else 'they are'} readable, so plan again then"
        )


def _bucket_problems(
    manifest: Manifest, spec: ArchiveRestoreSpec, observed: Observed
) -> Iterator[PlanningError]:
    if manifest.filters.sessions.years or manifest.filters.sessions.replace:
        yield PlanningError(
            "--year and --replace are about archiving",
            address=manifest.address,
            next_step="narrow the plan with --only session=GLOB, or with source.prefix",
        )
    facts = observed.facts.get(spec.source.bucket)
    if facts is None:
        yield missing_bucket(spec.source.bucket, observed.target)
    else:
        yield from unserved(facts, observed.connection, otherwise="name another bucket")


def _archive_problems(
    spec: ArchiveRestoreSpec, wanted: Wanted, destination: str
) -> Iterator[PlanningError]:
    address = f"s3://{spec.source.bucket}"
    yield from found(
        wanted.rows(
            "SELECT key || ': ' || problem FROM restore_archives WHERE problem IS NOT NULL"
            " AND NOT unindexed ORDER BY key"
        ),
        what="archives have an index that cannot be used",
        address=address,
        expected="an index beside each that is readable, and of that archive",
        next_step="archive the session again, or leave it out with keys",
    )
    yield from found(
        wanted.rows(
            "SELECT key || ': ' || problem FROM restore_archives WHERE problem IS NOT NULL"
            " AND unindexed ORDER BY key"
        ),
        what="archives without an index cannot be read",
        address=address,
        expected="a whole tar, which tells what is in it",
        next_step="fetch what there is of it yourself, or leave it out with keys; where it only"
        " unpacks to more than expected, set source.mostUnpacked",
    )
    yield from found(
        wanted.rows(
            "SELECT min(name) FROM (SELECT name, folded FROM restore_members UNION ALL"
            " SELECT path, folded FROM restore_extras)"
            " GROUP BY folded HAVING count(*) > 1 ORDER BY 1"
        ),
        what="files would have the same name on disk",
        address=address,
        expected="files with names of their own, also where case does not count",
        next_step="restore them one by one into other directories, chosen with keys or sessions;"
        " versions of an extra by an extras.path with {version} in it",
    )
    yield from found(
        wanted.rows(
            "SELECT path FROM (SELECT path, state FROM restore_members UNION ALL"
            " SELECT path, state FROM restore_extras) WHERE state = 'occupied' ORDER BY path"
        ),
        what="files are in the way, with other content",
        address=destination,
        expected="nothing there, or what the archives hold",
        next_step="move them away, or choose another destination",
    )


def _restore(
    spec: ArchiveRestoreSpec,
    wanted: Wanted,
    missing_rows: list[tuple[str, str, int, str, str | None, bool, int, int, int]],
    observed: Observed,
    problems: list[PlanningError],
) -> Iterator[StepDraft]:
    """The step that asks for the cold ones; none where all can be read."""
    observed.database.execute(COLD)
    cold = archived_in(wanted.rows(_COLD), spec.restore)
    if not cold:
        return
    bucket = spec.source.bucket
    draft = restore_draft(bucket, spec.restore, cold)
    draft = replace(draft, worklist=draft.id)
    observed.database.execute(COLD_ITEMS, {"step": draft.id})
    missing = Totals(sum(row[6] for row in missing_rows), sum(row[7] for row in missing_rows))
    missing += Totals(*next(wanted.rows(_MISSING_EXTRAS)))
    problems += restore_obstacles(bucket, spec.restore, cold, missing, observed)
    problems += cost_obstacles(bucket, spec.restore, draft, observed)
    yield draft


def _seconds(items: int, size: int, limits: Limits) -> float:
    return download_seconds(Totals(items, size), limits)


def _spec(manifest: Manifest) -> ArchiveRestoreSpec:
    assert isinstance(manifest.document, RestoreDocument)
    return manifest.document.spec
