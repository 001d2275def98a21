"""Everything that keeps a grouping from being planned, found over the whole mapping at once."""

from __future__ import annotations

from collections.abc import Iterator

from s3plan.errors import PlanningError
from s3plan.kinds.grouping.mapping import Mapping, tag_value
from s3plan.kinds.obstacles import found
from s3plan.rules.classes import ARCHIVED_CLASSES
from s3plan.rules.grouping.tags import LONGEST_VALUE, MOST_TAGS

LONGEST_KEY = 1024
"""Bytes of a key (https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html)."""


def source_obstacles(work: Mapping) -> Iterator[PlanningError]:
    """Objects that fit nowhere, or cannot be copied as they are."""
    spec = work.spec
    address = f"s3://{spec.source.bucket}/{spec.source.prefix}"
    if spec.orphans == "block":
        yield from _found(
            work,
            "SELECT key FROM grouping_sources WHERE state = 'orphan' ORDER BY key",
            what="keys are not of the pattern",
            address=address,
            expected=f"{spec.source.pattern} below the prefix",
            next_step="move them, correct source.pattern, or set orphans: list or unknown",
        )
    if spec.incomplete == "block":
        yield from _found(
            work,
            "SELECT key FROM grouping_sources WHERE state = 'incomplete' ORDER BY key",
            what="files are unfinished downloads",
            address=address,
            expected="no .part and no .crdownload",
            next_step="finish or delete them, or set incomplete: list",
        )
    yield from _found(
        work,
        "SELECT key || ' (' || storage_class || ')' FROM grouping_copies"
        " WHERE standing IN ('missing', 'no digest') AND list_contains($archived, storage_class)"
        " ORDER BY key",
        what="sources are archived and need a restore before they can be copied",
        address=address,
        expected="objects that can be read",
        next_step="restore them, then plan again",
        archived=sorted(ARCHIVED_CLASSES),
    )


def digest_obstacles(work: Mapping) -> Iterator[PlanningError]:
    """Objects whose new key is made of a digest that nobody knows."""
    spec = work.spec
    computing = spec.checksums == "compute"
    yield from _found(
        work,
        "SELECT key FROM grouping_copies WHERE standing = 'no digest'"
        " AND NOT list_contains($archived, storage_class) ORDER BY key",
        what="sources were changed while they were read"
        if computing
        else "sources have no SHA-256 in S3, of which their new keys are to be made",
        address=f"s3://{spec.source.bucket}/{spec.source.prefix}",
        expected="a stored SHA-256 of the whole object",
        next_step="plan again"
        if computing
        else "set checksums: compute, which reads them once, or use {uuid} in target.key",
        archived=sorted(ARCHIVED_CLASSES),
    )


def tag_obstacles(work: Mapping) -> Iterator[PlanningError]:
    """Copies that S3 would refuse for their tags."""
    tags = work.spec.target.tags
    address = f"s3://{work.spec.source.bucket}/{work.spec.source.prefix}"
    if not tags:
        return
    yield from _found(
        work,
        "SELECT key || ' (' || many || ')' FROM ("
        "  SELECT key, len(list_distinct(json_keys(tags) || $names)) AS many FROM object_tags"
        "  WHERE bucket = $source) WHERE many > $most ORDER BY key",
        what="copies would have too many tags, their sources' and those of target.tags",
        address=address,
        expected=f"at most {MOST_TAGS} tags",
        next_step="leave some out of target.tags, or take tags off the sources",
        names=sorted(tags),
        most=MOST_TAGS,
    )
    for name, text in work.spec.tag_templates.items():
        yield from _found(
            work,
            f"SELECT key FROM grouping_sources WHERE state = 'mapped' AND"  # noqa: S608
            f" length({tag_value(work, text)}) > $longest ORDER BY key",
            what=f"values of the tag {name} would be too long",
            address=address,
            expected=f"at most {LONGEST_VALUE} characters",
            next_step=f"leave parts out of target.tags.{name}",
            longest=LONGEST_VALUE,
        )


