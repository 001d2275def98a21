r"""Where everything lies in the tar of a session: the same files give the same bytes.

Headers are Python's own in the PAX format of POSIX.1-2001 ("pax Interchange Format"), which writes
plain ustar blocks where those suffice; what is fixed here is everything that would differ between
two makings of the same archive: members in UTF-8 order, no owner, mode 0644, time 0. So every
offset, and the size of the whole, is known from names and sizes before a file is read.

Below the top folder the last member is ``SHA256SUMS``, as ``sha256sum -c`` reads it.

>>> layout = lay_out("night", [("night/a.fits", 2880)])
>>> [(placed.name, placed.offset, placed.size) for placed in layout.members]
[('night/a.fits', 512, 2880), ('night/SHA256SUMS', 4096, 73)]
>>> layout.size
10240
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterable, Iterator, Sequence

from msgspec import Struct

BLOCK = 512
"""Bytes that headers and contents are filled up to."""

RECORD = 20 * BLOCK
"""Bytes that the whole is filled up to, as tar does (tar(5): a blocking factor of 20)."""

MANIFEST = "SHA256SUMS"
"""The member that is made here: the digest of every other."""

MOST_MEMBERS = 100_000
"""Files of one archive. Their places and digests are in memory at once, about 500 bytes each."""

_END = 2 * BLOCK
_DIGEST = 64
_ESCAPES = {"\\": "\\\\", "\n": "\\n", "\r": "\\r"}


class Placed(Struct, frozen=True):
    """A member: its header's bytes, where its content begins in the tar, and how long that is."""

    name: str
    size: int
    header: bytes
    offset: int

    @property
    def padding(self) -> int:
        """Zero bytes after the content."""
        return -self.size % BLOCK


class Layout(Struct, frozen=True):
    """The whole tar. ``members`` are in its order, the manifest last; ``size`` is its bytes."""

    members: tuple[Placed, ...]
    end: int
    size: int


def lay_out(folder: str, files: Sequence[tuple[str, int]]) -> Layout:
    """The layout of ``files``: names below ``folder/`` in UTF-8 order, and their bytes.

    Raises ValueError for names that are not so, or that no tar could hold.
    """
    check_names(folder, [name for name, _ in files])
    manifest = manifest_name(folder)
    lines = sum(len(manifest_line("0" * _DIGEST, name, folder)) for name, _ in files)
    placed = []
    at = 0
    for name, size in (*files, (manifest, lines)):
        header = _header(name, size)
        member = Placed(name, size, header, at + len(header))
        placed.append(member)
        at = member.offset + size + member.padding
    return Layout(tuple(placed), at, -(-(at + _END) // RECORD) * RECORD)


def tar_size(folder: str, files: Sequence[tuple[str, int]]) -> int:
    """Bytes of the tar of these files. Raises ValueError as :func:`lay_out`."""
    return lay_out(folder, files).size


def manifest_name(folder: str) -> str:
    """The name of the member that holds the digests."""
    return f"{folder}/{MANIFEST}"


def manifest_line(digest: str, name: str, folder: str) -> bytes:
    r"""A line of the manifest, as ``sha256sum`` of GNU coreutils writes it.

    >>> manifest_line("ab", "night/a b.fits", "night")
    b'ab  a b.fits\n'
    >>> manifest_line("ab", "night/a\nb", "night")
    b'\\ab  a\\nb\n'
    """
    plain = name.removeprefix(f"{folder}/")
    escaped = "".join(_ESCAPES.get(letter, letter) for letter in plain)
    mark = "" if escaped == plain else "\\"
    return f"{mark}{digest}  {escaped}\n".encode()


def read_manifest(text: bytes, folder: str) -> dict[str, str]:
    """Digests by member name. Raises ValueError for a line that is none."""
    found = {}
    for line in text.decode().removesuffix("\n").split("\n") if text else ():
        escaped = line.startswith("\\")
        digest, mark, name = line.removeprefix("\\").partition("  ")
        if len(digest) != _DIGEST or not mark:
            raise ValueError(f"a line of {MANIFEST} is no digest and name: {line!r}")
        found[f"{folder}/{_unescaped(name) if escaped else name}"] = digest
    return found


def check_names(folder: str, names: Iterable[str]) -> None:
    """Raise ValueError unless these can be the members of one archive."""
    if not folder or "/" in folder or folder in (".", "..") or "\0" in folder:
        raise ValueError(f"the top folder {folder!r} is not one name")
    before, count = b"", 0
    for name in names:
        count += 1
        encoded = name.encode()  # a lone surrogate is a ValueError
        parts = name.split("/")
        if parts[0] != folder or len(parts) == 1 or {"", ".", ".."} & set(parts) or "\0" in name:
            raise ValueError(f"the member {name!r} is no file below {folder}/")
        if encoded <= before:
            raise ValueError(f"the member {name!r} is not in order, or there twice")
        if name == manifest_name(folder):
            raise ValueError(f"{name!r} is the name of the list of digests that the archive gets")
        before = encoded
    if count > MOST_MEMBERS:
        raise ValueError(f"{count:,} files; an archive takes {MOST_MEMBERS:,}")


def _header(name: str, size: int) -> bytes:
    member = tarfile.TarInfo(name)
    member.size = size
    member.mode = 0o644
    return member.tobuf(tarfile.PAX_FORMAT, "utf-8", "strict")


def _unescaped(name: str) -> str:
    letters: Iterator[str] = iter(name)
    plain = {"\\": "\\", "n": "\n", "r": "\r"}
    return "".join(plain[next(letters)] if letter == "\\" else letter for letter in letters)
