"""Leases in S3: one run at a time on a bucket, across machines that share nothing else."""

from __future__ import annotations

import asyncio
import importlib
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest

from s3plan import api
from s3plan.engine import lease
from s3plan.engine.lease import Lease, LeaseRecord, Leases
from s3plan.errors import (
    EndpointError,
    IncompleteError,
    LockedError,
    LockLostError,
    OutcomeUnknownError,
    UsageError,
)
from s3plan.localfs.locks import Holder
from s3plan.model.capabilities import UNPROBED, Capabilities
from s3plan.model.connection import Connection
from s3plan.model.events import Warned
from s3plan.store import Bucket, LeaseObject, Store
from tests.engine.scene import OBJECTS_ONLY, WHOLE, Scene
from tests.locks.conftest import with_scratch
from tests.servers import Server

COUNT = 8
ELSEWHERE = Holder("elsewhere", 4711, "2026-11-20T00:00:00.000Z", "/there/journal.json", "bucket b")


def _long(value: Any) -> Any:
    """A variation for `make test-disk`."""
    return pytest.param(value, marks=pytest.mark.disk)


@pytest.fixture
def filled(scene: Scene, scratch: str, monkeypatch: pytest.MonkeyPatch) -> Scene:
    async def unprobed(*_: object) -> Capabilities:
        return UNPROBED

    # What the endpoint honours is probed in the scratch as well; that takes its time.
    monkeypatch.setattr("s3plan.engine.walk.capabilities_for", unprobed)
    scene.fill(COUNT)
    with_scratch(scene, OBJECTS_ONLY, scratch)
    return scene


@asynccontextmanager
async def _store(server: Server) -> AsyncIterator[Store]:
    connection = Connection(endpoint=server.endpoint, region=server.region)
    async with Store(connection, environ=server.environ) as store:
        yield store


def _at(store: Store, scene: Scene, scratch: str) -> LeaseObject:
    return lease.lease_object(store, scratch, store.target.endpoint, scene.bucket)


def _on(scene: Scene, scratch: str, act: Callable[[LeaseObject], Awaitable[Any]]) -> Any:
    """What ``act`` returns for the lease object of the scene's bucket."""

    async def main() -> Any:
        async with _store(scene.server) as store:
            return await act(_at(store, scene, scratch))

    return asyncio.run(main())


def _record(scene: Scene, scratch: str) -> LeaseRecord:
    seen = _on(scene, scratch, LeaseObject.read)
    assert seen is not None
    return msgspec.json.decode(seen.body, type=LeaseRecord)


def _written(scene: Scene, scratch: str, holder: Holder | None, machine: str = "other/1") -> None:
    """A lease as another machine left it."""

    async def write(at: LeaseObject) -> None:
        seen = await at.read()
        record = LeaseRecord(lease.FORMAT, "nonce-of-another", 1, machine, holder)
        await at.write(msgspec.json.encode(record), over=seen.etag if seen else None)

    _on(scene, scratch, write)


# -- whole runs -----------------------------------------------------------------------------------


def test_a_run_takes_the_lease_and_gives_it_back(filled: Scene, scratch: str) -> None:
    filled.plan()
    held: list[LeaseRecord] = []
    get = Bucket.get

    with pytest.MonkeyPatch.context() as patch:

        async def looking(self: Bucket, key: str, **options: Any) -> Any:
            if not held:
                async with _store(filled.server) as store:
                    seen = await _at(store, filled, scratch).read()
                assert seen is not None
                held.append(msgspec.json.decode(seen.body, type=LeaseRecord))
            return await get(self, key, **options)

        patch.setattr(Bucket, "get", looking)
        assert filled.apply().exit_code == 4
    record = held[0]
    assert record.holder is not None
    assert (record.holder.host, record.holder.pid) == (socket.gethostname(), os.getpid())
    assert _record(filled, scratch).holder is None
    assert filled.apply(delete=filled.gate().evidence).exit_code == 0
    finished = filled.rollback()
    assert finished is not None
    assert finished.exit_code == 0
    assert _record(filled, scratch).holder is None


def test_a_lease_of_another_machine_locks_out_and_says_who(filled: Scene, scratch: str) -> None:
    filled.plan()
    _written(filled, scratch, ELSEWHERE)
    with pytest.raises(LockedError) as caught:
        filled.apply()
    assert caught.value.exit_code == 6
    assert str(caught.value.address).startswith(f"{scratch}/leases/")
    assert "process 4711 on elsewhere since 2026" in str(caught.value.found)
    assert "/there/journal.json" in str(caught.value.found)
    assert re.search(r", renewed \d+ s ago$", str(caught.value.found))
    assert "s3plan lock break" in str(caught.value.next_step)
    assert filled.files() == {}
    assert not (filled.directory / "journal.json").exists(), "no run was begun"


