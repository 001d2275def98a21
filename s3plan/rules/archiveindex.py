"""The index of an archive as bytes, and back; what does not add up is no index."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import msgspec

from s3plan.model.archives import (
    INDEX_FORMAT,
    Index,
    IndexEnd,
    IndexFrame,
    IndexHeader,
    IndexMember,
)

CONTENT_TYPE = "application/x-ndjson"
"""Of an index in S3: JSON Lines (https://github.com/ndjson/ndjson-spec)."""

_Line = IndexHeader | IndexMember | IndexFrame | IndexEnd
_lines = msgspec.json.Decoder(_Line)


class BadIndex(ValueError):
    """These bytes are not the whole index of an archive; says why."""


def write_index(
    header: IndexHeader, members: Sequence[IndexMember], frames: Sequence[IndexFrame] = ()
) -> bytes:
    """The index as it is stored; the same values give the same bytes."""
    text = b"".join(msgspec.json.encode(line) + b"\n" for line in (header, *frames, *members))
    end = IndexEnd(len(members), hashlib.sha256(text).hexdigest())
    return text + msgspec.json.encode(end) + b"\n"


def read_index(data: bytes) -> Index:
    """Raises BadIndex unless all of it is there as it was written."""
    body, _, last = data.removesuffix(b"\n").rpartition(b"\n")
    try:
        first, *others = [_lines.decode(line) for line in body.split(b"\n")]
        end = _lines.decode(last)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise BadIndex(f"a line cannot be read: {error}") from error
    if not isinstance(first, IndexHeader) or first.format != INDEX_FORMAT:
        raise BadIndex(f"it does not begin with a header of {INDEX_FORMAT}")
    members = tuple(line for line in others if isinstance(line, IndexMember))
    frames = tuple(line for line in others if isinstance(line, IndexFrame))
    if len(members) + len(frames) != len(others):
        raise BadIndex("it has two headers, or an end before its end")
    digest = hashlib.sha256(body + b"\n").hexdigest()
    if not isinstance(end, IndexEnd) or end != IndexEnd(len(members), digest):
        raise BadIndex("its last line is missing, or not that of these lines")
    if content_of(members) != first.content:
        raise BadIndex("its members are not the content that its header names")
    return Index(first, members, frames, digest)


def same_index(left: bytes, right: bytes) -> bool:
    """Whether two indexes say the same, whenever they were made."""
    if left == right:
        return True
    try:
        one, other = read_index(left), read_index(right)
    except BadIndex:
        return False
    header = msgspec.structs.replace(other.header, made=one.header.made)
    return (one.header, one.members, one.frames) == (header, other.members, other.frames)


def content_of(members: Sequence[IndexMember]) -> str:
    """The SHA-256, in hex, over names, sizes and digests: equal for archives of equal files."""
    running = hashlib.sha256()
    for member in members:
        running.update(msgspec.json.encode((member.name, member.size, member.sha256)) + b"\n")
    return running.hexdigest()
