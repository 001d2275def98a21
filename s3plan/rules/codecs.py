"""How an object's bytes hold its content: compressed, encrypted by its owner, or as they are.

An object whose bytes are not its content says so in its metadata, for whoever reads it without
s3plan: which codecs, outermost last, and the size and a digest of the content. Compression alone is
a content coding of HTTP as well (RFC 9110, 8.4.1; zstd is RFC 8878, 4), so that clients undo it.
"""

from __future__ import annotations

import hashlib
from typing import Literal, get_args

from msgspec import structs

from s3plan.model.layout import Recipe
from s3plan.model.objects import Checksum, ChecksumAlgorithm, ObjectAttributes

CodecName = Literal["gzip", "zstd", "age"]
"""``age`` is encryption to recipients (https://age-encryption.org/v1)."""

CODECS = "s3plan-codecs"
CONTENT = "s3plan-content"
CONTENT_SIZE = "s3plan-content-size"
RECIPIENTS = "s3plan-recipients"
"""User metadata. The content's digest is ``ALGORITHM:VALUE``; recipients are told by a digest of
their public keys."""

OURS = frozenset({CODECS, CONTENT, CONTENT_SIZE, RECIPIENTS})

_CODINGS: tuple[CodecName, ...] = ("gzip", "zstd")
_NAMES = frozenset(get_args(CodecName))
_ALGORITHMS: dict[str, ChecksumAlgorithm] = {name: name for name in get_args(ChecksumAlgorithm)}


def codecs_of(attributes: ObjectAttributes) -> tuple[CodecName, ...] | None:
    """The codecs of an object, in the order in which they were applied; None for one that is not
    known.
    """
    told = attributes.metadata.get(CODECS)
    if told is None:
        codings = attributes.headers.get("content-encoding", "").split(",")
        # aws-chunked is how the body came, and was left there by some clients.
        names = [name for coding in codings if (name := coding.strip()) not in ("", "aws-chunked")]
    else:
        names = [name for name in told.split(",") if name]
    known: list[CodecName] = [name for name in get_args(CodecName) if name in names]
    if len(names) > 2 or not set(names) <= _NAMES or [*known] != names:
        return None
    return tuple(known)


def codecs_after(recipe: Recipe, now: tuple[CodecName, ...]) -> tuple[CodecName, ...]:
    """The codecs that the recipe wants: what it does not say stays."""
    compressed: tuple[CodecName, ...] = tuple(name for name in now if name != "age")
    if recipe.codec is not None:
        compressed = () if recipe.codec == "none" else (recipe.codec,)
    sealed = "age" in now if recipe.recipients is None else bool(recipe.recipients)
    return (*compressed, "age") if sealed else compressed


def is_coded_anew(recipe: Recipe, attributes: ObjectAttributes) -> bool:
    """Whether the bytes of an object have to change."""
    now = codecs_of(attributes)
    if now is None or (recipe.codec is None and recipe.recipients is None):
        return False
    if codecs_after(recipe, now) != now:
        return True
    wanted = recipients_digest(recipe.recipients or ())
    return bool(recipe.recipients) and attributes.metadata.get(RECIPIENTS) != wanted


def coded_attributes(
    attributes: ObjectAttributes,
    codecs: tuple[CodecName, ...],
    content: Checksum,
    size: int,
    recipients: tuple[str, ...],
) -> ObjectAttributes:
    """The attributes of an object whose bytes hold that content by these codecs."""
    headers = dict(attributes.headers)
    headers.pop("content-encoding", None)
    metadata = {name: text for name, text in attributes.metadata.items() if name not in OURS}
    if len(codecs) == 1 and codecs[0] in _CODINGS:
        headers["content-encoding"] = codecs[0]
    if codecs:
        metadata[CODECS] = ",".join(codecs)
        metadata[CONTENT] = f"{content.algorithm}:{content.value}"
        metadata[CONTENT_SIZE] = str(size)
    if "age" in codecs:
        metadata[RECIPIENTS] = recipients_digest(recipients)
    return structs.replace(attributes, headers=headers, metadata=metadata)


def content_of(attributes: ObjectAttributes) -> Checksum | None:
    """The digest of its content that a coded object tells; None where it tells none."""
    algorithm, colon, value = attributes.metadata.get(CONTENT, "").partition(":")
    if not colon or algorithm not in _ALGORITHMS:
        return None
    return Checksum(_ALGORITHMS[algorithm], value)


def recipients_digest(recipients: tuple[str, ...]) -> str:
    """What tells one set of recipients from another."""
    return hashlib.sha256("\n".join(sorted(recipients)).encode()).hexdigest()[:16]
