"""The sizes of the parts that an object was uploaded in, asked for part by part.

HeadObject with ``partNumber`` answers with the part's length and the number of parts
(https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadObject.html). It takes no more permission
than reading the object does, unlike GetObjectAttributes, which tells parts only of objects with an
additional checksum. An endpoint that does not know the parameter answers with the whole object.
"""

from __future__ import annotations

import asyncio

from msgspec import structs

from s3plan.errors import AccessDeniedError, PreconditionFailedError, StoreError
from s3plan.store.sender import Request, Sender

IN_FLIGHT = 16
"""Parts asked about at once."""


async def sizes(sender: Sender, head: Request, count: int) -> tuple[int, ...] | None:
    """Bytes of each of ``count`` parts, in order; None where any of them is not told.

    ``head`` is the request for the whole object. An endpoint that refuses the question does not
    tell; that the object is another one, or may not be read, is raised.
    """
    # One alone first: most endpoints that do not tell say so at once.
    first = await _size(sender, head, 1, count)
    if first is None:
        return None
    gate = asyncio.Semaphore(IN_FLIGHT)

    async def ask(number: int) -> int | None:
        async with gate:
            return await _size(sender, head, number, count)

    others = await asyncio.gather(*[ask(number) for number in range(2, count + 1)])
    told = [size for size in (first, *others) if size is not None]
    return tuple(told) if len(told) == count else None


async def first(sender: Sender, head: Request, count: int) -> int | None:
    """Bytes of the first of ``count`` parts; None where it is not told."""
    return await _size(sender, head, 1, count)


async def _size(sender: Sender, head: Request, number: int, count: int) -> int | None:
    asked = structs.replace(head, query=(*head.query, ("partNumber", str(number))), partial=True)
    try:
        answer = await sender.send(asked)
    except (PreconditionFailedError, AccessDeniedError):
        raise
    except StoreError as error:
        if error.status is not None and (400 <= error.status < 500 or error.status == 501):
            return None
        raise
    length = answer.headers.get("content-length", "")
    if answer.headers.get("x-amz-mp-parts-count") != str(count) or not length.isdecimal():
        return None
    return int(length)
