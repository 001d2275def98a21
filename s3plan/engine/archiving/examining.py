"""An archive that somebody else made, read whole: is it a tar, and does it hold what is on disk.

It has no index, so nothing says what it should be. What there is to hold it against: the checksum
that S3 stores, its own list of digests where it has one, and the files of the session, as far as
they are still there. Only reads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from msgspec import Struct

from s3plan.localfs.digests import digest_of_file
from s3plan.localfs.tree import Tree
from s3plan.model.objects import Checksum, Kind, ObjectHead
from s3plan.rules.hashing import hasher, spell
from s3plan.rules.integrity import FALLBACK, compare, evidence_of, parts_offered
from s3plan.rules.tarheaders import BadTar
from s3plan.rules.tarstream import ReadTar, TarStream, most_of
from s3plan.store import Bucket


class LocalMember(Struct, frozen=True):
    """A file of a session: what its member is called, and where it lies in the library."""

    member: str
    path: str
    size: int


class Examined(Struct, frozen=True):
    """What an archive turned out to be. ``checksum`` is of the object's bytes, by ``FALLBACK``;
    ``stored`` says whether S3's own evidence of them is there, and is the same.
    """

    tar: ReadTar
    checksum: Checksum
    stored: bool


class Disagreement(Exception):
    """The archive is no whole tar, or not what S3 or its own list says; says which."""


class _Sink:
    """Takes the archive, hashes it, and reads it as a tar."""

    def __init__(self, kinds: Sequence[Kind], most: int) -> None:
        self._kinds = kinds
        self._most = most

    def start(self, head: object) -> None:
        self.hashers = [hasher(*kind) for kind in self._kinds]
        self.stream = TarStream(self._most)

    def feed(self, chunk: bytes) -> None:
        for each in self.hashers:
            each.update(chunk)
        self.stream.feed(chunk)


async def examine(bucket: Bucket, head: ObjectHead, known: int) -> Examined:
    """Read exactly that object, from its first byte to its last.

    A packed one that unpacks to far more than the ``known`` bytes of its files is refused.

    Raises Disagreement; ArchivedObjectError where it is asleep, PreconditionFailedError where it is
    another one by now, and other StoreErrors.
    """
    count = parts_offered(head)
    sizes = await bucket.part_sizes(head.key, count, if_match=head.etag) if count else None
    said = evidence_of(head, sizes or ())
    kinds = [FALLBACK] if said is None or said.kind == FALLBACK else [FALLBACK, said.kind]
    sink = _Sink(kinds, most_of(head.size, known))
    try:
        await bucket.get_to(head.key, sink, if_match=head.etag, version=head.version_id)
        tar = sink.stream.end()
        wrong = list(tar.unlike_its_manifests())
    except BadTar as error:
        raise Disagreement(f"it is no whole tar: {error}") from error
    found = [each.checksum() for each in sink.hashers]
    if said is not None and compare(said, found[-1]) == "mismatched":
        raise Disagreement(f"its {said.algorithm} is {found[-1].value}, and S3 says {said.value}")
    if wrong:
        raise Disagreement(_several(wrong))
    return Examined(tar, found[0], stored=said is not None)


def unlike_files(
    tree: Tree, files: Sequence[LocalMember], tar: ReadTar, check_stop: Callable[[], None]
) -> Iterator[tuple[LocalMember, str]]:
    """Files that the archive does not hold as they are on disk, and why. Reads them.

    What is gone from disk says nothing against an archive.
    """
    held = {entry.name: entry for entry in tar.files()}
    for file in files:
        check_stop()
        entry = held.get(file.member)
        if entry is None:
            yield file, f"{file.member} is on disk and not in the archive"
        elif entry.size != file.size:
            yield file, f"{file.member} has {file.size:,} bytes, in the archive {entry.size:,}"
        else:
            found = digest_of_file(tree, file.path, ("SHA256", ""))
            said = spell("SHA256", bytes.fromhex(tar.digests[file.member]))
            if found is None:
                yield file, f"{file.path} cannot be read"
            elif found[0].value != said:
                yield file, f"{file.member} has other content than in the archive"


def _several(sentences: Sequence[str]) -> str:
    more = f", and {len(sentences) - 1:,} more" if len(sentences) > 1 else ""
    return f"{sentences[0]}{more}"
