"""Manifests of ObjectLayout for a scene, and what readers and we ourselves see of its bucket."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from s3plan import api
from s3plan.engine.probe import Memory
from s3plan.model.capabilities import (
    CAPABILITIES_FORMAT,
    Capabilities,
    Capability,
    CapabilityName,
    Race,
)
from s3plan.rules.shadow import is_shadow
from tests.engine.scene import Scene, Stored

PREFIX = "o/"
SCRATCH = "layout-scratch"
"""A bucket beside those of the scenes; it stays."""

ATOMIC: tuple[CapabilityName, ...] = (
    "put-if-match",
    "copy-if-match",
    "complete-if-match",
    "copy-source-if-match",
    "copy-if-none-match",
    "complete-if-none-match",
)
"""What an endpoint does that holds to every condition, as AWS says of S3."""

VERSION_2 = "{layoutVersion: 2}"

_MANIFEST = """\
apiVersion: s3plan/v1
kind: Connection
metadata: {{name: default}}
spec:
  endpoint: {endpoint}
  region: {region}
  limits: {{connections: 8}}
{scratch}---
apiVersion: s3plan/v1
kind: ObjectLayout
metadata: {{name: v2}}
spec:
  select: {select}
  target: {target}
{more}"""


def write_manifest(
    scene: Scene,
    target: str = VERSION_2,
    *,
    select: str = "",
    scratch: bool = True,
    more: str = "",
    endpoint: str | None = None,
) -> None:
    """Write manifest.yaml; ``select`` is what stands besides bucket and prefix."""
    place = f"  scratch: s3://{SCRATCH}/place\n" if scratch else ""
    chosen = select or f"prefix: {PREFIX}"
    (scene.directory / "manifest.yaml").write_text(
        _MANIFEST.format(
            endpoint=endpoint or scene.server.endpoint,
            region=scene.server.region,
            scratch=place,
            select=f"{{bucket: {scene.bucket}, {chosen}}}",
            target=target,
            more="".join(f"  {line}\n" for line in more.splitlines()),
        )
    )


def knows(scene: Scene, *held: CapabilityName, place: str = f"s3://{SCRATCH}/place") -> None:
    """Let it be remembered that the endpoint honours these, and that they held in every race.

    The other conditions were seen to be lost by races. So a test chooses the verb of the swap, and
    does not wait for a probe.
    """
    names = {buckets["Name"] for buckets in scene.s3.list_buckets()["Buckets"]}
    if SCRATCH not in names:
        scene.s3.create_bucket(Bucket=SCRATCH)
    Memory(Path(scene.environ["XDG_STATE_HOME"]) / "s3plan" / "capabilities").remember(
        Capabilities(
            CAPABILITIES_FORMAT,
            scene.server.endpoint,
            scene.server.region,
            place,
            datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z"),
            "0",
            tuple(
                Capability(name, "honoured", races=(Race("a and b", 60, int(name not in held)),))
                for name in ATOMIC
            ),
        )
    )


def plan(scene: Scene, target: str = VERSION_2, **options: Any) -> api.PlanResult:
    """``s3plan plan`` of such a manifest."""
    write_manifest(scene, target, **options)
    return scene.plan()


@dataclass(frozen=True)
class Seen:
    """What is in the bucket: what readers of the prefix see, and the shadows."""

    objects: dict[str, Stored]
    shadows: dict[str, Stored]


def look(scene: Scene) -> Seen:
    """Everything, with boto3."""
    found = scene.objects()
    return Seen(
        {key: stored for key, stored in found.items() if key.startswith(PREFIX)},
        {key: stored for key, stored in found.items() if is_shadow(key)},
    )


def fill(scene: Scene, count: int) -> None:
    """Small objects, with headers, metadata and tags."""
    for number in range(count):
        scene.put(
            f"{PREFIX}d{number % 3}/object-{number:04}.txt",
            f"content {number}".encode(),
            ContentType="text/plain",
            CacheControl="no-store",
            Metadata={"owner": f"ann{number}"},
            Tagging=f"number={number}",
        )
