"""Sizes of an object's parts as a short text: ``8388608*12+1024`` is twelve of 8 MiB, then 1 KiB.

The catalogue keeps them beside a checksum that is made of its parts' checksums, so that the local
copy can be verified years later without S3. An object has at most 10,000 parts ("Amazon S3
multipart upload limits", user guide), nearly all of one size.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby

MOST_PARTS = 10_000
"""Parts of an object at most."""


LARGEST_PUT = 5 * 1024**3
"""Bytes of one PUT (https://docs.aws.amazon.com/AmazonS3/latest/userguide/upload-objects.html)."""


def write_parts(sizes: Iterable[int]) -> str:
    """The text for these sizes in bytes, in the order of the parts."""
    return "+".join(_run(size, len(list(same))) for size, same in groupby(sizes))


def read_parts(text: str) -> Iterator[int]:
    """The sizes that a text says, one by one; nothing for an empty one.

    The text's form is checked where it is read from a file (``model.objects.Parts``).
    """
    for run in text.split("+") if text else ():
        size, _, count = run.partition("*")
        for _ in range(int(count or 1)):
            yield int(size)


def count_of_parts(etag: str) -> int | None:
    """The number of parts that the ETag of a multipart upload ends in; None where it is no such.

    ``9b2cf535f27731c974343645a3985328-3``: an ETag without its quotes.
    """
    _, dash, count = etag.rpartition("-")
    if not dash or not (count.isascii() and count.isdecimal()) or len(count) > len(str(MOST_PARTS)):
        return None
    number = int(count)
    return number if 1 <= number <= MOST_PARTS else None


def cut(size: int, part: int) -> tuple[int, ...]:
    """``size`` bytes in parts of ``part``, the last one smaller; nothing for a single one.

    >>> cut(11, 5)
    (5, 5, 1)
    >>> cut(5, 5)
    ()
    """
    if size <= part:
        return ()
    whole, rest = divmod(size, part)
    return (part,) * whole + ((rest,) if rest else ())


def _run(size: int, count: int) -> str:
    return f"{size}*{count}" if count > 1 else str(size)
