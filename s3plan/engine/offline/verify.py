"""Verifying evacuated trees against their catalogues, years later, without a single request.

Every file that a catalogue has a row of is read from disk, and every digest that the row records
is computed again: that of the download, and those that S3 stored. Files that no row is of are
found by a walk. Nothing is written; memory does not grow with the number of files.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from s3plan.engine.offline.claims import Claim, no_catalogue
from s3plan.engine.offline.reading import Looked, Reader, Recorded
from s3plan.inventory.catalogue import CatalogueState, observe_catalogue
from s3plan.inventory.extras import extra_files
from s3plan.inventory.local import observe_tree
from s3plan.localfs.catalogue import list_catalogues
from s3plan.localfs.tree import Tree
from s3plan.model.events import AnyEvent, Progressed, Scanning, StepBegan
from s3plan.model.objects import Checksum
from s3plan.model.steps import Totals
from s3plan.model.verification import BucketFigures, TreeFault, TreeProblem
from s3plan.rules.naming import encode_key
from s3plan.rules.versioning import versions_root
from s3plan.tables import Database

Observer = Callable[[AnyEvent], None]

_TOTALS = """
    SELECT count(*), CAST(coalesce(sum(size), 0) AS BIGINT) FROM catalogue
    WHERE destination = ? AND bucket = ? AND path IS NOT NULL"""

# By path: neighbours in a directory are often neighbours on the disk.
_FILES = """
    SELECT key, path, size, algorithm, value, parts, verdict, checksums FROM catalogue
    WHERE destination = ? AND bucket = ? AND path IS NOT NULL ORDER BY path"""

# Most keys are their own paths, and so show where the bucket's directory begins.
_ROOTS = """
    SELECT DISTINCT left(path, greatest(length(path) - length(key) - 1, 0)) FROM catalogue
    WHERE destination = ? AND bucket = ? AND history IS NULL
        AND ends_with('/' || path, '/' || key)"""

_ENCODED = """
    SELECT key, path, size FROM catalogue
    WHERE destination = ? AND bucket = ? AND history IS NULL"""

_checksums = msgspec.json.Decoder(tuple[Checksum, ...])

_WHAT: dict[TreeFault, str] = {
    "missing": "the file is gone",
    "extra": "no object is recorded that this would be the file of",
    "mismatched": "the content is not what was recorded",
    "unreadable": "the file cannot be read",
}


def verify_trees(
    claims: Sequence[Claim], tell: Callable[[TreeProblem], None], observer: Observer
) -> tuple[BucketFigures, ...]:
    """Read everything that ``claims`` are about; one entry per claim, in their order.

    ``tell`` gets each problem as it is found, on the calling thread. Raises DestinationError where
    a destination is missing or vanishes, CatalogueError where a catalogue is missing or damaged:
    then nothing is known of any file.
    """
    figures: list[BucketFigures] = []
    for destination in dict.fromkeys(claim.destination for claim in claims):
        ours = [claim for claim in claims if claim.destination == destination]
        with (
            tempfile.TemporaryDirectory(prefix="s3plan-") as scratch,
            Tree.open(destination, create=False) as tree,
            Database(Path(scratch)) as database,
        ):
            states = _read_catalogues(tree, {claim.bucket for claim in ours}, database, observer)
            for claim in ours:
                state = states.get(claim.bucket)
                if state is None:
                    raise no_catalogue(claim)
                one = _Verification(tree, claim, state, database, tell, observer)
                figures.append(one.run())
            # A disk that was pulled out makes files look gone that are not.
            tree.check_place()
    return tuple(figures)


def recorded_files(database: Database, destination: str, bucket: str) -> Iterator[Recorded]:
    """The rows of a bucket, by path. Their checksums must have been loaded with them."""
    rows = database.rows(_FILES, [destination, bucket])
    for key, path, size, algorithm, value, parts, verdict, checksums in rows:
        expected = recorded_checksums(Checksum(algorithm, value, parts), checksums)
        yield Recorded(key, path, size, expected, verdict)


def recorded_checksums(evidence: Checksum, stored: str) -> tuple[Checksum, ...]:
    """Every digest of a row's content, each once: the download's, and the JSON of S3's."""
    return tuple(dict.fromkeys((evidence, *_checksums.decode(stored))))


