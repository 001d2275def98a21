"""How one object takes another's place: by the one request that was seen to be refused too late.

A reader sees the old form or the new one, never neither: it is a single write. A writer who came
between is not written over where the endpoint honours If-Match in that request and two writers at
once cannot both have their way; whether it does, a probe tells.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from s3plan.model.capabilities import Capabilities, CapabilityName

Verb = Literal["put", "copy", "complete"]
"""``put``: the bytes are sent again; ``copy``: CopyObject; ``complete``: an upload of copied parts
is completed."""

LARGEST_COPY = 5 * 1024**3
"""Bytes of one CopyObject, and of one PUT
(https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html)."""

CONDITIONS: dict[Verb, CapabilityName] = {
    "put": "put-if-match",
    "copy": "copy-if-match",
    "complete": "complete-if-match",
}


class Way(Struct, frozen=True):
    """The request that a form takes its place by. Unless ``held``, what is written between the look
    at the key and the request is lost.
    """

    verb: Verb
    held: bool


def way_of(known: Capabilities, *, size: int, parts: int, largest_put: int) -> Way:
    """The way for an object of ``size`` bytes in ``parts`` parts (0 is one piece).

    In the order PUT of the bytes (up to ``largest_put``), CopyObject, completion of an upload. An
    object in parts keeps them, which only the last can do.
    """
    for verb in _possible(size, parts, largest_put):
        if known.holds(CONDITIONS[verb]):
            return Way(verb, held=True)
    copies = not parts and size <= LARGEST_COPY
    return Way("copy" if copies else "complete", held=False)


def _possible(size: int, parts: int, largest_put: int) -> list[Verb]:
    verbs: list[Verb] = []
    if not parts and size <= min(largest_put, LARGEST_COPY):
        verbs.append("put")
    if not parts and size <= LARGEST_COPY:
        verbs.append("copy")
    if size:
        verbs.append("complete")  # an upload needs a part, and none may be copied of no bytes
    return verbs
