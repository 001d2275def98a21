"""Servers that ask to slow down, and ceilings that a connection sets on itself."""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import count, pairwise
from pathlib import Path

import boto3
import pytest
from botocore.config import Config

from s3plan.model.connection import Connection, Limits
from s3plan.model.objects import ObjectHead
from s3plan.store import Bucket, Patience, Store
from tests.engine.scene import COPY_ONLY
from tests.faults import faults
from tests.faults.conftest import Between
from tests.faults.proxy import Asked, Proxy, Rule, proxy_to
from tests.faults.witness import fill
from tests.servers import Server

SLOW_DOWN = faults.refuse(503, "SlowDown")
_NUMBERS = count()

Record = Callable[[str, object], None]
"""pytest's record_property: figures for ``--junitxml``."""


class Ceiling:
    """A server's own: so many requests a second, and a burst of a tenth of a second."""

    def __init__(self, per_second: float) -> None:
        self.per_second = per_second
        self.refused = 0
        self._tokens = 0.0
        self._at = time.monotonic()

    def exceeded(self, _: Asked) -> bool:
        now = time.monotonic()
        self._tokens += (now - self._at) * self.per_second
        self._tokens = min(self._tokens, max(1.0, self.per_second / 10))
        self._at = now
        if self._tokens >= 1:
            self._tokens -= 1
            return False
        self.refused += 1
        return True


@contextmanager
def _bucket(server: Server, sizes: list[int]) -> Iterator[tuple[str, list[str]]]:
    """A bucket with objects of these sizes; its name and their keys."""
    s3 = boto3.client(
        "s3",
        endpoint_url=server.endpoint,
        region_name=server.region,
        aws_access_key_id=server.access_key,
        aws_secret_access_key=server.secret_key,
        config=Config(s3={"addressing_style": "path"}),
    )
    name = f"load-{next(_NUMBERS)}"
    s3.create_bucket(Bucket=name)
    keys = [f"object-{number:05}" for number in range(len(sizes))]
    for key, size in zip(keys, sizes, strict=True):
        s3.put_object(Bucket=name, Key=key, Body=bytes(size))
    try:
        yield name, keys
    finally:
        s3.delete_bucket(Bucket=name)  # SeaweedFS deletes what is in it, too
        s3.close()


class _Discard:
    def start(self, head: ObjectHead) -> None:
        pass

    def feed(self, chunk: bytes) -> None:
        pass


def _read(
    server: Server,
    endpoint: str,
    bucket: str,
    keys: list[str],
    limits: Limits,
    *,
    streamed: bool = False,
) -> float:
    """Get every key once, as many at once as the connection allows; the seconds it took."""

    async def main() -> float:
        connection = Connection(endpoint=endpoint, region=server.region, limits=limits)
        patience = Patience(base=0.1)
        async with Store(connection, environ=server.environ, patience=patience) as store:
            pending = iter(keys)
            began = time.monotonic()
            await asyncio.gather(
                *[_worker(store.bucket(bucket), pending, streamed) for _ in range(64)]
            )
            return time.monotonic() - began

    return asyncio.run(main())


async def _worker(bucket: Bucket, keys: Iterator[str], streamed: bool) -> None:
    for key in keys:
        if streamed:
            await bucket.get_to(key, _Discard(), if_match=None)
        else:
            await bucket.get(key, if_match=None)


@pytest.fixture
def proxy(seaweed: Server) -> Iterator[Proxy]:
    with proxy_to(seaweed.endpoint) as made:
        yield made


# -- servers that ask to slow down --------------------------------------------------------------


@pytest.mark.long
def test_a_server_that_refuses_three_of_ten_is_survived_without_a_storm(between: Between) -> None:
    """The whole flow ends as if nothing had been; fewer than two requests for each useful one."""
    scene, proxy = between.scene, between.proxy
    before = fill(scene, 40)
    chance = random.Random(1)
    proxy.play(Rule("503", SLOW_DOWN, when=lambda _: chance.random() < 0.3))
    scene.plan(COPY_ONLY)
    assert scene.apply().exit_code == 0, scene.problems()
    useful = len(proxy.asked) - len(proxy.played())
    assert len(proxy.played()) > 20
    assert len(proxy.asked) < 2 * useful
    assert scene.files() == {key: stored.body for key, stored in before.items()}