def key_obstacles(work: Mapping) -> Iterator[PlanningError]:
    """What is wrong with the new keys: every problem with both keys."""
    spec = work.spec
    address = f"s3://{spec.target_bucket}"
    # Equal digests are of equal content, which is to be there once.
    if not work.rules.template.by_digest:
        yield from _repeated(work, address)
    if spec.on_conflict == "block":
        yield from _found(
            work,
            "SELECT key || ' (' || size || ' bytes) -> ' || new_key || ' (' || found_size ||"
            " ' bytes)' FROM grouping_copies WHERE standing = 'conflict' AND NOT"
            " ($source = $target AND key = new_key) ORDER BY key",
            what="new keys hold other objects already",
            address=address,
            expected="nothing there, or the same content",
            next_step="move those objects away, or set onConflict: skip",
        )
    if spec.source.bucket == spec.target_bucket:
        yield from _found(
            work,
            "SELECT key FROM grouping_copies WHERE key = new_key ORDER BY key",
            what="new keys are those of the sources themselves",
            address=address,
            expected="another key for every object",
            next_step="correct source.pattern or target.key",
        )
        yield from _found(
            work,
            "SELECT key || ' -> ' || new_key FROM grouping_copies WHERE key <> new_key AND"
            " starts_with(new_key, $prefix) AND"
            " regexp_full_match(substr(new_key, length($prefix) + 1), $pattern, 's') ORDER BY key",
            what="copies would be taken for sources by the next plan",
            address=address,
            expected="new keys outside source.prefix, or not of source.pattern",
            next_step="put the new keys under a prefix of their own in target.key",
        )
    yield from _found(
        work,
        "SELECT key || ' -> ' || new_key FROM grouping_copies WHERE strlen(new_key) > $longest"
        " ORDER BY key",
        what=f"new keys are longer than {LONGEST_KEY} bytes",
        address=address,
        expected=f"at most {LONGEST_KEY} bytes of UTF-8",
        next_step="leave parts out of target.key",
        longest=LONGEST_KEY,
    )
    yield from _found(
        work,
        "SELECT key || ' -> ' || new_key FROM grouping_copies WHERE list_has_any("
        " string_split(new_key, '/'), ['', '.', '..']) ORDER BY key",
        what="new keys have components that are empty, . or ..",
        address=address,
        expected="a name in every component",
        next_step="correct target.key",
    )


def _repeated(work: Mapping, address: str) -> Iterator[PlanningError]:
    yield from _found(
        work,
        "SELECT min(key) || ' and ' || string_agg(key, ', ' ORDER BY key) FILTER"
        " (WHERE key <> first_key) || ' -> ' || new_key FROM ("
        "  SELECT key, new_key, min(key) OVER (PARTITION BY new_key) AS first_key,"
        "    count(*) OVER (PARTITION BY new_key) AS many FROM grouping_copies)"
        " WHERE many > 1 GROUP BY new_key ORDER BY new_key",
        what="new keys would be that of several sources",
        address=address,
        expected="a new key for every source",
        next_step="put more parts into target.key, such as {row_id} and {file}",
    )


def backup_obstacles(work: Mapping) -> Iterator[PlanningError]:
    """A backup must not be among what is backed up, nor over what is there."""
    backup = work.spec.backup
    if backup is None:
        return
    if backup.bucket == work.spec.source.bucket:
        yield from _found(
            work,
            "SELECT $place || key FROM grouping_copies WHERE starts_with($place || key, $prefix)"
            " AND regexp_full_match(substr($place || key, length($prefix) + 1), $pattern, 's')"
            " ORDER BY key",
            what="keys of the backup would be taken for sources",
            address=f"s3://{backup.bucket}/{backup.prefix}",
            expected="another bucket, or a prefix that the pattern does not match",
            next_step="correct backup.bucket or backup.prefix",
            place=backup.prefix,
        )
    yield from _found(
        work,
        "SELECT key || ' -> ' || backup_key FROM grouping_backup WHERE standing = 'conflict'"
        " ORDER BY key",
        what="keys of the backup hold other objects already",
        address=f"s3://{backup.bucket}/{backup.prefix}",
        expected="nothing there, or the same content",
        next_step="choose another backup.prefix",
    )


def _found(
    work: Mapping,
    query: str,
    *,
    what: str,
    address: str,
    expected: str,
    next_step: str,
    **values: object,
) -> Iterator[PlanningError]:
    rows = work.rows(query, **values)
    yield from found(rows, what=what, address=address, expected=expected, next_step=next_step)
