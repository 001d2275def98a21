"""Every document of a bucket's configuration: what is read is what was put, and it can go again."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from s3plan.errors import NotSupportedError, StoreError
from s3plan.model.buckets import DocumentName
from s3plan.model.connection import Connection
from s3plan.rules.bucketdocuments import same
from s3plan.store import Control, Store, control
from s3plan.store.clients import Clients
from s3plan.store.configuration import DOCUMENTS
from tests.servers import Server

_NUMBERS = itertools.count()
OWNER = "75aa57f09aa0c8caeab4f8c24e99d10f8e7faeebf76c078efc7c6caea54ba06a"
"""The canonical user that moto makes the owner of everything."""

EXAMPLES: dict[DocumentName, Any] = {
    "policy": {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "Read",
                "Effect": "Allow",
                "Principal": {"AWS": "arn:aws:iam::111122223333:root"},
                "Action": "s3:GetObject",
                "Resource": "arn:aws:s3:::BUCKET/*",
            }
        ],
    },
    "lifecycle": {
        "Rules": [
            {"Status": "Enabled", "Prefix": "old-form/", "Expiration": {"Days": 1}},
            {
                "ID": "dated",
                "Status": "Disabled",
                "Filter": {"Prefix": ""},
                "Expiration": {"Date": "2030-01-01T00:00:00Z"},
            },
            {
                "Status": "Enabled",
                "Filter": {"Tag": {"Key": "archive", "Value": "fast"}},
                "Transitions": [
                    {"Days": 90, "StorageClass": "DEEP_ARCHIVE"},
                    {"Days": 30, "StorageClass": "STANDARD_IA"},
                ],
                "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 7},
                "NoncurrentVersionExpiration": {"NoncurrentDays": 30},
            },
        ]
    },
    "tagging": [{"Key": "b", "Value": "2"}, {"Key": "a", "Value": "1"}],
    "encryption": {
        "Rules": [
            {
                "ApplyServerSideEncryptionByDefault": {
                    "SSEAlgorithm": "aws:kms",
                    "KMSMasterKeyID": "arn:aws:kms:us-east-1:123456789012:key/k",
                },
                "BucketKeyEnabled": True,
            }
        ]
    },
    "cors": [
        {"AllowedMethods": ["GET", "PUT"], "AllowedOrigins": ["https://example.org"]},
        {"AllowedMethods": ["GET"], "AllowedOrigins": ["*"], "MaxAgeSeconds": 60},
    ],
    "website": {"IndexDocument": {"Suffix": "index.html"}, "ErrorDocument": {"Key": "error.html"}},
    "logging": {"TargetBucket": "TARGET", "TargetPrefix": "log/"},
    "notification": {
        "QueueConfigurations": [
            {
                "QueueArn": "arn:aws:sqs:us-east-1:123456789012:queue",
                "Events": ["s3:ObjectRemoved:*", "s3:ObjectCreated:*"],
                "Filter": {"Key": {"FilterRules": [{"Name": "prefix", "Value": "in/"}]}},
            }
        ]
    },
    "replication": {
        "Role": "arn:aws:iam::123456789012:role/replicate",
        "Rules": [
            {
                "Status": "Enabled",
                "Priority": 1,
                "Filter": {"Prefix": ""},
                "DeleteMarkerReplication": {"Status": "Disabled"},
                "Destination": {"Bucket": "arn:aws:s3:::BUCKET"},
            }
        ],
    },
    "ownership": {"Rules": [{"ObjectOwnership": "BucketOwnerPreferred"}]},
    "public-access-block": {
        "BlockPublicAcls": True,
        "IgnorePublicAcls": False,
        "BlockPublicPolicy": True,
        "RestrictPublicBuckets": False,
    },
    "acl": {
        "Owner": {"ID": OWNER},
        "Grants": [
            {"Grantee": {"Type": "CanonicalUser", "ID": OWNER}, "Permission": "FULL_CONTROL"},
            {
                "Grantee": {
                    "Type": "Group",
                    "URI": "http://acs.amazonaws.com/groups/s3/LogDelivery",
                },
                "Permission": "WRITE",
            },
            {
                "Grantee": {
                    "Type": "Group",
                    "URI": "http://acs.amazonaws.com/groups/s3/LogDelivery",
                },
                "Permission": "READ_ACP",
            },
        ],
    },
    "accelerate": "Enabled",
    "request-payment": "Requester",
    "versioning": {"Status": "Enabled"},
    "object-lock": {
        "ObjectLockEnabled": "Enabled",
        "Rule": {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 1}},
    },
    "inventory": [
        {
            "Id": "weekly",
            "IsEnabled": True,
            "IncludedObjectVersions": "All",
            "Schedule": {"Frequency": "Weekly"},
            "Destination": {
                "S3BucketDestination": {"Bucket": "arn:aws:s3:::BUCKET", "Format": "CSV"}
            },
        }
    ],
    "metrics": [{"Id": "all"}],
    "analytics": [{"Id": "all", "StorageClassAnalysis": {}}],
    "intelligent-tiering": [
        {
            "Id": "deep",
            "Status": "Enabled",
            "Tierings": [{"Days": 180, "AccessTier": "DEEP_ARCHIVE_ACCESS"}],
        }
    ],
    "abac": "Enabled",
}

UNKNOWN_TO_MOTO = frozenset(
    {"abac", "analytics", "intelligent-tiering", "metrics", "request-payment"}
)
"""moto 5.2 takes these for a new bucket, or answers with a listing."""

STAYS = frozenset({"versioning", "object-lock"})
"""What S3 never makes absent again."""


DELETES_THE_BUCKET = "inventory"
"""To moto 5.2 DELETE ?inventory is the deletion of the bucket, as DELETE with a subresource that a
server does not know may be. So s3plan removes nothing that the endpoint did not tell of before."""


def example(name: DocumentName, bucket: str, logs: str = "") -> Any:
    """The example with the bucket's name in it, and that of the bucket for its logs."""

    def named(value: Any) -> Any:
        if isinstance(value, str):
            return value.replace("BUCKET", bucket).replace("TARGET", logs or bucket)
        if isinstance(value, list):
            return [named(one) for one in value]
        return {key: named(one) for key, one in value.items()} if isinstance(value, dict) else value

    return named(EXAMPLES[name])


