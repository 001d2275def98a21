"""How to reach an S3 endpoint, as a manifest's ``kind: Connection`` says; holds no secrets."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct


class Limits(Struct, frozen=True, omit_defaults=True):
    """Ceilings. ``requests`` a second, ``bandwidth`` and ``memory`` in bytes (a second).

    ``object_timeout`` is seconds for one object, all its requests together; 0 is none. ``objects``
    is how many are worked on at once, None as many as the verb takes; ``parts`` is how many ranges
    of one large object are in flight at once.
    """

    connections: int = 32
    requests: float | None = None
    bandwidth: int | None = None
    memory: int = 256 * 1024 * 1024
    object_timeout: float = 0
    parts: int = 4
    objects: int | None = None


class Retries(Struct, frozen=True, omit_defaults=True):
    """How often a request is sent again, ``max`` times, and the seconds before the first time at
    most: ``backoff``, twice as long each time.
    """

    max: int = 6
    backoff: float = 0.2


class Batch(Struct, frozen=True, omit_defaults=True):
    """How S3 Batch Operations is used: jobs run as ``role_arn``, before those of less ``priority``.

    ``endpoint`` is that of S3 Control, None is AWS's own. ``exclusive_targets`` are buckets to
    which nobody else writes while a job runs: the service writes over whatever has the new key. A
    job of fewer than ``least_objects`` is not worth its price. Every ``poll`` seconds S3 is asked
    how far it is.
    """

    role_arn: str
    priority: int = 10
    endpoint: str | None = None
    exclusive_targets: tuple[str, ...] = ()
    least_objects: int = 1_000
    poll: float = 60.0


class Connection(Struct, frozen=True, omit_defaults=True):
    """Endpoint, region and where credentials come from. Empty means the usual AWS chain.

    ``scratch`` is ``s3://bucket/prefix``, where probes and leases may write; None is nowhere.
    """

    name: str = "default"
    endpoint: str | None = None
    region: str | None = None
    profile: str | None = None
    role_arn: str | None = None
    expect_account: str | None = None
    addressing: Literal["auto", "path", "virtual"] = "auto"
    ca_bundle: str | None = None
    requester_pays: bool = False
    scratch: str | None = None
    limits: Limits = Limits()
    retries: Retries | None = None
    batch: Batch | None = None
