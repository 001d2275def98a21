"""UpdateObjectEncryption: another key for an object, its data left where it is."""

from __future__ import annotations

import base64
import hashlib

from s3plan.store import documents
from s3plan.store.sender import Request, Sender

_NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"


async def update_encryption(
    sender: Sender, bucket: str, key: str, version: str | None, *, kms_key: str
) -> None:
    """Encrypt the object with the KMS key of that ARN from now on.

    ETag, checksums, class and dates stay as they are, archived objects need no restore, and doing
    it twice does what doing it once does
    (https://docs.aws.amazon.com/AmazonS3/latest/API/API_UpdateObjectEncryption.html). For AWS
    alone: a server that does not know the subresource may take this for a PUT of the object.
    Raises `NoSuchKeyError`.
    """
    body = (
        f'<ObjectEncryption xmlns="{_NAMESPACE}"><SSE-KMS><KMSKeyArn>{documents.escape(kms_key)}'
        "</KMSKeyArn></SSE-KMS></ObjectEncryption>"
    ).encode()
    md5 = base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()
    await sender.send(
        Request(
            "PUT",
            bucket,
            key,
            "s3:UpdateObjectEncryption",
            (("content-md5", md5), ("content-type", "application/xml")),
            query=(("encryption", ""), *((("versionId", version),) if version else ())),
            body=body,
            has_md5=True,
        )
    )
