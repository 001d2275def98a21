"""What verifying finds: of evacuated trees, without any request; of URLs; of archives."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

TreeFault = Literal["missing", "extra", "mismatched", "unreadable"]
"""``missing``: a row of the catalogue has no file; ``extra``: a file has no row; ``mismatched``:
the content (or its size) is not what the row says; ``unreadable``: the disk does not give it."""


class TreeProblem(Struct, frozen=True, tag_field="type", tag="tree-problem"):
    """One file that is not as the catalogue says. ``key`` is empty for an extra file.

    ``path`` is relative to ``destination``.
    """

    fault: TreeFault
    destination: str
    bucket: str
    key: str
    path: str
    message: str
    expected: str = ""
    found: str = ""


class BucketFigures(Struct, frozen=True):
    """One bucket of a destination, by the names that the replaced bucket migrator used.

    ``file_count`` and ``total_size`` (bytes) are what the catalogue has; ``local_file_count`` of
    these are on disk, and ``size_verified_count`` have the recorded size.
    ``checksum_verified_count`` also have the content that S3 stored; ``size_only_count`` have the
    content that was downloaded, of which S3 stored no checksum. ``verified_file_count`` is the sum
    of the two, ``total_bytes_verified`` their bytes. ``retained`` files are the only copies, as far
    as the catalogue knows: their bucket was deleted.
    """

    destination: str
    bucket: str
    endpoint: str
    account: str | None
    state: str
    file_count: int = 0
    total_size: int = 0
    local_file_count: int = 0
    verified_file_count: int = 0
    size_verified_count: int = 0
    checksum_verified_count: int = 0
    size_only_count: int = 0
    total_bytes_verified: int = 0
    retained: int = 0
    missing: int = 0
    mismatched: int = 0
    unreadable: int = 0
    extra: int = 0


class TreeVerified(Struct, frozen=True, tag_field="type", tag="tree-verified"):
    """The end of a verification. ``problems`` are the first of ``problem_count``.

    ``report`` is the file that names them all, if one was asked for. ``seconds`` it took.
    """

    buckets: tuple[BucketFigures, ...]
    problem_count: int
    problems: tuple[TreeProblem, ...]
    seconds: float
    report: str | None = None

    @property
    def passes(self) -> bool:
        """Whether every tree is exactly as its catalogue says."""
        return not self.problem_count


UrlFault = Literal["unreachable", "foreign", "old", "misplaced", "missing", "mismatched"]
"""``unreachable``: a HEAD of it is not answered with 200; ``foreign``: it is of no object of the
grouping's buckets; ``old``: it names the key from before the grouping; ``misplaced``: it is of
another row, or its key does not hold the row's parts; ``missing``: a file of the row has no URL;
``mismatched``: what was downloaded is not what S3 stored, or not what the source holds."""


class UrlProblem(Struct, frozen=True, tag_field="type", tag="url-problem"):
    """One thing that is wrong with a row of a table. ``url`` is as it stands there, empty where it
    is missing; ``status`` is what the HEAD was answered with, None where none was sent.
    """

    fault: UrlFault
    row: int
    row_id: str
    column: str
    url: str
    key: str
    message: str
    status: int | None = None


class UrlsVerified(Struct, frozen=True, tag_field="type", tag="urls-verified"):
    """What the URLs of a table turned out to be.

    ``rows_with_files`` of ``rows`` have a URL or an object; of ``rows_complete`` of these every
    file is reachable and named, and every key holds the row's parts. ``statuses`` counts URLs by
    the status of their HEAD. ``downloaded`` objects were read, of which ``download_verified`` are
    what S3's checksums or the sources say, and ``download_unverifiable`` have nothing to be
    compared with. ``problems`` are the first of ``problem_count``; ``faults`` counts all of them.
    """

    table: str
    anonymous: bool
    rows: int
    rows_with_files: int
    rows_complete: int
    urls: int
    statuses: dict[str, int]
    faults: dict[str, int]
    downloaded: int
    download_verified: int
    download_unverifiable: int
    downloaded_bytes: int
    problem_count: int
    problems: tuple[UrlProblem, ...]
    seconds: float
    report: str | None = None

    @property
    def passes(self) -> bool:
        """Whether nothing is wrong with any row."""
        return not self.problem_count


ArchiveFault = Literal["missing", "changed", "damaged", "differs", "wrong-class"]
"""``missing``: the archive, or its index, is not there; ``changed``: it is not what its index says,
or the index is damaged; ``wrong-class``: its age and the lifecycle rules make another of it. Of an
archive without an index: ``damaged`` is no whole tar, or not what S3 or its own list of digests
says; ``differs`` does not hold a file as it is on disk."""


class ArchiveProblem(Struct, frozen=True, tag_field="type", tag="archive-problem"):
    """One thing that is wrong with an archive."""

    fault: ArchiveFault
    session: str
    bucket: str
    key: str
    message: str
    expected: str = ""
    found: str = ""


class ArchivesVerified(Struct, frozen=True, tag_field="type", tag="archives-verified"):
    """What the archives of sessions turned out to be.

    Of ``archives`` (``bytes`` in all) ``by_checksum`` have the checksum of the whole that their
    index names, ``by_etag`` its ETag and size, as the endpoint stores no such checksum.
    ``unindexed`` were adopted: no index tells what they hold; ``examined`` of them were read whole,
    are whole, and hold every file of their session that is on disk. ``downloaded`` were read whole;
    ``asleep`` should have been, and must be restored first. ``faults`` counts all problems, of
    which ``problems`` are the first.
    """

    sessions: int
    archives: int
    bytes: int
    by_checksum: int
    by_etag: int
    unindexed: int
    downloaded: int
    asleep: int
    faults: dict[ArchiveFault, int]
    problem_count: int
    problems: tuple[ArchiveProblem, ...]
    seconds: float
    report: str | None = None
    examined: int = 0

    @property
    def passes(self) -> bool:
        """Whether nothing is wrong with any archive that was looked at."""
        return not self.problem_count
