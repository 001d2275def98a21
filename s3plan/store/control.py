"""The control plane over boto3: bucket configuration, creation and deletion, identity.

Synchronous; callers run it in threads. A client is made at the first call, not before. Endpoint,
region, credentials, certificates and proxy are the wire's.
"""

# ruff: noqa: PLC0415
# botocore takes a tenth of a second to import, which only what talks to S3 should pay.

from __future__ import annotations

import base64
import hashlib
import random
import threading
import time
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from s3plan.errors import (
    AccessDeniedError,
    CredentialsError,
    EndpointError,
    NoSuchBucketError,
    NoSuchKeyError,
    NotSupportedError,
    StoreError,
    ThrottledError,
)
from s3plan.model.buckets import (
    BucketFacts,
    Document,
    DocumentName,
    Identity,
    PolicyFinding,
    Versioning,
)
from s3plan.rules.bucketdocuments import completed
from s3plan.store import failures
from s3plan.store.configuration import DOCUMENTS, Access, plain
from s3plan.store.credentials import CredentialSource
from s3plan.store.egress import Egress
from s3plan.store.endpoint import DEFAULT_REGION, EndpointResolver
from s3plan.store.retry import Patience, http_date

_AT_ONCE = 8
"""Documents of one bucket that are asked for at once."""

ABORTED_PAUSES = (1.0, 2.0, 4.0, 8.0)
"""Seconds between attempts while S3 works on another change of the same bucket."""


_ALWAYS: frozenset[DocumentName] = frozenset({"request-payment", "versioning"})
"""Documents without which nothing can be decided about a bucket."""


