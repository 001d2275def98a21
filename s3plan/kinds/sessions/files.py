"""Single files beside the archives: notes of sessions, and extras such as copies of databases.

A note has one key, and takes the place of what is there when it changed. An extra has a key for
each of its versions, made of its digest or its time, so that nothing is ever replaced.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from s3plan.errors import PlanningError
from s3plan.inventory.tablerows import LocalTable
from s3plan.kinds.extras import find_versions
from s3plan.kinds.kind import Manifest, Observed
from s3plan.kinds.obstacles import found
from s3plan.kinds.sessions.manifest import (
    ArchiveDocument,
    ArchiveSpec,
    ExtraFields,
    NotesFields,
)
from s3plan.kinds.sources import files_of
from s3plan.model.steps import Need, PutFiles
from s3plan.model.tabular import Column, Section
from s3plan.plan import StepDraft
from s3plan.rules.braces import pieces_of
from s3plan.rules.sessions.extrakeys import ExtraKey
from s3plan.rules.sessions.names import year_of
from s3plan.tables import ITEMS

_LISTED = """
    SELECT file, version, CASE WHEN newest THEN 'yes' ELSE 'no' END, size, modified, storage_class,
        key, etag
    FROM extra_versions ORDER BY file, newest DESC, version DESC, key"""

_PLAIN_MD5 = re.compile(r"[0-9a-f]{32}")


class LocalFile(Struct, frozen=True):
    """A file that is to be an object: its absolute ``path``, the ``key``, and for a note the
    ``session`` that it is of.
    """

    path: str
    key: str
    session: str | None = None
    year: str | None = None


class _Step(Struct, frozen=True):
    """What one step has in common."""

    source: str
    content_type: str | None
    tags: tuple[tuple[str, str], ...]
    replaces: bool


def watched_files(spec: ArchiveSpec, directory: Path) -> tuple[str, ...]:
    """The absolute paths of all notes and extras there are."""
    paths = [path for path, _ in _notes(spec.notes, directory)]
    for extra in spec.extras:
        paths += _extras(extra, directory)
    return tuple(dict.fromkeys(paths))


def put_steps(
    spec: ArchiveSpec, manifest: Manifest, observed: Observed, needs: Iterable[StepDraft]
) -> tuple[list[StepDraft], list[PlanningError]]:
    """Steps for what the bucket does not hold as it is on disk, and what cannot be put."""
    bucket = spec.target.bucket
    listed = {
        key: (size, etag, modified)
        for key, size, etag, modified in observed.database.rows(
            "SELECT key, size, etag, modified FROM listing WHERE bucket = ? AND history IS NULL",
            [bucket],
        )
    }
    wanted: dict[_Step, list[tuple[LocalFile, LocalTable, str]]] = {}
    for file, said in _wanted(spec, manifest, observed.files):
        seen = observed.files[file.path]
        there = listed.get(file.key)
        if there is not None and (file.session is None or _is_same(seen, there)):
            continue
        tags = said.lifecycle.definition().tags if said.lifecycle is not None else {}
        group = _Step(
            str(Path(file.path).parent),
            said.content_type,
            tuple(sorted(tags.items())),
            there is not None,
        )
        wanted.setdefault(group, []).append((file, seen, there[1] if there else ""))
    facts = observed.facts.get(bucket)
    enabled = spec.bucket is not None and spec.bucket.versioning == "enabled"
    versioned = enabled or (facts is not None and facts.versioning == "enabled")
    problems = list(
        found(
            (
                (file.key,)
                for group, files in wanted.items()
                if group.replaces and not versioned
                for file, _, _ in files
            ),
            what="notes changed, and their objects cannot be replaced",
            address=f"s3://{bucket}",
            expected="a bucket that keeps versions, so that the old one stays",
            next_step="set bucket.versioning: enabled, or changed: list to leave them as they are",
        )
        if spec.changed == "replace"
        else ()
    )
    after = tuple(Need(one.id) for one in needs)
    drafts = [
        _draft(spec, group, files, after, observed)
        for group, files in wanted.items()
        if not (group.replaces and spec.changed == "list")
    ]
    return drafts, problems


def _wanted(
    spec: ArchiveSpec, manifest: Manifest, seen: Mapping[str, LocalTable]
) -> Iterator[tuple[LocalFile, NotesFields | ExtraFields]]:
    """Every file that is there, with what is said of it; of notes those of the sessions chosen."""
    chosen = manifest.filters.sessions
    for path, parts in _notes(spec.notes, manifest.directory):
        session, year = parts["session"], parts.get("year")
        if path in seen and chosen.keeps(session, year):
            assert spec.notes is not None
            key = spec.notes.template(spec.sessions.parts).key(parts)
            yield LocalFile(path, key, session, year), spec.notes
    if chosen.is_narrow:
        return
    for extra in spec.extras:
        for path in _extras(extra, manifest.directory):
            if path in seen:
                yield LocalFile(path, extra_key(extra, path, seen[path])), extra


def extra_key(extra: ExtraFields, path: str, seen: LocalTable) -> str:
    """The key of this version of an extra."""
    return ExtraKey.parse(extra.key).key(Path(path).name, seen.sha256 or "", seen.modified)


def _is_same(seen: LocalTable, there: tuple[int, str, str]) -> bool:
    """Whether the object is the file as it is now.

    Its ETag tells where it is an MD5. Under a KMS key it is none, and then an object of the same
    size that was made after the file was last changed is taken for it.
    """
    size, etag, modified = there
    if size != seen.size:
        return False
    if _PLAIN_MD5.fullmatch(etag) and etag == seen.md5:
        return True
    return modified >= seen.modified


def _draft(
    spec: ArchiveSpec,
    group: _Step,
    files: list[tuple[LocalFile, LocalTable, str]],
    needs: tuple[Need, ...],
    observed: Observed,
) -> StepDraft:
    target = spec.target
    draft = StepDraft(
        PutFiles(
            source=group.source,
            content_type=group.content_type,
            encryption=None if target.encryption == "bucket" else target.encryption,
            kms_key=target.kms_key,
            tags=dict(group.tags),
            replaces=group.replaces,
        ),
        target.bucket,
        reversibility="free",
        undo="The old version is what each key holds again."
        if group.replaces
        else "Each object is deleted, if it is still as the run left it and its file is there.",
        reason="The files changed since they were put."
        if group.replaces
        else "The bucket does not hold these files.",
        needs=needs,
    )
    ordered = sorted(files, key=lambda entry: entry[0].key.encode())
    observed.database.append(
        ITEMS,
        {
            "n": list(range(len(ordered))),
            "key": [file.key for file, _, _ in ordered],
            "path": [Path(file.path).name for file, _, _ in ordered],
            "size": [seen.size for _, seen, _ in ordered],
            "etag": [etag for _, _, etag in ordered],
            "modified": [seen.modified for _, seen, _ in ordered],
        },
        {"step": draft.id, "storage_class": "STANDARD"},
    )
    return replace(draft, worklist=draft.id)


def _notes(notes: NotesFields | None, directory: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """The absolute path of each note, and the parts that its path is made of."""
    if notes is None:
        return
    pieces = pieces_of(notes.source)
    glob = "".join("*" if name else literal for name, literal in pieces)
    pattern = "".join(
        f"(?P<{name}>[^/]+)" if name else re.escape(literal) for name, literal in pieces
    )
    base = directory.absolute()
    for path in files_of(glob, base):
        given = path if Path(notes.source).is_absolute() else path.relative_to(base)
        matched = re.fullmatch(pattern, given.as_posix())
        if matched is not None:
            parts = matched.groupdict()
            year = parts.get("year") or year_of(parts["session"])
            yield str(path), parts | ({"year": year} if year else {})


def _extras(extra: ExtraFields, directory: Path) -> list[str]:
    return [str(path) for path in files_of(extra.source, directory.absolute()) if path.is_file()]


def extras_listed(manifest: Manifest, observed: Observed) -> Section:
    """Every version of every extra, from the listing: the newest of each file first."""
    assert isinstance(manifest.document, ArchiveDocument)
    spec = manifest.document.spec
    rows: list[tuple[object, ...]] = []
    for text in dict.fromkeys(extra.key for extra in spec.extras):
        find_versions(observed.database, spec.target.bucket, text, "extra_versions")
        rows += observed.database.rows(_LISTED)
    columns = (
        Column("file"),
        Column("version"),
        Column("latest"),
        Column("bytes", "bytes"),
        Column("put"),
        Column("class"),
        Column("key"),
        Column("etag"),
    )
    return Section("extras", "Extras", columns, list(dict.fromkeys(rows)))
