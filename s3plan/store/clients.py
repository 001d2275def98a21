"""boto3's clients: made when first needed, told where to go, and their answers in our words.

Synchronous and thread-safe. Endpoint, region, credentials, certificates and proxy are the wire's.
"""

# ruff: noqa: PLC0415
# botocore takes a tenth of a second to import, which only what talks to S3 should pay.

from __future__ import annotations

import base64
import hashlib
import random
import threading
import time
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from s3plan.errors import CredentialsError, StoreError, ThrottledError
from s3plan.store import failures
from s3plan.store.credentials import CredentialSource
from s3plan.store.egress import Egress
from s3plan.store.endpoint import EndpointResolver
from s3plan.store.retry import Patience, http_date


class Clients:
    """Calls of boto3 by the names of its methods. Every one may raise any `StoreError`."""

    def __init__(
        self,
        source: CredentialSource,
        resolver: EndpointResolver,
        egress: Egress,
        patience: Patience,
        *,
        user_agent: str,
        control_endpoint: str | None = None,
    ) -> None:
        """Makes no client yet. ``control_endpoint`` is that of S3 Control; None is AWS's own."""
        self._control_endpoint = control_endpoint
        self._source = source
        self._resolver = resolver
        self._egress = egress
        self._patience = patience
        self._user_agent = user_agent
        self._clients: dict[tuple[str, str], tuple[object, Any]] = {}
        self._factory: tuple[object, Any] | None = None
        self._lock = threading.Lock()
        self.account: str | None = None
        """Whose the buckets are expected to be; None: nobody said."""

    @property
    def region(self) -> str:
        """The region of the connection."""
        return self._resolver.settings.region

    def call(
        self,
        action: str,
        bucket: str | None,
        method: str,
        *,
        service: str = "s3",
        region: str | None = None,
        owner: bool = True,
        **arguments: Any,
    ) -> dict[str, Any]:
        """The answer without its envelope. ``action`` is what IAM calls it, ``method`` boto3.

        Without ``owner`` a bucket is not expected to be anybody's: nobody has it yet.
        """
        # Being asked to slow down is no failure, here as on the wire: boto3 takes it only as often
        # as any other error. Nothing was done, so whatever was asked may be asked again.
        rounds = max(1, self._patience.slowdowns // self._patience.attempts)
        for times in range(1, rounds):
            try:
                return self._once(
                    action, bucket, method, service, region, owner=owner, arguments=arguments
                )
            except ThrottledError:
                time.sleep(self._patience.pause(times, None, random.random()))
        return self._once(action, bucket, method, service, region, owner=owner, arguments=arguments)

    def _once(
        self,
        action: str,
        bucket: str | None,
        method: str,
        service: str,
        region: str | None,
        *,
        owner: bool,
        arguments: dict[str, Any],
    ) -> dict[str, Any]:
        from botocore.exceptions import BotoCoreError, ClientError

        subject = failures.Subject(bucket, None, f"{service}:{action}")
        if bucket is not None:
            # Refuses what is no name before boto3 makes a path of it.
            self._resolver.bucket(bucket)
            if owner and self.account is not None:
                arguments["ExpectedBucketOwner"] = self.account
        endpoint = self._resolver.service().origin
        try:
            client = self._client(service, region or self.region)
            answer: dict[str, Any] = getattr(client, method)(**arguments)
        except ClientError as error:
            raise _refused(error, subject, endpoint) from error
        except BotoCoreError as error:
            raise _failed(error, subject, endpoint) from error
        headers = answer.pop("ResponseMetadata", {}).get("HTTPHeaders", {})
        if method == "head_bucket":
            answer.setdefault("BucketRegion", headers.get("x-amz-bucket-region"))
        return answer

    def date(self) -> str:
        """The Date of any answer of S3, of a refusal too; empty where there is none."""
        from botocore.exceptions import BotoCoreError, ClientError

        subject = failures.Subject(None, None, "s3:ListAllMyBuckets")
        try:
            client = self._client("s3", self.region)
            envelope = client.list_buckets().get("ResponseMetadata", {})
        except ClientError as error:
            envelope = error.response.get("ResponseMetadata", {})
        except BotoCoreError as error:
            raise _failed(error, subject, self._resolver.service().origin) from error
        return str(envelope.get("HTTPHeaders", {}).get("date", ""))

    def witness(self) -> Any:
        """A boto3 S3 client, for who must check the wire without sharing its code (the demo)."""
        return self._new_client(self._source.session, "s3", self.region)

    def _client(self, service: str, region: str) -> Any:
        session = self._source.session
        with self._lock:
            known = self._clients.get((service, region))
            if known is None or known[0] is not session:
                made = self._new_client(session, service, region)
                made.meta.events.register_first("before-parse.s3", _answered_with_a_listing)
                made.meta.events.register("before-call.s3", _with_md5)
                made.meta.events.register_first("request-created.s3-control", _without_account)
                known = (session, made)
                self._clients[service, region] = known
            return known[1]

    def _new_client(self, session: Any, service: str, region: str) -> Any:
        from boto3.session import Session
        from botocore.config import Config

        settings = self._resolver.settings
        endpoint = self._control_endpoint if service == "s3control" else settings.endpoint
        origin = endpoint or self._resolver.service().origin
        proxy = self._egress.proxy(origin)
        config = Config(
            user_agent_extra=self._user_agent,
            connect_timeout=self._patience.connect,
            read_timeout=self._patience.stall,
            retries={"mode": "standard", "total_max_attempts": self._patience.attempts},
            proxies={"http": proxy, "https": proxy} if proxy else {},
            # Third-party servers refuse the checksums botocore adds by default since 1.36.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            s3={
                "addressing_style": settings.addressing,
                "us_east_1_regional_endpoint": "regional",
            },
        )
        # One for all clients: a second on the same botocore session would register boto3's
        # handlers twice, and the next client would fail on that.
        if self._factory is None or self._factory[0] is not session:
            self._factory = (session, Session(botocore_session=session))
        # The stubs overload this by literal service names; ours is a parameter.
        client: Any = self._factory[1].client
        return client(
            service,
            region_name=region,
            endpoint_url=endpoint,
            verify=self._egress.ca_bundle,
            config=config,
        )


