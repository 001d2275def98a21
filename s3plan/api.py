"""The library: everything the command line does, as functions; the one place that wires parts.

Functions here are synchronous and run their own event loop. While they work they tell an observer
what happens (:mod:`s3plan.model.events`), on the calling thread. They raise errors of
:mod:`s3plan.errors` and print nothing.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import UNSET, Struct

from s3plan import __version__
from s3plan.engine import lockstatus, roster, runs, session
from s3plan.engine import mirror as mirrors
from s3plan.engine.approval import Approval, Ask, House
from s3plan.engine.holding import holder_for
from s3plan.engine.probe import Memory
from s3plan.engine.report import run_status
from s3plan.engine.runs import timestamp
from s3plan.engine.surroundings import Surroundings
from s3plan.errors import (
    DestinationError,
    JournalError,
    LockedError,
    PlanningError,
    ProblemsError,
    UsageError,
)
from s3plan.localfs.locks import holder_of
from s3plan.localfs.marker import KnownDestinations
from s3plan.localfs.tree import RootMissingError, Tree
from s3plan.model.approvals import PlanApproval
from s3plan.model.buckets import BucketFacts
from s3plan.model.capabilities import UNPROBED, Capabilities
from s3plan.model.connection import Connection
from s3plan.model.diagnosis import Diagnosis
from s3plan.model.discovery import SeenPolicy, Whoami
from s3plan.model.events import AnyEvent, RunFinished, Warned
from s3plan.model.grouping import ResolvedKey
from s3plan.model.local import Space
from s3plan.model.plan import PLAN_FORMAT, ManifestRef, PlanHeader
from s3plan.model.recheck import Drift, PlanRecheck, StepRecheck
from s3plan.model.status import LockStatus, RunStatus, RunSummary
from s3plan.model.steps import Download, Totals
from s3plan.model.tabular import Column, Report, Section
from s3plan.model.verification import TreeVerified
from s3plan.plan.comparison import PlanChanges, compare_plans
from s3plan.plan.drafts import StepDraft
from s3plan.plan.limits import broken_limits
from s3plan.plan.reading import PlanFile
from s3plan.plan.room import lacking, room_for
from s3plan.rules.permissions import Phase
from s3plan.rules.prices import PriceList, RegionPrices
from s3plan.store import Store
from s3plan.tables import Database

if TYPE_CHECKING:
    from s3plan import kinds
    from s3plan.engine.offline.claims import Claim
    from s3plan.engine.offline.rebuild import Rebuilding
    from s3plan.kinds.project import Project

PROJECT_FILE = "s3plan.yaml"
"""What holds for every plan of the working directory (``kinds.project`` reads it)."""

Observer = Callable[[AnyEvent], None]
"""Called with every event, on the calling thread; must return quickly."""


class PlanResult(Struct, frozen=True):
    """What planning came to. ``plan`` is None where nothing differs: No changes.

    ``notes`` are sentences a person should read. ``unfinished`` is the id of a run here that was
    begun and not finished; applying the new plan closes it.
    """

    plan: PlanFile | None
    path: Path | None
    notes: tuple[str, ...] = ()
    unfinished: str | None = None


def ignore(event: AnyEvent) -> None:
    """An observer that does nothing."""


def validate(
    manifests: Sequence[Path], *, variables: Mapping[str, str] | None = None
) -> tuple[ManifestRef, ...]:
    """Check manifest files without looking at S3; the documents they hold.

    Raises ProblemsError with every problem of every file.
    """
    from s3plan import kinds

    return kinds.load(manifests, variables=variables or {}, environ=os.environ).refs


def load_connection(manifest: Path) -> Connection:
    """The one connection that a manifest file holds. Raises ProblemsError or UsageError."""
    from s3plan import kinds

    return kinds.load_connection(manifest, environ=os.environ)


def plan(
    manifests: Sequence[Path],
    *,
    out: Path = Path("plan.json"),
    variables: Mapping[str, str] | None = None,
    only: Sequence[str] = (),
    exclude: Sequence[str] = (),
    limit_groups: int | None = None,
    prices: Path | None = None,
    observer: Observer = ignore,
) -> PlanResult:
    """Look at S3 and at the destinations, and write the difference to ``out``. Only reads.

    ``only`` and ``exclude`` are ``bucket=GLOB``. ``limit_groups`` is how many groups of an
    ObjectGrouping a pilot is of. ``prices`` is a price list of the user's. Where
    nothing differs no file is written, and an earlier plan at ``out`` stays. Raises ProblemsError
    with everything that cannot be planned for.
    """
    from s3plan import kinds

    loaded = kinds.load(manifests, variables=variables or {}, environ=os.environ)
    loaded = loaded.narrowed(_bucket_globs(only), _bucket_globs(exclude), limit_groups)
    if limit_groups is not None and all(m.kind != "ObjectGrouping" for m in loaded.manifests):
        raise UsageError(
            "there are no groups to limit",
            expected="a document of kind ObjectGrouping",
            found=", ".join(m.kind for m in loaded.manifests),
            next_step="leave --limit-groups out",
        )
    known = KnownDestinations(_state_home() / "destinations")
    for scope in kinds.scopes(loaded):
        if scope.destination is not None:
            known.check(Path(scope.destination))
    found = next(session.unfinished_runs(Path()), None)
    project = _project()
    made, notes = asyncio.run(_plan(loaded, out, observer, _price_list(prices or project.prices)))
    broken = broken_limits(made, project.limits) if made is not None else []
    if broken:
        raise ProblemsError(
            "the plan goes beyond its limits",
            broken,
            next_step=f"s3plan show {out}: it was written to be looked at, and cannot be applied",
        )
    return PlanResult(made, out if made else None, notes, found.id if found else None)


def resolve(
    manifest: Path, *, variables: Mapping[str, str] | None = None, observer: Observer = ignore
) -> Iterator[ResolvedKey]:
    """Which key an ObjectGrouping gives each object, in the order of the keys. Only reads.

    Raises ProblemsError for a manifest that is not right, UsageError where it holds no grouping.
    """
    from s3plan import kinds
    from s3plan.kinds.grouping import resolving

    loaded = kinds.load([manifest], variables=variables or {}, environ=os.environ)
    grouping = resolving.only_grouping(loaded.manifests, str(manifest))
    with _surveyed(loaded, observer) as database:
        yield from resolving.preview(grouping, database)


def resolve_upload(
    manifest: Path,
    row: str,
    file: str,
    *,
    parts: Mapping[str, str] | None = None,
    variables: Mapping[str, str] | None = None,
) -> ResolvedKey:
    """The key that a new file of a row must be uploaded to.

    Parts of the key that are not among ``parts`` are those of the group that has this row in the
    bucket; where none is missing S3 is not asked. Raises UsageError where no group or several have
    the row, ProblemsError for a manifest that is not right.
    """
    from s3plan import kinds
    from s3plan.kinds.grouping import resolving

    loaded = kinds.load([manifest], variables=variables or {}, environ=os.environ)
    grouping = resolving.only_grouping(loaded.manifests, str(manifest))
    known = {resolving.ROW: row, **(parts or {})}
    if resolving.missing_parts(grouping, known):
        with _surveyed(loaded, ignore) as database:
            known = resolving.row_parts(grouping, database, row) | known
    return resolving.upload_key(grouping, known, file)


@contextmanager
def _surveyed(loaded: kinds.Loaded, observer: Observer) -> Iterator[Database]:
    """A database with everything that the manifests mean."""
    from s3plan import kinds
    from s3plan.inventory.survey import survey

    async def look(database: Database) -> None:
        async with Store(loaded.connection) as store:
            await store.identify()
            await survey(kinds.scopes(loaded), store, database, datetime.now(UTC), observer)

    with tempfile.TemporaryDirectory(prefix="s3plan-") as scratch:
        memory = loaded.connection.limits.memory
        with Database(Path(scratch), memory_limit=memory) as database:
            asyncio.run(look(database))
            yield database


def show(path: Path) -> PlanFile:
    """Read a plan file and check it whole. Raises PlanFileError."""
    return PlanFile.open(path)


def recheck(plan: Path) -> PlanRecheck:
    """Hold a plan against what is there now, without applying it. Only reads.

    Raises PlanFileError for a plan that is damaged, and a StoreError where S3 cannot be read.
    """
    return asyncio.run(session.recheck(plan, _around(ignore, None), _house()))


def drift(
    manifests: Sequence[Path],
    *,
    variables: Mapping[str, str] | None = None,
    observer: Observer = ignore,
) -> Drift:
    """What was last applied here, what lives and what the manifests declare, compared. Only reads.

    Raises ProblemsError with everything that cannot be planned for.
    """
    from s3plan import kinds
    from s3plan.engine.drift import drift_between, last_applied

    loaded = kinds.load(manifests, variables=variables or {}, environ=os.environ)
    found = last_applied(Path(), loaded.refs)
    looked: tuple[StepRecheck, ...] = ()
    with tempfile.TemporaryDirectory(prefix="s3plan-") as folder:
        prices = _price_list(_project().prices)
        made, _ = asyncio.run(_plan(loaded, Path(folder) / "plan.json", observer, prices))
        if found is not None:
            applied = found[1].path
            looked = asyncio.run(session.recheck(applied, _around(ignore, None), House())).steps
        return drift_between(found, looked, made)


def approvals_from(reviews: Path, plan: Path, *, commit: str | None = None) -> str:
    """The reviews of a pull request as approvals of a plan: the text of a file of them.

    ``reviews`` is JSON as GitHub or GitLab gives it. Raises UsageError where it is neither,
    PlanFileError for the plan.
    """
    from s3plan.kinds.approvals import approvals_text
    from s3plan.rules.reviews import approvals_in

    digest = PlanFile.open(plan).digest
    return approvals_text(approvals_in(_json_pages(reviews), digest, commit))


def _json_pages(path: Path) -> object:
    """A JSON document; pages of a list, one after the other, are one list."""
    try:
        text = path.read_text(encoding="utf-8").strip()
        pages: list[object] = []
        decoder = json.JSONDecoder()
        while text:
            page, end = decoder.raw_decode(text)
            pages.append(page)
            text = text[end:].lstrip()
    except (OSError, ValueError) as error:
        raise UsageError(
            "the reviews cannot be read", address=str(path), found=str(error)
        ) from error
    if len(pages) > 1 and all(isinstance(page, list) for page in pages):
        return [entry for page in pages if isinstance(page, list) for entry in page]
    return pages[0] if len(pages) == 1 else None


def compare(old: Path, new: Path, *, shown: int = 10) -> PlanChanges:
    """What the plan ``new`` does differently from ``old``, with ``shown`` items of each step.

    Raises PlanFileError.
    """
    return compare_plans(PlanFile.open(old), PlanFile.open(new), shown=shown)


def region_prices(region: str, *, prices: Path | None = None) -> RegionPrices:
    """What S3 costs in a region. ``prices`` is a price list of the user's.

    Raises ProblemsError for a list that is not right, UsageError for a region without prices.
    """
    known = _price_list(prices).regions
    if region not in known:
        raise UsageError(
            "there are no prices for this region",
            expected="one of " + ", ".join(sorted(known)),
            found=region,
            next_step="name another with --region, or give its prices with --prices FILE",
        )
    return known[region]


def read_approvals(path: Path) -> tuple[PlanApproval, ...]:
    """The approvals of plans in a file, as a review writes it. Raises ProblemsError."""
    from s3plan.kinds import approvals

    return approvals.read_approvals(path)


def apply(
    plan: Path,
    *,
    approval: Approval,
    observer: Observer = ignore,
    ask: Ask | None = None,
    log: Path | None = None,
    mirror: str | None = None,
) -> RunFinished:
    """Run exactly the plan, or go on with its run. The result's ``exit_code`` says how it ended.

    ``ask`` is called at a delete gate that nobody has approved; without it the run ends held.
    ``log`` gets JSON Lines of every item. ``mirror`` is ``s3://bucket/prefix``: the run's folder is
    copied there at gates. Raises StaleError and LockedError before the first request,
    IncompleteError when the journal, the disk or a lock is lost in the middle.
    """
    around = _around(observer, log)
    return asyncio.run(session.apply(plan, approval, ask, around, house=_house(), mirror=mirror))


def status(journal: Path | None = None) -> RunStatus:
    """How a run stands, from its journal alone; of the latest apply here without ``journal``.

    Sends nothing and takes no lock. Raises JournalError where there is no journal or it is damaged.
    """
    return run_status(journal or Path(runs.JOURNAL_LINK))


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

    claims = _claims(target, variables or {}, _bucket_globs(only), _bucket_globs(exclude))
    return verified_trees(claims, most_problems, report, observer)


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

    key = redaction_key(_state_home()) if redacted else None
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

    ``name`` is inventory, restores, errors, closeout, or a report of a migration (migration-log,
    migration-summary, inventory-checksums, inventory-report, verification, rollback-plan,
    comparison, certificate). A closeout reads ``sample`` files again,
    chosen by ``seed``. Rows are read while the block runs. Raises UsageError for another name or a
    source that the report is not about, and JournalError, PlanFileError, CatalogueError and
    DestinationError where the source is missing or damaged.
    """
    from s3plan.engine.history import find_source
    from s3plan.engine.redaction import redaction_key
    from s3plan.engine.reports import Options, open_report

    key = redaction_key(_state_home()) if redacted else None
    with open_report(
        name,
        find_source(source, Path()),
        Options(sample, seed),
        lambda said: observer(Warned(said)),
        redaction_key=key,
    ) as made:
        yield made


