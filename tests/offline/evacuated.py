"""A destination as evacuations leave it, made without any S3: files, catalogues, a marker."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from s3plan.localfs.catalogue import Catalogue
from s3plan.localfs.tree import Tree
from s3plan.model.local import CATALOGUE_FORMAT, CatalogueHeader, CatalogueRecord, CatalogueRow
from s3plan.model.objects import Checksum, ChecksumAlgorithm, ObjectAttributes, Verdict
from s3plan.rules.hashing import digest
from s3plan.rules.naming import encode_key

MODIFIED = "2019-05-04T03:02:01.000Z"
MTIME_NS = 1_556_938_921_000_000_000
RUN = "20261120T040000Z-0badcafe"


def header(bucket: str, account: str | None = "123456789012") -> CatalogueHeader:
    """The header of a bucket in Frankfurt."""
    return CatalogueHeader(
        format=CATALOGUE_FORMAT,
        endpoint="https://s3.eu-central-1.amazonaws.com",
        region="eu-central-1",
        account=account,
        bucket=bucket,
        created="2026-11-20T04:00:00.000Z",
    )


def append(destination: Path, bucket: str, records: Iterable[CatalogueRecord]) -> None:
    """Add records to a bucket's catalogue, which is made if there is none."""
    with Tree.open(destination, create=True) as tree:
        catalogue = Catalogue.open_for_append(tree, header(bucket))
        catalogue.append(records)
        catalogue.sync()
        catalogue.close()


def evacuate(
    destination: Path,
    bucket: str,
    objects: Mapping[str, bytes],
    *,
    root: str | None = None,
    algorithm: ChecksumAlgorithm = "CRC64NVME",
    stored: tuple[ChecksumAlgorithm, ...] = (),
    verdict: Verdict = "verified",
    storage_class: str = "STANDARD",
    run: str = RUN,
) -> None:
    """Write files and their rows, as a download does; ``stored`` are further digests S3 had."""
    rows: list[CatalogueRow] = []
    below = bucket if root is None else root
    with Tree.open(destination, create=True) as tree:
        for key, body in objects.items():
            path = f"{below}/" if below else ""
            path += encode_key(key, marker=not body)
            if path.endswith("/"):
                stat = tree.make_marker(path)
            else:
                stat = tree.write_new(path, body, MTIME_NS)
            rows.append(
                CatalogueRow(
                    key=key,
                    path=path,
                    size=len(body),
                    etag=digest("MD5", body).value,
                    modified=MODIFIED,
                    evidence=digest(algorithm, body),
                    verdict=verdict,
                    file=stat,
                    run=run,
                    attributes=ObjectAttributes(storage_class=storage_class),
                    tags_known=True,
                    checksums=tuple(digest(one, body) for one in stored),
                )
            )
    append(destination, bucket, rows)


def rot(path: Path) -> None:
    """Change one bit and nothing else: neither size nor times."""
    before = path.stat()
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def wrong(body: bytes) -> Checksum:
    """A digest of something else."""
    return digest("SHA256", body + b"!")
