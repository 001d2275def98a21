"""What was appended is read back whole, or as a prefix after a crash, or refused if damaged."""

from __future__ import annotations

import itertools
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3plan.localfs.appendlog import AppendLog, BrokenLine, read_log

BODIES = st.lists(
    st.dictionaries(st.text(min_size=1, max_size=4), st.text(max_size=8), min_size=1, max_size=3)
    .filter(lambda record: "seq" not in record and "crc" not in record)
    .map(msgspec.json.encode),
    max_size=6,
)
_numbers = itertools.count()


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as directory:
        yield Path(directory)


def written(folder: Path, *batches: list[bytes]) -> Path:
    path = folder / str(next(_numbers))
    log = AppendLog.create(path)
    for batch in batches:
        log.append(batch)
    log.sync()
    log.close()
    return path


@given(bodies=BODIES, more=BODIES)
def test_records_come_back_with_their_numbers(
    folder: Path, bodies: list[bytes], more: list[bytes]
) -> None:
    path = written(folder, bodies)
    log = AppendLog.open(path)
    assert log.seq == len(bodies)
    assert log.append(more) == log.seq == len(bodies) + len(more)
    log.close()
    records = list(enumerate([*bodies, *more], start=1))
    assert list(read_log(path)) == records
    lines = path.read_bytes().split(b"\n")[:-1]
    assert [json.loads(line)["seq"] for line in lines] == [number for number, _ in records]


@given(bodies=BODIES.filter(bool), data=st.data())
def test_cut_anywhere_a_log_is_a_prefix_and_goes_on(
    folder: Path, bodies: list[bytes], data: st.DataObject
) -> None:
    path = written(folder, bodies)
    content = path.read_bytes()
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    kept = path.read_bytes().count(b"\n")
    prefix = list(enumerate(bodies[:kept], start=1))
    assert list(read_log(path)) == prefix
    log = AppendLog.open(path, check=data.draw(st.booleans()))
    assert log.append([b'{"new":1}']) == kept + 1
    log.close()
    assert list(read_log(path)) == [*prefix, (kept + 1, b'{"new":1}')]


@given(bodies=BODIES.filter(lambda bodies: len(bodies) > 1), data=st.data())
def test_a_flipped_bit_before_the_last_line_is_refused(
    folder: Path, bodies: list[bytes], data: st.DataObject
) -> None:
    path = written(folder, bodies)
    content = bytearray(path.read_bytes())
    last = content.rindex(b"\n", 0, -1)
    at = data.draw(st.integers(0, last))
    content[at] ^= 1 << data.draw(st.integers(0, 7))
    path.write_bytes(content)
    damaged = bytes(content[:at]).count(b"\n") + 1
    for use in (lambda: list(read_log(path)), lambda: AppendLog.open(path)):
        with pytest.raises(BrokenLine) as caught:
            use()
        assert caught.value.line == damaged
        assert caught.value.address == f"{path}:{damaged}"


def test_a_damaged_last_line_is_no_torn_one(folder: Path) -> None:
    path = written(folder, [b'{"a":1}', b'{"a":2}'])
    path.write_bytes(path.read_bytes().replace(b'"a":2', b'"a":3'))
    for use in (
        lambda: list(read_log(path)),
        lambda: AppendLog.open(path),
        lambda: AppendLog.open(path, check=False),
    ):
        with pytest.raises(BrokenLine) as caught:
            use()
        assert caught.value.line == 2


@pytest.mark.parametrize("change", ["repeated", "left out", "swapped"])
def test_lines_out_of_turn_are_refused(folder: Path, change: str) -> None:
    path = written(folder, [b'{"a":1}', b'{"a":2}', b'{"a":3}'])
    one, two, three = path.read_bytes().splitlines(keepends=True)
    lines = {
        "repeated": [one, two, two, three],
        "left out": [one, three],
        "swapped": [two, one, three],
    }
    path.write_bytes(b"".join(lines[change]))
    with pytest.raises(BrokenLine):
        list(read_log(path))


def test_a_log_longer_than_a_buffer_with_lines_longer_than_one(folder: Path) -> None:
    bodies = [b'{"a":"%b"}' % (b"x" * length) for length in (10, 200_000, 70_000, 1, 65_536)]
    path = written(folder, bodies * 3)
    assert [body for _, body in read_log(path)] == bodies * 3
    assert AppendLog.open(path, check=False).seq == 15


def test_a_full_disk_leaves_the_log_as_it_was(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = folder / "full"
    log = AppendLog.create(path)
    log.append([b'{"a":1}'])
    write, calls = os.write, itertools.count()

    def fill(descriptor: int, data: bytes | memoryview) -> int:
        if next(calls):
            raise OSError(28, "No space left on device")
        return write(descriptor, data[:9])

    with monkeypatch.context() as broken:
        broken.setattr(os, "write", fill)
        with pytest.raises(OSError, match="No space"):
            log.append([b'{"a":2}', b'{"a":3}'])
    assert log.append([b'{"a":4}']) == 2
    log.close()
    assert list(read_log(path)) == [(1, b'{"a":1}'), (2, b'{"a":4}')]


def test_nothing_is_overwritten_and_no_link_followed(folder: Path, tmp_path: Path) -> None:
    path = written(folder, [b'{"a":1}'])
    with pytest.raises(FileExistsError):
        AppendLog.create(path)
    (tmp_path / "link").symlink_to(path)
    with pytest.raises(OSError, match="symbolic"):
        AppendLog.open(tmp_path / "link")
    with pytest.raises(FileNotFoundError):
        list(read_log(tmp_path / "none"))
