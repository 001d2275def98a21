"""``kind: Connection``: which S3, which credentials, how hard it may be pushed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from pydantic import Field

from s3plan.kinds.fields import Account, DocumentFrame, Duration, Fields, Size
from s3plan.model import connection as model

ENDPOINT = r"^https?://[^\s/?#@]+/?$"
ROLE_ARN = r"^arn:[^:]+:iam::[0-9]{12}:role/.+$"


class LimitFields(Fields):
    """Ceilings on what one s3plan process asks of the endpoint and of this machine."""

    connections: int = Field(32, ge=1, le=1024, description="Requests in flight at once.")
    requests: float | None = Field(
        None, gt=0, allow_inf_nan=False, description="Requests started in a second."
    )
    bandwidth: Size | None = Field(
        None, gt=0, description="Bytes moved in a second, down and up together."
    )
    memory: Size = Field(
        256 * 1024 * 1024,
        ge=64 * 1024 * 1024,
        description="Bytes that tables and bodies in flight may take, roughly.",
    )
    object_timeout: Duration = Field(
        0.0,
        ge=0,
        description="Seconds that one object may take, all its requests together; 0 is no limit.",
    )
    objects: int | None = Field(
        None,
        ge=1,
        le=1024,
        description="Objects that are worked on at once, apart from the parts of each; without it "
        "as many as there are connections (16 uploads, 4 objects of a new layout).",
    )
    parts: int = Field(
        4,
        ge=1,
        le=64,
        description="Ranges of one large object that are downloaded at once; 1 is one stream.",
    )


class RetryFields(Fields):
    """What happens to requests that fail for a moment."""

    max: int = Field(6, ge=0, le=100, description="How often a request is sent again; 0 is never.")
    backoff: Duration = Field(
        0.2,
        ge=0,
        le=60,
        description="Seconds to wait at most before the first time; twice as long each time, up to"
        " 20 s. Being asked to slow down is no failure, and is waited for besides.",
    )


class BatchFields(Fields):
    """S3 Batch Operations, AWS's own service for `s3plan apply --runner s3-batch`."""

    role_arn: str = Field(
        pattern=ROLE_ARN,
        description="The role that S3 runs jobs as; it must be allowed to read the manifest, to do "
        "what the jobs do, and to write the report.",
    )
    priority: int = Field(
        10, ge=0, le=2_147_483_647, description="Jobs of higher priority go before those of lower."
    )
    endpoint: str | None = Field(
        None,
        pattern=ENDPOINT,
        description="The URL of S3 Control, such as that of a VPC endpoint; without it, AWS's own.",
    )
    exclusive_targets: tuple[str, ...] = Field(
        (),
        description="Buckets to which nobody else writes while a job runs. The service writes over "
        "whatever has a copy's new key, so copies into other buckets are not given to it.",
    )
    least_objects: int = Field(
        1_000, ge=1, description="Fewer objects than these are not worth the price of a job."
    )
    poll: Duration = Field(
        60.0, gt=0, le=86_400, description="How often S3 is asked how far a job is."
    )

    def batch(self) -> model.Batch:
        """The value."""
        return model.Batch(
            role_arn=self.role_arn,
            priority=self.priority,
            endpoint=self.endpoint.rstrip("/") if self.endpoint else None,
            exclusive_targets=self.exclusive_targets,
            least_objects=self.least_objects,
            poll=self.poll,
        )


class ConnectionSpec(Fields):
    """Everything may be left out: what is not said comes from the usual AWS chain."""

    endpoint: str | None = Field(
        None,
        pattern=ENDPOINT,
        description="The endpoint's URL, such as http://localhost:8333; without it, AWS's own.",
    )
    region: str | None = Field(
        None, min_length=1, description="The region requests are signed for."
    )
    profile: str | None = Field(
        None, min_length=1, description="A profile of the AWS configuration files."
    )
    role_arn: str | None = Field(None, pattern=ROLE_ARN, description="A role to assume.")
    expect_account: Account | None = Field(
        None, description="The account that the credentials must belong to; any other stops s3plan."
    )
    addressing: Literal["auto", "path", "virtual"] = Field(
        "auto", description="Whether the bucket stands in the URL's path or in its host name."
    )
    ca_bundle: str | None = Field(
        None,
        min_length=1,
        description="A PEM file of certificate authorities, relative to this file.",
    )
    requester_pays: bool = Field(
        False, description="Whether you accept to pay for requests to requester-pays buckets."
    )
    scratch: str | None = Field(
        None,
        pattern=r"^s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[^\s]+)?$",
        description="A place, s3://BUCKET/PREFIX, where probes and leases may write; not in a "
        "bucket that is evacuated.",
    )
    limits: LimitFields = Field(
        default_factory=LimitFields, description="Ceilings on requests, bandwidth and memory."
    )
    retries: RetryFields | None = Field(None, description="How failed requests are sent again.")
    batch: BatchFields | None = Field(
        None, description="S3 Batch Operations, for jobs on many objects (docs/scale.md)."
    )


class ConnectionDocument(DocumentFrame):
    """How to reach an S3 endpoint. It holds no secrets: credentials come from the AWS chain."""

    kind: Literal["Connection"] = Field(description="This kind.")
    spec: ConnectionSpec = Field(description="Endpoint, credentials and limits.")

    def connection(self, directory: Path) -> model.Connection:
        """The value; ``directory`` is that of the manifest, for relative paths."""
        spec = self.spec
        limits = spec.limits
        return model.Connection(
            name=self.metadata.name,
            endpoint=spec.endpoint.rstrip("/") if spec.endpoint else None,
            region=spec.region,
            profile=spec.profile,
            role_arn=spec.role_arn,
            expect_account=spec.expect_account,
            addressing=spec.addressing,
            ca_bundle=os.path.normpath(directory / spec.ca_bundle) if spec.ca_bundle else None,
            requester_pays=spec.requester_pays,
            scratch=spec.scratch.rstrip("/") if spec.scratch else None,
            limits=model.Limits(
                connections=limits.connections,
                requests=limits.requests,
                bandwidth=limits.bandwidth,
                memory=limits.memory,
                object_timeout=limits.object_timeout,
                parts=limits.parts,
                objects=limits.objects,
            ),
            retries=model.Retries(spec.retries.max, spec.retries.backoff) if spec.retries else None,
            batch=spec.batch.batch() if spec.batch else None,
        )
