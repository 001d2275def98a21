"""The URLs of a table, each asked for: what answers, whose it is, and samples of the content.

Every URL gets a HEAD of its object. A sample, chosen by the table's own digest, is downloaded, and
compared with the checksum that S3 stores of it and with its source while that is there.
"""

from __future__ import annotations

import asyncio
import hashlib
import heapq
from collections.abc import Callable, Iterator
from pathlib import Path

from msgspec import Struct

from s3plan.engine.findings import Findings, Observer
from s3plan.errors import NoSuchKeyError, StoreError, UsageError
from s3plan.inventory.tablerows import CsvError, RowRead
from s3plan.inventory.tableurls import Batch, GroupedTable
from s3plan.model.events import Scanning
from s3plan.model.objects import ObjectHead
from s3plan.model.verification import UrlFault, UrlProblem, UrlsVerified
from s3plan.rules.classes import ARCHIVED_CLASSES
from s3plan.rules.grouping.placing import Named, named_by
from s3plan.rules.grouping.rewriting import GroupedFile
from s3plan.rules.integrity import FALLBACK, compare, evidence_of
from s3plan.rules.restores import ONGOING, restore_of
from s3plan.store import HashSink, Store

OK = 200

DOWNLOADS = 4
"""Objects of the sample that are read at once."""


class _Answer(Struct, frozen=True):
    """What a HEAD came to: of the readings of a URL the one that is there, else the first."""

    status: int
    key: str
    head: ObjectHead | None


class _Sample(Struct, frozen=True):
    """An object to be downloaded, and where it stands in the table."""

    cell: _Cell
    head: ObjectHead


class _Cell(Struct, frozen=True):
    """A URL of the table."""

    row: RowRead
    column: str
    text: str
    named: Named

    def problem(
        self, fault: UrlFault, message: str, key: str = "", status: int | None = None
    ) -> UrlProblem:
        return UrlProblem(
            fault,
            self.row.number,
            self.row.row_id,
            self.column,
            self.text,
            key,
            message,
            status,
        )


async def verified_urls(
    table: GroupedTable,
    store: Store,
    *,
    anonymous: bool,
    download: int,
    most_problems: int,
    report: Path | None,
    observer: Observer,
) -> UrlsVerified:
    """Verify a table, tell ``observer`` each problem, and write them to ``report`` if one is named.

    With ``anonymous`` nothing of the copies is asked with credentials. ``download`` objects are
    read. The result holds the first ``most_problems``. Raises a StoreError where the endpoint does
    not answer, UsageError for a table that cannot be read for sure.
    """
    with Findings[UrlProblem](report, most_problems, observer) as found:
        work = _Verification(table, store, anonymous=anonymous, download=download, tell=found.add)
        while (batch := await asyncio.to_thread(_next, table)) is not None:
            await work.batch(batch)
            observer(Scanning(table.path, work.urls, 0))
        await work.samples()
        observer(Scanning(table.path, work.urls, 0, finished=True))
        return found.end(
            UrlsVerified(
                table=table.path,
                anonymous=anonymous,
                rows=work.rows,
                rows_with_files=work.with_files,
                rows_complete=work.complete,
                urls=work.urls,
                statuses=dict(sorted(work.statuses.items())),
                faults=dict(sorted(work.faults.items())),
                downloaded=work.downloaded,
                download_verified=work.download_verified,
                download_unverifiable=work.download_unverifiable,
                downloaded_bytes=work.downloaded_bytes,
                problem_count=found.count,
                problems=tuple(found.first),
                seconds=found.seconds,
                report=found.report,
            )
        )


def _next(table: GroupedTable) -> Batch | None:
    try:
        return next(table.batches, None)
    except CsvError as error:
        raise UsageError(
            "the table cannot be read without guessing",
            address=table.path,
            expected="CSV as RFC 4180 has it, with every column of catalog.columns",
            found=str(error),
            next_step="correct it, or the manifest",
        ) from error


