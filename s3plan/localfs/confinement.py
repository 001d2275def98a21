"""Opening what lies below a root directory, and never anything else.

Every access starts at the root's descriptor and follows no link, whoever planted it and when: by
openat2(2) in one system call, or component by component with O_NOFOLLOW where the kernel has none.
Descriptors of directories are not kept: one that was moved away and replaced by a link would still
lead to the old place.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress

from s3plan.errors import DestinationError
from s3plan.localfs import kernel

# A descriptor that only names a directory needs no right to read it.
_NAMES_ONLY = os.O_PATH if sys.platform == "linux" else os.O_RDONLY
_DIRECTORY = _NAMES_ONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC

_FORBIDDEN = frozenset((b"", b".", b".."))


class Confinement:
    """The way into one directory. Thread-safe; owns ``root``, which :meth:`close` closes."""

    def __init__(self, root: int) -> None:
        """``root`` is a descriptor of the directory."""
        self.root = root
        self._openat2 = kernel.has_openat2(root)

    def close(self) -> None:
        """Let go of the root."""
        os.close(self.root)

    def open(self, path: str | bytes, flags: int) -> int:
        """Open what exists at ``path``; empty is the root itself. The caller closes it.

        Raises OSError: ENOENT and ENOTDIR as always, ELOOP or ENOTDIR where a link is in the way;
        DestinationError for a path that no key can have.
        """
        return self._open(_components(path) if path else (), flags | os.O_NOFOLLOW)

    def parent(self, path: str, *, create: bool = False) -> tuple[int, bytes]:
        """A descriptor of the directory that ``path`` is in, and the name it has there.

        With ``create`` missing directories are made. The caller closes the descriptor; errors as
        :meth:`open`.
        """
        *directories, name = _components(path)
        try:
            return self._open(directories, _DIRECTORY), name
        except FileNotFoundError:
            if not create:
                raise
        return self._make(directories), name

    def make_directory(self, path: str) -> int:
        """A descriptor of the directory ``path``, made with all above it where missing."""
        return self._make(_components(path))

    def _open(self, parts: list[bytes] | tuple[bytes, ...], flags: int) -> int:
        if self._openat2:
            return kernel.open_beneath(self.root, b"/".join(parts) or b".", flags)
        if not parts:
            return os.open(b".", flags, dir_fd=self.root)
        directory = self.root
        try:
            for part in parts[:-1]:
                below = os.open(part, _DIRECTORY, dir_fd=directory)
                if directory != self.root:
                    os.close(directory)
                directory = below
            return os.open(parts[-1], flags, dir_fd=directory)
        finally:
            if directory != self.root:
                os.close(directory)

    def _make(self, parts: list[bytes] | tuple[bytes, ...]) -> int:
        directory = os.open(b".", _DIRECTORY, dir_fd=self.root)
        try:
            for part in parts:
                try:
                    below = os.open(part, _DIRECTORY, dir_fd=directory)
                except FileNotFoundError:
                    _make_one(part, directory)
                    below = os.open(part, _DIRECTORY, dir_fd=directory)
                os.close(directory)
                directory = below
        except BaseException:
            os.close(directory)
            raise
        return directory


def _make_one(name: bytes, directory: int) -> None:
    with suppress(FileExistsError):  # another thread was quicker
        os.mkdir(name, 0o777, dir_fd=directory)


def _components(path: str | bytes) -> list[bytes]:
    parts = (path.encode() if isinstance(path, str) else path).split(b"/")
    # Keys are encoded so that this cannot be; a plan file edited by hand can say anything.
    if not _FORBIDDEN.isdisjoint(parts) or any(b"\0" in part for part in parts):
        raise DestinationError(
            "this is not a path below the destination",
            address=repr(path),
            expected="names joined by single slashes, without . and ..",
            next_step="make the plan again; never edit a plan",
        )
    return parts
