"""What is behind the credentials: who they are, which buckets and policies they see."""

from __future__ import annotations

from msgspec import Struct

from s3plan.model.buckets import Versioning


class SeenBucket(Struct, frozen=True):
    """A bucket that is listed. What may not be read is None; ``problem`` says what was refused.

    ``public`` is by policy and ACL, as far as the public access block leaves them.
    """

    name: str
    region: str | None = None
    versioning: Versioning | None = None
    public: bool | None = None
    problem: str | None = None


class Whoami(Struct, frozen=True):
    """The caller. Everything but ``endpoint`` and ``region`` is None where the endpoint has no STS.

    ``kind`` is user, role, assumed-role, federated-user, root or unknown; ``policy_arn`` is what
    policies must name: of a session its role. ``buckets`` is None where nobody asked.
    """

    endpoint: str
    region: str
    account: str | None = None
    arn: str | None = None
    kind: str | None = None
    name: str | None = None
    session: str | None = None
    partition: str | None = None
    policy_arns: tuple[str, ...] = ()
    buckets: tuple[SeenBucket, ...] | None = None


class SeenPolicy(Struct, frozen=True):
    """A bucket's policy, or a file that holds one.

    ``statements`` are names; None where there is no policy. ``file`` is a path below the directory
    of policies; ``bucket`` of a file is by its name, None where that does not say.
    """

    bucket: str | None
    statements: tuple[str, ...] | None = None
    public: bool | None = None
    file: str | None = None
    problem: str | None = None
