"""The secrets of every test server, made to be found: none of them may ever be written down.

The whole test session runs with them (``tests/conftest.py``): what s3plan prints in any test, and
every file that any test leaves, is searched. Servers' own directories are left out, since they
must know the keys.
"""

from __future__ import annotations

import mmap
import re
import threading
from collections.abc import Iterator
from pathlib import Path

ACCESS_KEY = "AKIACANARYSINGSINTESTS"
SECRET_KEY = "canary/SECRET+9b1f7c/never+written+down/"
SESSION_TOKEN = "canary//TOKEN+4e7d20/FwoGZXIvYXdzEJr/never=="
PRESIGNED_URL = (
    "https://bucket.s3.amazonaws.com/key?X-Amz-Algorithm=AWS4-HMAC-SHA256"
    "&X-Amz-Signature=5ecafe0ca9a275ec12e7ca9a275ec12e7ca9a275ec12e7ca9a275ec12e7ca9a2"
)

VARIABLE = "S3PLAN_TEST_PRESIGNED_URL"
"""An environment variable that holds the URL in every process of the tests."""

_SIGNATURE_OF_URL = PRESIGNED_URL.rpartition("=")[2]

# Each canary also as it stands in a URL. A signature of a request is as good as the request, for
# a quarter of an hour.
_SECRETS = re.compile(
    b"|".join(
        [
            *(re.escape(text.encode()) for text in (ACCESS_KEY, SECRET_KEY, SESSION_TOKEN)),
            *(
                re.escape(text.replace("/", "%2F").replace("+", "%2B").replace("=", "%3D").encode())
                for text in (SECRET_KEY, SESSION_TOKEN)
            ),
            re.escape(_SIGNATURE_OF_URL.encode()),
            rb"Signature=[0-9a-f]{64}",
        ]
    )
)

_SERVERS = re.compile(r"(seaweed|moto|rgw|ceph)")
"""Directories of servers, by their first component below the base of all temporary files."""

_LARGEST = 64 * 1024 * 1024


class Leaks:
    """What was found, where; filled from any thread."""

    def __init__(self) -> None:
        self.found: list[str] = []
        self._lock = threading.Lock()

    def look(self, text: str | bytes | None, where: str) -> None:
        """Search one text."""
        if not text:
            return
        data = text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
        self._note(_SECRETS.search(data), where)

    def look_below(self, base: Path) -> int:
        """Search every file, and the name of every file, that the tests left; how many."""
        count = 0
        for path in files_below(base):
            count += 1
            self.look(str(path.relative_to(base)), f"the name of {path}")
            if 0 < path.stat().st_size <= _LARGEST:
                with path.open("rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as m:
                    self._note(_SECRETS.search(m), str(path))
        return count

    def _note(self, match: re.Match[bytes] | None, where: str) -> None:
        if match:
            with self._lock:
                self.found.append(f"{match[0][:24]!r}... in {where}")


def files_below(base: Path) -> Iterator[Path]:
    """Regular files of tests; those of servers are left out."""
    if not base.is_dir():
        return
    for top in base.iterdir():
        if top.is_symlink() or _SERVERS.match(top.name):
            continue
        for path in (top, *top.rglob("*")):
            if path.is_file() and not path.is_symlink():
                yield path
