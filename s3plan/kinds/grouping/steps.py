"""The steps of a grouping: the backup and its proof first, then the copies and theirs."""

from __future__ import annotations

from collections import abc
from collections.abc import Sequence

from msgspec import UNSET, structs

from s3plan.kinds.grouping.catalog import Table, table_backup, table_rewrite
from s3plan.kinds.grouping.mapping import Mapping
from s3plan.kinds.kind import Filters
from s3plan.model.buckets import BucketFacts
from s3plan.model.commands import Command
from s3plan.model.grouping import GroupingRules
from s3plan.model.steps import Copy, Need, RunCommand, Totals, VerifyCopies
from s3plan.plan import StepDraft
from s3plan.plan.estimate import transfer_seconds, verify_seconds
from s3plan.rules.counting import counted

Commands = abc.Mapping[str, Command]
"""Commands of the project file by name."""

SHOWN = 5
"""Keys that a warning names; it counts all."""

WINDOW = (
    "Where the endpoint does not honour conditional copies, what is written to a new key between"
    " the look and the copy is overwritten."
)
NOT_CARRIED = "Website redirects and Object Lock settings of single objects are not carried along."
ACLS = "Access control lists of single objects are not carried along."

# row_number() over nothing counts rows as the subquery orders them; see kinds.evacuation.steps.
_COPIES = """
    INSERT INTO items (step, n, key, path, size, etag, modified, storage_class, checksum, label)
    SELECT $step, row_number() OVER () - 1, * FROM (
        SELECT key, new_key, size, etag, modified, storage_class, checksum, label
        FROM grouping_copies
        WHERE standing = 'missing' AND {asked}
            AND ($groups IS NULL OR person IN (
                SELECT person FROM grouping_copies WHERE standing = 'missing' AND {asked}
                GROUP BY person ORDER BY min(key) LIMIT $groups))
        ORDER BY key
    )"""

_SHARED = """
    INSERT INTO items (step, n, key, path, size, etag, modified, storage_class, checksum, label)
    SELECT $step, row_number() OVER () - 1, * FROM (
        SELECT key, new_key, size, etag, modified, storage_class, checksum, label
        FROM grouping_copies
        WHERE standing = 'shared' AND {asked}
            AND new_key IN (SELECT path FROM items WHERE step = $copying)
        ORDER BY key
    )"""

_BACKUP = """
    INSERT INTO items (step, n, key, path, size, etag, modified, storage_class, checksum)
    SELECT $step, row_number() OVER () - 1, * FROM (
        SELECT key, backup_key, size, etag, modified, storage_class, checksum FROM grouping_backup
        WHERE standing = 'missing' AND {asked} ORDER BY key
    )"""

# Of a plan for a worklist, what the worklist names.
_ASKED = "(NOT $listed OR key IN (SELECT key FROM asked WHERE bucket = $source))"

_LEFT_OUT = (
    ("orphan", "keys are not of the pattern and stay where they are"),
    ("incomplete", "files are unfinished downloads and stay where they are"),
)


def steps_of(
    work: Mapping,
    facts: dict[str, BucketFacts],
    filters: Filters,
    table: Table | None,
    commands: Commands,
) -> list[StepDraft]:
    """Steps that make the manifest true, their worklists in ``items``.

    ``commands`` are those of the project file.
    """
    tests = work.spec.tests
    first = [table_backup(work, table)] if table is not None else []
    backed_up = _backup(work, filters) if work.spec.backup is not None else []
    before = tuple(Need(draft.id) for draft in (*first, *backed_up[-1:]))
    copies = _regroup(work, facts, filters, before)
    if copies:
        copies += _tests(work, "copies", tests.copies, commands, Need(copies[-1].id), table)
    rewritten: list[StepDraft] = []
    if table is not None and table.changed and not _is_pilot(work, copies):
        needs = tuple(Need(draft.id) for draft in copies[-1:]) or before
        rewritten = [table_rewrite(work, table, needs)]
        done = Need(rewritten[0].id)
        rewritten += _tests(work, "catalog", tests.catalog, commands, done, table)
    drafts = [*backed_up, *copies, *rewritten]
    return [*first, *drafts] if drafts else []


_REASONS = {
    "copies": "The project's own test, before anything names the new keys.",
    "catalog": "The project's own test, with the table as it is then.",
}


