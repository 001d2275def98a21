"""Which classes must be restored first, and which buckets are of another kind."""

from __future__ import annotations

import botocore.loaders

from s3plan.rules.classes import ARCHIVED_CLASSES, is_directory_bucket


def test_archived_classes_are_names_of_the_service_model() -> None:
    model = botocore.loaders.Loader().load_service_model("s3", "service-2")
    assert ARCHIVED_CLASSES.issubset(model["shapes"]["StorageClass"]["enum"])
    assert "GLACIER_IR" not in ARCHIVED_CLASSES


def test_directory_buckets_are_known_by_their_suffix() -> None:
    assert is_directory_bucket("logs--usw2-az1--x-s3")
    assert not is_directory_bucket("logs-x-s3")
