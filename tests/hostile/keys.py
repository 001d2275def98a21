"""Every hostile key of the project, and which of them each server cannot keep, and why.

A gap is named by the capability that the server lacks, never by the server alone.
"""

from __future__ import annotations

from tests.store.keys import HOSTILE_KEYS as WIRE_KEYS

_MORE = (
    "nul\x00byte",
    "a",
    "a/",
    "a/b",
    "%2e%2e/escaped",
    "%2E%2E%2Fescaped",
    "../../../../etc/passwd",
    "/etc/passwd",
    "x/../../../y",
    "dir/../dir/file.txt",
    "Case",
    "case",
    "CASE/x",
    "stra\u00dfe",
    "STRASSE",
    "com1",
    "LPT9.txt",
    "aux/x",
    "dot./x",
    "space /x",
    "." * 3 + "/x",
    "c" * 300 + "/x",
    "c" * 300,
    "n" * 255,
    "n" * 201 + "/deep",
    "\u00e9" * 130,
    "p/\u200b.s3plan/x",
    "\u200b.s3plan/x",
    ".S3PLAN/catalogue/x",
    ".s3plan",
    "user\u202egpj.exe",
    "\u2066isolate\u2069",
    "\x1b]0;title\x07",
    "\x1b[2K\x1b[1A",
    "\r\x1b[Kclean",
    "\x9b31m",
    "# heading",
    "[link](javascript:alert(1))",
    "| a | b |",
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "=cmd|'/c calc'!A0",
    "+1+1",
    "-1+1",
    "@SUM(A1)",
    "name%~0123456789abcdef",
    "a%~0123abcd",
    "\\\\server\\share",
    "file:///etc/passwd",
    "s3://bucket/key",
    "~/../.ssh/authorized_keys",
    "\ud7ff\ue000",
    "\U0010ffff",
)

KEYS: tuple[str, ...] = tuple(dict.fromkeys((*WIRE_KEYS, *_MORE)))

MOST_BYTES = 1024
assert all(len(key.encode()) <= MOST_BYTES for key in KEYS)


def _has_dot_segment(key: str) -> bool:
    return not {".", ".."}.isdisjoint(key.replace("\\", "/").split("/"))


GAPS: dict[str, dict[str, tuple[str, ...]]] = {
    "rgw": {"keys-with-nul": tuple(key for key in KEYS if "\0" in key)},
    # moto routes by a pattern in which a dot does not match a line feed: 404 on every request.
    "moto_server": {"keys-with-line-feed": tuple(key for key in KEYS if "\n" in key)},
    # Keys are paths of its file system.
    "seaweed": {
        "keys-with-nul": tuple(key for key in KEYS if "\0" in key),
        "keys-with-dot-segments": tuple(key for key in KEYS if _has_dot_segment(key)),
        "keys-with-backslash": tuple(key for key in KEYS if "\\" in key),
        "keys-with-empty-segments": tuple(
            key for key in KEYS if key.startswith("/") or "//" in key
        ),
        "names-over-255-bytes": tuple(
            key for key in KEYS if any(len(part.encode()) > 255 for part in key.split("/"))
        ),
        "bytes-under-a-trailing-slash": tuple(
            key for key in KEYS if key.endswith("/") and key not in ("dir/", "a/")
        ),
        "file-and-directory": ("a", ".s3plan"),
    },
}
"""By server fixture: capability, and the keys that it takes and the server does not keep."""


def kept_by(server: str) -> tuple[str, ...]:
    """The keys that a server keeps exactly, together in one bucket."""
    lost = {key for keys in GAPS[server].values() for key in keys}
    return tuple(key for key in KEYS if key not in lost)


def body_of(key: str) -> bytes:
    """Different for every key; two keys that end in a slash are empty, as folder markers are."""
    return b"" if key in ("dir/", "a/") else b"content of " + key.encode()
