"""What a grouping asks of single objects, because a listing does not tell it and a rule, a new key
or a tag depends on it. Who needs none of this pays for no request.
"""

from __future__ import annotations

from collections.abc import Iterator

from s3plan.inventory.questions import About, Inquiry, Question
from s3plan.kinds.grouping.manifest import GroupingSpec, regrouping
from s3plan.kinds.grouping.mapping import Mapping, map_sources, place_backup, place_copies
from s3plan.rules.classes import ARCHIVED_CLASSES
from s3plan.rules.counting import counted
from s3plan.tables import Database

_UNTYPED = """
    SELECT key, etag, size FROM grouping_sources WHERE state = 'mapped' AND asks ORDER BY key"""

_UNNAMED = """
    SELECT key, etag, size FROM grouping_sources
    WHERE state = 'mapped' AND sha256 IS NULL AND NOT list_contains($archived, storage_class)
    ORDER BY key"""

# Two objects of one size whose ETags differ: the source, and what is where its copy is to be.
_DOUBTED_SOURCES = """
    SELECT key, etag, size FROM {table}
    WHERE standing IN ('unproven', 'conflict') AND found_size = size
        AND key NOT IN (SELECT key FROM heads WHERE bucket = $source)
    ORDER BY key"""

_DOUBTED_COPIES = """
    SELECT {copy_key}, any_value(found_etag), any_value(found_size) FROM {table}
    WHERE standing IN ('unproven', 'conflict') AND found_size = size
        AND {copy_key} NOT IN (SELECT key FROM heads WHERE bucket = $place_bucket)
    GROUP BY {copy_key} ORDER BY {copy_key}"""

_TO_COPY = "SELECT key, etag, size FROM grouping_copies WHERE standing = 'missing' ORDER BY key"


def inquiry_of(spec: GroupingSpec) -> Inquiry:
    """The questions of one manifest, in the order in which they depend on each other."""
    about: list[About] = ["heads"]
    if regrouping(spec).template.by_digest:
        about += ["stored-digests", "digests"]
    if spec.target.tags:
        about.append("tags")

    def questions(database: Database) -> Iterator[Question]:
        work = Mapping(database, spec)
        yield from _about_types(work)
        yield from _about_content(work)
        map_sources(work)
        place_copies(work)
        yield from _about_copies(work)
        if spec.target.tags:
            place_copies(work)
            yield _question(work, "tags", _TO_COPY, "the tags")

    return Inquiry(tuple(about), questions)


def _about_types(work: Mapping) -> Iterator[Question]:
    if work.rules.is_about_content_types:
        map_sources(work)
        yield _question(work, "heads", _UNTYPED, "the content types")


def _about_content(work: Mapping) -> Iterator[Question]:
    if not work.rules.template.by_digest:
        return
    archived = sorted(ARCHIVED_CLASSES)
    map_sources(work)
    yield _question(work, "stored-digests", _UNNAMED, "the stored SHA-256", archived=archived)
    if work.spec.checksums == "compute":
        map_sources(work)
        yield _question(work, "digests", _UNNAMED, "all content for its SHA-256", archived=archived)


def _about_copies(work: Mapping) -> Iterator[Question]:
    """What is where a copy is to be: is it the copy?"""
    places = [("grouping_copies", "new_key", work.spec.target_bucket)]
    if work.spec.backup is not None:
        place_backup(work)
        places.append(("grouping_backup", "backup_key", work.spec.backup.bucket))
    for table, copy_key, bucket in places:
        query = _DOUBTED_SOURCES.format(table=table)
        yield _question(work, "heads", query, "the checksums of sources")
        query = _DOUBTED_COPIES.format(table=table, copy_key=copy_key)
        yield _question(
            work, "heads", query, "the checksums of copies", bucket=bucket, place_bucket=bucket
        )


def what_was_asked(work: Mapping) -> Iterator[str]:
    """Sentences on what was asked, once everything is placed."""
    read = " and read where S3 has none" if work.spec.checksums == "compute" else ""
    for table, words, how in (
        ("heads", "content type, checksums and encryption", ""),
        ("digests", "the SHA-256", read),
        ("object_tags", "the tags", ""),
    ):
        ((count,),) = work.rows(f"SELECT count(*) FROM {table} WHERE bucket = $source")  # noqa: S608
        if count:
            objects = counted(count, "object")
            yield f"A listing does not tell {words} of {objects}: each was asked{how}."


def _question(
    work: Mapping,
    about: About,
    query: str,
    words: str,
    *,
    bucket: str | None = None,
    **values: object,
) -> Question:
    name = bucket or work.spec.source.bucket
    return Question(name, about, query, work.bound(query, values), f"{words} in {name}")
