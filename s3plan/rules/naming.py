"""The injective mapping from object keys to paths below a destination, and back.

A key is split at ``/`` and each component is encoded alone, so the tree on disk has the shape of
the keys and most names stay as they are. What cannot stay becomes ``%XX`` (upper-case hex of one
ASCII byte), and ``%`` itself only where it could be mistaken for that:

======================================================  ===============================
component                                               becomes
======================================================  ===============================
control characters (below 0x20, 0x7f), backslash        each ``%XX``
``%`` before two hex digits or ``~``                    ``%25``
``.`` and ``..``                                        ``%2E``, ``%2E%2E``
nothing (``a//b``, ``/a``)                              ``%2F``
ends in a dot or a space                                that last character ``%XX``
a Windows device name (``nul``, ``Com1.txt``)           its first character ``%XX``
``.s3plan`` in any spelling, as first component         the dot ``%2E``
longer than 200 bytes once encoded                      cut, ``%~``, 16 hex of SHA-256
======================================================  ===============================

Windows names: https://learn.microsoft.com/windows/win32/fileio/naming-a-file. Which distinct paths
one filesystem may still take for the same is the business of :mod:`s3plan.rules.collisions`.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from functools import cache

RESERVED = ".s3plan"
"""The directory in a destination that is s3plan's own; no key may be mapped into it."""

LIMIT = 200
"""Bytes of an encoded component. Filesystems allow 255; 10 of the rest are for a suffix."""

HASH_MARK = "%~"
"""Opens a digest; no encoded name holds it otherwise."""

_DIGITS = 16
_HASHED_STEM = LIMIT - len(HASH_MARK) - _DIGITS

_AWKWARD = re.compile(r"[\x00-\x1f\x7f\\]|%(?=[0-9A-Fa-f]{2}|~)")
_ESCAPE = re.compile(r"%([0-9A-F]{2})")
_CUT_ESCAPE = re.compile(r"%[0-9A-F]?\Z")
# A device name counts with any extension, and Windows drops spaces before the dot.
_DEVICE = re.compile(
    r"(?:con|prn|aux|nul|(?:com|lpt)[0-9¹²³]) *(?:\.|\Z)", re.IGNORECASE | re.ASCII
)

# Code points that HFS+ and case-folding ext4 do not look at when they compare names, so that
# `.s3<U+200D>plan` would be our own directory (compare git's CVE-2014-9390). The list is Unicode's
# Default_Ignorable_Code_Point (DerivedCoreProperties.txt).
_IGNORED = {
    code: None
    for first, last in (
        (0x00AD, 0x00AD), (0x034F, 0x034F), (0x061C, 0x061C), (0x115F, 0x1160), (0x17B4, 0x17B5),
        (0x180B, 0x180F), (0x200B, 0x200F), (0x202A, 0x202E), (0x2060, 0x206F), (0x3164, 0x3164),
        (0xFE00, 0xFE0F), (0xFEFF, 0xFEFF), (0xFFA0, 0xFFA0), (0xFFF0, 0xFFF8),
        (0x1BCA0, 0x1BCA3), (0x1D173, 0x1D17A), (0xE0000, 0xE0FFF),
    )
    for code in range(first, last + 1)
}  # fmt: skip


def fold(path: str) -> str:
    """The form in which two paths are compared: equal folds may be one file on some filesystem.

    Case and normalisation are folded (Unicode 3.13, canonical caseless matching) and ignorable
    code points dropped. For ASCII this is lower case.
    """
    if path.isascii():
        return path.lower()
    return unicodedata.normalize("NFD", path.translate(_IGNORED)).casefold()


def encode_key(key: str, *, marker: bool) -> str:
    """The path of ``key`` below its bucket's directory, with ``/`` between components.

    ``marker`` says that the object has no bytes: then a key ending in ``/`` is a folder marker and
    its path, a directory, ends in ``/`` too. It has no meaning for other keys.
    """
    parts = key.split("/")
    last = parts.pop() if marker and key.endswith("/") else None
    encoded = [encode_component(part, first=index == 0) for index, part in enumerate(parts)]
    if last is not None:
        encoded.append(last)
    return "/".join(encoded)


