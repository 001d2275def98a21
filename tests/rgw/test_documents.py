"""Documents on Ceph RGW 16: what it takes, what it answers, and a bucket that comes back."""

from __future__ import annotations

from typing import Any

import pytest

from s3plan.errors import StoreError
from s3plan.model.buckets import DocumentName
from s3plan.rules.bucketdocuments import same
from tests.servers import Server
from tests.store.test_configuration import EXAMPLES, control_of, example

LIFECYCLE = {
    "Rules": [
        {"Status": "Enabled", "Filter": {"Prefix": "raw/"}, "Expiration": {"Days": 30}},
        {
            "ID": "tagged",
            "Status": "Enabled",
            "Filter": {"And": {"Prefix": "a", "Tags": [{"Key": "k", "Value": "v"}]}},
            "Transitions": [{"Days": 7, "StorageClass": "DEEP_ARCHIVE"}],
        },
    ]
}


@pytest.mark.parametrize(
    ("name", "document"),
    [
        ("lifecycle", LIFECYCLE),
        ("policy", EXAMPLES["policy"]),
        ("tagging", EXAMPLES["tagging"]),
        ("cors", EXAMPLES["cors"]),
        ("public-access-block", EXAMPLES["public-access-block"]),
        ("versioning", {"Status": "Enabled"}),
        ("request-payment", "Requester"),
    ],
)
def test_what_is_read_is_what_was_put(rgw: Server, name: DocumentName, document: Any) -> None:
    plane = control_of(rgw)
    bucket = f"documents-{name}"
    plane.create_bucket(bucket, "us-east-1")
    before = plane.document(bucket, name)
    wanted = example(name, bucket) if document is EXAMPLES.get(name) else document
    plane.put_document(bucket, name, wanted)
    found = plane.document(bucket, name)
    assert same(name, found, wanted), found
    plane.put_document(bucket, name, found)
    assert same(name, plane.document(bucket, name), wanted), "what was read can be put"
    if name == "versioning":
        with pytest.raises(StoreError, match="cannot be removed"):
            plane.put_document(bucket, name, None)
    else:
        plane.put_document(bucket, name, None)
        assert same(name, plane.document(bucket, name), before)
    plane.delete_bucket(bucket)
