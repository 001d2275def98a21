"""Imaging sessions: which there are, which are archived, and in which class their archives lie."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace as replace_scope
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from s3plan.api.looking import globs_of, looked_at
from s3plan.api.places import Observer, ignore, price_list
from s3plan.engine import runs
from s3plan.errors import NoSuchKeyError, UsageError
from s3plan.model.sessions import SeenSession
from s3plan.model.tabular import Report, Section
from s3plan.model.verification import ArchivesVerified
from s3plan.rules.classes import ARCHIVED_CLASSES
from s3plan.rules.restores import restore_of
from s3plan.store import Store

if TYPE_CHECKING:
    from s3plan import kinds


def sessions(
    manifest: Path,
    *,
    variables: Mapping[str, str] | None = None,
    only: Sequence[str] = (),
    years: Sequence[str] = (),
    restores: bool = False,
    observer: Observer = ignore,
) -> tuple[SeenSession, ...]:
    """Every session of a SessionArchive as it is on disk and in its buckets, oldest first.

    ``only`` are ``session=GLOB``, ``years`` those that are meant. With ``restores`` every archive
    in an archive class is asked how far its restore is, a request each. Only reads. Raises
    ProblemsError for a manifest that is not right, UsageError where it holds no SessionArchive,
    DestinationError where the library is not there, StoreError where S3 refuses.
    """
    from s3plan import kinds
    from s3plan.kinds.sessions import seeing

    loaded = kinds.load([manifest], variables=variables or {}, environ=os.environ)
    chosen = kinds.SessionFilters(globs_of(only, ("session",))["session"], (), tuple(years))
    loaded = loaded.narrowed(kinds.Filters(sessions=chosen))
    seeing.archiving(loaded.manifests, str(manifest))
    return asyncio.run(_sessions(loaded, str(manifest), observer, restores=restores))


def list_sessions(
    manifest: Path,
    *,
    variables: Mapping[str, str] | None = None,
    years: Sequence[str] = (),
    not_archived: bool = False,
    observer: Observer = ignore,
) -> Section:
    """A row for each session: id, date, camera, telescope, size, and whether it is archived.

    With ``not_archived`` those that have no archive. Raises UsageError and what :func:`sessions`
    raises.
    """
    from s3plan.kinds.sessions.reports import session_list

    found = sessions(manifest, variables=variables, years=years, observer=observer)
    return session_list(one for one in found if not (not_archived and one.is_archived))


def list_extras(
    manifest: Path,
    *,
    variables: Mapping[str, str] | None = None,
    observer: Observer = ignore,
) -> Section:
    """A row for each version of each extra that the bucket holds, in the order of the keys.

    Raises UsageError and what :func:`sessions` raises.
    """
    from s3plan import kinds
    from s3plan.kinds.sessions import seeing
    from s3plan.kinds.sessions.files import extras_listed
    from s3plan.rules.pricelist import shipped

    loaded = kinds.load([manifest], variables=variables or {}, environ=os.environ)
    archiving = seeing.archiving(loaded.manifests, str(manifest))

    async def look() -> Section:
        scopes = [
            replace_scope(scope, library=None, inquiry=None) for scope in kinds.scopes(loaded)
        ]
        async with looked_at(loaded, scopes, observer, shipped()) as (_, observed):
            return extras_listed(archiving, observed)

    return asyncio.run(look())


def sessions_by_year(
    manifest: Path,
    *,
    variables: Mapping[str, str] | None = None,
    megabits: float = 100.0,
    observer: Observer = ignore,
) -> Report:
    """Sessions, files and bytes year by year, and how long ``megabits`` a second take for the rest.

    Raises UsageError and what :func:`sessions` raises.
    """
    from s3plan.kinds.sessions.reports import by_year

    return by_year(sessions(manifest, variables=variables, observer=observer), megabits)


def sessions_standing(
    manifest: Path,
    *,
    variables: Mapping[str, str] | None = None,
    observer: Observer = ignore,
) -> Report:
    """How far archiving is: states, classes expected and real, transitions and restores.

    Raises UsageError and what :func:`sessions` raises.
    """
    from s3plan.kinds.sessions.reports import standing_of

    return standing_of(sessions(manifest, variables=variables, restores=True, observer=observer))


def has_sessions(target: Path, *, variables: Mapping[str, str] | None = None) -> bool:
    """Whether ``target`` is a manifest with a SessionArchive; not a directory, nor a journal.

    Raises ProblemsError for a manifest that is not right.
    """
    from s3plan import kinds

    if target.is_dir() or runs.is_journal(target):
        return False
    loaded = kinds.load([target], variables=variables or {}, environ=os.environ)
    return any(one.kind == "SessionArchive" for one in loaded.manifests)


def verify_archives(
    manifest: Path,
    *,
    variables: Mapping[str, str] | None = None,
    only: Sequence[str] = (),
    download: int = 0,
    adopted: bool = False,
    most_problems: int = 10,
    report: Path | None = None,
    observer: Observer = ignore,
) -> ArchivesVerified:
    """Hold every archive of a SessionArchive against its index, and its class against the rules.

    ``only`` are ``session=GLOB``; ``download`` archives are read whole. With ``adopted`` so are
    those without an index, and held against themselves and the files on disk. Each problem is told
    to ``observer`` and written to ``report``, as JSON Lines. Only reads. Raises UsageError and what
    :func:`sessions` raises.
    """
    from s3plan import kinds
    from s3plan.engine.archiving.checking import Adopted, verified_archives
    from s3plan.engine.archiving.examining import LocalMember
    from s3plan.kinds.sessions import seeing
    from s3plan.rules.pricelist import shipped

    async def verify() -> ArchivesVerified:
        loaded = kinds.load([manifest], variables=variables or {}, environ=os.environ)
        chosen = kinds.SessionFilters(globs_of(only, ("session",))["session"])
        loaded = loaded.narrowed(kinds.Filters(sessions=chosen))
        async with looked_at(loaded, _scopes(loaded), observer, shipped()) as (store, observed):
            one = seeing.archiving(loaded.manifests, str(manifest))

            def files(session: SeenSession) -> Sequence[LocalMember]:
                found = seeing.files_of(one, observed, session)
                return [LocalMember(*entry) for entry in found]

            return await verified_archives(
                tuple(seeing.seen_sessions(one, observed)),
                store,
                adopted=Adopted(seeing.library_path(one), files) if adopted else None,
                download=download,
                most_problems=most_problems,
                report=report,
                observer=observer,
            )

    return asyncio.run(verify())


def archive_bill(
    manifest: Path,
    *,
    variables: Mapping[str, str] | None = None,
    months: int = 12,
    region: str | None = None,
    prices: Path | None = None,
    observer: Observer = ignore,
) -> Report:
    """What the archives of a SessionArchive cost month by month, as if all were uploaded today.

    ``region`` is whose prices count where the endpoint's are not known, ``prices`` a list of the
    user's. Raises UsageError where there are no prices, and what :func:`sessions` raises.
    """
    from s3plan import kinds
    from s3plan.kinds.sessions import seeing
    from s3plan.kinds.sessions.billing import bill_of

    loaded = kinds.load([manifest], variables=variables or {}, environ=os.environ)
    archiving = seeing.archiving(loaded.manifests, str(manifest))
    connection = loaded.connection
    known = price_list(prices)
    endpoint = connection.endpoint or "https://s3.amazonaws.com"
    found = known.regions.get(region) if region else known.region(endpoint, connection.region or "")
    if found is None:
        raise UsageError(
            "there are no prices for this endpoint and region",
            expected="one of " + ", ".join(sorted(known.regions)),
            found=region or f"{endpoint}, {connection.region or 'no region'}",
            next_step="name another with --region, or give its prices with --prices FILE",
        )
    seen = sessions(manifest, variables=variables, observer=observer)
    return bill_of(archiving, seen, found, months)


def _scopes(loaded: kinds.Loaded) -> list[kinds.Scope]:
    """Without what only plans need to know."""
    from s3plan import kinds

    return [replace_scope(scope, inquiry=None) for scope in kinds.scopes(loaded)]


async def _sessions(
    loaded: kinds.Loaded, address: str, observer: Observer, *, restores: bool
) -> tuple[SeenSession, ...]:
    from s3plan.kinds.sessions import seeing
    from s3plan.rules.pricelist import shipped

    async with looked_at(loaded, _scopes(loaded), observer, shipped()) as (store, observed):
        manifest = seeing.archiving(loaded.manifests, address)
        found = tuple(seeing.seen_sessions(manifest, observed))
        if not restores:
            return found
        return tuple(await asyncio.gather(*[_with_restore(one, store) for one in found]))


async def _with_restore(session: SeenSession, store: Store) -> SeenSession:
    if session.storage_class not in ARCHIVED_CLASSES:
        return session
    try:
        head = await store.bucket(session.bucket).head(session.key)
    except NoSuchKeyError:
        return session  # gone since the listing
    return replace(session, restore=restore_of(head.restore))
