"""What belongs to objects and is in no GET: ACLs are saved, what cannot be saved becomes a loss.

Asked for at the verification before a deletion, of every object, and only what the plan names: most
buckets have nothing of it. What a GET did tell and nobody can send again (metadata that fits into
no header) is a loss as well.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar, assert_never

from s3plan.engine.context import Context
from s3plan.engine.evidence import mapped
from s3plan.engine.gate import SHOWN
from s3plan.errors import AccessDeniedError, NoSuchKeyError, NotSupportedError, StoreError
from s3plan.model.journal import Loss, LossReason
from s3plan.model.local import CatalogueGrants
from s3plan.model.steps import Step, Totals, Verify
from s3plan.rules.versioning import same_entry
from s3plan.tables import Database

Answer = TypeVar("Answer")

REQUESTS = 16
"""Requests for one object each in flight."""

_NO_ACLS = "AccessControlListNotSupported"
"""What S3 answers where the bucket enforces its owner (API_GetObjectAcl)."""

_ITEMS = """
    SELECT i.key, i.size, i.version_id, i.history FROM items i JOIN catalogue c ON {same}
    WHERE i.path <> '' ORDER BY i.n"""

_MISSING = """
    SELECT i.key, i.size FROM items i JOIN catalogue c ON {same}
    WHERE c.missing_metadata > 0 ORDER BY i.n"""


class _Lost:
    """Objects with something that will be lost: counted, the first named, all listed in a file."""

    def __init__(self, reason: LossReason, path: Path) -> None:
        self._reason: Final = reason
        self._path = path
        self._names: list[str] = []
        self._totals = Totals()

    def add(self, rows: Sequence[Sequence[Any]]) -> None:
        """More objects, key and size first; their keys go to the file, one JSON string a line."""
        if not rows:
            return
        with mapped(self._path):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("a" if self._totals.items else "w") as file:
                file.writelines(f"{json.dumps(key)}\n" for key, *_ in rows)
        self._totals += Totals(len(rows), sum(size for _, size, *_ in rows))
        self._names += [key for key, *_ in rows][: max(0, SHOWN - len(self._names))]

    def losses(self) -> tuple[Loss, ...]:
        """The loss, if there is any."""
        if not self._totals.items:
            return ()
        return (Loss(self._reason, self._totals, tuple(self._names), str(self._path)),)


async def know_attributes(
    context: Context, step: Step, action: Verify, database: Database
) -> tuple[Loss, ...]:
    """Save what can be saved of the worklist's objects; what cannot, as losses."""
    lost = [await _metadata(context, step, action, database)]
    for attribute in action.attributes or ():
        match attribute:
            case "acl":
                lost.append(await _grants(context, step, action, database))
            case "annotations":
                lost.append(await _annotations(context, step, action, database))
            case _:
                assert_never(attribute)
    return tuple(loss for one in lost for loss in one.losses())


async def _metadata(context: Context, step: Step, action: Verify, database: Database) -> _Lost:
    """x-amz-missing-meta: entries that no HTTP header can carry, so that nobody has their text."""
    lost = _lost(context, step, "metadata")
    batches = database.batches(_MISSING.format(same=_same(action)))
    while rows := await context.in_thread(next, batches, None):
        await context.in_thread(lost.add, rows)
    return lost


async def _grants(context: Context, step: Step, action: Verify, database: Database) -> _Lost:
    """The ACLs that give somebody a right, into the catalogue; those that nobody gets: lost."""
    destination = context.destination(action.destination)
    await context.catalogue(destination, step.subject)
    bucket = context.bucket(step)
    lost = _lost(context, step, "grants")
    acls = True

    async def ask(key: str, version: str | None) -> dict[str, str] | None:
        nonlocal acls
        try:
            return await bucket.grants(key, version=version) if acls else {}
        except AccessDeniedError:
            return None
        except (NoSuchKeyError, NotSupportedError):
            return {}  # gone, which the gate says; or a server without ACLs
        except StoreError as error:
            if error.s3_code == _NO_ACLS:
                acls = False
                return {}
            if (error.status or 0) >= 500:
                return None  # it answers everything else: it cannot tell this one
            raise

    async for rows, found in _asked(context, action, database, ask):
        told = zip(rows, found, strict=True)
        await context.in_thread(lost.add, [row for row, one in told if one is None])
        records = [
            CatalogueGrants(key=key, grants=one, run=context.run.id, version_id=history)
            for (key, _, _, history), one in zip(rows, found, strict=True)
            if one
        ]
        await context.in_thread(destination.record, step.subject, records)
    return lost


async def _annotations(context: Context, step: Step, action: Verify, database: Database) -> _Lost:
    """Objects that have annotations, or whose annotations may not be listed: nothing saves them."""
    bucket = context.bucket(step)
    lost = _lost(context, step, "annotations")

    async def ask(key: str, version: str | None) -> bool:
        try:
            return bool(await bucket.annotations(key, version=version))
        except AccessDeniedError:
            return True
        except NoSuchKeyError:
            return False

    async for rows, found in _asked(context, action, database, ask):
        has = [row for row, one in zip(rows, found, strict=True) if one]
        await context.in_thread(lost.add, has)
    return lost


async def _asked(
    context: Context,
    action: Verify,
    database: Database,
    ask: Callable[[str, str | None], Awaitable[Answer]],
) -> AsyncIterator[tuple[list[tuple[Any, ...]], list[Answer]]]:
    """Every item's key, size and version with what ``ask`` answers, batch by batch in order."""
    gate = asyncio.Semaphore(REQUESTS)

    async def one(key: str, version: str | None) -> Answer:
        async with gate:
            return await ask(key, version)

    batches = database.batches(_ITEMS.format(same=_same(action)))
    while rows := await context.in_thread(next, batches, None):
        context.check_stop()
        yield rows, list(await asyncio.gather(*[one(key, version) for key, _, version, _ in rows]))


def _same(action: Verify) -> str:
    return same_entry("i", "c", versions=bool(action.versions))


def _lost(context: Context, step: Step, reason: LossReason) -> _Lost:
    return _Lost(reason, context.run.evidence(step.id).with_suffix(f".{reason}.jsonl"))
