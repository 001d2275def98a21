"""Archives as they are in S3 now against their indexes, and against the class they should be in.

A HEAD and the index of each; reading an archive back is for those that are chosen, and for those
that have no index, where that is wanted. Only reads.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from s3plan.engine.archiving.examining import Disagreement, LocalMember, examine, unlike_files
from s3plan.engine.archiving.packing import open_source
from s3plan.engine.findings import Findings, Observer
from s3plan.errors import ArchivedObjectError, ArchiveIndexError, NoSuchKeyError
from s3plan.inventory.indexes import read_index
from s3plan.model.archives import Index
from s3plan.model.objects import ObjectHead
from s3plan.model.sessions import INDEX_SUFFIX, SeenSession
from s3plan.model.verification import ArchiveFault, ArchiveProblem, ArchivesVerified
from s3plan.rules.integrity import compare
from s3plan.store import Bucket, HashSink, Store

AT_ONCE = 16
"""Archives that are looked at side by side."""

NAMED = 10
"""Files of one archive that are told one by one; what differs by more is another archive."""


class Adopted(NamedTuple):
    """What archives without an index are held against: the library, and each session's files."""

    library: Path
    files: Callable[[SeenSession], Sequence[LocalMember]]


async def verified_archives(
    sessions: Sequence[SeenSession],
    store: Store,
    *,
    download: int,
    most_problems: int,
    report: Path | None,
    observer: Observer,
    adopted: Adopted | None = None,
) -> ArchivesVerified:
    """Verify what is archived, tell ``observer`` each problem, and write them to ``report``.

    ``download`` archives, spread over all, are read whole; so are, with ``adopted``, those without
    an index. The result holds the first ``most_problems``. Raises a StoreError where the endpoint
    does not answer, DestinationError where the library is not there.
    """
    with Findings[ArchiveProblem](report, most_problems, observer) as found:
        work = _Verification(store, found.add, adopted)
        archived = [one for one in sessions if one.is_archived or one.state == "unindexed"]
        every = max(1, len(archived) // max(1, download))
        chosen = {one.key for one in archived[::every][:download]}
        await work.run(archived, chosen)
        return found.end(
            ArchivesVerified(
                sessions=len(sessions),
                archives=len(archived),
                bytes=sum(one.size or 0 for one in archived),
                by_checksum=work.by_checksum,
                by_etag=work.by_etag,
                unindexed=work.unindexed,
                downloaded=work.downloaded,
                asleep=work.asleep,
                faults=dict(sorted(work.faults.items())),
                problem_count=found.count,
                problems=tuple(found.first),
                seconds=found.seconds,
                report=found.report,
                examined=work.examined,
            )
        )


class _Verification:
    """One look at all archives."""

    def __init__(
        self, store: Store, tell: Callable[[ArchiveProblem], None], adopted: Adopted | None
    ) -> None:
        self._store = store
        self._tell = tell
        self._adopted = adopted
        self.examined = 0
        self.faults: dict[ArchiveFault, int] = {}
        self.by_checksum = self.by_etag = self.unindexed = self.downloaded = self.asleep = 0

    async def run(self, sessions: Sequence[SeenSession], chosen: set[str]) -> None:
        pending = iter(sessions)

        async def work() -> None:
            for session in pending:
                await self._one(session, read=session.key in chosen)

        await asyncio.gather(*[work() for _ in range(AT_ONCE)])

    async def _one(self, session: SeenSession, *, read: bool) -> None:
        bucket = self._store.bucket(session.bucket)
        index, fault = await self._index(bucket, session)
        try:
            head = await bucket.head(session.key)
        except NoSuchKeyError:
            self._note(session, "missing", "the archive is gone", "an object", "nothing")
            return
        if fault is not None:
            self._note(session, *fault)
        elif index is None:
            # Adopted: what is in it nobody has written down.
            self.unindexed += 1
            if self._adopted is not None:
                await self._examine(bucket, session, head, self._adopted)
        else:
            self._compare(session, head, index)
            if read:
                await self._read(bucket, session, head, index)
        real = head.attributes.storage_class
        if session.expected_class not in (None, real):
            message = "the archive is not in the class that its age and the rules make of it"
            self._note(session, "wrong-class", message, str(session.expected_class), real)

    async def _index(
        self, bucket: Bucket, session: SeenSession
    ) -> tuple[Index | None, tuple[ArchiveFault, str, str, str] | None]:
        key = session.key + INDEX_SUFFIX
        try:
            index = await read_index(bucket, key)
        except ArchiveIndexError as error:
            return None, ("changed", f"{error.what}", "an index", error.found or "")
        if index is None and session.state != "adopted":
            return None, ("missing", "the index is gone", key, "nothing")
        return index, None

    def _compare(self, session: SeenSession, head: ObjectHead, index: Index) -> None:
        """By the stored checksum where there is one; by the ETag, which the index keeps, else."""
        said = index.header
        if (head.size, head.etag) != (said.size, said.etag):
            self._note(
                session, "changed", "the archive is not the one of its index",
                f"{said.size:,} bytes, ETag {said.etag}", f"{head.size:,} bytes, ETag {head.etag}",
            )  # fmt: skip
            return
        for stored in head.checksums:
            if stored.kind == said.checksum.kind:
                if stored != said.checksum:
                    self._note(
                        session, "changed", "the archive has another checksum than its index says",
                        said.checksum.value, stored.value,
                    )  # fmt: skip
                else:
                    self.by_checksum += 1
                return
        self.by_etag += 1

    async def _read(
        self, bucket: Bucket, session: SeenSession, head: ObjectHead, index: Index
    ) -> None:
        sink = HashSink(index.header.checksum.kind)
        try:
            await bucket.get_to(head.key, sink, if_match=head.etag, version=head.version_id)
        except ArchivedObjectError:
            self.asleep += 1
            return
        self.downloaded += 1
        found = sink.checksum()
        if compare(index.header.checksum, found) != "verified":
            self._note(
                session, "changed", "what was read of the archive is not what was archived",
                index.header.checksum.value, found.value,
            )  # fmt: skip

    async def _examine(
        self, bucket: Bucket, session: SeenSession, head: ObjectHead, adopted: Adopted
    ) -> None:
        """Read an archive without an index, and hold it against itself and against the disk."""
        files = adopted.files(session)
        try:
            found = await examine(bucket, head, sum(file.size for file in files))
        except ArchivedObjectError:
            self.asleep += 1
            return
        except Disagreement as error:
            self._note(session, "damaged", "the archive is damaged", "a whole tar", str(error))
            return

        def compared() -> list[str]:
            with open_source(adopted.library) as tree:
                return [text for _, text in unlike_files(tree, files, found.tar, lambda: None)]

        differing = await asyncio.to_thread(compared)
        for text in differing[:NAMED]:
            message = "the archive does not hold what is on disk"
            self._note(session, "differs", message, "the same file in both", text)
        if len(differing) > NAMED:
            more = f"{len(differing) - NAMED:,} more files that differ, or are in one of both"
            message = "the archive does not hold what is on disk"
            self._note(session, "differs", message, "the same files in both", more)
        self.examined += not differing

    def _note(
        self, session: SeenSession, fault: ArchiveFault, message: str, expected: str, found: str
    ) -> None:
        self.faults[fault] = self.faults.get(fault, 0) + 1
        self._tell(
            ArchiveProblem(
                fault=fault,
                session=session.session,
                bucket=session.bucket,
                key=session.key,
                message=message,
                expected=expected,
                found=found,
            )
        )