@pytest.mark.long
def test_a_bucket_document_is_asked_for_as_patiently_as_an_object(between: Between) -> None:
    """Being asked to slow down is no failure, whoever asks: boto3 alone would give up at four."""
    fill(between.scene, 2)
    between.proxy.play(Rule("503", SLOW_DOWN, query="website", times=5))
    between.scene.plan(COPY_ONLY)
    assert len(between.proxy.played()) == 5


@pytest.mark.load
@pytest.mark.parametrize(("share", "number"), [(0.3, 3000), (0.6, 150)])
def test_many_requests_to_a_server_that_refuses_a_share(
    seaweed: Server, proxy: Proxy, share: float, number: int, record_property: Record
) -> None:
    """Nothing fails, and no more is sent than a share of refusals must cost."""
    chance = random.Random(2)
    with _bucket(seaweed, [1000] * number) as (bucket, keys):
        proxy.play(Rule("503", SLOW_DOWN, when=lambda _: chance.random() < share))
        seconds = _read(seaweed, proxy.endpoint, bucket, keys, Limits())
    ratio = len(proxy.asked) / len(keys)
    record_property("sent per useful", ratio)
    record_property("useful a second", len(keys) / seconds)
    assert ratio < 1.2 / (1 - share)
    assert seconds < 100


@pytest.mark.load
@pytest.mark.parametrize("per_second", [20, 100, 400])
def test_a_server_with_a_ceiling_is_kept_busy_and_not_stormed(
    seaweed: Server, proxy: Proxy, per_second: int, record_property: Record
) -> None:
    """Under two requests for each useful one, and at least half of what it would give."""
    ceiling = Ceiling(per_second)
    with _bucket(seaweed, [1000] * per_second * 15) as (bucket, keys):
        proxy.play(Rule("503", SLOW_DOWN, when=ceiling.exceeded))
        seconds = _read(seaweed, proxy.endpoint, bucket, keys, Limits())
    ratio, given = len(proxy.asked) / len(keys), len(keys) / seconds
    record_property("sent per useful", ratio)
    record_property("useful a second", given)
    assert ratio < 2
    assert given > per_second / 2


def test_retry_after_rests_the_whole_bucket(seaweed: Server, proxy: Proxy) -> None:
    """One answer with Retry-After, and for that long nothing new is sent to this bucket."""
    times: list[float] = []
    rested = faults.refuse(503, "SlowDown", Retry_After="1")

    def note(_: Asked) -> bool:
        times.append(time.monotonic())
        return False

    with _bucket(seaweed, [10] * 60) as (bucket, keys):
        proxy.play(Rule("rest", rested, times=1, skip=10), Rule("note", SLOW_DOWN, when=note))
        _read(seaweed, proxy.endpoint, bucket, keys, Limits(connections=4))
    gaps = [after - before for before, after in pairwise(times)]
    assert max(gaps) > 0.9


# -- ceilings of one's own ----------------------------------------------------------------------


@pytest.mark.load
def test_the_ceiling_on_requests(seaweed: Server, proxy: Proxy, record_property: Record) -> None:
    """Within a tenth of what was asked for, over ten seconds and in every single one."""
    times: list[float] = []

    def note(_: Asked) -> bool:
        times.append(time.monotonic())
        return False

    with _bucket(seaweed, [10] * 1000) as (bucket, keys):
        proxy.play(Rule("note", SLOW_DOWN, when=note))
        seconds = _read(seaweed, proxy.endpoint, bucket, keys, Limits(requests=100))
    record_property("requests a second", len(times) / seconds)
    assert 90 <= len(times) / seconds <= 110
    worst = max(sum(start <= at < start + 1 for at in times) for start in times)
    record_property("most in one second", worst)
    assert worst <= 110


