"""Which documents make up a bucket's configuration, and which of their values are only defaults.

A default is what S3 gives every new bucket, so it need not be saved to make the bucket again.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

Extract = Callable[[dict[str, Any]], object]


def _whole(answer: dict[str, Any]) -> object:
    return answer or None


def _part(name: str) -> Extract:
    return lambda answer: answer.get(name) or None


def _policy(answer: dict[str, Any]) -> object:
    return json.loads(answer["Policy"])


def _encryption(answer: dict[str, Any]) -> object:
    # S3 encrypts every bucket with SSE-S3 since January 2023; that is nothing to save.
    rules = answer.get("ServerSideEncryptionConfiguration", {}).get("Rules", [])
    default = [
        rule.get("ApplyServerSideEncryptionByDefault") == {"SSEAlgorithm": "AES256"}
        and len(rules) == 1
        for rule in rules
    ]
    return None if all(default) else answer["ServerSideEncryptionConfiguration"]


def _ownership(answer: dict[str, Any]) -> object:
    controls = answer.get("OwnershipControls", {})
    # The default of every new bucket since April 2023.
    default = [{"ObjectOwnership": "BucketOwnerEnforced"}]
    return None if controls.get("Rules") == default else controls or None


def _replication(answer: dict[str, Any]) -> object:
    configuration = answer.get("ReplicationConfiguration", {})
    # Ceph RGW answers with an empty role and no rules where nothing was ever configured.
    return configuration if configuration.get("Rules") else None


def _public_access(answer: dict[str, Any]) -> object:
    block = answer.get("PublicAccessBlockConfiguration", {})
    # All four are on in every new bucket since April 2023.
    return None if len(block) == 4 and all(block.values()) else block or None


def _acceleration(answer: dict[str, Any]) -> object:
    return "Enabled" if answer.get("Status") == "Enabled" else None


def _acl(answer: dict[str, Any]) -> object:
    owner = answer.get("Owner", {}).get("ID")
    grants = answer.get("Grants", [])
    plain = len(grants) == 1 and grants[0].get("Permission") == "FULL_CONTROL"
    if not grants or (plain and grants[0].get("Grantee", {}).get("ID") == owner):
        return None
    return answer


DOCUMENTS: tuple[tuple[str, str, Extract], ...] = (
    ("policy", "get_bucket_policy", _policy),
    ("lifecycle", "get_bucket_lifecycle_configuration", _whole),
    ("tagging", "get_bucket_tagging", _part("TagSet")),
    ("encryption", "get_bucket_encryption", _encryption),
    ("cors", "get_bucket_cors", _part("CORSRules")),
    ("website", "get_bucket_website", _whole),
    ("logging", "get_bucket_logging", _part("LoggingEnabled")),
    ("notification", "get_bucket_notification_configuration", _whole),
    ("replication", "get_bucket_replication", _replication),
    ("ownership", "get_bucket_ownership_controls", _ownership),
    ("public-access-block", "get_public_access_block", _public_access),
    ("acl", "get_bucket_acl", _acl),
    ("accelerate", "get_bucket_accelerate_configuration", _acceleration),
    ("inventory", "list_bucket_inventory_configurations", _part("InventoryConfigurationList")),
    ("metrics", "list_bucket_metrics_configurations", _part("MetricsConfigurationList")),
    ("analytics", "list_bucket_analytics_configurations", _part("AnalyticsConfigurationList")),
    (
        "intelligent-tiering",
        "list_bucket_intelligent_tiering_configurations",
        _part("IntelligentTieringConfigurationList"),
    ),
)
"""Name in BucketFacts.configuration, client method, what of the answer is configuration."""
