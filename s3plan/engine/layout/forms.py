"""One form of an object as it stands at some key: its headers, its tags and its parts."""

from __future__ import annotations

from msgspec import Struct, structs

from s3plan.engine.layout.failing import Refused
from s3plan.errors import PreconditionFailedError
from s3plan.model.objects import ObjectAttributes, ObjectHead
from s3plan.model.steps import Item
from s3plan.rules.parts import count_of_parts
from s3plan.rules.shadow import parse
from s3plan.store import Bucket, CopySource


class Form(Struct, frozen=True):
    """``attributes`` are those of the head with the tags; ``parts`` are sizes in bytes, none for an
    object in one piece.
    """

    head: ObjectHead
    attributes: ObjectAttributes
    parts: tuple[int, ...]


async def read_form(
    bucket: Bucket, key: str, *, if_match: str | None = None, version: str | None = None
) -> Form:
    """What stands at the key, two requests and one for each part.

    Raises NoSuchKeyError, PreconditionFailedError where the ETag is another, and Refused where the
    endpoint does not tell the sizes of its parts: they are read, never guessed.
    """
    head = await bucket.head(key, if_match=if_match, version=version)
    tags = {} if head.tag_count == 0 else await bucket.tags(key, version=version)
    count = count_of_parts(head.etag) or 1
    parts: tuple[int, ...] = ()
    if count > 1:
        told = await bucket.part_sizes(key, count, if_match=head.etag, version=version)
        if told is None or sum(told) != head.size:
            raise Refused(
                "parts-unknown",
                f"{key} was uploaded in {count} parts, and the endpoint does not tell their sizes",
            )
        parts = told
    return Form(head, structs.replace(head.attributes, tags=tags), parts)


def check_planned(item: Item, head: ObjectHead) -> None:
    """Raise PreconditionFailedError unless the head is of the object as it was planned.

    Not the ETag alone: an object that was written again with the same bytes has the same.
    """
    planned = (item.size, item.etag, item.modified[:19])
    found = (head.size, head.etag, head.modified[:19])
    same_version = item.version_id is None or item.version_id == head.version_id
    if planned != found or not same_version:
        raise PreconditionFailedError(
            "the object is another one than was planned",
            address=item.key,
            expected=f"{item.size} bytes, ETag {item.etag}, of {item.modified}",
            found=f"{head.size} bytes, ETag {head.etag}, of {head.modified}",
        )


def source_of(bucket: Bucket, key: str, head: ObjectHead, *, pinned: bool) -> CopySource:
    """What is copied: only this form, by its ETag and, where there is one, its version."""
    version = head.version_id if head.version_id not in (None, "null") else None
    return CopySource(bucket.name, key, head.etag if pinned else None, version)


def old_key(item: Item) -> str:
    """Where the old form of an item is kept; its ``path`` is where the new one is staged."""
    shadow = parse(item.path)
    assert shadow is not None, item.path
    return structs.replace(shadow, role="old").name
