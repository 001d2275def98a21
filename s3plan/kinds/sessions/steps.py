"""The steps of an archive: the bucket and its rule first, then session by session."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from msgspec.structs import replace

from s3plan.errors import PlanningError
from s3plan.kinds.buckets import configured_step, readable
from s3plan.kinds.kind import Observed
from s3plan.kinds.making import new_bucket_steps, versioning_steps
from s3plan.kinds.sessions.manifest import ArchiveSpec, TargetFields
from s3plan.kinds.sessions.standing import Session
from s3plan.model.archivesteps import Adopt, VerifyReplacement
from s3plan.model.connection import Limits
from s3plan.model.sessions import INDEX_SUFFIX, Library
from s3plan.model.steps import Archive, Gate, Need, Replaced, Totals
from s3plan.plan import StepDraft
from s3plan.plan.estimate import download_seconds
from s3plan.rules.counting import counted
from s3plan.rules.lifecycle.document import Rule, merged, same_lifecycle
from s3plan.rules.tarlayout import tar_size
from s3plan.tables import Database


def bucket_steps(spec: ArchiveSpec, bucket: str, observed: Observed) -> Iterator[StepDraft]:
    """What the bucket itself needs: to be there, to keep versions, to have the rule."""
    rules = tuple(policy.rule for policy in spec.policies())
    facts = observed.facts.get(bucket)
    if facts is None:
        assert spec.bucket is not None
        document = merged(None, rules, keep_foreign=True, minimum=None)
        yield from new_bucket_steps(spec.bucket, bucket, observed, document)
        return
    if spec.bucket is not None and spec.bucket.versioning == "enabled":
        yield from versioning_steps(facts)
    if not rules:
        return
    before = readable(facts, "lifecycle")
    after = merged(before, rules, keep_foreign=True, minimum=None)
    if not same_lifecycle(before, after):
        yield configured_step(
            bucket,
            "lifecycle",
            before,
            after,
            "The bucket has other rules for what is put there, or none.",
            meaning=(*map(_meaning, rules), "rules of others stay"),
            undo="The old rules are put back; what was moved by then stays where it is.",
        )


def _meaning(rule: Rule) -> str:
    moves = ", then ".join(f"{one.storage_class} after {one.days} days" for one in rule.transitions)
    tags = " and ".join(f"{name}={value}" for name, value in sorted(rule.filter.tags))
    return f"rule {rule.id}: objects with {tags} go to {moves}"


def archive_steps(
    session: Session,
    spec: ArchiveSpec,
    target: TargetFields,
    library: Library,
    database: Database,
    needs: Sequence[StepDraft],
    keep: str | None,
) -> Iterator[StepDraft]:
    """One session to one object, after the gate of what it replaces, if anything.

    Raises PlanningError for names that no tar can hold.
    """
    members = list(database.rows(_MEMBERS, [library.path, session.name, session.key]))
    try:
        size = tar_size(session.name, members)
    except ValueError as error:
        raise PlanningError(
            "the session cannot be one archive",
            address=f"{library.path}: {session.name}",
            found=str(error),
            next_step="rename the file, or name it in sessions.ignore",
        ) from error
    replaces = None
    if session.etag is not None:
        replaces = Replaced(session.etag, session.size or 0, None, session.index_etag)
        gate = _verification(session, target, library, database, needs)
        yield gate
        needs = (*needs, gate)
    draft = StepDraft(
        Archive(
            source=library.path,
            key=session.key,
            index=session.key + INDEX_SUFFIX,
            name=session.name,
            tar=size,
            compression=spec.archive.compression,
            storage_class=target.storage_class,
            encryption=None if target.encryption == "bucket" else target.encryption,
            kms_key=target.kms_key,
            tags={**spec.tags(), **target.tags},
            metadata={"session": session.name},
            replaces=replaces,
            keep=keep,
            window=spec.window,
        ),
        target.bucket,
        reversibility="free",
        undo="The archive and its index are deleted, if they are still as the run left them."
        if replaces is None
        else "The new version is deleted, and the archive that was there counts again.",
        reason=_reason(session),
        needs=tuple(Need(one.id) for one in needs),
        warnings=tuple(_warnings(session)),
        gate=None
        if replaces is None
        else Gate("approve-replace", f"{target.bucket}/{session.key}", needs[-1].id),
    )
    _fill(draft, session, library, database)
    yield replace(draft, worklist=draft.id)


def _verification(
    session: Session,
    target: TargetFields,
    library: Library,
    database: Database,
    needs: Sequence[StepDraft],
) -> StepDraft:
    """The evidence on which the session's archive may be replaced: file by file, old and new."""
    assert session.etag is not None
    # An index that is damaged, or of another archive, tells nothing of the one that is there.
    known = session.state in ("changed", "same")
    draft = StepDraft(
        VerifyReplacement(
            source=library.path,
            key=session.key,
            etag=session.etag,
            size=session.size or 0,
            index=session.key + INDEX_SUFFIX,
            index_etag=session.index_etag if known else None,
        ),
        target.bucket,
        reversibility="free",
        undo="It changes nothing.",
        reason="What the archive holds is compared with what shall take its place.",
        needs=tuple(Need(one.id) for one in needs),
    )
    database.execute(
        _REPLACED,
        {
            "step": draft.id,
            "library": library.path,
            "session": session.name,
            "key": session.key,
            "bucket": session.bucket,
            "known": known,
        },
    )
    meaning = tuple(_becoming(database, draft.id, known=known))
    return replace(draft, worklist=draft.id, meaning=meaning)


