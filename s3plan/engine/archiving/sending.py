"""An archive on its way into a multipart upload: made once, nothing of it on disk.

The upload's id is in the journal before its first part is sent. A session that goes on makes the
archive again from its files, and sends those parts that S3 does not have, or whose ETag is not the
MD5 of what was made. A part that fails is sent again from memory.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Mapping, Sequence

from msgspec import Struct

from s3plan.engine.archiving.packing import Packer, RawPart
from s3plan.engine.context import Context
from s3plan.errors import HeldError
from s3plan.localfs.tree import Tree
from s3plan.model.archives import Compression, IndexFrame, IndexMember
from s3plan.model.connection import Limits
from s3plan.model.objects import Checksum
from s3plan.model.steps import Archive, Item
from s3plan.rules.frames import SMALLEST_PART, pack
from s3plan.rules.hashing import composed, crc_joined, crc_width, hasher, spell
from s3plan.rules.integrity import FALLBACK
from s3plan.rules.parts import write_parts
from s3plan.rules.tarlayout import lay_out
from s3plan.store import ChunkedSource, Part, Upload, part_size
from s3plan.store.incomplete import StoredPart

Write = Callable[[bytes | memoryview], None]
"""Takes the next bytes of an archive."""

PART = 16 << 20
"""Bytes of a part of a tar that is not compressed, unless there would be more than 10,000."""

PACKED_PART = 64 << 20
"""Bytes that become one frame of a compressed one: each is filled up to 5 MiB."""


class Made(Struct, frozen=True):
    """The whole archive as it was made: its size, its two digests, and what is where in it."""

    size: int
    checksum: Checksum
    etag: str
    parts: tuple[Part, ...]
    members: tuple[IndexMember, ...]
    frames: tuple[IndexFrame, ...]


class _Done(Struct, frozen=True):
    """A part that was hashed and, where there is an upload, that S3 has.

    ``raw`` bytes of the tar from ``first`` on became ``size`` bytes.
    """

    first: int
    raw: int
    size: int
    md5: bytes
    crc: int
    part: Part


def raw_part_size(size: int, compression: Compression) -> int:
    """Bytes of the tar that each part of an upload takes."""
    return part_size(size, PART if compression == "none" else PACKED_PART)


def parts_at_once(size: int, compression: Compression, limits: Limits) -> int:
    """Parts that may be on their way, beside the one that is read, within the memory there may be.

    0 where not even that is allowed: an archive has at most 10,000 parts, so a large one needs
    memory for large ones. Of a compressed part both forms are there at once.
    """
    part = raw_part_size(size, compression) * (1 if compression == "none" else 2)
    return min(limits.parts, limits.memory // min(part, max(size, 1)) - 1)


async def make_archive(
    context: Context,
    tree: Tree,
    action: Archive,
    items: Sequence[Item],
    upload: Upload | None = None,
    stored: Mapping[int, StoredPart] = {},
    keep: Write | None = None,
    moved: Callable[[int], None] = lambda _: None,
) -> Made:
    """Make the archive of ``items``, files of ``tree``; send the parts that are not ``stored``.

    Without an upload nothing is sent: it tells what the files would become. ``keep`` is given all
    bytes in order, in a disk thread, ``moved`` how many of the tar have been. Raises Interrupted,
    SourceChanged, DestinationError and StoreError; no part is under way then. HeldError where it
    needs more memory than is allowed.
    """
    limits = context.plan.header.connection.limits
    layout = lay_out(action.name, [(item.key, item.size) for item in items])
    at_once = parts_at_once(layout.size, action.compression, limits)
    if at_once < 1:
        raise HeldError(
            "the archive is too large for the memory that may be used",
            address=action.key,
            expected="room for two of its parts, of which there are at most 10,000",
            found=f"{limits.memory:,} bytes",
            next_step="raise limits.memory of the Connection, and plan again",
        )
    part = raw_part_size(layout.size, action.compression)
    packer = Packer(tree, action.name, layout, items, part, context.check_stop)
    return await _make(context, packer, action.compression, at_once, upload, stored, keep, moved)


async def _make(
    context: Context,
    packer: Packer,
    compression: Compression,
    at_once: int,
    upload: Upload | None,
    stored: Mapping[int, StoredPart],
    keep: Write | None,
    moved: Callable[[int], None],
) -> Made:
    making = packer.parts()
    room = asyncio.Semaphore(at_once)
    tasks: list[asyncio.Task[_Done]] = []
    failed: list[asyncio.Task[_Done]] = []
    behind = 0

    async def one(raw: RawPart, data: bytes | memoryview) -> _Done:
        try:
            async with context.streams:
                return await _part(raw, data, upload, stored.get(raw.number))
        finally:
            packer.give_back(raw)
            room.release()

    def ended(task: asyncio.Task[_Done]) -> None:
        nonlocal behind
        if task.cancelled() or task.exception() is not None:
            failed.append(task)
        else:
            behind += task.result().raw
            moved(behind)

    try:
        while not failed:
            await room.acquire()
            context.check_stop()
            raw = await context.in_thread(next, making, None)
            if raw is None:
                break
            # In order, as they are kept; the next is packed while this one is hashed and sent.
            data = await context.in_thread(_packed, raw, compression)
            if keep is not None:
                await context.in_thread(keep, data)
            task = asyncio.create_task(one(raw, data))
            task.add_done_callback(ended)
            tasks.append(task)
        done = await asyncio.gather(*tasks)
    finally:
        # Before the upload is completed or abandoned no part of it may still be under way.
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return _joined(done, tuple(packer.members), compression)


def _packed(raw: RawPart, compression: Compression) -> bytes | memoryview:
    return pack(compression, raw.data, 0 if raw.is_last else SMALLEST_PART)


async def _part(
    raw: RawPart, data: bytes | memoryview, upload: Upload | None, there: StoredPart | None
) -> _Done:
    """One part, hashed and, with an upload, in S3."""
    size = len(data)
    signs = upload is not None and upload.signs_content
    md5, checksum, crc, sha256 = await asyncio.to_thread(_digests, data, signs=signs)
    etag = md5.hex()
    if upload is not None and (there is None or (there.size, there.etag) != (size, etag)):
        source = ChunkedSource(lambda: iter((data,)))
        part = await upload.send_part(
            raw.number, source, size, md5=md5, checksum=checksum, sha256=sha256
        )
        etag = part.etag
    return _Done(raw.first, raw.size, size, md5, crc, Part(raw.number, etag))


def _digests(data: bytes | memoryview, *, signs: bool) -> tuple[bytes, Checksum, int, str | None]:
    """The MD5, the checksum that S3 compares, its number, and the SHA-256 of a signature."""
    md5, checksum = hasher("MD5"), hasher(*FALLBACK)
    md5.update(data)
    checksum.update(data)
    sha256 = hashlib.sha256(data).hexdigest() if signs else None
    crc = int.from_bytes(checksum.raws()[0], "big")
    return md5.raws()[0], checksum.checksum(), crc, sha256


def _joined(
    done: Sequence[_Done], members: tuple[IndexMember, ...], compression: Compression
) -> Made:
    """What the parts are together: no byte is read again for it."""
    crc, size = 0, 0
    frames = []
    for part in done:
        if compression != "none":
            frames.append(IndexFrame(size, part.size, part.first, part.raw))
        crc = crc_joined(FALLBACK[0], crc, part.crc, part.size)
        size += part.size
    width = crc_width(FALLBACK[0])
    layout = write_parts(part.size for part in done)
    return Made(
        size=size,
        checksum=Checksum(FALLBACK[0], spell(FALLBACK[0], crc.to_bytes(width, "big"))),
        etag=composed("MD5", layout, [part.md5 for part in done]).value,
        parts=tuple(part.part for part in done),
        members=members,
        frames=tuple(frames),
    )
