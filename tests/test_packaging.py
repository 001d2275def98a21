"""What the package says it needs."""

from __future__ import annotations

from importlib import metadata

import botocore.session


def test_the_floor_of_boto3_is_the_first_that_knows_how_s3_stores_checksums() -> None:
    """D17: 1.34, which the replaced tool asked for, knows neither CRC64NVME nor its type."""
    (floor,) = (
        one for one in metadata.requires("s3plan") or () if one.startswith(("boto3>", "boto3 "))
    )
    assert floor == "boto3>=1.36.0"
    model = botocore.session.get_session().get_service_model("s3")
    known = model.operation_model("CompleteMultipartUpload").input_shape
    assert known is not None
    assert {"ChecksumCRC64NVME", "ChecksumType", "IfMatch"} <= known.members.keys()
