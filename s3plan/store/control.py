"""The control plane over boto3: bucket configuration, creation and deletion, identity.

Synchronous; callers run it in threads.
"""

from __future__ import annotations

import time
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from s3plan.errors import (
    AccessDeniedError,
    EndpointError,
    NoSuchBucketError,
    NoSuchKeyError,
    NotSupportedError,
    StoreError,
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
from s3plan.store.clients import Clients
from s3plan.store.configuration import DOCUMENTS, Access, plain
from s3plan.store.endpoint import DEFAULT_REGION
from s3plan.store.retry import http_date

_AT_ONCE = 8
"""Documents of one bucket that are asked for at once."""

ABORTED_PAUSES = (1.0, 2.0, 4.0, 8.0)
"""Seconds between attempts while S3 works on another change of the same bucket."""


_ALWAYS: frozenset[DocumentName] = frozenset({"request-payment", "versioning"})
"""Documents without which nothing can be decided about a bucket."""


class Control:
    """Rare calls. Thread-safe; every method may raise any `StoreError`."""

    def __init__(self, clients: Clients) -> None:
        """Calls nothing yet."""
        self._clients = clients

    @property
    def account(self) -> str | None:
        """Whose buckets these are expected to be; every request on one says so."""
        return self._clients.account

    @account.setter
    def account(self, account: str | None) -> None:
        self._clients.account = account

    def witness(self) -> Any:
        """A boto3 S3 client, for who must check the wire without sharing its code (the demo)."""
        return self._clients.witness()

    def list_buckets(self) -> tuple[str, ...]:
        """Names of all buckets of the account, in byte order."""
        names: list[str] = []
        token: dict[str, Any] = {}
        while True:
            answer = self._clients.call("ListAllMyBuckets", None, "list_buckets", **token)
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
                self._clients.call(
                    action, bucket, method, region=region, Bucket=bucket, **arguments
                )
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
        self._clients.call(
            "CreateBucket", name, "create_bucket", region=region, owner=False, **arguments
        )

    def delete_bucket(self, name: str) -> None:
        """The empty bucket. Raises `NoSuchBucketError` when it is gone already."""
        self._clients.call(
            "DeleteBucket", name, "delete_bucket", region=self.region(name), Bucket=name
        )

    def identity(self) -> Identity:
        """sts:GetCallerIdentity; at a custom endpoint, asked of that endpoint."""
        answer = self._clients.call("GetCallerIdentity", None, "get_caller_identity", service="sts")
        return Identity(account=str(answer["Account"]), arn=str(answer["Arn"]))

    def role_arn(self, name: str) -> str:
        """iam:GetRole: a role of this account by its ARN, whose path a session does not tell."""
        answer = self._clients.call("GetRole", None, "get_role", service="iam", RoleName=name)
        return str(answer["Role"]["Arn"])

    def clock_ahead(self) -> float | None:
        """Seconds by which the endpoint's clock is ahead of this machine's; None: it does not tell.

        By the Date of any answer, a refusal too, which is in whole seconds.
        """
        began = time.time()
        told = http_date(self._clients.date())
        return None if told is None else told - (began + time.time()) / 2

    def policy_findings(self, document: str) -> tuple[PolicyFinding, ...]:
        """access-analyzer:ValidatePolicy of a bucket policy; the first page tells enough."""
        answer = self._clients.call(
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
        answer = self._clients.call(
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
        configured = self._clients.region
        answer = self._clients.call("ListBucket", bucket, "head_bucket", Bucket=bucket)
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
            return str(headers.get("x-amz-bucket-region") or self._clients.region)

    def _bucket_call(
        self, method: str, bucket: str, region: str, **arguments: Any
    ) -> dict[str, Any] | None:
        """The answer without its envelope; None where there is no such document."""
        action = "".join(word.capitalize() for word in method.split("_"))
        try:
            answer = self._clients.call(
                action, bucket, method, region=region, Bucket=bucket, **arguments
            )
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


def _versioning(document: Document) -> Versioning:
    status = document.get("Status") if document else None
    if status == "Enabled":
        return "enabled"
    return "suspended" if status == "Suspended" else "never"
