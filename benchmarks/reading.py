"""``reading.py FILE...``: the files of an S3 Inventory report into a table of DuckDB, no more."""

from __future__ import annotations

import sys

import duckdb


def main() -> None:
    """Read and count."""
    files = sys.argv[1:]
    reader = "read_parquet" if files[0].endswith(".parquet") else "read_csv"
    with duckdb.connect() as database:
        database.execute(f"CREATE TABLE report AS SELECT * FROM {reader}($files)", {"files": files})
        print(database.sql("SELECT count(*) FROM report").fetchall()[0][0])


if __name__ == "__main__":
    main()
