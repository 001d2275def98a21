"""Who the credentials are, what they see, and what a run would need."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from s3plan import __version__
from s3plan.api.places import connection_in, load_connection, open_store, state_home
from s3plan.engine.probe import Memory
from s3plan.errors import ProblemsError, UsageError
from s3plan.model.buckets import BucketFacts
from s3plan.model.connection import Connection
from s3plan.model.diagnosis import Diagnosis
from s3plan.model.discovery import SeenPolicy, Whoami
from s3plan.rules.permissions import Phase

if TYPE_CHECKING:
    from s3plan import kinds


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
    return asyncio.run(_whoami(connection_in(manifest), buckets=buckets))


def list_buckets(manifest: Path | None = None) -> tuple[str, ...]:
    """Names of all buckets that the credentials see. Raises StoreError or ProblemsError."""
    return asyncio.run(_list_buckets(connection_in(manifest)))


def list_policies(
    manifest: Path | None = None, *, directory: Path = Path("policies")
) -> tuple[SeenPolicy, ...]:
    """The policy of every bucket, then the policy files in ``directory``.

    Raises StoreError or ProblemsError; what may not be read of one bucket is said there.
    """
    return asyncio.run(_list_policies(connection_in(manifest), directory))


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


def import_manifest(what: str, bucket: str, *, connection: Path | None = None) -> str:
    """The text of a manifest that says what the bucket has: planned, it gives no changes.

    ``what`` is bucket-access or bucket-lifecycle. Raises UsageError for anything else,
    PlanningError for what may not be read, NoSuchBucketError and other StoreErrors.
    """
    from s3plan.kinds.importing import SOURCES, imported

    if what not in SOURCES:
        raise UsageError(
            "there is nothing of that name to import",
            expected=f"{', '.join(SOURCES)}, or the file s3_config.json",
            found=what,
        )
    return imported(what, asyncio.run(_facts(connection_in(connection), bucket)))


def import_configuration(path: Path, *, leave_out: bool = False) -> str:
    """The text of a manifest that says what astro_cat's ``s3_config.json`` said.

    Raises ProblemsError with every setting that cannot be honoured, unless they are to be left
    out, and ManifestError for a file that cannot be read.
    """
    from s3plan.kinds.sessions.importing import imported_config
    from s3plan.kinds.sources import read_json

    return imported_config(read_json(path), str(path), leave_out=leave_out).text


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
    async with open_store(connection) as store:
        return await diagnose(
            store,
            Memory(state_home() / "capabilities"),
            buckets={name for scope in scopes for name in scope.literals},
            destinations={
                path
                for scope in scopes
                for path in (scope.destination, scope.keeps)
                if path is not None
            },
            directory=Path(),
            now=datetime.now(UTC),
            tool=__version__,
            probe=probe,
            with_bucket=with_bucket,
        )


async def _whoami(connection: Connection, *, buckets: bool) -> Whoami:
    from s3plan.inventory.discovery import whoami as look

    async with open_store(connection) as store:
        return await look(store, buckets=buckets)


async def _list_buckets(connection: Connection) -> tuple[str, ...]:
    async with open_store(connection) as store:
        return await store.list_buckets()


async def _list_policies(connection: Connection, directory: Path) -> tuple[SeenPolicy, ...]:
    from s3plan.inventory.discovery import seen_policies

    async with open_store(connection) as store:
        return await seen_policies(store, directory)


async def _facts(connection: Connection, bucket: str) -> BucketFacts:
    async with open_store(connection) as store:
        await store.identify()
        store.bucket(bucket)  # what is no name is refused before boto3 makes a path of it
        return await asyncio.to_thread(store.control.facts, bucket)