class _Verification:
    """One table being verified, and what came of it so far."""

    def __init__(
        self,
        table: GroupedTable,
        store: Store,
        *,
        anonymous: bool,
        download: int,
        tell: Callable[[UrlProblem], None],
    ) -> None:
        self._table = table
        self._copies = store.bucket(table.target, anonymous=anonymous)
        self._asked_sources = store.bucket(table.source, anonymous=anonymous)
        self._sources = store.bucket(table.source)
        self._tell = tell
        self._download = download
        # The smallest of their digests, the largest of these first: what is next to go.
        self._sample: list[tuple[int, str, _Sample]] = []
        self._sampled: set[str] = set()
        self.rows = self.with_files = self.complete = self.urls = 0
        self.statuses: dict[str, int] = {}
        self.faults: dict[str, int] = {}
        self.downloaded = self.downloaded_bytes = 0
        self.download_verified = self.download_unverifiable = 0

    async def batch(self, batch: Batch) -> None:
        """Ask for every URL of some rows, and look at each row."""
        cells = [
            _Cell(row, column, text, self._named(text, batch))
            for row in batch.rows
            for column, text in row.cells
        ]
        asked = {(cell.named.copied, cell.named.keys) for cell in cells if cell.named.keys}
        order = sorted(asked)
        answers = dict(
            zip(order, await asyncio.gather(*(self._ask(*one) for one in order)), strict=True)
        )
        of_row: dict[int, list[_Cell]] = {}
        for cell in cells:
            of_row.setdefault(cell.row.number, []).append(cell)
        for row in batch.rows:
            self._row(row, of_row.get(row.number, []), answers, batch)

    def _named(self, text: str, batch: Batch) -> Named:
        return named_by(text, self._table.sources, self._table.copies, batch.known)

    async def _ask(self, copied: bool, keys: tuple[str, ...]) -> _Answer:
        bucket = self._copies if copied else self._asked_sources
        refused: _Answer | None = None
        for key in keys:
            try:
                return _Answer(OK, key, await bucket.head(key))
            except StoreError as error:
                if error.status is None:
                    raise  # nothing answers: that says nothing of this object
                refused = refused or _Answer(error.status, key, None)
        assert refused is not None
        return refused

    def _row(
        self,
        row: RowRead,
        cells: list[_Cell],
        answers: dict[tuple[bool, tuple[str, ...]], _Answer],
        batch: Batch,
    ) -> None:
        self.rows += 1
        problems: list[UrlProblem] = []
        there: dict[str, set[str]] = {}
        for cell in cells:
            self.urls += 1
            if not cell.named.keys:
                if not self._table.keeps_others:
                    message = "it is of no object in the buckets of the grouping"
                    problems.append(cell.problem("foreign", message))
                continue
            answer = answers[cell.named.copied, cell.named.keys]
            status = str(answer.status)
            self.statuses[status] = self.statuses.get(status, 0) + 1
            there.setdefault(cell.column, set()).add(answer.key)
            problems += self._cell(cell, answer, batch)
        problems += _missing(row, there)
        self.with_files += bool(cells or row.files)
        self.complete += bool(cells or row.files) and not problems
        for problem in problems:
            self._note(problem)

    def _cell(self, cell: _Cell, answer: _Answer, batch: Batch) -> Iterator[UrlProblem]:
        """What is wrong with a URL whose object was asked for."""
        file, key = cell.named.file, answer.key
        if cell.named.is_old:
            message = "it names the key from before the grouping"
            yield cell.problem("old", message, key, answer.status)
        if answer.head is None:
            message = f"HEAD is answered with {answer.status}"
            yield cell.problem("unreachable", message, key, answer.status)
            return
        if cell.named.copied:
            self._consider(cell, answer.head)
            if file is None and self._table.keeps_others:
                return
            if file is not None and key not in {own.new_key for own in cell.row.files}:
                message = "the object is of another row"
                yield cell.problem("misplaced", message, key, answer.status)
                return
            patterns = batch.likeness.get(cell.row.row_id, ())
            if patterns and not any(pattern.fullmatch(key) for pattern in patterns):
                message = "the key does not hold the parts of this row"
                yield cell.problem("misplaced", message, key, answer.status)

    def _note(self, problem: UrlProblem) -> None:
        self.faults[problem.fault] = self.faults.get(problem.fault, 0) + 1
        self._tell(problem)

    # -- the sample ----------------------------------------------------------------------------

    def _consider(self, cell: _Cell, head: ObjectHead) -> None:
        """Keep an object for the sample if its digest is among the smallest."""
        if not self._download or head.key in self._sampled:
            return
        if not _is_readable(head):
            return
        text = f"{self._table.sha256}\0{head.key}".encode()
        rank = -int.from_bytes(hashlib.sha256(text).digest())
        if len(self._sample) == self._download and rank < self._sample[0][0]:
            return
        entry = (rank, head.key, _Sample(cell, head))
        self._sampled.add(head.key)
        if len(self._sample) < self._download:
            heapq.heappush(self._sample, entry)
        else:
            _, key, _ = heapq.heapreplace(self._sample, entry)
            self._sampled.discard(key)

    async def samples(self) -> None:
        """Download the sample and compare it."""
        gate = asyncio.Semaphore(DOWNLOADS)

        async def one(sample: _Sample) -> UrlProblem | None:
            async with gate:
                return await self._compare(sample)

        chosen = [sample for *_, sample in sorted(self._sample, key=lambda entry: entry[1])]
        for problem in await asyncio.gather(*map(one, chosen)):
            if problem is not None:
                self._note(problem)

    async def _compare(self, sample: _Sample) -> UrlProblem | None:
        cell, head = sample.cell, sample.head
        original = await self._original(cell.named.file)
        offered = [evidence_of(head), evidence_of(original) if original is not None else None]
        expected = [evidence for evidence in offered if evidence is not None]
        kinds = tuple(dict.fromkeys(evidence.kind for evidence in expected)) or (FALLBACK,)
        sink = HashSink(*kinds)
        try:
            await self._copies.get_to(head.key, sink, if_match=head.etag)
            if original is not None and offered[1] is None:
                read = HashSink(kinds[0])
                await self._sources.get_to(original.key, read, if_match=original.etag)
                expected.append(read.checksum())
        except StoreError as error:
            if error.status is None:
                raise
            return cell.problem("mismatched", f"it cannot be read: {error.what}", head.key)
        self.downloaded += 1
        self.downloaded_bytes += head.size
        verdicts = {compare(one, sink.checksums()[one.kind]) for one in expected}
        if "mismatched" in verdicts:
            return cell.problem("mismatched", "what was downloaded has another checksum", head.key)
        if "verified" in verdicts:
            self.download_verified += 1
        else:
            self.download_unverifiable += 1
        return None

    async def _original(self, file: GroupedFile | None) -> ObjectHead | None:
        """The source of a copy; None where it is not known, or gone."""
        if file is None:
            return None
        try:
            return await self._sources.head(file.key)
        except NoSuchKeyError:
            return None


def _is_readable(head: ObjectHead) -> bool:
    """Whether a GET is answered with the content: it is no archive, or restored from one."""
    archived = head.attributes.storage_class in ARCHIVED_CLASSES or head.archive_status is not None
    return not archived or restore_of(head.restore) not in (None, ONGOING)


def _missing(row: RowRead, there: dict[str, set[str]]) -> Iterator[UrlProblem]:
    for column, wanted in row.wanted.items():
        for key in sorted(wanted - there.get(column, set())):
            yield UrlProblem(
                "missing", row.number, row.row_id, column, "", key, "the row has no URL of it"
            )
