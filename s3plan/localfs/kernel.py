"""System calls of Linux that Python does not offer; each says where it is missing.

All raise OSError with errno set. Elsewhere than on Linux the ``has_`` tests answer no.
"""

from __future__ import annotations

import ctypes
import errno
import os
import sys
from functools import cache

_OPENAT2 = 437  # the same number on every architecture (Linux 5.6)
_RESOLVE_NO_SYMLINKS = 0x04
_RESOLVE_BENEATH = 0x08
_RENAME_NOREPLACE = 1
_FALLOC_FL_KEEP_SIZE = 1

# statfs(2): local filesystems whose syncfs reports write-back errors (all that use the page cache's
# own error tracking). Network filesystems, FUSE and overlays are left out on purpose.
_LOCAL_FILESYSTEMS = {
    0xEF53: "ext4",
    0x58465342: "xfs",
    0x9123683E: "btrfs",
    0xF2F52010: "f2fs",
    0x01021994: "tmpfs",
}

_library = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


class _OpenHow(ctypes.Structure):
    _fields_ = (
        ("flags", ctypes.c_uint64),
        ("mode", ctypes.c_uint64),
        ("resolve", ctypes.c_uint64),
    )


if _library is not None:
    _library.syscall.restype = ctypes.c_long
    _library.syscall.argtypes = (
        ctypes.c_long,
        ctypes.c_int,
        ctypes.c_char_p,
        ctypes.c_void_p,
        ctypes.c_size_t,
    )


def has_openat2(directory: int) -> bool:
    """Whether this kernel, and the sandbox around us, let :func:`open_beneath` work."""
    try:
        os.close(open_beneath(directory, b".", os.O_RDONLY | os.O_DIRECTORY))
    except OSError:
        return False
    return True


def open_beneath(directory: int, path: bytes, flags: int) -> int:
    """openat2(2): open an existing ``path`` below ``directory``, following no link on the way.

    ELOOP where a link stands anywhere in ``path``; ENOSYS before Linux 5.6.
    """
    if _library is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    how = _how(flags)
    while True:
        descriptor: int = _library.syscall(
            _OPENAT2, directory, path, ctypes.byref(how), ctypes.sizeof(how)
        )
        if descriptor >= 0:
            return descriptor
        number = ctypes.get_errno()
        if number != errno.EINTR:
            raise OSError(number, os.strerror(number), path)


@cache
def _how(flags: int) -> _OpenHow:
    # The kernel only reads it, so one value serves all threads.
    return _OpenHow(flags | os.O_CLOEXEC, 0, _RESOLVE_BENEATH | _RESOLVE_NO_SYMLINKS)


def rename_without_replacing(
    from_directory: int, from_name: bytes, to_directory: int, to_name: bytes
) -> None:
    """renameat2(2) with RENAME_NOREPLACE. EEXIST where ``to_name`` is taken.

    ENOSYS or EINVAL where the kernel, the C library or the filesystem cannot.
    """
    function = getattr(_library, "renameat2", None)
    if function is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    if function(from_directory, from_name, to_directory, to_name, _RENAME_NOREPLACE) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), from_name, None, to_name)


def reserve(descriptor: int, size: int) -> None:
    """fallocate(2): set ``size`` bytes aside for a file, leaving its size as it is.

    Unlike posix_fallocate this never falls back on writing zeros: where a filesystem cannot
    reserve, nothing happens. ENOSPC where there is no room.
    """
    function = getattr(_library, "fallocate64", None)
    if function is None or size == 0:
        return
    result = function(descriptor, _FALLOC_FL_KEEP_SIZE, ctypes.c_int64(0), ctypes.c_int64(size))
    number = ctypes.get_errno() if result != 0 else 0
    if number not in (0, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINTR):
        raise OSError(number, os.strerror(number))


def has_trustworthy_syncfs(descriptor: int) -> bool:
    """Whether :func:`syncfs` reports write-back errors here.

    That takes Linux 5.8 (syncfs(2), "VERSIONS") and a local filesystem.
    """
    if _library is None or not hasattr(_library, "syncfs"):
        return False
    release = os.uname().release.split("-")[0].split(".")
    if tuple(int(part) for part in release[:2] if part.isdecimal()) < (5, 8):
        return False
    answer = ctypes.create_string_buffer(256)  # struct statfs has about 120 bytes; f_type is first
    if _library.fstatfs(descriptor, answer) != 0:
        return False
    width = ctypes.sizeof(ctypes.c_long)
    return int.from_bytes(answer.raw[:width], sys.byteorder) in _LOCAL_FILESYSTEMS


def syncfs(descriptor: int) -> None:
    """Write everything of the filesystem to disk and wait until it is there.

    As syncfs(2) says: EIO, ENOSPC or EDQUOT where write-back failed since ``descriptor`` was
    opened.
    """
    if _library is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    if _library.syncfs(descriptor) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