def encode_component(component: str, *, first: bool) -> str:
    """One component as a file name; ``first`` where it may stand at the top of the destination."""
    if component in ("", ".", ".."):
        return component.replace(".", "%2E") or "%2F"
    name = _AWKWARD.sub(lambda match: _escape(match[0]), component)
    if name[-1] in ". ":
        name = name[:-1] + _escape(name[-1])
    if _DEVICE.match(component):
        name = _escape(name[0]) + name[1:]
    elif first and fold(component) == RESERVED:
        # Not always the first character: an ignorable one may stand before the dot.
        name = name.replace(".", "%2E", 1)
    return name if len(name) * 4 <= LIMIT else _shortened(name, component)


def decode_path(path: str) -> str | None:
    """The key whose path this is; None where only a digest of it is left in the path."""
    if HASH_MARK in path:
        return None
    directory = path.endswith("/")
    parts = (path[:-1] if directory else path).split("/")
    key = "/".join(
        "" if part == "%2F" else _ESCAPE.sub(lambda match: chr(int(match[1], 16)), part)
        for part in parts
    )
    return key + "/" if directory else key


def is_plain(key: str) -> bool:
    """Whether ``key`` is surely its own path. False says only that :func:`encode_key` must tell."""
    return _plain().fullmatch(key) is not None


def _escape(character: str) -> str:
    return f"%{ord(character):02X}"


def _shortened(name: str, component: str) -> str:
    data = name.encode()
    if len(data) <= LIMIT:
        return name
    # An incomplete character at the cut is dropped, and so is an incomplete escape.
    stem = _CUT_ESCAPE.sub("", data[:_HASHED_STEM].decode(errors="ignore"))
    return stem + HASH_MARK + hashlib.sha256(component.encode()).hexdigest()[:_DIGITS]


def _plain_pattern() -> str:
    """Keys that map to themselves, in the common subset of RE2 (DuckDB) and Python's ``re``.

    RE2 knows no lookahead, so what a component must not be is spelled as what it may be: a head
    that already differs from every device name and from dot names, then anything harmless. It
    asks a little more than needed (no ``%``, no ``.s``, 50 characters unless ASCII), never less.
    """

    def components(kept: str, limit: int) -> str:
        # ``kept`` opens a class of characters that stay; the pieces below close it.
        anything = kept + "]"

        def heads(final: str) -> str:
            stop = f"{kept}. ]"  # after a device name: neither its end nor an extension
            others = [f"{kept}CcPpAaNnLl.{final}]", r"\.[A-RT-Za-rt-z0-9_-]"]
            for name in ("con", "prn", "aux", "nul", "com", "lpt"):
                a, b, c = (letter.upper() + letter for letter in name)
                others.append(f"[{a}]{kept}{b}{final}]")
                # `con` and `com` share their first two letters.
                others.append(f"[{a}][{b}]{kept}{'NnMm' if b == 'Oo' else c}{final}]")
                if name in ("com", "lpt"):
                    others.append(f"[{a}][{b}][{c}]{kept}0-9¹²³{final}]")
                    others.append(f"[{a}][{b}][{c}][0-9]{stop}")
                else:
                    others.append(f"[{a}][{b}][{c}]{stop}")
            return "|".join(dict.fromkeys(others))

        short = "[CcPpAaNnLl]|[Cc][Oo][Mm]?|[Pp][Rr]|[Aa][Uu]|[Nn][Uu]|[Ll][Pp][Tt]?"
        longer = f"(?:{heads('')}){anything}{{0,{limit - 6}}}{kept}. ]"
        return f"{longer}|{heads('. ')}|{short}"

    harmless = components(r"[^/\\%\x00-\x1f\x7f", LIMIT // 4)
    ascii_only = components(r"[^/\\%\x00-\x1f\x7f-\x{10FFFF}", LIMIT)
    component = f"(?:{ascii_only}|{harmless})"
    return f"{component}(?:/{component})*"


PLAIN_PATTERN = _plain_pattern()
"""A regular expression for DuckDB's ``regexp_full_match``: a key that matches is its own path."""


@cache
def _plain() -> re.Pattern[str]:
    """For Python; compiled when first asked for, because that takes 0.13 s."""
    # RE2 writes the last code point in braces, Python with \U.
    return re.compile(PLAIN_PATTERN.replace(r"\x{10FFFF}", r"\U0010FFFF"))
