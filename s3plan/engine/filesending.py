"""One local file put under a key that is free, and verified there.

For copies of tables, which are megabytes: one request each, so that a session that goes on has
nothing of an earlier one to find. What stands under the key
is never replaced: the same content is taken for an earlier try of ours, other content holds.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from msgspec import Struct

from s3plan.engine.context import Context
from s3plan.engine.handlers.putting import content_verdict
from s3plan.errors import (
    HeldError,
    NoSuchKeyError,
    OutcomeUnknownError,
    PreconditionFailedError,
)
from s3plan.localfs.refusals import refusal
from s3plan.model.objects import Checksum, Kind, ObjectAttributes
from s3plan.rules.hashing import hasher
from s3plan.rules.integrity import FALLBACK
from s3plan.rules.parts import LARGEST_PUT
from s3plan.store import Bucket, ChunkedSource

_BLOCK = 1024 * 1024
_MD5: Kind = ("MD5", "")


class _Local(Struct, frozen=True):
    """A file as it was read: its size in bytes, what S3 is told of it, and its MD5."""

    size: int
    whole: Checksum
    md5: Checksum


async def send_file(
    context: Context,
    bucket: Bucket,
    key: str,
    path: Path,
    attributes: ObjectAttributes | None = None,
) -> Checksum:
    """Put the file under ``key`` and verify its content there; its checksum.

    The intent is the caller's. Raises HeldError where the key holds other content, or the file is
    too large; DestinationError where it cannot be read; StoreErrors.
    """
    local = await context.in_thread(_read, path)
    address = f"s3://{bucket.name}/{key}"
    if local.size > LARGEST_PUT:
        raise HeldError(
            "the file is too large for one upload",
            address=str(path),
            expected=f"at most {LARGEST_PUT:,} bytes",
            found=f"{local.size:,}",
            next_step="compress it, or upload it yourself",
        )
    # Where the condition below is not known to be honoured, it may overwrite: look first.
    if not context.capabilities.holds("put-if-none-match") and await _is_there(
        bucket, key, local, address
    ):
        return local.whole
    # Refused, or without an answer: an earlier try of ours, or a stranger; what is there tells.
    with suppress(PreconditionFailedError, OutcomeUnknownError):
        await bucket.put(
            key,
            ChunkedSource(lambda: _chunks(path)),
            size=local.size,
            attributes=attributes or ObjectAttributes(),
            content_md5=bytes.fromhex(local.md5.value),
            checksum=local.whole,
            if_none_match=True,
        )
    if not await _is_there(bucket, key, local, address):
        raise HeldError(
            "the file did not arrive",
            address=address,
            expected=f"{local.size:,} bytes of {path}",
            found="nothing",
            next_step="look whether something else takes that key, then run the same command again",
        )
    return local.whole


async def _is_there(bucket: Bucket, key: str, local: _Local, address: str) -> bool:
    """Whether the key holds the file; False where it is free. Anything else is a HeldError."""
    try:
        verdict = await content_verdict(bucket, key, local.size, local.whole, local.md5)
    except NoSuchKeyError:
        return False
    if verdict != "verified":
        raise HeldError(
            "the key holds something else; it was left alone",
            address=address,
            expected=f"nothing, or {local.size:,} bytes with {local.whole.algorithm}"
            f" {local.whole.value}",
            found="other content",
            next_step="move that object away, or choose another place",
        )
    return True


def _read(path: Path) -> _Local:
    running = [hasher(*FALLBACK), hasher(*_MD5)]
    size = 0
    for chunk in _chunks(path):
        size += len(chunk)
        for one in running:
            one.update(chunk)
    whole, md5 = (one.checksum() for one in running)
    return _Local(size, whole, md5)


def _chunks(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as file:
            while block := file.read(_BLOCK):
                yield block
    except OSError as error:
        raise refusal(error, str(path), "read the file") from error
