"""Writers racing the cutover: no write that was answered with success is lost.

Conditions of the servers at hand do not hold between all verbs, so the races run through a proxy
that lets one request for a key through at a time, as AWS orders them; bare on each server, with the
losses counted, they are in ``make test-load``.
"""

from __future__ import annotations

import asyncio
import random
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import get_args

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from botocore.handlers import add_expect_header

from s3plan.rules.cutover import CONDITIONS, Verb
from tests.engine.conftest import enter
from tests.engine.scene import Scene, client_of, open_scene
from tests.faults.conftest import Between, between
from tests.faults.proxy import Exchange, Fault, Rule
from tests.layout.moving import fill, knows, look, plan

__all__ = ["between", "enter"]

Record = Callable[[str, object], None]
"""pytest's record_property: figures for ``--junitxml``."""

RACES = 30
"""Objects, each with a writer of its own at a moment of its own."""


def one_at_a_time() -> Fault:
    """A lock for each key."""
    locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def fault(exchange: Exchange) -> None:
        async with locks[exchange.asked.key]:
            reply = await exchange.served()
        exchange.send(reply.head.raw + reply.raw)

    return fault


@contextmanager
def racing(scene: Scene, keys: list[str], seed: int) -> Iterator[dict[str, bytes]]:
    """Each key is written once by somebody, at a moment of its own; what of it was answered."""
    chosen = random.Random(seed)
    written: dict[str, bytes] = {}
    s3 = boto3.client(
        "s3",
        endpoint_url=scene.server.endpoint,
        region_name=scene.server.region,
        aws_access_key_id=scene.server.access_key,
        aws_secret_access_key=scene.server.secret_key,
        # The proxy understands bodies of a known length only.
        config=Config(
            s3={"addressing_style": "path"}, request_checksum_calculation="when_required"
        ),
    )
    s3.meta.events.unregister("before-call.s3", add_expect_header)

    def write() -> None:
        for key in chosen.sample(keys, len(keys)):
            if ending.wait(chosen.uniform(0, 2.5 / len(keys))):
                return
            body = f"written by somebody: {key}".encode()
            s3.put_object(Bucket=scene.bucket, Key=key, Body=body)
            written[key] = body

    ending = threading.Event()
    writer = threading.Thread(target=write)
    writer.start()
    try:
        yield written
    finally:
        writer.join(20)
        ending.set()
        s3.close()


def lost(scene: Scene, written: dict[str, bytes]) -> list[str]:
    """Writes that were answered with success and are nowhere: the new form took their place."""
    now = look(scene).objects
    return [key for key, body in written.items() if now[key].body != body]


@contextmanager
def polling(scene: Scene, keys: list[str]) -> Iterator[list[str]]:
    """Somebody reads the keys over and over; what he saw that was neither form."""
    wrong: list[str] = []
    reads = 0
    ending = threading.Event()
    s3 = client_of(scene.server)
    before = {key: scene.objects()[key] for key in keys}

    def read() -> None:
        nonlocal reads
        while not ending.is_set():
            for key in keys:
                try:
                    answer = s3.get_object(Bucket=scene.bucket, Key=key)
                    body = answer["Body"].read()
                except ClientError as error:
                    wrong.append(f"{key}: {error}")
                    continue
                reads += 1
                metadata = dict(answer["Metadata"])
                metadata.pop("layout-version", None)
                old = before[key]
                seen = (body, metadata, answer["ContentType"])
                if seen != (old.body, old.metadata, old.content_type):
                    wrong.append(key)

    reader = threading.Thread(target=read)
    reader.start()
    try:
        yield wrong
    finally:
        ending.set()
        reader.join(20)
        s3.close()
        assert reads > len(keys)


def race(scene: Scene, count: int, verb: Verb, seed: int) -> tuple[list[str], int]:
    """Everything swapped by that verb while a writer is at the same keys; what of his was lost,
    and how many new forms came to nothing.
    """
    fill(scene, count)
    keys = sorted(look(scene).objects)
    knows(scene, CONDITIONS[verb])
    plan(scene)
    with racing(scene, keys, seed) as written:
        finished = scene.apply()
    assert finished.exit_code in (0, 3), finished
    assert {problem.reason for problem in scene.problems()} <= {"source-changed"}
    assert len(written) == count
    return lost(scene, written), len(scene.problems())


@pytest.mark.parametrize(
    "verb",
    ["put", *(pytest.param(verb, marks=pytest.mark.long) for verb in ("copy", "complete"))],
)
def test_no_write_is_lost(between: Between, verb: Verb) -> None:
    """C8, C33, E43: tens of races here, thousands in ``make test-load``."""
    between.proxy.play(Rule("lock", one_at_a_time()))
    gone, refused = race(between.scene, RACES, verb, seed=8)
    assert gone == []
    assert refused > 0, "some writer came between, or these were no races"


@pytest.mark.load
@pytest.mark.timeout(600)
@pytest.mark.parametrize("verb", get_args(Verb))
def test_no_write_of_a_thousand_is_lost(
    between: Between, verb: Verb, record_property: Record
) -> None:
    """C8, C33: a thousand objects by each verb."""
    between.proxy.play(Rule("lock", one_at_a_time()))
    gone, refused = race(between.scene, 1_000, verb, seed=9)
    record_property("refused", refused)
    assert gone == []
    assert 0 < refused < 1_000


@pytest.mark.load
@pytest.mark.timeout(600)
@pytest.mark.parametrize("verb", get_args(Verb))
@pytest.mark.parametrize("server", ["seaweed"])
def test_bare_servers_lose_writes(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    record_property: Record,
    server: str,
    verb: Verb,
) -> None:
    """The issue: what is lost where a condition is honoured and does not hold is counted, and
    published in docs/reliability.md. A probe keeps s3plan from relying on these.
    """
    with open_scene(request.getfixturevalue(server), tmp_path) as scene:
        enter(scene, monkeypatch)
        gone, refused = race(scene, 600, verb, seed=10)
    record_property("lost", len(gone))
    record_property("refused", refused)
    assert verb != "put" or gone == []


def test_readers_see_the_old_form_or_the_new_one(scene: Scene) -> None:
    """C3, C33: never none, never a part of each."""
    fill(scene, 12)
    keys = sorted(look(scene).objects)
    knows(scene, "put-if-match")
    plan(scene)
    with polling(scene, keys) as wrong:
        finished = scene.apply()
    assert finished.exit_code == 0
    assert wrong == []
