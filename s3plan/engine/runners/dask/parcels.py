"""What goes to a worker and what comes back: values only, no credentials, no open things.

Within a partition items are counted from 0, wherever it lies in the worklist: what a worker says
can only be about items that it was given.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from s3plan.engine.records import Records
from s3plan.model.capabilities import Capabilities
from s3plan.model.connection import Connection
from s3plan.model.journal import (
    Approved,
    Copied,
    GateRecord,
    ItemFailed,
    Receipts,
    Restores,
    RunStarted,
    UploadBegan,
)
from s3plan.model.local import CatalogueRecord
from s3plan.model.plan import PlanHeader
from s3plan.model.steps import Item, Step

TellingRecord = Receipts | ItemFailed | Copied | UploadBegan | Restores
"""The records that a worker's handlers make, besides intents."""


class Partition(Struct, frozen=True):
    """Items of one step, and all that a handler has to know to go on with them.

    ``look`` asks only which items' places are in use. ``states`` and ``taken`` hold a byte an item,
    as ``StepState`` does; what is not settled is unknown, as its intent is durable. ``name`` is
    this partition's in the session, another one each time it is handed out. ``token`` is what
    stands in the session's file at a shared destination, to which ``files`` are written, or not.

    ``records``, ``gate`` and ``approvals`` are what a handler would read of journal and evidence.
    With ``asks`` the items are asked for, and not waited for. ``until`` is when, on the worker's
    own clock, a look that the records rest on is too old to begin anything by; None for never.
    ``retry`` is the command that goes on with the run.
    """

    session: str
    name: str
    look: bool
    header: PlanHeader
    digest: str
    step: Step
    items: tuple[Item, ...]
    states: bytes
    taken: bytes
    uploads: dict[int, str]
    started: RunStarted
    capabilities: Capabilities
    token: str = ""
    files: bool = False
    records: Records = Records()
    gate: GateRecord | None = None
    approvals: tuple[Approved, ...] = ()
    asks: bool = False
    until: float | None = None
    retry: str = ""


class Told(Struct, frozen=True, array_like=True):
    """One thing that a handler told: a record, or rows for the catalogue of the step's bucket.

    ``next_step`` is for a person to type after a problem; empty where the usual command goes on.
    """

    record: TellingRecord | None
    rows: tuple[CatalogueRecord, ...] = ()
    next_step: str = ""


class Failure(Struct, frozen=True):
    """An error of s3plan's own, as its parts."""

    code: str
    what: str
    address: str | None
    expected: str | None
    found: str | None
    next_step: str | None


class Outcome(Struct, frozen=True):
    """How a partition ended: all that was told from the ``first``-th on, counted from 0.

    ``lapsed``: the permission to write ended in the middle, so failures may be due to that.
    ``stopped``: it was told to begin nothing more. ``taken`` is the answer to a look.
    """

    first: int
    told: tuple[Told, ...]
    warnings: tuple[str, ...] = ()
    lapsed: bool = False
    stopped: bool = False
    failure: Failure | None = None
    taken: tuple[int, ...] = ()


_encoder = msgspec.msgpack.Encoder()
_partitions = msgspec.msgpack.Decoder(Partition)
_outcomes = msgspec.msgpack.Decoder(Outcome)
_told = msgspec.msgpack.Decoder(tuple[Told, ...])


def pack(value: Partition | Outcome | tuple[Told, ...]) -> bytes:
    """As it goes over the network."""
    return _encoder.encode(value)


def unpack_partition(data: bytes) -> Partition:
    """Read by a worker."""
    return _partitions.decode(data)


def unpack_outcome(data: bytes) -> Outcome:
    """Read by this process; raises msgspec.MsgspecError."""
    return _outcomes.decode(data)


def unpack_told(data: bytes) -> tuple[Told, ...]:
    """Read by this process; raises msgspec.MsgspecError."""
    return _told.decode(data)


def share(connection: Connection, workers: int) -> Connection:
    """The connection of one worker of so many: none of its ceilings is passed by all together."""
    limits = connection.limits
    return replace(
        connection,
        limits=replace(
            limits,
            connections=max(1, limits.connections // workers),
            requests=None if limits.requests is None else limits.requests / workers,
            bandwidth=None if limits.bandwidth is None else max(1, limits.bandwidth // workers),
            objects=None if limits.objects is None else max(1, limits.objects // workers),
        ),
    )


def numbers_of(record: TellingRecord) -> tuple[int, ...]:
    """The items that a record is about."""
    match record:
        case Receipts() | Restores():
            return record.items
        case Copied():
            return tuple(copy.n for copy in record.copies)
        case ItemFailed() | UploadBegan():
            return (record.n,)
        case _:
            assert_never(record)


def moved(record: TellingRecord, numbers: Sequence[int]) -> TellingRecord:
    """The record with the numbers that its items have in the whole worklist."""
    match record:
        case Receipts() | Restores():
            return replace(record, items=tuple(numbers[n] for n in record.items))
        case Copied():
            return replace(
                record,
                copies=tuple(replace(copy, n=numbers[copy.n]) for copy in record.copies),
            )
        case ItemFailed() | UploadBegan():
            return replace(record, n=numbers[record.n])
        case _:
            assert_never(record)
