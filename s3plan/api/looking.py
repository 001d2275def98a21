"""Looking at everything that manifests mean, into tables that are gone afterwards."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from s3plan.api.places import Observer, open_store, remembered_capabilities
from s3plan.engine.layout.runs import load_layout_runs
from s3plan.errors import UsageError
from s3plan.inventory.worklist import Worklist, observe_worklist
from s3plan.model.commands import Command
from s3plan.model.plan import Target
from s3plan.model.soak import EarlierRun
from s3plan.model.steps import Totals
from s3plan.rules.prices import PriceList
from s3plan.store import Store
from s3plan.tables import Database

if TYPE_CHECKING:
    from s3plan import kinds


@contextmanager
def surveyed(loaded: kinds.Loaded, observer: Observer) -> Iterator[Database]:
    """A database with everything that the manifests mean."""
    from s3plan import kinds
    from s3plan.inventory.survey import survey

    async def look(database: Database) -> None:
        async with open_store(loaded.connection) as store:
            await store.identify()
            # Which key an object gets does not depend on its tags.
            scopes = [
                replace(one, inquiry=one.inquiry and one.inquiry.without("tags"))
                for one in kinds.scopes(loaded)
            ]
            await survey(scopes, store, database, datetime.now(UTC), observer)

    with tempfile.TemporaryDirectory(prefix="s3plan-") as scratch:
        memory = loaded.connection.limits.memory
        with Database(Path(scratch), memory_limit=memory) as database:
            asyncio.run(look(database))
            yield database


def bucket_globs(filters: Sequence[str]) -> tuple[str, ...]:
    """The globs of filters that may be of buckets only. Raises UsageError for others."""
    return globs_of(filters, ("bucket",))["bucket"]


def globs_of(filters: Sequence[str], known: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """The globs of filters such as ``bucket=photos-*``, by what they are of: one of ``known``.

    Raises UsageError for any other.
    """
    globs: dict[str, tuple[str, ...]] = dict.fromkeys(known, ())
    for text in filters:
        what, equals, glob = text.partition("=")
        if what not in globs or not equals or not glob:
            raise UsageError(
                "this filter is not known",
                expected=" or ".join(f"{one}=GLOB" for one in known) + ", such as bucket=photos-*",
                found=text,
                next_step="use select in the manifest to choose keys",
            )
        globs[what] = (*globs[what], glob)
    return globs


@asynccontextmanager
async def looked_at(
    loaded: kinds.Loaded,
    scopes: Sequence[kinds.Scope],
    observer: Observer,
    prices: PriceList,
    commands: Mapping[str, Command] | None = None,
    worklist: Worklist | None = None,
) -> AsyncIterator[tuple[Store, kinds.Observed]]:
    """Everything that the scopes mean, looked at; its tables are gone afterwards."""
    from s3plan import kinds
    from s3plan.inventory.survey import survey

    now = datetime.now(UTC)
    async with open_store(loaded.connection) as store:
        target = await store.identify()
        with tempfile.TemporaryDirectory(prefix="s3plan-") as scratch:
            memory = loaded.connection.limits.memory
            readable = Path(scratch) / "reports"
            with Database(Path(scratch), memory_limit=memory, readable=readable) as database:
                if worklist is not None:  # first: nothing but its objects need be asked for
                    await asyncio.to_thread(observe_worklist, worklist.entries(), database)
                seen = await survey(scopes, store, database, now, observer)
                earlier = await asyncio.to_thread(_earlier, scopes, target, database)
                if any(scope.layouts for scope in scopes):
                    await asyncio.to_thread(load_layout_runs, Path(), target, database)
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
                        notes=[reported.note(now) for reported in seen.reports],
                        capabilities=remembered_capabilities(store, now),
                        prices=prices.region(target.endpoint, target.region),
                        commands=commands or {},
                        earlier=earlier,
                    ),
                )


def _earlier(
    scopes: Sequence[kinds.Scope], target: Target, database: Database
) -> tuple[EarlierRun, ...]:
    """What runs of the working directory copied between the buckets that ask for it."""
    from s3plan.engine.soak.earlier import load_copied

    wanted = {bucket for scope in scopes if scope.earlier for bucket in scope.include}
    return load_copied(Path(), target, wanted, database) if wanted else ()


def listed_totals(database: Database) -> dict[str, Totals]:
    """What was listed of each bucket."""
    rows = database.rows(
        "SELECT bucket, count(*), CAST(coalesce(sum(size), 0) AS BIGINT) FROM listing"
        " GROUP BY bucket ORDER BY bucket"
    )
    return {bucket: Totals(count, size) for bucket, count, size in rows}
