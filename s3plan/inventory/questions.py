"""What a listing does not tell of single objects: asked of S3 one by one, and only where a planner
needs to know. The answers are rows of tables, as listings are.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, assert_never

from msgspec import Struct

from s3plan.errors import NoSuchKeyError, PreconditionFailedError
from s3plan.inventory.forms import ask_form
from s3plan.model.events import AnyEvent, Scanning
from s3plan.model.objects import ObjectHead
from s3plan.store import Bucket, HashSink
from s3plan.tables import DIGESTS, FORMS, HEADS, OBJECT_TAGS, Database, TableDef

REQUESTS = 32
"""In flight at once."""

READS = 4
"""Objects that are read at once."""

About = Literal["heads", "tags", "stored-digests", "digests", "forms", "tagged-forms"]
"""``heads``: HeadObject into ``heads``; ``tags``: GetObjectTagging into ``object_tags``. Into
``forms``: ``forms`` is all that HeadObject tells, and the size of the first of several parts;
``tagged-forms`` the same with the tags. Into
``digests``: ``stored-digests`` is the SHA-256 that S3 has of the whole object, ``digests`` that of
all of it read."""


class Question(Struct, frozen=True):
    """One request for each row of ``query``, whose columns are key, etag and size in bytes.

    ``words`` names the objects for the person who waits.
    """

    bucket: str
    about: About
    query: str
    values: Mapping[str, object]
    words: str


@dataclass(frozen=True, slots=True)
class Inquiry:
    """What a manifest needs to know. ``questions`` gives one question after the other from what was
    listed and answered so far; ``about`` is all that they may be about.
    """

    about: tuple[About, ...]
    questions: Callable[[Database], Iterator[Question]]

    def without(self, about: About) -> Inquiry:
        """The same, but for the questions about this."""
        return Inquiry(
            tuple(one for one in self.about if one != about),
            lambda database: (one for one in self.questions(database) if one.about != about),
        )


async def answer(
    question: Question, bucket: Bucket, database: Database, observer: Callable[[AnyEvent], None]
) -> None:
    """Fill the table. Of an object that is gone, or another one, since the listing: no row.

    Raises a StoreError where one cannot be asked: what is not known must not look like nothing.
    """
    gate = asyncio.Semaphore(READS if question.about == "digests" else REQUESTS)
    table = _table(question.about)

    async def ask(key: str, etag: str) -> tuple[str, ...] | None:
        async with gate:
            try:
                return await _told(question.about, bucket, key, etag)
            except (NoSuchKeyError, PreconditionFailedError):
                return None

    looked = volume = 0
    batches = database.batches(question.query, dict(question.values))
    while batch := await asyncio.to_thread(next, batches, None):
        told = await asyncio.gather(*[ask(key, etag) for key, etag, _ in batch])
        known = [(row[0], *one) for row, one in zip(batch, told, strict=True) if one is not None]
        if known:
            names = [column.name for column in table.columns[1:]]
            columns = dict(zip(names, map(list, zip(*known, strict=True)), strict=True))
            database.append(table, columns, {"bucket": bucket.name})
        looked += len(batch)
        volume += sum(size for *_, size in batch)
        observer(Scanning(question.words, looked, volume))
    if looked:
        observer(Scanning(question.words, looked, volume, finished=True))


def _table(about: About) -> TableDef:
    match about:
        case "heads":
            return HEADS
        case "tags":
            return OBJECT_TAGS
        case "stored-digests" | "digests":
            return DIGESTS
        case "forms" | "tagged-forms":
            return FORMS
        case _:
            assert_never(about)


async def _told(about: About, bucket: Bucket, key: str, etag: str) -> tuple[str, ...] | None:
    """The answer as the table's columns after bucket and key."""
    match about:
        case "heads":
            head = await bucket.head(key)
            sums = {one.algorithm: one.value for one in head.checksums}
            known = head.attributes
            return known.headers.get("content-type", ""), json.dumps(sums), known.encryption or ""
        case "tags":
            return (json.dumps(await bucket.tags(key), ensure_ascii=False),)
        case "stored-digests":
            return _stored_digest(await bucket.head(key), etag)
        case "digests":
            sink = HashSink(("SHA256", ""))
            await bucket.get_to(key, sink, if_match=etag)
            return (_hex(sink.checksum().value),)
        case "forms" | "tagged-forms":
            return (await ask_form(bucket, key, tags=about == "tagged-forms"),)
        case _:
            assert_never(about)


def _stored_digest(head: ObjectHead, etag: str) -> tuple[str, ...] | None:
    if head.etag != etag:
        return None
    found = (known.value for known in head.checksums if known.algorithm == "SHA256")
    value = next(found, None)
    return (_hex(value),) if value is not None else None


def _hex(value: str) -> str:
    return base64.b64decode(value).hex()
