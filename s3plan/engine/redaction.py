"""Names in the tables of history replaced by tokens, so that a report can be given away.

A token is the start of an HMAC-SHA-256 (RFC 2104) of the name under this user's own key: the same
name has the same token in every report of theirs, and nobody else can tell a guess from the name.
"""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path

from s3plan.errors import DestinationError
from s3plan.localfs.refusals import refusal
from s3plan.tables import Database

KEY_BYTES = 32
_BLOCK = 64
"""Bytes of a block of SHA-256, as HMAC pads its key to."""

_DIGITS = 16
"""Hex digits of a token: among ten million names two are alike once in 400,000 times."""

# What each column holds; the columns that are not named hold no names.
_NAMES = {
    "runs": {"account": "account", "host": "host", "approver": "person"},
    "steps": {"bucket": "bucket"},
    "worklists": {"bucket": "bucket", "key": "key", "path": "path"},
    "failures": {"key": "key", "path": "path"},
    "gates": {"bucket": "bucket"},
    "commands": {},
    "approvals": {"bucket": "bucket", "approver": "person"},
    "catalogues": {"destination": "place", "bucket": "bucket", "account": "account"},
    "structure": {"bucket": "bucket", "path": "path"},
    "spot_checks": {"bucket": "bucket", "key": "key", "path": "path"},
    "migrated": {"source": "bucket", "row_id": "row", "person_name": "person"},
    "catalogue": {"destination": "place", "bucket": "bucket", "key": "key", "path": "path"},
    "archived": {"bucket": "bucket", "key": "key", "session": "session"},
    "archive_events": {"bucket": "bucket", "key": "key", "session": "session"},
}

_BUCKETS = """
    SELECT bucket FROM steps UNION SELECT bucket FROM catalogues ORDER BY length(bucket) DESC"""

_PLACES = "SELECT DISTINCT destination FROM catalogues ORDER BY length(destination) DESC"

# Sentences, metadata and tags can hold any name.
_DROPPED = {
    "steps": ("NULL::VARCHAR AS reason",),
    "commands": ("NULL::VARCHAR AS problem", "NULL::VARCHAR AS output"),
    "archive_events": ("NULL::VARCHAR AS message",),
    "catalogue": (
        "NULL::VARCHAR AS tags",
        """json_object('storage_class', coalesce(json_extract_string(attributes,
            '$.storage_class'), 'STANDARD'))::VARCHAR AS attributes""",
    ),
}

# A word boundary that knows letters beyond ASCII; names may begin and end with anything.
_BEFORE = r"(^|[^\pL\pN])"
_AFTER = r"([^\pL\pN]|$)"


def redaction_key(folder: Path) -> bytes:
    """This user's key, made when it is first needed. Raises DestinationError.

    It is in a file that only they can read; who loses it gets other tokens from then on.
    """
    path = folder / "redaction.key"
    with suppress(FileNotFoundError):
        return _kept(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(KEY_BYTES))
    except FileExistsError:
        pass  # another process was quicker
    except OSError as error:
        raise refusal(error, str(path), "keep the key of the tokens") from error
    return _kept(path)


def redact(database: Database, key: bytes) -> None:
    """Replace every name in the tables of history; what may hold names besides is dropped.

    Messages keep their words: bucket, key, path, destination and account numbers in them are
    replaced, other text that S3 sent is as it came.
    """
    _make_token(database, key)
    # The longer before what it may hold: a path has its bucket's name in it, and often its key.
    for (name,) in list(database.rows(_PLACES)):
        _replace(database, "token('place', $name)", "$name", {"name": name})
    for column in ("path", "key"):
        _replace(database, f"token('{column}', {column})", column, {})
    for (name,) in list(database.rows(_BUCKETS)):
        _replace(database, "token('bucket', $name)", "$name", {"name": name})
    # Accounts stand in what S3 says of roles and policies.
    database.execute(
        "UPDATE failures SET message = regexp_replace(message, '\\b[0-9]{12}\\b', 'account', 'g')"
    )
    for table, columns in _NAMES.items():
        changes = [f"token('{kind}', {name}) AS {name}" for name, kind in columns.items()]
        changes += _DROPPED.get(table, ())
        # Written anew: an update keeps the old rows in memory beside the new ones.
        database.execute(
            f"CREATE TABLE redacted AS SELECT * REPLACE ({', '.join(changes)}) FROM {table}"  # noqa: S608 - constants
        )
        database.execute(f"DROP TABLE {table}")
        database.execute(f"ALTER TABLE redacted RENAME TO {table}")
        database.compact()


def _make_token(database: Database, key: bytes) -> None:
    """Define ``token(kind, name)`` in SQL: HMAC as RFC 2104 spells it out, from DuckDB's sha256."""
    padded = key.ljust(_BLOCK, b"\0")
    inner = bytes(byte ^ 0x36 for byte in padded).hex()
    outer = bytes(byte ^ 0x5C for byte in padded).hex()
    database.execute(
        "CREATE TEMP MACRO token(kind, name) AS kind || '-' || left(sha256("
        f"from_hex('{outer}') || from_hex(sha256(from_hex('{inner}') || encode(name)))), {_DIGITS})"
    )


def _replace(database: Database, token: str, name: str, values: dict[str, object]) -> None:
    """Replace ``name``, an expression, in messages where it stands alone."""
    pattern = f"'{_BEFORE}' || regexp_escape({name}) || '{_AFTER}'"
    database.execute(
        f"UPDATE failures SET message = regexp_replace(message, {pattern},"  # noqa: S608 - constants
        f" '\\1' || {token} || '\\2', 'g') WHERE {name} <> ''",
        values,
    )


def _kept(path: Path) -> bytes:
    try:
        key = path.read_bytes()
    except FileNotFoundError:
        raise
    except OSError as error:
        raise refusal(error, str(path), "read the key of the tokens") from error
    if len(key) != KEY_BYTES:
        raise DestinationError(
            "this is not the key of the tokens",
            address=str(path),
            expected=f"{KEY_BYTES} bytes",
            found=f"{len(key)} bytes",
            next_step="remove it: the next report makes another, and its tokens will be others",
        )
    return key
