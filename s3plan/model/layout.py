"""What the new form of an object shall be, as an ObjectLayout says it."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from s3plan.model.objects import ChecksumAlgorithm

Compression = Literal["none", "gzip", "zstd"]

LARGEST_PUT = 8 * 1024**2
"""Bytes up to which a form is sent again to take its place: it is in memory meanwhile."""


class Recipe(Struct, frozen=True, omit_defaults=True):
    """What is not said here the new form has from the old one.

    ``layout_version`` is kept as user metadata (and as a tag, where the object has that tag).
    ``encryption`` is ``AES256`` or ``aws:kms``, then with ``kms_key``. ``part_size`` is bytes of
    each part but the last; None keeps the parts as they are. ``metadata`` is added to the object's.
    ``codec`` is how its content is compressed. ``recipients`` are public keys that it is encrypted
    to before it is sent (age), none for not at all; ``identity`` is the absolute path of a file
    with a key that opens what they open.
    """

    layout_version: int | None = None
    storage_class: str | None = None
    encryption: str | None = None
    kms_key: str | None = None
    checksum: ChecksumAlgorithm | None = None
    part_size: int | None = None
    content_type: str | None = None
    metadata: dict[str, str] = {}
    codec: Compression | None = None
    recipients: tuple[str, ...] | None = None
    identity: str | None = None