@pytest.mark.load
@pytest.mark.parametrize("streamed", [False, True])
def test_the_ceiling_on_bandwidth(
    seaweed: Server, proxy: Proxy, streamed: bool, record_property: Record
) -> None:
    """Within a tenth, for bodies in memory and for streamed ones."""
    size, number = (4 << 20, 12) if streamed else (256 << 10, 200)
    limit = 5 << 20
    with _bucket(seaweed, [size] * number) as (bucket, keys):
        limits = Limits(bandwidth=limit, connections=8)
        seconds = _read(seaweed, proxy.endpoint, bucket, keys, limits, streamed=streamed)
    rate = size * number / seconds
    record_property("share of the ceiling", rate / limit)
    assert 0.9 * limit <= rate <= 1.1 * limit


@pytest.mark.parametrize("connections", [1, 6])
@pytest.mark.parametrize("streamed", [False, True])
def test_the_ceiling_on_connections(
    seaweed: Server, proxy: Proxy, connections: int, streamed: bool
) -> None:
    """Never one more."""
    with _bucket(seaweed, [10_000] * 80) as (bucket, keys):
        limits = Limits(connections=connections)
        _read(seaweed, proxy.endpoint, bucket, keys, limits, streamed=streamed)
    assert proxy.most_open == connections


_MEASURED = textwrap.dedent(
    """
    import resource, sys
    from s3plan.cli import main
    try:
        sys.exit(main())
    finally:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        print("PEAK", peak * 1024, file=sys.stderr)
    """
)


def _peak(between: Between, code: int, *arguments: str) -> int:
    """The largest resident size in bytes of a command that must end with ``code``."""
    done = subprocess.run(
        [sys.executable, "-c", _MEASURED, *arguments],
        cwd=between.scene.directory,
        env=between.scene.environ,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.returncode == code, done.stderr
    return int(done.stderr.rpartition("PEAK ")[2].split()[0])


@pytest.mark.load
@pytest.mark.parametrize("size", [1 << 20, 6 << 20, 24 << 20])
def test_the_ceiling_on_memory(between: Between, size: int, record_property: Record) -> None:
    """Bodies in flight, down and up, stay within the ceiling: what a run takes over one with
    hardly any bodies is at most a tenth more.
    """
    scene = between.scene
    scene.server = replace(scene.server, endpoint=_behind(between))
    ceiling = 64 << 20
    limits = "memory: 64MiB, connections: 32"
    small = _run_both_ways(between, [1000] * 8, limits)
    large = _run_both_ways(between, [size] * ((400 << 20) // size), limits)
    for what in ("apply", "rollback"):
        took = large[what] - small[what]
        record_property(f"{what}: MiB more", took >> 20)
        assert took <= 1.1 * ceiling, what


def _behind(between: Between) -> str:
    """The server itself: this test is about s3plan's memory, and the proxy holds whole bodies."""
    return str(between.scene.s3.meta.endpoint_url)


def _run_both_ways(between: Between, sizes: list[int], limits: str) -> dict[str, int]:
    scene = between.scene
    for number, size in enumerate(sizes):
        scene.put(f"object-{number:04}", number.to_bytes(4, "big") * (size // 4))
    path: Path = scene.manifest()
    path.write_text(path.read_text().replace("connections: 8", limits))
    _peak(between, 0, "plan", "manifest.yaml")
    applied = _peak(between, 4, "apply", "--approve")
    (gate,) = scene.run().state().gates.values()
    approval = f"{scene.bucket}@{gate.evidence}"
    _peak(between, 0, "apply", "--approve", "--approve-delete", approval)
    rolled = _peak(between, 0, "rollback", "journal.json", "--approve")
    scene.delete(*scene.keys())
    return {"apply": applied, "rollback": rolled}
