"""How each document of a bucket's configuration is read, written and removed over boto3.

Names, parameters and answers are those of the S3 API; what the documents mean is said in
:mod:`s3plan.rules.bucketdocuments`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from s3plan.model.buckets import Document, DocumentName
from s3plan.rules.bucketdocuments import text

Arguments = dict[str, Any]


class Written(NamedTuple):
    """The client method that writes a document, and its arguments for one."""

    method: str
    arguments: Callable[[Document], Arguments]


class Access(NamedTuple):
    """How one document is handled.

    ``read`` is a client method, ``found`` what of its answer counts. ``put`` None cannot be
    written. ``remove`` is a client method where there is one; otherwise ``emptied`` is what is put
    instead, None where nothing makes the document absent again. ``each`` names the key that tells
    the entries of a list apart, which are put one by one.
    """

    read: str
    found: Callable[[Mapping[str, Any]], Document]
    put: Written | None
    remove: str | None = None
    emptied: Document = None
    each: str | None = None


def _part(*names: str) -> Callable[[Mapping[str, Any]], Document]:
    def found(answer: Mapping[str, Any]) -> Document:
        value: Any = answer
        for name in names:
            value = value.get(name) or {}
        return value or None

    return found


def _whole(answer: Mapping[str, Any]) -> Document:
    return dict(answer) or None


def _policy(answer: Mapping[str, Any]) -> Document:
    return json.loads(answer["Policy"])


def _replication(answer: Mapping[str, Any]) -> Document:
    configuration = answer.get("ReplicationConfiguration", {})
    # Ceph RGW answers with an empty role and no rules where nothing was ever configured.
    return configuration if configuration.get("Rules") else None


def _versioning(answer: Mapping[str, Any]) -> Document:
    return {key: answer[key] for key in ("Status", "MFADelete") if answer.get(key)} or None


def _lifecycle(document: Document) -> Arguments:
    size = document.get("TransitionDefaultMinimumObjectSize")
    told = {"TransitionDefaultMinimumObjectSize": size} if size else {}
    return {"LifecycleConfiguration": {"Rules": document["Rules"]}, **told}


def _under(*names: str) -> Callable[[Document], Arguments]:
    def arguments(document: Document) -> Arguments:
        value: Any = document
        for name in reversed(names):
            value = {name: value}
        return dict(value)

    return arguments


def _listed(kind: str) -> Access:
    """A document that is a list of configurations, each with an id and put by itself."""
    snake = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in kind)
    return Access(
        f"list_bucket{snake}_configurations",
        _part(f"{kind}ConfigurationList"),
        Written(
            f"put_bucket{snake}_configuration",
            lambda one: {"Id": one["Id"], f"{kind}Configuration": one},
        ),
        remove=f"delete_bucket{snake}_configuration",
        each="Id",
    )


DOCUMENTS: Mapping[DocumentName, Access] = {
    "policy": Access(
        "get_bucket_policy",
        _policy,
        Written("put_bucket_policy", lambda document: {"Policy": text(document)}),
        remove="delete_bucket_policy",
    ),
    "lifecycle": Access(
        "get_bucket_lifecycle_configuration",
        _whole,
        Written("put_bucket_lifecycle_configuration", _lifecycle),
        remove="delete_bucket_lifecycle",
    ),
    "tagging": Access(
        "get_bucket_tagging",
        _part("TagSet"),
        Written("put_bucket_tagging", _under("Tagging", "TagSet")),
        remove="delete_bucket_tagging",
    ),
    "encryption": Access(
        "get_bucket_encryption",
        _part("ServerSideEncryptionConfiguration"),
        Written("put_bucket_encryption", _under("ServerSideEncryptionConfiguration")),
        remove="delete_bucket_encryption",
    ),
    "cors": Access(
        "get_bucket_cors",
        _part("CORSRules"),
        Written("put_bucket_cors", _under("CORSConfiguration", "CORSRules")),
        remove="delete_bucket_cors",
    ),
    "website": Access(
        "get_bucket_website",
        _whole,
        Written("put_bucket_website", _under("WebsiteConfiguration")),
        remove="delete_bucket_website",
    ),
    "logging": Access(
        "get_bucket_logging",
        _part("LoggingEnabled"),
        Written(
            "put_bucket_logging",
            lambda document: {"BucketLoggingStatus": document and {"LoggingEnabled": document}},
        ),
        emptied={},
    ),
    "notification": Access(
        "get_bucket_notification_configuration",
        _whole,
        Written("put_bucket_notification_configuration", _under("NotificationConfiguration")),
        emptied={},
    ),
    "replication": Access(
        "get_bucket_replication",
        _replication,
        Written("put_bucket_replication", _under("ReplicationConfiguration")),
        remove="delete_bucket_replication",
    ),
    "ownership": Access(
        "get_bucket_ownership_controls",
        _part("OwnershipControls"),
        Written("put_bucket_ownership_controls", _under("OwnershipControls")),
        remove="delete_bucket_ownership_controls",
    ),
    "public-access-block": Access(
        "get_public_access_block",
        _part("PublicAccessBlockConfiguration"),
        Written("put_public_access_block", _under("PublicAccessBlockConfiguration")),
        remove="delete_public_access_block",
    ),
    "acl": Access(
        "get_bucket_acl",
        _whole,
        Written(
            "put_bucket_acl",
            lambda document: {"AccessControlPolicy": document} if document else {"ACL": "private"},
        ),
        emptied={},
    ),
    "accelerate": Access(
        "get_bucket_accelerate_configuration",
        _part("Status"),
        Written("put_bucket_accelerate_configuration", _under("AccelerateConfiguration", "Status")),
        emptied="Suspended",
    ),
    "versioning": Access(
        "get_bucket_versioning",
        _versioning,
        Written("put_bucket_versioning", _under("VersioningConfiguration")),
    ),
    "request-payment": Access(
        "get_bucket_request_payment",
        _part("Payer"),
        Written("put_bucket_request_payment", _under("RequestPaymentConfiguration", "Payer")),
        emptied="BucketOwner",
    ),
    "object-lock": Access(
        "get_object_lock_configuration",
        _part("ObjectLockConfiguration"),
        Written("put_object_lock_configuration", _under("ObjectLockConfiguration")),
    ),
    "abac": Access(
        "get_bucket_abac",
        _part("AbacStatus", "Status"),
        Written("put_bucket_abac", _under("AbacStatus", "Status")),
        emptied="Disabled",
    ),
    "inventory": _listed("Inventory"),
    "metrics": _listed("Metrics"),
    "analytics": _listed("Analytics"),
    "intelligent-tiering": _listed("IntelligentTiering"),
    "metadata-tables": Access(
        "get_bucket_metadata_configuration",
        _part("GetBucketMetadataConfigurationResult", "MetadataConfigurationResult"),
        None,
    ),
}


def plain(value: Any) -> Document:
    """What boto3 parsed, as JSON can hold it."""
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items() if inner is not None}
    if isinstance(value, (list, tuple)):
        return [plain(inner) for inner in value]
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return value
