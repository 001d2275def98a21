"""Versions of extras in a bucket, as their keys tell: of which files, and which is the newest."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator
from pydantic_core import PydanticCustomError

from s3plan.kinds.fields import CONTRADICTION, Text
from s3plan.rules.sessions.extrakeys import ExtraKey
from s3plan.tables import Database


def _checked(text: str) -> str:
    try:
        ExtraKey.parse(text)
    except ValueError as error:
        raise PydanticCustomError(
            CONTRADICTION, "the key of an extra: {why}", {"why": str(error)}
        ) from error
    return text


ExtraKeyText = Annotated[Text, AfterValidator(_checked)]
"""The key of a version of an extra, with its parts in braces."""

# The newest is what was changed last where keys tell that, else what was put last.
_VERSIONS = """
    CREATE OR REPLACE TABLE {table} AS
    SELECT key, {file} AS file, {version} AS version, size, etag, modified, storage_class, checksum,
        row_number() OVER (
            PARTITION BY {file} ORDER BY {changed} DESC, modified DESC, key DESC) = 1 AS newest
    FROM listing
    WHERE bucket = $bucket AND history IS NULL AND NOT coalesce(marker, false)
        AND starts_with(key, $head) AND regexp_matches(key, $regex, 's'){repeated}"""


def find_versions(database: Database, bucket: str, text: str, table: str) -> None:
    """Make ``table``: a row for each object of the listing whose key is one that ``text`` means."""
    key = ExtraKey.parse(text)

    def part(name: str, at: int = 0) -> str:
        groups = [n for n, one in enumerate(key.names, 1) if one == name]
        return f"regexp_extract(key, $regex, {groups[at]}, 's')"

    repeated = [
        f"\n        AND {part(name)} = {part(name, at)}"
        for name in set(key.names)
        for at in range(1, key.names.count(name))
    ]
    query = _VERSIONS.format(
        table=table,
        file=" || ".join(map(part, key.of_file)),
        version=" || '_' || ".join(map(part, key.of_version)),
        changed=part("modified") if "modified" in key.of_version else "modified",
        repeated="".join(sorted(repeated)),
    )
    database.execute(query, {"bucket": bucket, "head": key.head, "regex": key.regex})
