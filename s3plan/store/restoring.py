"""RestoreObject: asking for archived objects to be made readable."""

from __future__ import annotations

import base64
import hashlib
from typing import Literal

from s3plan.errors import ArchivedObjectError, StoreError
from s3plan.model.steps import Tier
from s3plan.store.sender import Request, Sender

RestoreAnswer = Literal["started", "extended", "ongoing", "no-capacity", "readable"]
"""``started``: 202, S3 retrieves it now. ``extended``: 200, a copy was there, and its expiry counts
from now. ``ongoing``: 409, somebody asked before. ``no-capacity``: 503, S3 has none left for
Expedited; nothing was begun. ``readable``: 403, the object is not archived (any more)."""

_STARTED = 202
_ONGOING_CODE = "RestoreAlreadyInProgress"
_NO_CAPACITY_CODE = "GlacierExpeditedRetrievalNotAvailable"


async def restore(
    sender: Sender, bucket: str, key: str, version: str | None, *, days: int | None, tier: Tier
) -> RestoreAnswer:
    """Ask for ``key``; ``days`` is None for INTELLIGENT_TIERING, which refuses to be told any.

    Asking twice does what asking once does, so a lost answer is asked again.
    https://docs.aws.amazon.com/AmazonS3/latest/API/API_RestoreObject.html. Raises `NoSuchKeyError`.
    """
    body = restore_document(days, tier)
    md5 = base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()
    query = (("restore", ""), *((("versionId", version),) if version is not None else ()))
    try:
        answer = await sender.send(
            Request(
                "POST",
                bucket,
                key,
                "s3:RestoreObject",
                (("content-md5", md5), ("content-type", "application/xml")),
                query=query,
                body=body,
                has_md5=True,
            )
        )
    except ArchivedObjectError:
        # InvalidObjectState, here: "Restore is not allowed for the object's current storage class".
        return "readable"
    except StoreError as error:
        if error.s3_code == _ONGOING_CODE:
            return "ongoing"
        if error.s3_code == _NO_CAPACITY_CODE and tier == "Expedited":
            return "no-capacity"
        raise
    return "started" if answer.status == _STARTED else "extended"


def restore_document(days: int | None, tier: Tier) -> bytes:
    """The body of RestoreObject."""
    lifetime = "" if days is None else f"<Days>{days}</Days>"
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<RestoreRequest xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
        f"{lifetime}<GlacierJobParameters><Tier>{tier}</Tier></GlacierJobParameters>"
        "</RestoreRequest>"
    ).encode()