def rollback_plan(journal: Path) -> PlanFile | None:
    """What a rollback would do now; None where there is nothing to take back. Only reads.

    Raises JournalError where there is no journal, and StaleError for another host, account or
    endpoint.
    """
    return asyncio.run(session.preview_rollback(journal, _around(ignore, None)))


def rollback(
    journal: Path, *, approval: Approval, observer: Observer = ignore, log: Path | None = None
) -> RunFinished | None:
    """Take a run back, or go on doing so; None where there is nothing (more) to take back.

    The result's ``exit_code`` says how it ended: 7 where something is no longer as the run left it,
    or is a last copy, and was left alone. Raises JournalError where there is no journal, StaleError
    and LockedError before the first request, IncompleteError when the journal or the disk fails in
    the middle.
    """
    return asyncio.run(session.rollback(journal, approval, _around(observer, log)))


def doctor(
    manifests: Sequence[Path] = (),
    *,
    variables: Mapping[str, str] | None = None,
    probe: bool = False,
    with_bucket: bool = False,
) -> Diagnosis:
    """Check what a run of these manifests needs, and say what the endpoint is known to do.

    Without manifests the usual AWS chain counts; a file may hold only a Connection. Reads only,
    but for ``probe`` (canaries and races in the connection's scratch place, some thousand requests)
    and ``with_bucket`` (a bucket of its own, made and removed). Raises ProblemsError for manifests
    that are not right; everything else is a finding.
    """
    return asyncio.run(_doctor(manifests, variables or {}, probe, with_bucket))


