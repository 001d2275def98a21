"""Looking at everything that manifests name, before a plan: buckets, listings, local trees."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Protocol, get_args

from msgspec import Struct

from s3plan.errors import NoSuchKeyError, StoreError
from s3plan.inventory.annotations import Annotated, sample_annotations
from s3plan.inventory.archives import observe_archive_tiers
from s3plan.inventory.caller import observe_caller
from s3plan.inventory.catalogue import CatalogueState, observe_catalogue
from s3plan.inventory.library import observe_indexes, observe_library
from s3plan.inventory.local import observe_tree
from s3plan.inventory.obstructions import observe_locks, observe_uploads
from s3plan.inventory.present import observe_present
from s3plan.inventory.questions import Inquiry, answer
from s3plan.inventory.report import Reported, observe_report, read_reports
from s3plan.inventory.s3 import observe_bucket
from s3plan.inventory.tablerows import LocalTable
from s3plan.inventory.tags import sampled_tags
from s3plan.inventory.tarheaders import observe_headers
from s3plan.localfs.catalogue import list_catalogues
from s3plan.localfs.tablefile import digests, lines
from s3plan.localfs.tree import RootMissingError, Tree
from s3plan.model.archives import Unindexed
from s3plan.model.buckets import BucketFacts, DocumentName
from s3plan.model.events import AnyEvent
from s3plan.model.sessions import Library
from s3plan.rules.classes import is_directory_bucket
from s3plan.rules.endpoints import is_aws
from s3plan.rules.filetimes import modified_of
from s3plan.rules.inventoryreport import unusable
from s3plan.rules.policies.meaning import Caller
from s3plan.rules.versioning import versions_root
from s3plan.store import Bucket, Store
from s3plan.tables import Database

Observer = Callable[[AnyEvent], None]


class Claim(Protocol):
    """What one manifest wants to be looked at."""

    @property
    def destination(self) -> str | None: ...
    @property
    def listing(self) -> bool: ...
    @property
    def bodies(self) -> bool: ...
    @property
    def documents(self) -> Collection[DocumentName] | None: ...
    @property
    def tag_sample(self) -> int: ...
    @property
    def caller(self) -> bool: ...
    @property
    def files(self) -> tuple[str, ...]: ...
    @property
    def reports(self) -> tuple[str, ...]: ...
    @property
    def library(self) -> Library | None: ...
    @property
    def indexes(self) -> bool: ...
    @property
    def headers(self) -> Unindexed | None: ...
    @property
    def versions(self) -> bool: ...
    @property
    def repeats(self) -> bool: ...
    @property
    def deletes(self) -> bool: ...
    @property
    def prefix(self) -> str: ...
    @property
    def inquiry(self) -> Inquiry | None: ...
    @property
    def literals(self) -> tuple[str, ...]: ...
    @property
    def has_globs(self) -> bool: ...
    def buckets(self, names: Iterable[str]) -> tuple[str, ...]: ...
    def root(self, bucket: str) -> str: ...


SAMPLE = 16
"""Objects of a bucket that are looked at by HEAD. A listing tells neither that the caller may not
read them nor that they are encrypted with a key that only its owner has (SSE-C)."""

_SAMPLED = """
    SELECT key, version_id FROM listing WHERE bucket = ? AND NOT coalesce(marker, false)
    ORDER BY hash(key) LIMIT ?"""

_BAD_REQUEST = 400


class Survey(Struct, frozen=True):
    """What was found besides the rows of ``listing``, ``tree`` and ``catalogue``.

    ``facts`` holds every bucket that is meant and exists; ``catalogues`` by destination and bucket;
    ``sealed`` keys of a sample that need a customer's key (SSE-C), by bucket; ``tags`` those of a
    sample, by bucket and key; ``hidden_uploads`` the buckets whose incomplete uploads cannot be
    listed. ``caller`` is None where no claim asks or the endpoint does not tell; ``files`` the
    files that are named, by path; ``annotated`` what a sample shows of annotations, by bucket,
    where there can be any; ``reports`` those that took the place of a listing.
    """

    facts: Mapping[str, BucketFacts]
    catalogues: Mapping[str, Mapping[str, CatalogueState]]
    sealed: Mapping[str, tuple[str, ...]]
    tags: Mapping[str, Mapping[str, Mapping[str, str]]]
    caller: Caller | None
    hidden_uploads: frozenset[str]
    files: Mapping[str, LocalTable] = {}
    annotated: Mapping[str, Annotated] = {}
    reports: tuple[Reported, ...] = ()


async def survey(
    claims: Sequence[Claim], store: Store, database: Database, now: datetime, observer: Observer
) -> Survey:
    """Fill the tables with all that the claims mean. Only reads.

    Listings that are known to be refused or useless (directory buckets, requester-pays buckets that
    nobody agreed to pay for) are left out; the facts tell the planner why.
    """
    facts = await _facts(claims, store)
    catalogues: dict[str, dict[str, CatalogueState]] = {}
    sealed: dict[str, tuple[str, ...]] = {}
    tags: dict[str, Mapping[str, Mapping[str, str]]] = {}
    annotated: dict[str, Annotated] = {}
    hidden: set[str] = set()
    used: list[Reported] = []
    for claim in claims:
        meant = claim.buckets(facts)
        reports = await read_reports(claim.reports, meant, store)
        used += reports.values()
        for name in meant:
            if claim.listing and _can_list(facts[name], store):
                await _observe(claim, facts[name], reports.get(name), store, database, observer)
                if claim.bodies:
                    sealed[name] = await sealed_keys(store.bucket(name), database)
                    if is_aws(store.target.endpoint):
                        sample = [key for key, _ in _sample(name, database)]
                        annotated[name] = await sample_annotations(store.bucket(name), sample)
                    await observe_archive_tiers(store.bucket(name), database, observer)
                found_tags = await sampled_tags(store.bucket(name), database, claim.tag_sample)
                if found_tags is not None:
                    tags[name] = found_tags
                if claim.deletes:
                    if facts[name].object_lock:
                        await observe_locks(store.bucket(name), database, now, observer)
                    if not await observe_uploads(store.bucket(name), database):
                        hidden.add(name)
        if claim.inquiry is not None:
            await _ask(claim.inquiry, store, database, observer)
        buckets = [store.bucket(name) for name in meant]
        await _look_at_library(claim, buckets, database, now, observer)
        if claim.destination is not None:
            found = await asyncio.to_thread(
                _look_at_disk, claim, claim.destination, meant, database
            )
            catalogues.setdefault(claim.destination, {}).update(found)
    caller = await observe_caller(store) if any(claim.caller for claim in claims) else None
    files = {path: await asyncio.to_thread(_table, path) for c in claims for path in c.files}
    return Survey(
        facts, catalogues, sealed, tags, caller, frozenset(hidden), files, annotated, tuple(used)
    )


async def _observe(
    claim: Claim,
    facts: BucketFacts,
    reported: Reported | None,
    store: Store,
    database: Database,
    observer: Observer,
) -> None:
    """The objects of a bucket: from its report where there is one, else by listing them."""
    versions = claim.versions and facts.versioning != "never"
    if reported is None:
        await observe_bucket(
            store.bucket(facts.name),
            database,
            prefix=claim.prefix,
            observer=observer,
            versions=versions,
            repeats=claim.repeats,
        )
    elif versions:
        # It does not say which version came after which within one second.
        raise unusable(
            reported.address,
            "a bucket that keeps no versions, or a plan that leaves them alone",
            f"versioning of {facts.name}: {facts.versioning}",
            "leave inventory out: the versions are listed then",
        )
    else:
        await observe_report(reported, store, database, prefix=claim.prefix, observer=observer)


async def _ask(inquiry: Inquiry, store: Store, database: Database, observer: Observer) -> None:
    """One question after the other: a later one may follow from an earlier answer."""
    questions = inquiry.questions(database)
    while question := await asyncio.to_thread(next, questions, None):
        await answer(question, store.bucket(question.bucket), database, observer)


def _table(path: str) -> LocalTable:
    file = Path(path)
    # Its time first: what is written meanwhile is newer than what we know.
    changed = file.stat().st_mtime_ns if file.is_file() else 0
    found = digests(file)
    if found is None:
        return LocalTable(None, partial(lines, file))
    return LocalTable(
        found.sha256, partial(lines, file), found.size, found.md5, modified_of(changed)
    )


def _sample(bucket: str, database: Database) -> list[tuple[str, str | None]]:
    """Keys spread over the bucket, the same ones whenever they are asked for; with the version of
    each where versions were listed.
    """
    return [(key, version) for key, version in database.rows(_SAMPLED, [bucket, SAMPLE])]


async def sealed_keys(bucket: Bucket, database: Database) -> tuple[str, ...]:
    """Keys of a sample whose HEAD is refused as a bad request: they need a customer's key.

    Without the key's headers S3 answers 400
    (https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html).
    Raises AccessDeniedError where the caller may not read what would be downloaded.
    """
    sample = _sample(bucket.name, database)

    async def needs_key(key: str, version: str | None) -> bool:
        try:
            await bucket.head(key, version=version)
        except NoSuchKeyError:
            return False  # gone since the listing; the download says so
        except StoreError as error:
            if error.status != _BAD_REQUEST:
                raise
            return True
        return False

    needed = await asyncio.gather(*[needs_key(key, version) for key, version in sample])
    return tuple(key for (key, _), is_needed in zip(sample, needed, strict=True) if is_needed)


async def _facts(claims: Sequence[Claim], store: Store) -> dict[str, BucketFacts]:
    names = {name for claim in claims for name in claim.literals}
    if any(claim.has_globs for claim in claims):
        everything = await store.list_buckets()
        names |= {name for claim in claims for name in claim.buckets(everything)}
    facts: dict[str, BucketFacts] = {}
    for name in sorted(names):
        if is_directory_bucket(name):
            facts[name] = BucketFacts(name, store.target.region, "never")
        elif await store.bucket(name).exists():
            wanted = [claim.documents for claim in claims if claim.buckets([name])]
            documents = {one for some in wanted for one in some or ()}
            facts[name] = await asyncio.to_thread(
                store.control.facts, name, get_args(DocumentName) if None in wanted else documents
            )
    return facts


def _can_list(facts: BucketFacts, store: Store) -> bool:
    if is_directory_bucket(facts.name):
        return False
    return store.connection.requester_pays or not facts.requester_pays


async def _look_at_library(
    claim: Claim,
    buckets: Sequence[Bucket],
    database: Database,
    now: datetime,
    observer: Observer,
) -> None:
    """The files of sessions; after the indexes of their archives, which know most of them."""
    if claim.library is not None or claim.indexes:
        for bucket in buckets:
            await observe_indexes(bucket, database)
            if claim.headers is not None:
                await observe_headers(bucket, claim.headers, database, observer)
    if claim.library is not None:
        await asyncio.to_thread(observe_library, claim.library, now, database)


def _look_at_disk(
    claim: Claim, destination: str, meant: Sequence[str], database: Database
) -> dict[str, CatalogueState]:
    """The catalogues and files of the buckets that are, or were, in the claim."""
    found: dict[str, CatalogueState] = {}
    try:
        tree = Tree.open(Path(destination), create=False)
    except RootMissingError:
        return found  # nothing was evacuated there yet
    with tree:
        buckets = {*meant, *claim.buckets(list_catalogues(tree))}
        for bucket in sorted(buckets):
            state = observe_catalogue(tree, bucket, database)
            if state is not None:
                found[bucket] = state
            observe_tree(tree, claim.root(bucket), database)
            if claim.indexes:
                observe_present(tree, bucket, database)
            observe_tree(tree, versions_root(bucket), database)
    return found
