"""All that one object answers about itself: metadata, encryption, checksums, parts; as one text.

A listing has none of it.
"""

from __future__ import annotations

import msgspec
from msgspec import Struct, structs

from s3plan.errors import StoreError
from s3plan.model.objects import ObjectHead
from s3plan.rules.parts import count_of_parts
from s3plan.store import Bucket

_BAD_REQUEST = 400


class Asked(Struct, frozen=True):
    """What one object answered; its tags, where they were asked, are among the head's attributes.

    ``head`` is None for an object that only its owner's key opens (SSE-C). ``first_part`` is bytes:
    None where it was uploaded whole, 0 where the endpoint does not tell.
    """

    head: ObjectHead | None
    first_part: int | None = None


async def ask_form(bucket: Bucket, key: str, *, tags: bool) -> str:
    """JSON of an :class:`Asked`: a request, and one each for tags and for the first of parts."""
    try:
        head = await bucket.head(key)
    except StoreError as error:
        # Without its owner's key S3 answers 400
        # (https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html).
        if error.status != _BAD_REQUEST:
            raise
        return _written(Asked(None))
    if tags and head.tag_count != 0:
        found = await bucket.tags(key)
        head = structs.replace(head, attributes=structs.replace(head.attributes, tags=found))
    count = count_of_parts(head.etag) or 1
    if count == 1:
        return _written(Asked(head))
    first = await bucket.first_part(key, count, if_match=head.etag)
    return _written(Asked(head, first or 0))


def read_form(text: str) -> Asked:
    """A value of the table's column ``asked``."""
    return msgspec.json.decode(text, type=Asked)


def _written(asked: Asked) -> str:
    return msgspec.json.encode(asked).decode()