def _tests(
    work: Mapping,
    stage: str,
    names: Sequence[str],
    commands: Commands,
    need: Need,
    table: Table | None,
) -> list[StepDraft]:
    """A step for each command, one after the other."""
    spec = work.spec
    told = {
        "S3PLAN_STAGE": stage,
        "S3PLAN_SOURCE": f"s3://{spec.source.bucket}/{spec.source.prefix}",
        "S3PLAN_TARGET": f"s3://{spec.target_bucket}/{work.rules.template.head}",
        **({"S3PLAN_CATALOG": table.path} if table is not None else {}),
    }
    drafts: list[StepDraft] = []
    for name in dict.fromkeys(names):
        draft = StepDraft(
            RunCommand(commands[name].ref, told),
            spec.target_bucket,
            reversibility="free",
            undo="Nothing that s3plan knows of: what the command does is its own.",
            reason=_REASONS[stage],
            needs=(need,),
        )
        drafts.append(draft)
        need = Need(draft.id)
    return drafts


def _is_pilot(work: Mapping, copies: list[StepDraft]) -> bool:
    """Whether objects are left for another plan: the table is rewritten once all are copied."""
    ((left,),) = work.rows(
        "SELECT count(*) FROM grouping_copies WHERE standing = 'missing'"
        " AND key NOT IN (SELECT key FROM items WHERE step = $step)",
        step=copies[0].id if copies else "",
    )
    return bool(left)


def _regroup(
    work: Mapping, facts: dict[str, BucketFacts], filters: Filters, needs: tuple[Need, ...]
) -> list[StepDraft]:
    spec, target = work.spec, work.spec.target
    action = Copy(
        source=spec.source.bucket,
        into=work.rules.template.head,
        storage_class=target.storage_class,
        encryption=None if target.encryption == "bucket" else target.encryption,
        kms_key=target.kms_key,
        acl=target.acl,
        headers=dict(target.headers.items()),
        tags=spec.literal_tags,
        tag_templates=spec.tag_templates or UNSET,
        checksums=UNSET if spec.checksums == "stored" else spec.checksums,
        grouping=GroupingRules(
            spec.source.prefix, spec.source.pattern, work.rules.rules, spec.default
        ),
        soak=spec.terms if spec.terms is not None else UNSET,
    )
    bucket = spec.target_bucket
    draft = StepDraft(
        action,
        bucket,
        reversibility="free",
        undo="Copies that are still as made are removed, where their sources are there and match.",
        reason="",
        needs=needs,
        warnings=_warnings(work, facts),
    )
    listed = filters.items is not None
    work.execute(_COPIES.format(asked=_ASKED), step=draft.id, groups=filters.groups, listed=listed)
    totals = _totals(work, draft.id)
    if not totals.items:
        return []
    people, left = next(
        work.rows(
            "SELECT count(DISTINCT person) FILTER (WHERE key IN (SELECT key FROM items WHERE"
            " step = $step)), count(DISTINCT person) FROM grouping_copies"
            " WHERE standing = 'missing'",
            step=draft.id,
        )
    )
    reason = f"{counted(totals.items, 'object')} of {counted(people, 'group')} not yet at their"
    reason += " new keys."
    if people < left:
        reason += f" A pilot: {left - people:,} more groups follow with the next plan."
    copying = _filled(draft, totals, reason)
    proof = _verified(copying, action, bucket, spec.verify.many, totals)
    return [copying, proof, *_shared(work, filters, copying, proof)]


def _shared(
    work: Mapping, filters: Filters, copying: StepDraft, proof: StepDraft
) -> list[StepDraft]:
    """Sources whose content another one has too: compared with the copy that is there by then."""
    assert isinstance(copying.action, Copy)
    action = structs.replace(copying.action, headers={}, tags={}, tag_templates=UNSET, shared=True)
    draft = StepDraft(
        action,
        copying.subject,
        reversibility="free",
        undo="Nothing to undo: it only reads.",
        reason="",
        needs=(Need(proof.id),),
    )
    listed = filters.items is not None
    query = _SHARED.format(asked=_ASKED)
    work.execute(query, step=draft.id, copying=copying.id, listed=listed)
    totals = _totals(work, draft.id)
    if not totals.items:
        return []
    reason = f"{counted(totals.items, 'object')} of the same content as another one: its copy is"
    sharing = _filled(draft, totals, f"{reason} theirs too, and is compared with each.")
    return [sharing, _verified(sharing, action, copying.subject, 0, totals)]


