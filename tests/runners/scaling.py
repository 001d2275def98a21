"""How many objects a second 1, 2, 4 and 8 workers copy where every answer is 30 ms late.

`python -m tests.runners.scaling` prints the table of docs/scale.md. Each worker has the same share
of the connection's requests in flight, as each machine of a cluster would: the ceiling grows with
the workers. Server, proxy and workers share one machine, whose processors are the end of it.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from msgspec import Struct

from s3plan.engine.journal import read_journal
from s3plan.model.journal import Intent, Receipts
from tests import servers
from tests.engine.copying import plan_copies
from tests.engine.scene import Scene, open_scene
from tests.faults.proxy import Exchange, Rule, proxy_to
from tests.runners.clusters import DaskCluster, dask_cluster

LATE = 0.030
"""Seconds."""

EACH = 3
"""Requests in flight that each worker adds."""

PROJECT = """\
apiVersion: s3plan/v1
kind: Project
spec:
  dask: {{scheduler: "{scheduler}", workers: {workers}, partition: {partition}, trust: 30s}}
"""


class Row(Struct, frozen=True):
    """What so many workers did."""

    workers: int
    objects: int
    seconds: float

    @property
    def rate(self) -> float:
        """Objects a second."""
        return self.objects / self.seconds


async def late(exchange: Exchange) -> None:
    """The answer as it came, some milliseconds later."""
    reply = await exchange.served()
    await asyncio.sleep(LATE)
    exchange.send(reply.head.raw + reply.raw)


def rows(
    scene: Scene, cluster: DaskCluster, counts: tuple[int, ...], objects: int
) -> Iterator[Row]:
    """One row for each count of workers, of which the first are there already."""
    with ThreadPoolExecutor(8) as hands:
        list(hands.map(lambda n: scene.put(f"from/{n:05}", b"%d" % n), range(objects)))
    direct = scene.server
    with proxy_to(direct.endpoint) as proxy:
        proxy.play(Rule("late", late))
        scene.server = replace(direct, endpoint=proxy.endpoint)
        for count in counts:
            while len(cluster.workers) < count:
                cluster.add_worker()
            yield _row(scene, cluster, count, objects)
        scene.server = direct


def _row(scene: Scene, cluster: DaskCluster, count: int, objects: int) -> Row:
    partition = max(100, objects // (4 * count))
    text = PROJECT.format(scheduler=cluster.address, workers=count, partition=partition)
    (scene.directory / "s3plan.yaml").write_text(text)
    plan_copies(
        scene, lambda key: f"to-{count}/{key[5:]}", prefix="from/", connections=EACH * count
    )
    ran = scene.s3plan("apply", "--approve", "--runner", "dask")
    assert ran.code == 0, ran.err
    times = [
        datetime.fromisoformat(record.time)
        for _, record in read_journal(scene.run().journal)
        if isinstance(record, Intent)
        or (isinstance(record, Receipts) and record.step.startswith("copy-"))
    ]
    return Row(count, objects, (max(times) - min(times)).total_seconds())


def table(found: list[Row]) -> str:
    """As docs/scale.md has it."""
    lines = [
        "| workers | objects | seconds | objects a second | times one |",
        "|--:|--:|--:|--:|--:|",
    ]
    for row in found:
        times = f"{row.rate / found[0].rate:.1f}"
        lines.append(
            f"| {row.workers} | {row.objects:,} | {row.seconds:.1f} | {row.rate:,.0f} | {times} |"
        )
    return "\n".join(lines)


@contextmanager
def _everything() -> Iterator[tuple[Scene, DaskCluster]]:
    with (
        tempfile.TemporaryDirectory(prefix="s3plan-scaling-") as folder,
        servers.seaweedfs(Path(folder)) as server,
    ):
        for name in ("scene", "dask"):
            (Path(folder) / name).mkdir()
        with (
            open_scene(server, Path(folder) / "scene") as scene,
            dask_cluster(Path(folder) / "dask", scene.environ, workers=1) as cluster,
        ):
            yield scene, cluster


if __name__ == "__main__":
    with _everything() as (made, workers):
        print(table(list(rows(made, workers, (1, 2, 4, 8), 2_400))))  # noqa: T201
