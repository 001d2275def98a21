"""``lister.py ENDPOINT BUCKET``: a line for each object of a bucket, listed as `s3plan plan` does.

No command of s3plan only lists, so this program of its library stands beside those that do. It
does what planning does with a listing: every page is checked and its rows go into a table.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path

from s3plan.api.places import ignore, open_store
from s3plan.inventory.s3 import observe_bucket
from s3plan.model.connection import Connection
from s3plan.tables import Database


async def _observe(endpoint: str, bucket: str, database: Database) -> None:
    connection = Connection(endpoint=endpoint, region="us-east-1", addressing="path")
    async with open_store(connection) as store:
        await store.identify()
        await observe_bucket(store.bucket(bucket), database, prefix="", observer=ignore)


def main() -> None:
    """List and print."""
    endpoint, bucket = sys.argv[1:]
    with tempfile.TemporaryDirectory() as scratch, Database(Path(scratch)) as database:
        asyncio.run(_observe(endpoint, bucket, database))
        for row in database.rows("SELECT modified, size, key FROM listing ORDER BY key"):
            sys.stdout.write("{}  {}  {}\n".format(*row))


if __name__ == "__main__":
    main()