def _backup(work: Mapping, filters: Filters) -> list[StepDraft]:
    backup = work.spec.backup
    assert backup is not None
    action = Copy(
        source=work.spec.source.bucket,
        into=backup.prefix,
        storage_class=backup.storage_class,
        acl=None,
    )
    draft = StepDraft(
        action,
        backup.bucket,
        reversibility="costs",
        undo="The backup is removed where its sources are there and match; a cold class bills its"
        " shortest stay all the same.",
        reason="",
        warnings=(WINDOW,),
    )
    listed = filters.items is not None
    work.execute(_BACKUP.format(asked=_ASKED), step=draft.id, listed=listed)
    totals = _totals(work, draft.id)
    if not totals.items:
        return []
    reason = f"{counted(totals.items, 'object')} to be safe in {backup.storage_class} before"
    copying = _filled(draft, totals, f"{reason} anything else happens.")
    return [copying, _verified(copying, action, backup.bucket, 0, totals)]


def _filled(draft: StepDraft, totals: Totals, reason: str) -> StepDraft:
    return StepDraft(
        draft.action,
        draft.subject,
        draft.reversibility,
        draft.undo,
        reason,
        needs=draft.needs,
        worklist=draft.id,
        seconds=transfer_seconds(Totals(totals.items)),
        warnings=draft.warnings,
    )


def _verified(
    copying: StepDraft, action: Copy, bucket: str, headers: int, totals: Totals
) -> StepDraft:
    return StepDraft(
        VerifyCopies(source=action.source, copied=copying.id, headers=headers),
        bucket,
        reversibility="free",
        undo="Nothing to undo: it only reads.",
        reason="Every copy is compared with fresh listings of both sides.",
        needs=(Need(copying.id),),
        worklist=copying.id,
        seconds=verify_seconds(totals, read_back=False),
    )


def _warnings(work: Mapping, facts: dict[str, BucketFacts]) -> tuple[str, ...]:
    spec = work.spec
    source, target = facts[spec.source.bucket], facts[spec.target_bucket]
    warnings = [WINDOW, NOT_CARRIED]
    ownership = str(target.configuration.get("ownership", ""))
    if "BucketOwnerEnforced" not in ownership and spec.target.acl != "keep":
        warnings.append(ACLS)
    if source.versioning != "never":
        warnings.append(
            f"The source has versioning {source.versioning}: only current versions are copied."
        )
    for state, words in _LEFT_OUT:
        if not (state == "orphan" and spec.orphans == "unknown"):
            query = f"SELECT key FROM grouping_sources WHERE state = '{state}' ORDER BY key"  # noqa: S608
            warnings += _named(work, query, words)
    if spec.on_conflict == "skip":
        warnings += _named(
            work,
            "SELECT key || ' -> ' || new_key FROM grouping_copies WHERE standing = 'conflict'"
            " ORDER BY key",
            "new keys hold other objects and are left as they are",
        )
    warnings += _named(
        work,
        "SELECT key || ' -> ' || new_key FROM grouping_copies WHERE standing = 'unproven'"
        " ORDER BY key",
        "new keys hold objects of the same size, whose content nothing in S3 tells; they are taken"
        " for copies",
    )
    warnings += _named(
        work,
        "SELECT key || ' -> ' || new_key FROM grouping_copies WHERE standing = 'shared'"
        " ORDER BY key",
        "sources have the content of another one and share its copy; headers, metadata and tags of"
        " their own stay behind",
    )
    if spec.checksums == "compute":
        warnings += _computed(work)
    return tuple(warnings)


def _computed(work: Mapping) -> list[str]:
    """What is read besides being copied."""
    count, size = next(
        work.rows(
            "SELECT count(*), CAST(coalesce(sum(size), 0) AS BIGINT) FROM grouping_copies"
            " WHERE standing = 'missing' AND NOT regexp_full_match(etag, '[0-9a-fA-F]{32}')"
        )
    )
    if not count:
        return []
    return [f"{counted(count, 'multipart upload')} ({size:,} bytes) will be read for their MD5."]


def _named(work: Mapping, query: str, words: str) -> list[str]:
    names = [name for (name,) in work.rows(query)]
    if not names:
        return []
    more = f", and {len(names) - SHOWN:,} more" if len(names) > SHOWN else ""
    return [f"{len(names):,} {words}: {', '.join(names[:SHOWN])}{more}."]


def _totals(work: Mapping, step: str) -> Totals:
    items, size = next(
        work.rows(
            "SELECT count(*), CAST(coalesce(sum(size), 0) AS BIGINT) FROM items WHERE step = $step",
            step=step,
        )
    )
    return Totals(items, size)