def _answered_with_a_listing(response_dict: dict[str, Any], **_: object) -> None:
    """Ceph RGW 16 ignores a subresource it does not know and lists the bucket: no such document.

    Nothing is listed here. botocore would find no document in it; where keys hold control
    characters it has already made a 500 of what it cannot parse, and would ask again and again.
    """
    if b"<ListBucketResult" in response_dict["body"][:300]:
        response_dict["status_code"] = 501
        response_dict["body"] = b"<Error><Code>NotImplemented</Code></Error>"


def _without_account(request: Any, **_: object) -> None:
    """S3 Control wants the account in front of its host's name; an address has no names."""
    parts = urlsplit(request.url)
    account, _dot, host = (parts.hostname or "").partition(".")
    if account == request.headers.get("x-amz-account-id") and _is_address(host):
        netloc = parts.netloc.partition(".")[2]
        request.url = urlunsplit((parts.scheme, netloc, parts.path, parts.query, ""))


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _with_md5(params: dict[str, Any], **_: object) -> None:
    """Prove a document by Content-MD5, the one proof that every server takes.

    botocore sends CRC32 instead, since 1.36; Ceph RGW 16 refuses a lifecycle without Content-MD5.
    """
    body = params.get("body")
    if params.get("method") in ("PUT", "POST") and isinstance(body, (bytes, str)) and body:
        raw = body if isinstance(body, bytes) else body.encode()
        digest = hashlib.md5(raw, usedforsecurity=False).digest()
        params["headers"]["Content-MD5"] = base64.b64encode(digest).decode()
        for other in ("request_algorithm", "request_algorithm_header"):
            params["context"].get("checksum", {}).pop(other, None)


def _refused(error: Any, subject: failures.Subject, endpoint: str) -> StoreError:
    told = error.response.get("Error", {})
    envelope = error.response.get("ResponseMetadata", {})
    code = told.get("Code")
    status = int(envelope.get("HTTPStatusCode", 400))
    if status == 403 and str(code) == "403":
        # The answer to a HEAD has no document; a clock that is wrong shows in its date.
        told_time = http_date(envelope.get("HTTPHeaders", {}).get("date", ""))
        if told_time is not None and abs(told_time - time.time()) > failures.SKEW_SECONDS:
            code = failures.SKEWED_CODE
    refusal = failures.Refusal(
        status=status,
        # botocore puts the status where a HEAD has no code.
        code=None if code is None or str(code).isdigit() else str(code),
        message=str(told.get("Message", "")),
        region=None,
        endpoint=None,
        request_id=envelope.get("RequestId"),
    )
    return failures.refused(refusal, subject, endpoint)


def _failed(error: Exception, subject: failures.Subject, endpoint: str) -> StoreError:
    from botocore.exceptions import (
        ConnectTimeoutError,
        NoCredentialsError,
        ParamValidationError,
        ReadTimeoutError,
    )

    if isinstance(error, NoCredentialsError):
        return CredentialsError("no credentials found", address=subject.address)
    if isinstance(error, ParamValidationError):
        return StoreError("boto3 refuses the request", address=subject.address, found=str(error))
    if isinstance(error, (ConnectTimeoutError, ReadTimeoutError)):
        return failures.unreachable("time-out", subject, endpoint, attempts=1)
    # The text may hold a proxy's address with its password; the class says enough.
    return failures.unreachable(type(error).__name__, subject, endpoint, attempts=1)
