"""What a recipe makes of an object: what differs from it, its attributes and its parts after it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from msgspec import structs

from s3plan.model.layout import Recipe
from s3plan.model.objects import ObjectAttributes, ObjectHead
from s3plan.rules.codecs import is_coded_anew
from s3plan.rules.parts import count_of_parts, cut

LAYOUT_VERSION = "layout-version"
"""The user metadata, or the tag, that says in which layout an object is; absent it counts as 0."""

SMALLEST_PART = 5 * 1024**2
"""Bytes of every part but the last
(https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html)."""


def layout_version(metadata: Mapping[str, str], tags: Mapping[str, str]) -> int | None:
    """The version an object says it is in; None where it says something that is no number."""
    text = metadata.get(LAYOUT_VERSION, tags.get(LAYOUT_VERSION, "0"))
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 9 else None


def differences(
    recipe: Recipe, head: ObjectHead, tags: Mapping[str, str], first_part: int | None
) -> Iterator[str]:
    """What of the recipe is not true of an object, in the manifest's words.

    ``first_part`` is the size of its first part; None where it was uploaded whole. An object whose
    first part and number of parts are right counts as cut so: asking for each of 10,000 would be as
    many requests. An object of a later layout version is not taken back to an earlier one.
    """
    known = head.attributes
    version = layout_version(known.metadata, tags)
    if recipe.layout_version is not None and (version or 0) < recipe.layout_version:
        yield "layoutVersion"
    if recipe.storage_class not in (None, known.storage_class):
        yield "storageClass"
    if recipe.encryption is not None and not _is_encrypted(recipe, known):
        yield "encryption"
    if recipe.checksum is not None and recipe.checksum not in algorithms(head):
        yield "checksumAlgorithm"
    if recipe.part_size is not None and not _is_cut(recipe.part_size, head, first_part):
        yield "partSize"
    if is_coded_anew(recipe, known):
        yield "codec"
    if recipe.content_type not in (None, known.headers.get("content-type")):
        yield "contentType"
    if any(known.metadata.get(name) != value for name, value in recipe.metadata.items()):
        yield "metadata"


def algorithms(head: ObjectHead) -> tuple[str, ...]:
    """The checksums that S3 keeps of an object."""
    return tuple(checksum.algorithm for checksum in (*head.checksums, *head.composites))


def attributes_after(recipe: Recipe, before: ObjectAttributes) -> ObjectAttributes:
    """The attributes of the new form; ``before`` has the tags.

    Not the storage class: what is staged is STANDARD until it takes its place. Not locks and ACLs,
    which belong to the old form.
    """
    headers = dict(before.headers)
    if recipe.content_type is not None:
        headers["content-type"] = recipe.content_type
    metadata = before.metadata | recipe.metadata
    tags = dict(before.tags)
    if recipe.layout_version is not None:
        metadata[LAYOUT_VERSION] = str(recipe.layout_version)
        if LAYOUT_VERSION in tags:
            tags[LAYOUT_VERSION] = str(recipe.layout_version)
    encrypted = recipe.encryption is not None
    return ObjectAttributes(
        headers=headers,
        metadata=metadata,
        tags=tags,
        encryption=recipe.encryption if encrypted else before.encryption,
        kms_key=recipe.kms_key if encrypted else before.kms_key,
        bucket_key=before.bucket_key,
        website_redirect=before.website_redirect,
    )


def same_attributes(wanted: ObjectAttributes, found: ObjectAttributes) -> bool:
    """Whether an object has the attributes that it was to be made with.

    A key that was not named is whichever S3 chose; an encryption that was not, the bucket's.
    """
    if wanted.encryption is not None and not _is_encrypted(
        Recipe(encryption=wanted.encryption, kms_key=wanted.kms_key), found
    ):
        return False
    return _bare(wanted) == _bare(found)


def parts_after(recipe: Recipe, size: int, parts: Sequence[int]) -> tuple[int, ...]:
    """The sizes of the parts that the new form is put together from; none where it is in one piece.

    ``parts`` are the old form's. One part is as good as none, and leaves the ETag an MD5.
    """
    if recipe.part_size is None:
        return tuple(parts) if len(parts) > 1 else ()
    return cut(size, recipe.part_size)


def _is_encrypted(recipe: Recipe, known: ObjectAttributes) -> bool:
    if recipe.encryption != known.encryption:
        return False
    # S3 tells the key's ARN, whatever it was named by.
    return recipe.kms_key is None or (known.kms_key or "").endswith(recipe.kms_key)


def _is_cut(part_size: int, head: ObjectHead, first_part: int | None) -> bool:
    count = count_of_parts(head.etag) or 1
    if head.size > part_size:
        return first_part == part_size and count == len(cut(head.size, part_size))
    return count == 1


def _bare(attributes: ObjectAttributes) -> ObjectAttributes:
    """Headers, metadata, tags and redirect, which a reader sees."""
    return structs.replace(
        attributes,
        storage_class="STANDARD",
        encryption=None,
        kms_key=None,
        bucket_key=False,
        grants={},
        lock_mode=None,
        lock_until=None,
        legal_hold=None,
    )