def roots_of(database: Database, destination: str, bucket: str) -> list[str]:
    """The directories that a bucket's files lie in, by their paths; none where it has none.

    No root is below another.
    """
    found = sorted({root for (root,) in database.rows(_ROOTS, [destination, bucket])})
    if not found:
        for key, path, size in database.rows(_ENCODED, [destination, bucket]):
            encoded = encode_key(key, marker=size == 0)
            if f"/{path}".endswith(f"/{encoded}"):
                found = [path[: -len(encoded)].rstrip("/")]
                break
    outer: list[str] = []
    for root in found:
        if not any(f"{root}/".startswith(f"{above}/" if above else "") for above in outer):
            outer.append(root)
    return outer


def _read_catalogues(
    tree: Tree, wanted: set[str], database: Database, observer: Observer
) -> dict[str, CatalogueState]:
    """Every catalogue of the destination: a file that has a row in any of them is not extra."""
    states: dict[str, CatalogueState] = {}
    for bucket in list_catalogues(tree):
        state = observe_catalogue(tree, bucket, database, attributes=bucket in wanted)
        database.compact()
        if state is not None:
            states[bucket] = state
            items, size = database.row(_TOTALS, [str(tree.root), bucket])
            observer(Scanning(f"the catalogue of {bucket}", items, size, finished=True))
    return states


@dataclass(slots=True)
class _Verification:
    """One claim while it is verified."""

    tree: Tree
    claim: Claim
    state: CatalogueState
    database: Database
    tell: Callable[[TreeProblem], None]
    observer: Observer
    count: Counter[str] = field(default_factory=Counter)

    def run(self) -> BucketFigures:
        claim, header = self.claim, self.state.header
        items, size = self.database.row(_TOTALS, self._bound)
        # The id is of no plan's step; it only ties the events of one bucket together.
        step = f"verify-{claim.bucket}"
        self.observer(StepBegan(step, "verify", claim.bucket, Totals(items, size), Totals()))
        with Reader(self.tree) as reader:
            for chunk in reader.read(recorded_files(self.database, *self._bound)):
                good = [looked.row.size for looked in chunk if self._note(looked)]
                bad = [looked.row.size for looked in chunk if looked.fault]
                self.observer(Progressed(step, "verified", len(good), sum(good)))
                if bad:
                    self.observer(Progressed(step, "mismatched", len(bad), sum(bad)))
        if claim.inventory == "exact":
            self._find_extra()
        return BucketFigures(
            destination=claim.destination,
            bucket=claim.bucket,
            endpoint=header.endpoint,
            account=header.account,
            state=self.state.bucket or "",
            file_count=items,
            total_size=size,
            retained=items if self.state.bucket == "deleted" else 0,
            **self.count,
        )

    @property
    def _bound(self) -> tuple[str, str]:
        return str(self.tree.root), self.claim.bucket

    def _note(self, looked: Looked) -> bool:
        """Count one file, and tell if it is not as recorded; whether it is."""
        row, fault = looked.row, looked.fault
        self.count["local_file_count"] += fault != "missing"
        self.count["size_verified_count"] += looked.same_size
        if fault is None:
            kind = "checksum_verified" if row.verdict == "verified" else "size_only"
            self.count[f"{kind}_count"] += 1
            self.count["verified_file_count"] += 1
            self.count["total_bytes_verified"] += row.size
            return True
        self._problem(fault, row.key, row.path, looked.expected, looked.found)
        return False

    def _find_extra(self) -> None:
        """Look for files of no row below the bucket's directories."""
        known = self.claim.root
        roots = [known] if known is not None else roots_of(self.database, *self._bound)
        self.database.execute("DELETE FROM tree")
        for root in (*roots, versions_root(self.claim.bucket)):
            observe_tree(self.tree, root, self.database)
        for path in extra_files(self.database, self.claim.ignore):
            self._problem("extra", "", path, "nothing", "a file")

    def _problem(self, fault: TreeFault, key: str, path: str, expected: str, found: str) -> None:
        self.count[fault] += 1
        self.tell(
            TreeProblem(
                fault,
                self.claim.destination,
                self.claim.bucket,
                key,
                path,
                _WHAT[fault],
                expected,
                found,
            )
        )
