"""Where the files of noncurrent versions lie, and how rows of versions are told apart in SQL."""

from __future__ import annotations

import hashlib

from s3plan.rules.naming import HASH_MARK, RESERVED, encode_component, encode_key

PLACE = f"{RESERVED}/versions"
"""Below a destination. No key leads here: a first component of this name is always encoded."""

_DIGITS = 32


def versions_root(bucket: str) -> str:
    """The directory of a bucket's noncurrent versions, below the destination."""
    return f"{PLACE}/{encode_component(bucket, first=False)}"


def version_path(bucket: str, key: str, version_id: str) -> str:
    """The path of a noncurrent version below the destination.

    The key's own path, which people recognise, and on its last component 128 bits of the SHA-256 of
    key and version id: no two versions share a name, on no filesystem that folds case, and none is
    a directory that another needs.
    """
    name = hashlib.sha256(f"{key}\0{version_id}".encode()).hexdigest()[:_DIGITS]
    return f"{versions_root(bucket)}/{encode_key(key, marker=False)}{HASH_MARK}{name}"


def same_entry(left: str, right: str, *, versions: bool) -> str:
    """SQL that joins rows of the same object or version; table names are constants of the caller.

    Without ``versions`` the left table holds objects only, and the join does not ask for more than
    their keys; what the right one holds of versions is no match.
    """
    if versions:
        return f"{left}.key = {right}.key AND {left}.history IS NOT DISTINCT FROM {right}.history"
    return f"{left}.key = {right}.key AND {right}.history IS NULL"