class Control:
    """Rare calls. Thread-safe; every method may raise any `StoreError`."""

    def __init__(
        self,
        source: CredentialSource,
        resolver: EndpointResolver,
        egress: Egress,
        patience: Patience,
        *,
        user_agent: str,
    ) -> None:
        """Makes no client yet."""
        self._source = source
        self._resolver = resolver
        self._egress = egress
        self._patience = patience
        self._user_agent = user_agent
        self._clients: dict[tuple[str, str], tuple[object, Any]] = {}
        self._factory: tuple[object, Any] | None = None
        self._lock = threading.Lock()
        self.account: str | None = None

    def list_buckets(self) -> tuple[str, ...]:
        """Names of all buckets of the account, in byte order."""
        names: list[str] = []
        token: dict[str, Any] = {}
        while True:
            answer = self._call("ListAllMyBuckets", None, "list_buckets", **token)
            names += [bucket["Name"] for bucket in answer.get("Buckets", [])]
            if not answer.get("ContinuationToken"):
                return tuple(sorted(names))
            token = {"ContinuationToken": answer["ContinuationToken"]}

    def facts(self, bucket: str, documents: Collection[DocumentName] = DOCUMENTS) -> BucketFacts:
        """Everything about the bucket but its objects; of its documents only those that are named.

        Versioning and who pays for requests are always told.
        A document that may not be read, or that the endpoint fails to give, is listed under
        ``unreadable``; versioning must be readable, because deletion depends on it.
        """
        region = self.region(bucket)
        configuration: dict[DocumentName, Document] = {}
        absent: list[DocumentName] = []
        unreadable: list[DocumentName] = []
        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="facts") as pool:
            looks = [
                (name, pool.submit(self.document, bucket, name, region=region))
                for name in DOCUMENTS
                if name in documents or name in _ALWAYS
            ]
        for name, look in looks:
            try:
                found = look.result()
            except NotSupportedError:
                continue
            except (AccessDeniedError, EndpointError) as error:
                if isinstance(error, EndpointError) and (error.status or 0) < 500:
                    raise  # nobody answered: that says nothing about the document
                if name == "versioning":
                    raise
                unreadable.append(name)
                continue
            if found is None:
                absent.append(name)
            else:
                configuration[name] = found
        return BucketFacts(
            name=bucket,
            region=region,
            versioning=_versioning(configuration.get("versioning")),
            requester_pays=configuration.get("request-payment") == "Requester",
            object_lock="object-lock" in configuration,
            configuration=configuration,
            absent=tuple(absent),
            unreadable=tuple(unreadable),
        )

    def document(self, bucket: str, name: DocumentName, *, region: str | None = None) -> Document:
        """One document of the bucket's configuration as it stands; None where there is none.

        `NotSupportedError` where the endpoint does not know such documents. ``region`` saves asking
        for it.
        """
        access = DOCUMENTS[name]
        where = region or self._whereabouts(bucket)
        answer = self._bucket_call(access.read, bucket, where)
        found = None if answer is None else access.found(answer)
        while answer is not None and access.each and answer.get("NextContinuationToken"):
            token = answer["NextContinuationToken"]
            answer = self._bucket_call(access.read, bucket, where, ContinuationToken=token)
            found = [*(found or []), *((answer and access.found(answer)) or [])]
        return plain(found)

    def put_document(self, bucket: str, name: DocumentName, document: Document) -> None:
        """Replace one document, or remove it (None). The caller has looked at what it replaces.

        S3 offers no condition here, and may answer with the old document for a short while: read
        it back. `StoreError` where the document cannot be written or removed at all.
        """
        access = DOCUMENTS[name]
        region = self._whereabouts(bucket)
        if access.each is not None:
            self._put_each(bucket, region, access, document or [])
        elif document is None and access.remove is not None:
            # A server that does not know a subresource takes its DELETE for that of the bucket.
            if self.document(bucket, name, region=region) is not None:
                self._write(bucket, region, access.remove, {})
        elif access.put is None or (document is None and access.emptied is None):
            raise StoreError(
                f"the document {name} of a bucket cannot be {'written' if document else 'removed'}",
                address=f"s3://{bucket}",
                next_step="settle it by hand, where AWS offers a way",
            )
        else:
            told = access.emptied if document is None else completed(name, document)
            self._write(bucket, region, access.put.method, access.put.arguments(told))

    def _put_each(self, bucket: str, region: str, access: Access, wanted: list[Document]) -> None:
        """A list of configurations with ids: those that are wanted, and no other."""
        assert access.put is not None
        assert access.remove is not None
        there = self._bucket_call(access.read, bucket, region) or {}
        for one in wanted:
            self._write(bucket, region, access.put.method, access.put.arguments(one))
        kept = {one["Id"] for one in wanted}
        for one in plain(access.found(there)) or []:
            if one["Id"] not in kept:
                self._write(bucket, region, access.remove, {"Id": one["Id"]})

    def _write(self, bucket: str, region: str, method: str, arguments: dict[str, Any]) -> None:
        """Send a change of the configuration, again while S3 works on another one of the bucket.

        OperationAborted: "A conflicting conditional operation is currently in progress against this
        resource" (https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html).
        """
        action = "".join(word.capitalize() for word in method.split("_"))
        for pause in (*ABORTED_PAUSES, None):
            try:
                self._call(action, bucket, method, region=region, Bucket=bucket, **arguments)
            except StoreError as error:
                if error.s3_code != "OperationAborted" or pause is None:
                    raise
                time.sleep(pause)
            else:
                return

    def create_bucket(self, name: str, region: str, *, object_lock: bool = False) -> None:
        """An empty bucket in ``region``; the account's defaults apply (public access blocked).

        ``object_lock`` also enables versioning, for good.
        """
        arguments: dict[str, Any] = {"Bucket": name}
        if object_lock:
            arguments["ObjectLockEnabledForBucket"] = True
        if region != DEFAULT_REGION:
            arguments["CreateBucketConfiguration"] = {"LocationConstraint": region}
        self._call("CreateBucket", name, "create_bucket", region=region, owner=False, **arguments)

    def delete_bucket(self, name: str) -> None:
        """The empty bucket. Raises `NoSuchBucketError` when it is gone already."""
        self._call("DeleteBucket", name, "delete_bucket", region=self.region(name), Bucket=name)

    def identity(self) -> Identity:
        """sts:GetCallerIdentity; at a custom endpoint, asked of that endpoint."""
        answer = self._call("GetCallerIdentity", None, "get_caller_identity", service="sts")
        return Identity(account=str(answer["Account"]), arn=str(answer["Arn"]))

    def role_arn(self, name: str) -> str:
        """iam:GetRole: a role of this account by its ARN, whose path a session does not tell."""
        answer = self._call("GetRole", None, "get_role", service="iam", RoleName=name)
        return str(answer["Role"]["Arn"])

    def clock_ahead(self) -> float | None:
        """Seconds by which the endpoint's clock is ahead of this machine's; None: it does not tell.

        By the Date of any answer, a refusal too, which is in whole seconds.
        """
        from botocore.exceptions import BotoCoreError, ClientError

        subject = failures.Subject(None, None, "s3:ListAllMyBuckets")
        began = time.time()
        try:
            client = self._client("s3", self._resolver.settings.region)
            envelope = client.list_buckets().get("ResponseMetadata", {})
        except ClientError as error:
            envelope = error.response.get("ResponseMetadata", {})
        except BotoCoreError as error:
            raise _failed(error, subject, self._resolver.service().origin) from error
        told = http_date(envelope.get("HTTPHeaders", {}).get("date", ""))
        return None if told is None else told - (began + time.time()) / 2

    def policy_findings(self, document: str) -> tuple[PolicyFinding, ...]:
        """access-analyzer:ValidatePolicy of a bucket policy; the first page tells enough."""
        answer = self._call(
            "ValidatePolicy",
            None,
            "validate_policy",
            service="accessanalyzer",
            policyDocument=document,
            policyType="RESOURCE_POLICY",
            validatePolicyResourceType="AWS::S3::Bucket",
        )
        return tuple(
            PolicyFinding(str(one["findingType"]), str(one["findingDetails"]))
            for one in answer.get("findings", [])
        )

    def simulate(self, user: str, action: str, resource: str, document: str) -> str:
        """iam:SimulatePrincipalPolicy of one action with this bucket policy: the decision."""
        answer = self._call(
            "SimulatePrincipalPolicy",
            None,
            "simulate_principal_policy",
            service="iam",
            PolicySourceArn=user,
            CallerArn=user,
            ActionNames=[action],
            ResourceArns=[resource],
            ResourcePolicy=document,
            ContextEntries=[
                {
                    "ContextKeyName": name,
                    "ContextKeyValues": [value],
                    "ContextKeyType": kind,
                }
                for name, value, kind in (
                    ("aws:PrincipalArn", user, "string"),
                    ("aws:PrincipalIsAWSService", "false", "boolean"),
                    ("aws:SecureTransport", "true", "boolean"),
                )
            ],
        )
        return str(answer["EvaluationResults"][0]["EvalDecision"])

    def region(self, bucket: str) -> str:
        """Where the bucket is: HeadBucket's header, which needs no more than ListBucket."""
        configured = self._resolver.settings.region
        answer = self._call("ListBucket", bucket, "head_bucket", Bucket=bucket)
        return str(answer.get("BucketRegion") or configured)

    def _whereabouts(self, bucket: str) -> str:
        """The region of a bucket that the caller may not list: S3 tells it with the refusal, too.

        A policy that has just shut the caller out must still be replaced by the old one.
        """
        try:
            return self.region(bucket)
        except AccessDeniedError as error:
            answer = getattr(error.__cause__, "response", {})
            headers = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {})
            return str(headers.get("x-amz-bucket-region") or self._resolver.settings.region)

    def _bucket_call(
        self, method: str, bucket: str, region: str, **arguments: Any
    ) -> dict[str, Any] | None:
        """The answer without its envelope; None where there is no such document."""
        action = "".join(word.capitalize() for word in method.split("_"))
        try:
            answer = self._call(action, bucket, method, region=region, Bucket=bucket, **arguments)
        except NoSuchBucketError as error:
            if error.s3_code == "NoSuchBucket":
                raise
            return None
        except NoSuchKeyError:
            return None
        except StoreError as error:
            # NoSuchLifecycleConfiguration, NoSuchTagSet, ObjectLockConfigurationNotFoundError, ...
            if error.status == 404:
                return None
            raise
        return answer

    def _call(
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
            client = self._client(service, region or self._resolver.settings.region)
            answer: dict[str, Any] = getattr(client, method)(**arguments)
        except ClientError as error:
            raise _refused(error, subject, endpoint) from error
        except BotoCoreError as error:
            raise _failed(error, subject, endpoint) from error
        headers = answer.pop("ResponseMetadata", {}).get("HTTPHeaders", {})
        if method == "head_bucket":
            answer.setdefault("BucketRegion", headers.get("x-amz-bucket-region"))
        return answer

    def witness(self) -> Any:
        """A boto3 S3 client, for who must check the wire without sharing its code (the demo)."""
        return self._new_client(self._source.session, "s3", self._resolver.settings.region)

    def _client(self, service: str, region: str) -> Any:
        session = self._source.session
        with self._lock:
            known = self._clients.get((service, region))
            if known is None or known[0] is not session:
                made = self._new_client(session, service, region)
                made.meta.events.register_first("before-parse.s3", _answered_with_a_listing)
                made.meta.events.register("before-call.s3", _with_md5)
                known = (session, made)
                self._clients[service, region] = known
            return known[1]

    def _new_client(self, session: Any, service: str, region: str) -> Any:
        from boto3.session import Session
        from botocore.config import Config

        settings = self._resolver.settings
        origin = self._resolver.service().origin
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
            endpoint_url=settings.endpoint,
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


def _versioning(document: Document) -> Versioning:
    status = document.get("Status") if document else None
    if status == "Enabled":
        return "enabled"
    return "suspended" if status == "Suspended" else "never"


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
