"""The layout of an archive against Python's tarfile and the system's tar."""

from __future__ import annotations

import hashlib
import io
import subprocess
import tarfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from s3plan.rules.tarlayout import (
    MOST_MEMBERS,
    RECORD,
    lay_out,
    manifest_line,
    read_manifest,
    tar_size,
)

NAMES = st.text(
    st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=120
).filter(lambda name: name not in (".", ".."))
PATHS = st.lists(NAMES, min_size=1, max_size=4).map("/".join)
FILES = st.dictionaries(PATHS, st.binary(max_size=1500), max_size=6)


def written(folder: str, files: dict[str, bytes]) -> bytes:
    """The tar by its layout, with zeros for the manifest."""
    ordered = sorted(files.items(), key=lambda entry: entry[0].encode())
    layout = lay_out(folder, [(name, len(data)) for name, data in ordered])
    out = io.BytesIO()
    for placed, data in zip(layout.members, [*[d for _, d in ordered], None], strict=True):
        out.write(placed.header)
        assert out.tell() == placed.offset
        out.write(bytes(placed.size) if data is None else data)
        out.write(bytes(placed.padding))
    assert out.tell() == layout.end
    out.write(bytes(layout.size - layout.end))
    return out.getvalue()


@given(NAMES, FILES)
@settings(max_examples=60, deadline=None)
def test_python_reads_every_name_and_content_at_its_offset(
    folder: str, files: dict[str, bytes]
) -> None:
    """D1, D11: what is below the top folder, whatever it is called."""
    named = {f"{folder}/{name}": data for name, data in files.items() if name != "SHA256SUMS"}
    data = written(folder, named)
    assert len(data) % RECORD == 0
    layout = lay_out(
        folder,
        [(n, len(d)) for n, d in sorted(named.items(), key=lambda entry: entry[0].encode())],
    )
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        members = archive.getmembers()
        assert [m.name for m in members] == [placed.name for placed in layout.members]
        for member, placed in zip(members, layout.members, strict=True):
            assert (member.offset_data, member.size) == (placed.offset, placed.size)
            assert (member.uid, member.gid, member.mtime, member.mode) == (0, 0, 0, 0o644)
            assert member.isreg()
            if member.name in named:
                content = archive.extractfile(member)
                assert content is not None
                assert content.read() == named[member.name]


def test_the_same_files_give_the_same_bytes_for_ever() -> None:
    """A digest that changes would archive every session again."""
    names = {"n/a.fits": b"a" * 2880, "n/ä.fits": b"b" * 100, f"n/{'x' * 150}": b""}
    assert hashlib.sha256(written("n", names)).hexdigest() == (
        "430ba969b2c2f96465f1ed5c50503c7dbdc85bd4ad362ac37e3313f2eb2635ae"
    )


def test_a_file_of_over_eight_gibibytes_has_its_size_in_a_pax_header(tmp_path: Path) -> None:
    size = 9 << 30
    placed = lay_out("n", [("n/large", size)]).members[0]
    path = tmp_path / "large.tar"
    with path.open("wb") as out:
        out.write(placed.header)
        out.truncate(placed.offset + size + 1024)
    with tarfile.open(path) as archive:
        member = archive.next()
        assert member is not None
        assert (member.name, member.size, member.offset_data) == ("n/large", size, placed.offset)


def test_tar_lists_it(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    path.write_bytes(written("n", {"n/d/b.fits": b"b", "n/ä.fits": b"a"}))
    listed = subprocess.run(
        ["tar", "--quoting-style=literal", "-tf", path], capture_output=True, check=True, text=True
    )
    assert listed.stdout.splitlines() == ["n/d/b.fits", "n/ä.fits", "n/SHA256SUMS"]


def test_the_manifest_is_what_sha256sum_checks(tmp_path: Path) -> None:
    names = ["plain.fits", "with blank", "back\\slash", "line\nbreak"]
    lines = b""
    for name in names:
        (tmp_path / name).write_bytes(name.encode())
        lines += manifest_line(hashlib.sha256(name.encode()).hexdigest(), f"n/{name}", "n")
    (tmp_path / "SHA256SUMS").write_bytes(lines)
    checked = subprocess.run(
        ["sha256sum", "--strict", "-c", "SHA256SUMS"],
        cwd=tmp_path,
        capture_output=True,
        check=False,
        text=True,
    )
    assert checked.returncode == 0, checked.stderr
    assert list(read_manifest(lines, "n")) == [f"n/{name}" for name in names]
    with pytest.raises(ValueError, match="no digest"):
        read_manifest(b"not a line\n", "n")


@pytest.mark.parametrize(
    ("folder", "names", "said"),
    [
        ("", ["/a"], "not one name"),
        ("a/b", [], "not one name"),
        ("..", [], "not one name"),
        ("n", ["m/a"], "no file below"),
        ("n", ["n/../a"], "no file below"),
        ("n", ["n/a/"], "no file below"),
        ("n", ["n//a"], "no file below"),
        ("n", ["n"], "no file below"),
        ("n", ["n/b", "n/a"], "not in order"),
        ("n", ["n/a", "n/a"], "not in order"),
        ("n", ["n/SHA256SUMS"], "list of digests"),
        ("n", ["n/\udcff"], "surrogates"),
    ],
)
def test_names_that_no_archive_takes_are_refused(folder: str, names: list[str], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        tar_size(folder, [(name, 1) for name in names])


def test_more_files_than_memory_is_meant_for_are_refused() -> None:
    """Invariant 8."""
    with pytest.raises(ValueError, match="takes 100,000"):
        tar_size("n", [(f"n/{number:07}", 1) for number in range(MOST_MEMBERS + 1)])
