"""What cannot be beaten here: the same work by nothing but libcurl, or nothing but DuckDB.

Contenders that verify nothing, record nothing and are told beforehand what to ask for. They stand
beside s3plan in its cases, and no promise is about them.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import duckdb
import msgspec
import pycurl

from benchmarks import buckets
from benchmarks.bare import Request
from benchmarks.case import Contender, Job
from benchmarks.inventories import files_of
from benchmarks.programs import Program, WrongResultError
from benchmarks.signing import presigned

_HERE = Path(__file__).parent


def _libcurl_version() -> str:
    return str(pycurl.version_info()[1])


LIBCURL = Program("libcurl", lambda: sys.executable, told=_libcurl_version)
DUCKDB = Program("DuckDB", lambda: sys.executable, told=lambda: duckdb.__version__)


def _bare(job: Job) -> list[str]:
    return [sys.executable, str(_HERE / "bare.py"), str(job.work / "requests")]


def _write(job: Job, requests: Iterator[Request]) -> None:
    (job.work / "requests").write_bytes(msgspec.msgpack.encode(list(requests)))


def _gets(job: Job) -> Iterator[Request]:
    for number, key in enumerate(job.dataset.keys()):
        url = presigned(job.server.endpoint, "GET", f"/{job.dataset.bucket}/{key}")
        yield Request("GET", url, file=str(job.output / f"{number}.bin"))


def _copies(job: Job) -> Iterator[Request]:
    for key in job.dataset.keys():  # noqa: SIM118 - not a dictionary
        headers = {"x-amz-copy-source": quote(f"/{job.dataset.bucket}/{key}")}
        path = f"/{buckets.target(job)}/{key}"
        url = presigned(job.server.endpoint, "PUT", path, headers=headers)
        yield Request("PUT", url, [f"{name}: {value}" for name, value in headers.items()])


def _downloads(job: Job) -> None:
    _write(job, _gets(job))


def _downloaded(job: Job) -> None:
    sizes = [path.stat().st_size for path in job.output.iterdir()]
    if (len(sizes), sum(sizes)) != (job.dataset.count, job.dataset.bytes):
        raise WrongResultError(f"libcurl left {len(sizes)} files, {sum(sizes)} bytes")


def _to_copy(job: Job) -> None:
    buckets.new(job)
    _write(job, _copies(job))


def _read(job: Job) -> list[str]:
    return [sys.executable, str(_HERE / "reading.py"), *map(str, files_of(job.place, job.dataset))]


def _all_read(job: Job) -> None:
    if int(job.said.read_text()) != job.dataset.count:
        raise WrongResultError(f"DuckDB read {job.said.read_text()} rows")


DOWNLOAD = Contender(LIBCURL, _bare, does=" alone", prepare=_downloads, check=_downloaded)
COPY = Contender(LIBCURL, _bare, does=" alone", prepare=_to_copy, check=buckets.arrived)
READ = Contender(DUCKDB, _read, does=" reading it", check=_all_read)