def _becoming(database: Database, step: str, *, known: bool) -> Iterator[str]:
    """What of the old archive will be another file, or none: its first names, and how many."""
    if not known:
        yield "nothing tells what the archive holds: its replacement has to be approved by itself"
        return
    told = False
    for label, words in (
        ("changed", "will have other content"),
        ("gone", "will not be in the new one"),
    ):
        rows = database.rows(_BECOMING, [step, label])
        names = [name for (name,) in rows]
        if names:
            told = True
            first = ", ".join(names[:_NAMED])
            more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
            yield f"{counted(len(names), 'file')} of the archive {words}: {first}{more}"
    if told:
        yield "that has to be approved by itself, once everything was verified"


def adopt_step(
    session: Session,
    target: TargetFields,
    library: Library,
    database: Database,
    needs: Sequence[StepDraft],
) -> StepDraft:
    """The index of an archive that another program made, once it was read and compared."""
    assert session.etag is not None
    draft = StepDraft(
        Adopt(
            source=library.path,
            key=session.key,
            index=session.key + INDEX_SUFFIX,
            name=session.name,
            etag=session.etag,
            size=session.size or 0,
            storage_class=session.storage_class or "STANDARD",
            encryption=None if target.encryption == "bucket" else target.encryption,
            kms_key=target.kms_key,
        ),
        target.bucket,
        reversibility="free",
        undo="The index is deleted, if it is still as the run left it.",
        reason="The archive has no index; it is read whole and compared with the disk first.",
        needs=tuple(Need(one.id) for one in needs),
        seconds=download_seconds(Totals(1, session.size or 0), Limits()),
    )
    _fill(draft, session, library, database)
    return replace(draft, worklist=draft.id)


def _fill(draft: StepDraft, session: Session, library: Library, database: Database) -> None:
    """The files of the session as the items of the step."""
    database.execute(
        _ITEMS,
        {
            "step": draft.id,
            "library": library.path,
            "session": session.name,
            "key": session.key,
            "bucket": session.bucket,
        },
    )


def _reason(session: Session) -> str:
    if session.etag is None:
        return "The session has no archive."
    if session.state == "changed":
        return f"The session is not what its archive holds: {differences(session)}."
    return "The session is archived again, as the command says (--replace)."


def _warnings(session: Session) -> Iterator[str]:
    if session.gone:
        yield (
            f"{counted(session.gone, 'file')} of the old archive will be in its noncurrent version"
            " only"
        )


def differences(session: Session) -> str:
    """What changed, in words."""
    counts = (("added", session.added), ("changed", session.altered), ("gone", session.gone))
    return ", ".join(f"{count:,} {what}" for what, count in counts if count)


_MEMBERS = """
    SELECT f.member, f.size FROM session_files f JOIN sessions s
        ON s.destination = f.destination AND s.session = f.session AND s.parts = f.parts
    WHERE f.destination = ? AND f.session = ? AND s.key = ? ORDER BY f.member"""

# As sessions are compared (standing), but file by file.
_REPLACED = """
    INSERT INTO items BY NAME
    WITH files AS (
        SELECT f.member, f.path, f.size, f.modified, f.sha256
        FROM session_files f
        JOIN sessions s
            ON s.destination = f.destination AND s.session = f.session AND s.parts = f.parts
        WHERE f.destination = $library AND f.session = $session AND s.key = $key
    ), held AS (
        SELECT name, size, modified, sha256 FROM members
        WHERE bucket = $bucket AND archive = $key AND $known
    )
    SELECT $step AS step, row_number() OVER (ORDER BY coalesce(f.member, h.name)) - 1 AS n,
        coalesce(f.member, h.name) AS key, coalesce(f.path, '') AS path,
        coalesce(f.size, h.size) AS size, '' AS etag, coalesce(f.modified, h.modified) AS modified,
        'STANDARD' AS storage_class,
        CASE WHEN NOT $known THEN 'unknown' WHEN h.name IS NULL THEN 'added'
            WHEN f.member IS NULL THEN 'gone'
            WHEN f.size <> h.size OR (f.modified <> h.modified
                AND f.sha256 IS DISTINCT FROM h.sha256) THEN 'changed'
            ELSE 'same' END AS label
    FROM files f FULL JOIN held h ON h.name = f.member"""

_BECOMING = "SELECT key FROM items WHERE step = ? AND label = ? ORDER BY n"

_NAMED = 5
"""Files that a plan names in a sentence; its items are all of them."""

_ITEMS = """
    INSERT INTO items BY NAME
    SELECT $step AS step, row_number() OVER (ORDER BY f.member) - 1 AS n, f.member AS key,
        f.path, f.size, '' AS etag, f.modified, 'STANDARD' AS storage_class,
        nullif(coalesce(h.keywords, m.keywords), '{}') AS keywords
    FROM session_files f
    JOIN sessions s
        ON s.destination = f.destination AND s.session = f.session AND s.parts = f.parts
    LEFT JOIN frames h ON h.destination = f.destination AND h.path = f.path
    LEFT JOIN members m ON m.bucket = $bucket AND m.archive = s.key AND m.name = f.member
    WHERE f.destination = $library AND f.session = $session AND s.key = $key"""
