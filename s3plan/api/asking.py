"""What was evacuated and what runs did: verified offline, asked in SQL, reported."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from s3plan.api.looking import bucket_globs, looked_at
from s3plan.api.places import Observer, ignore, state_home
from s3plan.engine import runs
from s3plan.errors import UsageError
from s3plan.localfs.tree import Tree
from s3plan.model.events import Warned
from s3plan.model.tabular import Column, Report, Section
from s3plan.model.verification import TreeVerified, UrlsVerified
from s3plan.plan.reading import PlanFile

if TYPE_CHECKING:
    from s3plan.engine.offline.claims import Claim


def verify(
    target: Path,
    *,
    variables: Mapping[str, str] | None = None,
    only: Sequence[str] = (),
    exclude: Sequence[str] = (),
    most_problems: int = 10,
    report: Path | None = None,
    observer: Observer = ignore,
) -> TreeVerified:
    """Read evacuated files again and compare them with their catalogues; sends no request.

    ``target`` is a destination, a manifest file, or the journal of a run. Each problem is told to
    ``observer`` and written to ``report``, as JSON Lines; the result holds the first
    ``most_problems``. Raises DestinationError and CatalogueError where nothing can be said of any
    file, and what reading a manifest or a journal raises (ProblemsError, JournalError).
    """
    from s3plan.engine.offline.report import verified_trees

    claims = _claims(target, variables or {}, bucket_globs(only), bucket_globs(exclude))
    return verified_trees(claims, most_problems, report, observer)


def verify_urls(
    manifest: Path,
    *,
    variables: Mapping[str, str] | None = None,
    download: int = 0,
    anonymous: bool = False,
    most_problems: int = 10,
    report: Path | None = None,
    observer: Observer = ignore,
) -> UrlsVerified:
    """Ask for every URL in the table of an ObjectGrouping, and look at every row. Only reads.

    ``download`` objects are read whole and compared by checksum. With ``anonymous`` the objects are
    asked for without credentials. Problems go where :func:`verify` has them. Raises ProblemsError
    for a manifest that is not right, UsageError where it has no table or that cannot be read, and
    a StoreError where the endpoint does not answer.
    """
    return asyncio.run(
        _verify_urls(
            manifest, variables or {}, download, anonymous, most_problems, report, observer
        )
    )


async def _verify_urls(
    manifest: Path,
    variables: Mapping[str, str],
    download: int,
    anonymous: bool,
    most_problems: int,
    report: Path | None,
    observer: Observer,
) -> UrlsVerified:
    from s3plan import kinds
    from s3plan.engine.tableurls import verified_urls
    from s3plan.kinds.grouping import checking, resolving
    from s3plan.rules.pricelist import shipped

    loaded = kinds.load([manifest], variables=variables, environ=os.environ)
    grouping = resolving.only_grouping(loaded.manifests, str(manifest))
    scope = kinds.scopes(loaded)[loaded.manifests.index(grouping)]
    async with looked_at(loaded, [scope], observer, shipped()) as (store, observed):
        table = await asyncio.to_thread(checking.grouped_table, grouping, observed)
        return await verified_urls(
            table,
            store,
            anonymous=anonymous,
            download=download,
            most_problems=most_problems,
            report=report,
            observer=observer,
        )


@contextmanager
def query(
    sql: str, *, source: Path | None = None, redacted: bool = False, observer: Observer = ignore
) -> Iterator[Section]:
    """What one SQL statement that reads says of a run: its plan, journal and catalogues as tables.

    ``source`` is a journal, a plan file or a destination; without it, the latest run here, else
    plan.json. With ``redacted`` names are tokens. Rows are read while the block runs, in a database
    of this process, which has no access to files. Raises UsageError for a wrong query, and
    JournalError, PlanFileError and CatalogueError where the source is missing or damaged.
    """
    from s3plan.engine.history import find_source, open_history
    from s3plan.engine.redaction import redaction_key

    key = redaction_key(state_home()) if redacted else None
    found = find_source(source, Path())
    with open_history(found, lambda said: observer(Warned(said)), redaction_key=key) as history:
        columns, batches = history.database.answer(sql)
        yield Section("answer", sql, tuple(map(Column, columns)), chain.from_iterable(batches))


@contextmanager
def report(
    name: str,
    *,
    source: Path | None = None,
    redacted: bool = False,
    sample: int = 20,
    seed: str = "",
    observer: Observer = ignore,
) -> Iterator[Report]:
    """A report about a run, a plan or a destination, as :func:`query` takes them.

    ``name`` is inventory, restores, errors, log, closeout, or a report of a migration
    (migration-log, migration-summary, inventory-checksums, inventory-report, verification,
    rollback-plan, comparison, certificate, final). A closeout reads ``sample`` files again, chosen
    by ``seed``. Rows are read while the block runs. Raises UsageError for another name or a source
    that the report is not about, and JournalError, PlanFileError, CatalogueError and
    DestinationError where the source is missing or damaged.
    """
    from s3plan.engine.history import find_source
    from s3plan.engine.redaction import redaction_key
    from s3plan.engine.reports import Options, open_report

    key = redaction_key(state_home()) if redacted else None
    with open_report(
        name,
        find_source(source, Path()),
        Options(sample, seed),
        lambda said: observer(Warned(said)),
        redaction_key=key,
    ) as made:
        yield made


def _claims(
    target: Path, variables: Mapping[str, str], only: tuple[str, ...], exclude: tuple[str, ...]
) -> tuple[Claim, ...]:
    """Whose files ``target`` is about, narrowed to the buckets that are meant."""
    from s3plan.engine.offline.claims import Claim, claims_in, claims_of, narrowed
    from s3plan.localfs.catalogue import list_catalogues

    if target.is_dir() and not (target / "journal.json").is_file():
        return narrowed(claims_in(target), only, exclude)
    if target.is_dir() or runs.is_journal(target):
        return narrowed(claims_of(PlanFile.open(runs.run_of(target).plan)), only, exclude)
    from s3plan import kinds

    loaded = kinds.load([target], variables=variables, environ=os.environ)
    claims: list[Claim] = []
    for scope in kinds.scopes(loaded.narrowed(kinds.Filters(only, exclude))):
        if scope.indexes:
            raise UsageError(
                "files out of archives have no catalogue: the indexes in S3 say what they are",
                address=str(target),
                next_step=f"s3plan plan {target}: it says No changes where all are as archived",
            )
        if scope.destination is None:
            continue
        with Tree.open(scope.destination, create=False) as tree:
            there = list_catalogues(tree)
        claims += (
            Claim(scope.destination, bucket, scope.root(bucket), scope.inventory, scope.ignore)
            for bucket in scope.buckets({*scope.literals, *there})
        )
    return narrowed(claims, (), ())
