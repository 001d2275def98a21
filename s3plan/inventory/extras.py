"""Files of a tree that no catalogue row is of: the same query at the gate and years later."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from s3plan.rules.systemfiles import ignored_names
from s3plan.tables import Database

# A file that has a row is an object's, whatever it is called: what is ignored comes after.
_EXTRA = """
    SELECT t.path FROM tree t
    ANTI JOIN catalogue c ON c.destination = t.destination AND c.path = t.path
    WHERE NOT ends_with(t.path, '/')
      AND NOT list_contains(?::VARCHAR[], regexp_extract(t.path, '[^/]*$'))
      AND NOT EXISTS (
        SELECT 1 FROM (SELECT unnest(?::VARCHAR[]) AS prefix) AS p
        WHERE starts_with(regexp_extract(t.path, '[^/]*$'), p.prefix))
      AND NOT EXISTS (
        SELECT 1 FROM (SELECT unnest(?::VARCHAR[]) AS folder) AS f
        WHERE contains('/' || t.path, '/' || f.folder || '/'))
    ORDER BY t.path"""


def extra_files(database: Database, ignore: Sequence[str]) -> Iterator[str]:
    """Paths in ``tree`` without a row in ``catalogue``, but for names that ``ignore`` says.

    Directories are never extra.
    """
    ignored = ignored_names(ignore)
    names, prefixes = list(ignored.names), list(ignored.prefixes)
    return (path for (path,) in database.rows(_EXTRA, [names, prefixes, names]))
