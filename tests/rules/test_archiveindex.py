"""The index of an archive: read back as written, and refused where anything is missing."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from s3plan.model.archives import INDEX_FORMAT, IndexFrame, IndexHeader, IndexMember
from s3plan.model.objects import Checksum
from s3plan.rules.archiveindex import BadIndex, content_of, read_index, same_index, write_index

MEMBERS = (
    IndexMember("n/a.fits", 512, 10, "a" * 64, "2026-01-01T00:00:00.000Z", {"OBJECT": "M 31"}),
    IndexMember("n/b\u2028.fits", 1536, 20, "b" * 64),
)
FRAMES = (IndexFrame(0, 100, 0, 10240),)
HEADER = IndexHeader(
    INDEX_FORMAT, "astro", "n.tar", "n", 10240, "e-1", Checksum("CRC64NVME", "AAAA"), 10240,
    content_of(MEMBERS), "2026-01-02T00:00:00.000Z",
)  # fmt: skip
DATA = write_index(HEADER, MEMBERS, FRAMES)


def test_an_index_is_read_back_as_it_was_written() -> None:
    index = read_index(DATA)
    assert (index.header, index.members, index.frames) == (HEADER, MEMBERS, FRAMES)
    assert read_index(write_index(replace(HEADER, content=content_of(())), ())).members == ()


@pytest.mark.parametrize(
    "lines",
    [
        slice(0, -1),  # its end is missing
        slice(1, None),  # its header
        slice(0, 1),
    ],
)
def test_a_cut_index_is_none(lines: slice) -> None:
    with pytest.raises(BadIndex):
        read_index(b"".join(DATA.splitlines(keepends=True)[lines]))


def test_every_changed_byte_is_seen() -> None:
    for at in range(0, len(DATA) - 1, 7):
        changed = DATA[:at] + bytes([DATA[at] ^ 1]) + DATA[at + 1 :]
        with pytest.raises(BadIndex):
            read_index(changed)


def test_content_is_names_sizes_and_digests_and_nothing_else() -> None:
    later = [
        replace(m, modified="2027-01-01T00:00:00.000Z", keywords={}, offset=0) for m in MEMBERS
    ]
    assert content_of(later) == HEADER.content
    for other in (
        replace(MEMBERS[0], name="n/c.fits"),
        replace(MEMBERS[0], size=11),
        replace(MEMBERS[0], sha256="c" * 64),
    ):
        assert content_of((other, MEMBERS[1])) != HEADER.content


def test_two_indexes_say_the_same_whenever_they_were_made() -> None:
    assert same_index(DATA, write_index(replace(HEADER, made="later"), MEMBERS, FRAMES))
    assert not same_index(DATA, write_index(replace(HEADER, etag="other"), MEMBERS, FRAMES))
    assert not same_index(DATA, b"no index")