def control_of(server: Server) -> Control:
    """The control plane of a server."""
    return Store(
        Connection(endpoint=server.endpoint, region=server.region), environ=server.environ
    ).control


def test_every_document_has_an_example() -> None:
    assert {*EXAMPLES, "metadata-tables"} == {*DOCUMENTS}


@pytest.mark.parametrize("name", sorted({*EXAMPLES} - UNKNOWN_TO_MOTO))
def test_what_is_read_is_what_was_put(moto_server: Server, name: DocumentName) -> None:
    plane = control_of(moto_server)
    plane.create_bucket("documents", "us-east-1")
    if name in ("replication", "object-lock"):
        plane.put_document("documents", "versioning", {"Status": "Enabled"})
    if name == "logging":
        plane.put_document("documents", "acl", example("acl", "documents"))
    before = plane.document("documents", name)
    wanted = example(name, "documents")
    plane.put_document("documents", name, wanted)
    found = plane.document("documents", name)
    assert same(name, found, wanted), found
    plane.put_document("documents", name, found)
    assert plane.document("documents", name) == found, "what was read can be put as it is"
    if name in STAYS:
        with pytest.raises(StoreError, match="cannot be removed"):
            plane.put_document("documents", name, None)
    elif name != DELETES_THE_BUCKET:
        plane.put_document("documents", name, None)
        assert same(name, plane.document("documents", name), before)


def test_what_an_endpoint_does_not_know_is_neither_there_nor_absent(seaweed: Server) -> None:
    plane = control_of(seaweed)
    bucket = f"documents-{next(_NUMBERS)}"
    plane.create_bucket(bucket, "us-east-1")
    facts = plane.facts(bucket)
    assert "public-access-block" not in {*facts.configuration, *facts.absent, *facts.unreadable}
    with pytest.raises(NotSupportedError):
        plane.document(bucket, "public-access-block")
    with pytest.raises(NotSupportedError):
        plane.put_document(bucket, "public-access-block", {"BlockPublicAcls": True})
    plane.put_document(bucket, "policy", example("policy", bucket))
    assert same("policy", plane.document(bucket, "policy"), example("policy", bucket))
    plane.delete_bucket(bucket)


def test_a_conflicting_operation_is_waited_for(
    moto_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OperationAborted: S3 works on another change of the bucket."""
    plane = control_of(moto_server)
    plane.create_bucket("aborted", "us-east-1")
    monkeypatch.setattr(control, "ABORTED_PAUSES", (0.0, 0.0))
    refusals = [StoreError("refused", s3_code="OperationAborted") for _ in range(2)]
    real = Clients.call

    def call(self: Clients, action: str, bucket: str, method: str, **rest: Any) -> Any:
        if method.startswith("put") and refusals:
            raise refusals.pop()
        return real(self, action, bucket, method, **rest)

    monkeypatch.setattr(Clients, "call", call)
    plane.put_document("aborted", "tagging", [{"Key": "k", "Value": "v"}])
    assert not refusals
    assert plane.document("aborted", "tagging") == [{"Key": "k", "Value": "v"}]