@pytest.mark.disk
def test_a_lease_whose_machine_vanished_is_taken_over_once_it_is_stale(
    filled: Scene, scratch: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled.plan()
    _written(filled, scratch, ELSEWHERE)
    monkeypatch.setattr(lease, "STALE", 3.0)
    with pytest.raises(LockedError):
        filled.apply()
    time.sleep(3.1)
    assert filled.apply().exit_code == 4
    warned = [event.message for event in filled.events if isinstance(event, Warned)]
    assert [w for w in warned if "took over the lease" in w and "elsewhere" in w]


def test_a_dead_process_of_this_machine_is_taken_over_at_once(filled: Scene, scratch: str) -> None:
    filled.plan()
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        process.wait()
    dead = msgspec.structs.replace(ELSEWHERE, host=socket.gethostname(), pid=process.pid)
    _written(filled, scratch, dead, machine=lease._machine())
    assert filled.apply().exit_code == 4


def test_a_lease_is_broken_by_hand(filled: Scene, scratch: str) -> None:
    filled.plan()
    _written(filled, scratch, ELSEWHERE)
    shown = filled.s3plan("lock", "status")
    assert f"lease of bucket {filled.bucket}: held by process 4711 on elsewhere" in shown.out
    (held,) = api.locks()
    ran = filled.s3plan("lock", "break", held.address, "--approve")
    assert ran.code == 0, ran
    assert api.locks() == ()
    assert filled.apply().exit_code == 4


def test_a_lease_lost_in_the_middle_stops_dispatching(
    filled: Scene, scratch: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody broke it and took it; the run finds out at its renewal, and sends nothing more."""
    evidence = _to_gate(filled)
    monkeypatch.setattr(lease, "RENEWED", 0.2)
    lost = _slowly_deleting(filled, evidence, lambda: _written(filled, scratch, ELSEWHERE))
    assert isinstance(lost.__cause__, LockLostError)
    assert "the lease of the bucket was lost" in lost.what
    assert "process 4711 on elsewhere" in str(lost.found)
    # The other one has it still: what was lost is not given back.
    holder = _record(filled, scratch).holder
    assert holder == ELSEWHERE
    with pytest.raises(LockedError):
        filled.apply()
    _written(filled, scratch, None)
    assert filled.apply().exit_code == 0
    assert (filled.keys(), len(filled.files())) == ([], COUNT)


def test_a_lease_that_cannot_be_renewed_is_not_trusted(
    filled: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S3 answers nothing about the lease any more, or the machine slept."""
    evidence = _to_gate(filled)
    monkeypatch.setattr(lease, "RENEWED", 0.1)
    monkeypatch.setattr(lease, "TRUSTED", 1.0)

    async def failing(self: LeaseObject) -> Any:
        raise EndpointError("no answer")

    def act() -> None:
        patch.setattr(LeaseObject, "read", failing)

    with pytest.MonkeyPatch.context() as patch:
        lost = _slowly_deleting(filled, evidence, act)
    assert "could not be renewed in time" in lost.what
    monkeypatch.setattr(lease, "TRUSTED", 90.0)
    assert filled.apply().exit_code == 0, "a dead or lost lease of this process is its own"
    assert filled.keys() == []


def _to_gate(scene: Scene) -> str:
    scene.plan()
    assert scene.apply().exit_code == 4
    return scene.gate().evidence


def _slowly_deleting(scene: Scene, evidence: str, act: Callable[[], None]) -> IncompleteError:
    """Delete two objects, ``act``, and wait until the lease is given up; how the run ended."""
    module = importlib.import_module("s3plan.engine.handlers.delete")
    delete_many, renew_regularly = Bucket.delete_many, Leases.renew_regularly
    sent: list[int] = []
    over = asyncio.Event()

    async def renewing(self: Leases) -> None:
        await renew_regularly(self)
        over.set()

    async def slowly(self: Bucket, targets: Any) -> Any:
        sent.append(len(targets))
        result = await delete_many(self, targets)
        if len(sent) == 1:
            await asyncio.to_thread(act)
            await asyncio.wait_for(over.wait(), 60)
        return result

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "IN_FLIGHT", 1)
        patch.setattr(Bucket.pages, "__defaults__", ("", "", 2))
        patch.setattr(Bucket, "delete_many", slowly)
        patch.setattr(Leases, "renew_regularly", renewing)
        with pytest.raises(IncompleteError) as caught:
            scene.apply(delete=evidence)
    assert caught.value.exit_code == 3
    assert COUNT - 4 <= len(scene.keys()) <= COUNT - 2, "one page was sent, and one under way"
    return caught.value


@pytest.mark.disk
def test_a_scratch_in_a_bucket_of_the_plan_is_refused(scene: Scene) -> None:
    scene.fill(1)
    with_scratch(scene, WHOLE, f"s3://{scene.bucket}/scratch")
    scene.plan()
    with pytest.raises(UsageError, match="scratch is in a bucket"):
        scene.apply()
    assert scene.keys() == ["d0/object-0000.txt"]


# -- the lease itself -----------------------------------------------------------------------------


def _holder(number: int) -> Holder:
    return msgspec.structs.replace(ELSEWHERE, pid=number)


@pytest.fixture
def away(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if every lease were taken on a machine of its own."""
    monkeypatch.setattr(lease, "_machine", lambda: "")


@pytest.mark.long
@pytest.mark.usefixtures("away")
@pytest.mark.parametrize("before", [_long("nothing"), "free", _long("stale")])
def test_of_many_that_race_exactly_one_wins(
    scene: Scene, scratch: str, before: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def race(at: LeaseObject) -> list[bool]:
        rivals = [Lease(LeaseObject(at._sender, at._bucket, at._key), _holder(n)) for n in range(8)]

        async def take(rival: Lease) -> bool:
            try:
                await rival.take()
            except LockedError:
                return False
            return True

        return list(await asyncio.gather(*map(take, rivals)))

    if before != "nothing":
        _written(scene, scratch, None if before == "free" else ELSEWHERE)
    if before == "stale":
        monkeypatch.setattr(lease, "STALE", 1.0)
        time.sleep(2)
    for _ in range(3 if before == "free" else 1):
        assert sum(_on(scene, scratch, race)) == 1
        if before == "free":
            _written(scene, scratch, None)


@pytest.mark.usefixtures("away")
def test_a_lost_answer_is_settled_by_looking(
    scene: Scene, scratch: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = LeaseObject.write

    async def lost(self: LeaseObject, body: bytes, *, over: str | None) -> None:
        await write(self, body, over=over)
        raise OutcomeUnknownError("the answer was lost")

    async def take(at: LeaseObject) -> None:
        taken = Lease(at, _holder(1))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(LeaseObject, "write", lost)
            await taken.take()
        await taken.renew()
        await taken.give_back()

    _on(scene, scratch, take)
    assert _record(scene, scratch).holder is None


@pytest.mark.usefixtures("away")
def test_where_conditions_are_ignored_one_of_two_finds_out_at_its_renewal(
    scene: Scene, scratch: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An endpoint that ignores If-Match and If-None-Match; nothing there is better than this."""
    write = LeaseObject.write

    async def blind(self: LeaseObject, body: bytes, *, over: str | None) -> None:
        seen = await self.read()
        await write(self, body, over=seen.etag if seen else None)

    async def both(at: LeaseObject) -> None:
        first, second = Lease(at, _holder(1)), Lease(at, _holder(2))
        await first.take()
        monkeypatch.setattr(lease, "STALE", 0.0)
        await second.take()
        with pytest.raises(LockLostError, match="lost in the middle"):
            await first.renew()
        await second.renew()

    monkeypatch.setattr(LeaseObject, "write", blind)
    _on(scene, scratch, both)


@pytest.mark.disk
def test_what_is_no_lease_is_nobodys(filled: Scene, scratch: str) -> None:
    """A truncated or foreign object: taken over under its ETag, never waited for."""

    async def write(at: LeaseObject) -> None:
        await at.write(b"{", over=None)

    filled.plan()
    _on(filled, scratch, write)
    assert filled.apply().exit_code == 4


def test_no_request_that_writes_outlives_the_lease(scene: Scene) -> None:
    """A server that accepts and never answers: the request ends with the lease, not with patience.

    Reading is not bounded by it.
    """

    async def main() -> tuple[float, float]:
        # The kernel accepts for it, and nobody ever reads.
        port = silent.getsockname()[1]
        connection = Connection(endpoint=f"http://127.0.0.1:{port}", region="us-east-1")
        async with Store(connection, environ=scene.server.environ) as store:
            began = time.monotonic()
            store.fence(lambda: 1.0 - (time.monotonic() - began))
            with pytest.raises((EndpointError, OutcomeUnknownError)):
                await store.lease_object("bucket", "key").write(b"x", over=None)
            took = time.monotonic() - began
            with pytest.raises((EndpointError, OutcomeUnknownError), match=r"answer"):
                await store.lease_object("bucket", "key").write(b"x", over=None)
            after = time.monotonic() - began - took
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(store.lease_object("bucket", "key").read(), 1.5)
        return took, after

    with socket.create_server(("127.0.0.1", 0)) as silent:
        took, after = asyncio.run(main())
    assert 0.5 < took < 2.5
    assert after < 0.5, "past its end nothing is sent at all"
