"""What somebody who edits the files of a run can do to them, checksums and digests included."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from s3plan.model.plan import PlanHeader
from s3plan.model.steps import Step
from s3plan.plan.digest import PlanDigest, step_id

Record = dict[str, Any]


def records(path: Path) -> list[Record]:
    """The lines of a plan, or of a log without what frames them."""
    found = [json.loads(line) for line in path.read_bytes().splitlines()]
    for record in found:
        record.pop("seq", None)
        record.pop("crc", None)
    return found


def write_log(path: Path, made: list[Record]) -> None:
    """A journal or catalogue whose every line bears its right number and checksum."""
    lines = []
    for seq, record in enumerate(made, 1):
        text = b'{"seq":%d,%b' % (seq, msgspec.json.encode(record)[1:-1])
        lines.append(b'%b,"crc":"%08x"}\n' % (text, zlib.crc32(text)))
    path.write_bytes(b"".join(lines))


def edit_log(path: Path, edit: Callable[[list[Record]], None]) -> None:
    """Change records of a log and make everything look whole again."""
    made = records(path)
    edit(made)
    write_log(path, made)


def edit_plan(path: Path, edit: Callable[[list[Record]], None]) -> str:
    """Change records of a plan and seal it again, as a tool of one's own could; the digest."""
    made = records(path)
    edit(made)
    header = msgspec.convert(made[0], PlanHeader)
    digest = PlanDigest(header.target)
    ids: dict[str, str] = {}
    lines: list[bytes] = []
    for record in made:
        kind = record["type"]
        if kind == "step":
            lines.append(_step(record, ids, digest))
        elif kind == "item":
            named = record | {"step": ids[record["step"]]}
            lines.append(msgspec.json.encode(named) + b"\n")
            digest.items(lines[-1])
        else:
            end = {"lines": len(made), "digest": digest.value()} if kind == "end" else {}
            lines.append(msgspec.json.encode(record | end) + b"\n")
    path.write_bytes(b"".join(lines))
    return digest.value()


def _step(record: Record, ids: dict[str, str], digest: PlanDigest) -> bytes:
    """A step under the id that its content asks for, leaning on steps by their new ids."""
    step = msgspec.convert(json.loads(_renamed(json.dumps(record), ids)), Step)
    ids[step.id] = step_id(step.action, step.subject)
    line = _renamed(msgspec.json.encode(step).decode(), ids).encode()
    digest.step(msgspec.json.decode(line))
    return line + b"\n"


def _renamed(text: str, ids: dict[str, str]) -> str:
    for old, new in ids.items():
        text = text.replace(old, new)
    return text


def flip(path: Path, offset: int, bit: int = 0) -> None:
    """Change one bit of a file."""
    data = bytearray(path.read_bytes())
    data[offset] ^= 1 << bit
    path.write_bytes(bytes(data))