def whoami(manifest: Path | None = None, *, buckets: bool = False) -> Whoami:
    """Whose credentials these are; with ``buckets`` every bucket that they see. Only reads.

    ``manifest`` is a file with one Connection; without it the usual AWS chain counts. Raises
    StoreError where the endpoint refuses, ProblemsError for a file that is not right.
    """
    return asyncio.run(_whoami(_connection(manifest), buckets=buckets))


def list_buckets(manifest: Path | None = None) -> tuple[str, ...]:
    """Names of all buckets that the credentials see. Raises StoreError or ProblemsError."""
    return asyncio.run(_list_buckets(_connection(manifest)))


def list_policies(
    manifest: Path | None = None, *, directory: Path = Path("policies")
) -> tuple[SeenPolicy, ...]:
    """The policy of every bucket, then the policy files in ``directory``.

    Raises StoreError or ProblemsError; what may not be read of one bucket is said there.
    """
    return asyncio.run(_list_policies(_connection(manifest), directory))


def iam_policy(
    manifests: Sequence[Path],
    *,
    phases: Sequence[Phase] = (),
    variables: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """The least identity policy that plan, apply and rollback of the manifests need.

    ``phases`` narrows it to some of the three. Asks nobody. Raises ProblemsError for manifests that
    are not right.
    """
    from s3plan import kinds
    from s3plan.rules.permissions import partition_of, policy_for

    loaded = kinds.load(manifests, variables=variables or {}, environ=os.environ)
    prefixes = {bucket: scope.prefix for scope in kinds.scopes(loaded) for bucket in scope.include}
    return policy_for(
        kinds.permissions(loaded, phases or ("plan", "apply", "rollback")),
        partition=partition_of(loaded.connection.region or ""),
        prefixes=prefixes,
    )


def render(
    manifests: Sequence[Path],
    *,
    out: Path,
    replace: bool = False,
    variables: Mapping[str, str] | None = None,
) -> tuple[Path, ...]:
    """Write the documents that the manifests mean to files in ``out``; their paths.

    Looks at S3, since what others put there is kept. Raises ProblemsError for what cannot be
    rendered, and without ``replace`` for files that say something else by now; DestinationError
    where a file cannot be written.
    """
    from s3plan import kinds
    from s3plan.rules.policies.document import policy_text

    loaded = kinds.load(manifests, variables=variables or {}, environ=os.environ)
    texts = {out / one.name: policy_text(one.document) for one in asyncio.run(_render(loaded))}
    others = [path for path, text in texts.items() if not _says(path, text)]
    if others and not replace:
        raise ProblemsError(
            "files that are there say something else",
            [
                DestinationError(
                    "the file says something else than the manifest",
                    address=str(path),
                    next_step="compare them; --replace writes over it, --out chooses another place",
                )
                for path in others
            ],
        )
    for path, text in texts.items():
        try:
            out.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        except OSError as error:
            raise DestinationError(
                "the file cannot be written",
                address=str(path),
                found=error.strerror,
                next_step="choose another place with --out",
            ) from error
    return tuple(texts)


def _says(path: Path, text: str) -> bool:
    """Whether the file is not there, or holds this very text."""
    try:
        return path.read_bytes() == text.encode()
    except FileNotFoundError:
        return True
    except OSError:
        return False


def import_manifest(what: str, bucket: str, *, connection: Path | None = None) -> str:
    """The text of a manifest that says what the bucket has: planned, it gives no changes.

    ``what`` is bucket-access or bucket-lifecycle. Raises PlanningError for what may not be read,
    NoSuchBucketError and other StoreErrors.
    """
    from s3plan.kinds.importing import imported

    return imported(what, asyncio.run(_facts(_connection(connection), bucket)))


def journal_reset() -> Path:
    """Archive the latest run's folder so that a plan starts afresh; no local file is touched.

    The folder goes to ``.s3plan/archive/``. Raises JournalError without a run, LockedError while a
    process works on it.
    """
    link = Path(runs.JOURNAL_LINK)
    run = runs.run_of(link)
    holder = holder_of(run.lock)
    if holder is not None:
        raise LockedError(
            "a process works on this run",
            address=str(run.folder),
            found=f"{holder.host}, pid {holder.pid}, since {holder.since}",
            next_step="wait for it or stop it with Ctrl-C",
        )
    archive = Path(runs.STATE_DIRECTORY) / "archive" / run.id
    try:
        archive.parent.mkdir(parents=True, exist_ok=True)
        run.folder.rename(archive)
        if link.is_symlink():
            link.unlink()
    except OSError as error:
        raise JournalError(
            f"the run cannot be archived: {error.strerror}", address=str(run.folder)
        ) from error
    return archive


def journal_rebuild(
    directory: Path,
    *,
    approver: str,
    connection: Path | None = None,
    observer: Observer = ignore,
) -> Rebuilding:
    """Make the runs again that the catalogues in ``directory`` name and that are not here.

    Reads every file there and sends no request. ``connection`` is a manifest file with the
    Connection to note in their plans. Raises DestinationError and CatalogueError where nothing can
    be told, LockedError while a run works on the destination, JournalError where the working
    directory cannot be written.
    """
    from s3plan.engine.offline.claims import claims_in
    from s3plan.engine.offline.rebuild import Around, rebuild

    surroundings = _around(observer, None)
    around = Around(
        directory=Path(),
        approver=approver,
        holder=holder_for(surroundings, Path(runs.JOURNAL_LINK)),
        clock=surroundings.clock,
        tool=__version__,
        connection=load_connection(connection) if connection else None,
    )
    return rebuild(claims_in(directory), around, observer)


def list_runs() -> tuple[RunSummary, ...]:
    """Every run of the working directory, oldest first; one that cannot be read says why.

    Raises LockedError where a process holds a run and does not say who it is.
    """
    return roster.list_runs(Path())


def abandon_run(name: str, *, approver: str) -> Path:
    """Give a run up for good; its journal. Its files stay, and a rollback still takes it back.

    ``name`` is the run's id or enough of its beginning. Raises JournalError where there is no such
    run, StaleError where it is finished, LockedError while a process works on it.
    """
    around = _around(ignore, None)
    holder = holder_for(around, Path(runs.JOURNAL_LINK))
    return roster.abandon(Path(), name, approver, holder, around.clock).journal


def recover_run(
    address: str, *, run: str | None = None, connection: Path | None = None
) -> tuple[Path, PlanFile]:
    """Bring a run's folder from its mirror ``s3://bucket/prefix``; its journal and its plan.

    ``connection`` is a manifest file with a Connection, without which the usual AWS chain counts.
    ``run`` is needed where the mirror holds several. Raises UsageError where it holds none or
    several, JournalError where the run is here already or what came is damaged.
    """
    return asyncio.run(_recover(address, run, connection))


def locks() -> tuple[LockStatus, ...]:
    """Every lock of this user that is held, and the leases of the latest plan here.

    Raises a StoreError where leases cannot be read, DestinationError where a lock cannot.
    """
    around = _around(ignore, None)
    return asyncio.run(lockstatus.held_locks(around, lockstatus.plan_of_latest(Path())))


def break_lock(address: str) -> None:
    """Take a lock or lease from a holder that is gone; ``address`` is as :func:`locks` says.

    Raises UsageError where nobody holds it, LockedError where the holder is a living process here.
    """
    around = _around(ignore, None)
    asyncio.run(lockstatus.take_from_holder(address, around, lockstatus.plan_of_latest(Path())))


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
    for scope in kinds.scopes(loaded.narrowed(only, exclude)):
        if scope.destination is None:
            continue
        with Tree.open(scope.destination, create=False) as tree:
            there = list_catalogues(tree)
        claims += (
            Claim(scope.destination, bucket, scope.root(bucket), scope.inventory, scope.ignore)
            for bucket in scope.buckets({*scope.literals, *there})
        )
    return narrowed(claims, (), ())


async def _recover(address: str, name: str | None, manifest: Path | None) -> tuple[Path, PlanFile]:
    connection = load_connection(manifest) if manifest else Connection()
    async with Store(connection) as store:
        await store.identify()
        found = await mirrors.runs_in_mirror(store, address)
        meant = [run for run in found if name is None or run.id == name]
        if len(meant) != 1:
            raise UsageError(
                "the mirror holds several runs" if meant else "the mirror holds no such run",
                address=address,
                expected="one run" if name is None else f"run {name}",
                found=", ".join(run.id for run in found) or "none",
                next_step=f"s3plan runs recover {address} --run ID",
            )
        run = await mirrors.recover(store, address, meant[0], Path())
    return run.journal, PlanFile.open(run.plan)


async def _doctor(
    manifests: Sequence[Path], variables: Mapping[str, str], probe: bool, with_bucket: bool
) -> Diagnosis:
    from s3plan import kinds
    from s3plan.engine.doctor import diagnose

    connection = Connection()
    scopes: tuple[kinds.Scope, ...] = ()
    if manifests:
        try:
            loaded = kinds.load(manifests, variables=variables, environ=os.environ)
            connection, scopes = loaded.connection, kinds.scopes(loaded)
        except ProblemsError:
            if len(manifests) != 1:
                raise
            connection = load_connection(manifests[0])
    async with Store(connection) as store:
        return await diagnose(
            store,
            Memory(_state_home() / "capabilities"),
            buckets={name for scope in scopes for name in scope.literals},
            destinations={scope.destination for scope in scopes if scope.destination is not None},
            directory=Path(),
            now=datetime.now(UTC),
            tool=__version__,
            probe=probe,
            with_bucket=with_bucket,
        )


def _bucket_globs(filters: Sequence[str]) -> tuple[str, ...]:
    globs: list[str] = []
    for text in filters:
        what, equals, glob = text.partition("=")
        if what != "bucket" or not equals or not glob:
            raise UsageError(
                "this filter is not known",
                expected="bucket=GLOB, such as bucket=photos-*",
                found=text,
                next_step="use select in the manifest to choose keys",
            )
        globs.append(glob)
    return tuple(globs)


def _project() -> Project:
    """The project file of the working directory."""
    from s3plan.kinds.project import Project, read_project

    # pydantic takes its time to import, and few directories have a project file.
    return read_project(Path()) if os.path.lexists(PROJECT_FILE) else Project()


def _house() -> House:
    """What the project file asks of every apply."""
    project = _project()
    return House(project.limits, project.required_approvals, project.approvers)


def _price_list(path: Path | None) -> PriceList:
    """The list that is shipped, with what a file of the user's says in its place."""
    from s3plan.kinds.prices import read_prices
    from s3plan.rules.pricelist import shipped

    return shipped() if path is None else read_prices(path)


async def _plan(
    loaded: kinds.Loaded, out: Path, observer: Observer, prices: PriceList
) -> tuple[PlanFile | None, tuple[str, ...]]:
    from s3plan import kinds
    from s3plan.plan.opinions import with_opinions
    from s3plan.plan.seal import seal

    side_by_side = kinds.parallel_buckets(loaded)
    async with _looking(loaded, kinds.scopes(loaded), observer, prices) as (store, observed):
        # Before planning: a manifest that selects forgets what it does not.
        held = await asyncio.to_thread(_held, observed.database)
        planned = await asyncio.to_thread(kinds.plan_all, loaded, observed)
        notes = tuple(observed.notes)
        if not planned:
            return None, notes
        drafts = await with_opinions(planned, store, observed.caller)
        _check_space(drafts, observed.database)
        header = PlanHeader(
            format=PLAN_FORMAT,
            tool=__version__,
            created=timestamp(observed.now),
            host=socket.gethostname(),
            target=observed.target,
            connection=loaded.connection,
            manifests=loaded.refs,
            notes=notes,
            parallel_buckets=side_by_side if side_by_side > 1 else UNSET,
            limits=loaded.limits or UNSET,
            held=held,
        )
        made = await asyncio.to_thread(seal, drafts, observed.database, header, out, prices=prices)
        return made, notes


@asynccontextmanager
async def _looking(
    loaded: kinds.Loaded, scopes: Sequence[kinds.Scope], observer: Observer, prices: PriceList
) -> AsyncIterator[tuple[Store, kinds.Observed]]:
    """Everything that the scopes mean, looked at; its tables are gone afterwards."""
    from s3plan import kinds
    from s3plan.inventory.survey import survey

    now = datetime.now(UTC)
    async with Store(loaded.connection) as store:
        target = await store.identify()
        with tempfile.TemporaryDirectory(prefix="s3plan-") as scratch:
            memory = loaded.connection.limits.memory
            with Database(Path(scratch), memory_limit=memory) as database:
                seen = await survey(scopes, store, database, now, observer)
                yield (
                    store,
                    kinds.Observed(
                        database=database,
                        target=target,
                        connection=loaded.connection,
                        facts=seen.facts,
                        catalogues=seen.catalogues,
                        now=now,
                        sealed=seen.sealed,
                        files=seen.files,
                        annotated=seen.annotated,
                        hidden_uploads=seen.hidden_uploads,
                        tags=seen.tags,
                        caller=seen.caller,
                        capabilities=_remembered(store, now),
                        prices=prices.region(target.endpoint, target.region),
                    ),
                )


async def _render(loaded: kinds.Loaded) -> list[kinds.Rendered]:
    from s3plan import kinds
    from s3plan.rules.pricelist import shipped

    # Documents only: what objects there are does not change what a document says.
    scopes = [
        replace(scope, listing=False, tag_sample=0, destination=None)
        for scope in kinds.scopes(loaded)
    ]
    async with _looking(loaded, scopes, ignore, shipped()) as (_, observed):
        return kinds.render_all(loaded, observed)


def _connection(manifest: Path | None) -> Connection:
    return load_connection(manifest) if manifest is not None else Connection()


async def _whoami(connection: Connection, *, buckets: bool) -> Whoami:
    from s3plan.inventory.discovery import whoami as look

    async with Store(connection) as store:
        return await look(store, buckets=buckets)


async def _list_buckets(connection: Connection) -> tuple[str, ...]:
    async with Store(connection) as store:
        return await store.list_buckets()


async def _list_policies(connection: Connection, directory: Path) -> tuple[SeenPolicy, ...]:
    from s3plan.inventory.discovery import seen_policies

    async with Store(connection) as store:
        return await seen_policies(store, directory)


async def _facts(connection: Connection, bucket: str) -> BucketFacts:
    async with Store(connection) as store:
        await store.identify()
        store.bucket(bucket)  # what is no name is refused before boto3 makes a path of it
        return await asyncio.to_thread(store.control.facts, bucket)


def _remembered(store: Store, now: datetime) -> Capabilities:
    """What the endpoint was last seen to do; planning itself never probes, which would write."""
    scratch = store.connection.scratch
    memory = Memory(_state_home() / "capabilities")
    return (memory.recall(store.target, scratch, now) if scratch else None) or UNPROBED


def _held(database: Database) -> dict[str, Totals]:
    """What was listed of each bucket."""
    rows = database.rows(
        "SELECT bucket, count(*), CAST(coalesce(sum(size), 0) AS BIGINT) FROM listing"
        " GROUP BY bucket ORDER BY bucket"
    )
    return {bucket: Totals(count, size) for bucket, count, size in rows}


def _check_space(drafts: Sequence[StepDraft], database: Database) -> None:
    """Refuse downloads that do not fit where they go, all that go to one destination together."""
    needed: dict[str, tuple[Totals, int]] = {}
    for draft in drafts:
        if isinstance(draft.action, Download):
            files, size, directories = database.row(_EXTENT, [draft.worklist])
            path = draft.action.destination
            totals, known = needed.get(path, (Totals(), 0))
            needed[path] = totals + Totals(files, size), known + directories
    problems = []
    for path, (totals, directories) in needed.items():
        free = _space(Path(path))
        for unit, wanted, found in lacking(room_for(totals, free.block, directories), free):
            problems.append(_too_small(path, wanted, found, unit))
    if problems:
        raise ProblemsError("this cannot be planned", problems)


_EXTENT = """
    SELECT count(*), CAST(sum(size) AS BIGINT),
        count(DISTINCT regexp_extract(path, '^(.*/)[^/]*$', 1, 's'))
    FROM items WHERE step = ?"""


def _too_small(path: str, wanted: int, free: int, unit: str) -> PlanningError:
    return PlanningError(
        "the objects do not fit into the destination",
        address=path,
        expected=f"{wanted:,} {unit} free",
        found=f"{free:,} {unit} free",
        next_step="make room, choose another destination, or plan fewer buckets",
    )


def _space(path: Path) -> Space:
    """What is free at ``path``, or where it would be made."""
    try:
        with Tree.open(path, create=False) as tree:
            return tree.space()
    except RootMissingError:
        with Tree.open(path.parent, create=False) as tree:
            return tree.space()


def _around(observer: Observer, log: Path | None) -> Surroundings:
    return Surroundings(
        directory=Path(),
        state_home=_state_home(),
        clock=lambda: datetime.now(UTC),
        open_store=Store,
        observer=observer,
        tool=__version__,
        item_log=log,
    )


def _state_home() -> Path:
    """This user's state folder, as the XDG base directory specification says."""
    state = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(state) / "s3plan"


__all__ = [
    "Approval",
    "Ask",
    "Observer",
    "PlanResult",
    "abandon_run",
    "apply",
    "approvals_from",
    "break_lock",
    "compare",
    "doctor",
    "drift",
    "iam_policy",
    "ignore",
    "import_manifest",
    "journal_rebuild",
    "journal_reset",
    "list_buckets",
    "list_policies",
    "list_runs",
    "load_connection",
    "locks",
    "plan",
    "query",
    "read_approvals",
    "recheck",
    "recover_run",
    "region_prices",
    "render",
    "report",
    "resolve",
    "resolve_upload",
    "rollback",
    "rollback_plan",
    "show",
    "status",
    "validate",
    "verify",
    "whoami",
]
