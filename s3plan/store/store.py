"""One connection to S3: settings, credentials, the wire and the control plane, put together."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping
from types import TracebackType

from s3plan import __version__
from s3plan.errors import StaleError, StoreError
from s3plan.model.buckets import Identity
from s3plan.model.connection import Connection
from s3plan.model.plan import Target
from s3plan.store.bucket import Bucket
from s3plan.store.canaries import Canaries
from s3plan.store.clients import Clients
from s3plan.store.control import Control
from s3plan.store.credentials import CredentialSource
from s3plan.store.egress import Egress, choose_ca_bundle
from s3plan.store.endpoint import EndpointResolver, settle
from s3plan.store.jobs import Jobs
from s3plan.store.leases import LeaseObject
from s3plan.store.retry import Patience, patience_of
from s3plan.store.sender import Sender
from s3plan.store.wire import Wire


class Store:
    """An S3 endpoint, as an async context manager; belongs to the loop that first uses it."""

    def __init__(
        self,
        connection: Connection,
        *,
        user_agent: str = f"s3plan/{__version__}",
        environ: Mapping[str, str] = os.environ,
        patience: Patience | None = None,
    ) -> None:
        """Reads environment and profile; sends nothing. ``patience`` is the connection's, if None.

        Raises `UsageError` for an endpoint that is none and `CredentialsError` for a profile that
        does not exist.
        """
        self.connection = connection
        patience = patience or patience_of(connection.retries)
        source = self._source = CredentialSource(connection, environ)
        settings = settle(connection, source, environ)
        self._resolver = EndpointResolver(settings, source)
        bundle = source.profile().get("ca_bundle")
        egress = Egress(
            environ,
            choose_ca_bundle(connection.ca_bundle, environ, str(bundle) if bundle else None),
        )
        self._wire = Wire(
            connection.limits,
            egress,
            user_agent=user_agent,
            connect_seconds=patience.connect,
            stall_seconds=patience.stall,
        )
        self._sender = Sender(self._wire, self._resolver, source, connection.limits, patience)
        clients = Clients(
            source,
            self._resolver,
            egress,
            patience,
            user_agent=user_agent,
            control_endpoint=connection.batch.endpoint if connection.batch else None,
        )
        self.control = Control(clients)
        self.jobs = Jobs(clients)
        service = self._resolver.service()
        self.target = Target(f"{service.origin}{service.base}", settings.region)
        self._set_headers()

    async def __aenter__(self) -> Store:
        """Nothing is opened before the first request."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Closes all connections."""
        await self.aclose()

    @property
    def custom(self) -> bool:
        """Whether the endpoint is not AWS's own: it may have no STS, no IAM and no prices."""
        return self._resolver.custom

    async def secrets(self) -> tuple[str, ...]:
        """The keys in use, so that they can be kept out of what is written down.

        Raises `CredentialsError`.
        """
        keys = await self._source.current()
        return tuple(key for key in (keys.access_key, keys.secret_key, keys.token) if key)

    async def identify(self) -> Target:
        """The target with its account, which from then on every request names as bucket owner.

        AWS tells the account (sts:GetCallerIdentity). A custom endpoint is only asked where the
        connection expects an account. Raises `StaleError` when it is another one, or when the
        expected one cannot be proven.
        """
        expected = self.connection.expect_account
        if self._resolver.custom and expected is None:
            return self.target
        identity = await self._prove(expected)
        if expected is not None and identity.account != expected:
            raise StaleError(
                "these credentials belong to another account",
                address=self.target.endpoint,
                expected=f"account {expected}",
                found=f"account {identity.account} ({identity.arn})",
                next_step="use the credentials the Connection is meant for",
            )
        self.target = Target(self.target.endpoint, self.target.region, identity.account)
        self.control.account = identity.account
        self._set_headers()
        return self.target

    async def _prove(self, expected: str | None) -> Identity:
        try:
            return await asyncio.to_thread(self.control.identity)
        except StoreError as error:
            if expected is None:
                raise
            raise StaleError(
                "the account cannot be proven",
                address=self.target.endpoint,
                expected=f"account {expected}",
                found=str(error),
                next_step="check the credentials, or remove expectAccount from the Connection",
            ) from error

    def bucket(self, name: str, *, anonymous: bool = False) -> Bucket:
        """A bucket by name; sends nothing. Raises `NoSuchBucketError` for what is no name.

        With ``anonymous`` HEAD and GET of its objects are not signed: they show what everybody may
        read.
        """
        self._sender.address(name)
        return Bucket(name, self._sender, self._wire, anonymous=anonymous)

    def lease_object(self, bucket: str, key: str) -> LeaseObject:
        """An object that leases are written to; sends nothing."""
        self._sender.address(bucket)
        return LeaseObject(self._sender, bucket, key)

    def canaries(self, bucket: str, prefix: str) -> Canaries:
        """Objects of a probe below ``prefix``; sends nothing."""
        return Canaries(self.bucket(bucket), self._sender, prefix)

    def fence(self, seconds_left: Callable[[], float] | None) -> None:
        """Let no request that writes last longer than ``seconds_left`` says; None is no bound."""
        self._sender.fence = seconds_left

    async def list_buckets(self) -> tuple[str, ...]:
        """Names of all buckets of the account, in byte order."""
        return await asyncio.to_thread(self.control.list_buckets)

    async def aclose(self) -> None:
        """Abort what is in flight and close every connection."""
        await self._wire.aclose()

    def _set_headers(self) -> None:
        headers = []
        if self.target.account is not None:
            headers.append(("x-amz-expected-bucket-owner", self.target.account))
        if self.connection.requester_pays:
            headers.append(("x-amz-request-payer", "requester"))
        self._sender.common_headers = tuple(headers)
