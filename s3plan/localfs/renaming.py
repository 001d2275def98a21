"""Renaming without replacing, by the best means that the filesystem at hand has."""

from __future__ import annotations

import errno
import os
import threading

from s3plan.localfs import kernel

_NOT_OFFERED = (errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP)
_NO_HARD_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)


class Renamer:
    """Renames within one filesystem and remembers what it cannot do. Thread-safe."""

    def __init__(self) -> None:
        """Nothing is tried before the first rename."""
        self._lock = threading.Lock()
        self._ways = [kernel.rename_without_replacing, _link_and_unlink, self._look_and_rename]

    def rename(self, source: int, name: bytes, target: int, new_name: bytes) -> None:
        """Move ``name`` in directory ``source`` to ``new_name`` in ``target``.

        Raises FileExistsError where ``new_name`` is taken, and OSError.
        """
        way = self._ways[0]
        try:
            way(source, name, target, new_name)
        except OSError as error:
            if not _is_not_offered(error, way is _link_and_unlink):
                raise
            with self._lock:
                if self._ways[0] is way:
                    del self._ways[0]
            self.rename(source, name, target, new_name)

    def _look_and_rename(self, source: int, name: bytes, target: int, new_name: bytes) -> None:
        # Atomic among our own threads, and the run's lock keeps other runs away. A stranger who
        # makes the same name in between is replaced: no better means exist on FAT and the like.
        with self._lock:
            try:
                os.stat(new_name, dir_fd=target, follow_symlinks=False)
            except FileNotFoundError:
                os.rename(name, new_name, src_dir_fd=source, dst_dir_fd=target)
            else:
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), new_name)


def _link_and_unlink(source: int, name: bytes, target: int, new_name: bytes) -> None:
    # link(2) never replaces. A crash in between leaves a second name that is cleaned up later.
    os.link(name, new_name, src_dir_fd=source, dst_dir_fd=target, follow_symlinks=False)
    os.unlink(name, dir_fd=source)


def _is_not_offered(error: OSError, linking: bool) -> bool:
    return error.errno in (_NO_HARD_LINKS if linking else _NOT_OFFERED)
