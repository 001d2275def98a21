"""Bytes that change on their way: an object read in ranges, decoded, encoded, sent in parts.

One object is one thread, which waits for the loop to fetch and to send; what is in memory is a
range, a buffer of each codec, and a part, which goes to a file where it is large. Every range pins
its source, and what was read is held to the evidence that S3 keeps of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import TypeVar

from msgspec import Struct

from s3plan.engine.context import Context
from s3plan.engine.layout.codecs import CHUNK, Reader, codec_named
from s3plan.engine.layout.failing import Differs
from s3plan.engine.layout.forms import Form
from s3plan.engine.layout.streams import RANGE, Digested, Stored
from s3plan.engine.layout.writing import IN_MEMORY, Writing, check_room
from s3plan.model.layout import Recipe
from s3plan.model.objects import Checksum, Kind, ObjectAttributes
from s3plan.model.steps import Step
from s3plan.rules.codecs import CodecName, codecs_after, codecs_of, coded_attributes, content_of
from s3plan.rules.integrity import FALLBACK, evidence_of
from s3plan.store import Bucket, part_size

PART = 16 << 20
"""Bytes of a part where nothing says another size."""

AT_ONCE = 4
"""Objects whose bytes change side by side, where memory suffices for each."""

EACH = RANGE + 2 * IN_MEMORY
"""Bytes that one of them may take: a range, and the first two parts, which tell whether there are
several."""

Result = TypeVar("Result")


class Content(Struct, frozen=True):
    """What an object holds, whatever its bytes: a digest of it, and its size."""

    digest: Checksum
    size: int


class Coder:
    """Reads and writes the coded objects of one step."""

    def __init__(self, context: Context, step: Step, bucket: Bucket, recipe: Recipe) -> None:
        self._context = context
        self._step = step
        self._bucket = bucket
        self._recipe = recipe

    @cached_property
    def _pool(self) -> ThreadPoolExecutor:
        # Its own: these threads wait for requests, which need the loop's threads themselves.
        count = side_by_side(self._context.plan.header.connection.limits.memory)
        return ThreadPoolExecutor(count, thread_name_prefix="coder")

    def close(self) -> None:
        """End the threads; none is at work any more."""
        if "_pool" in self.__dict__:
            self._pool.shutdown()

    async def content(self, form: Form, kind: Kind | None = None) -> Content:
        """What an object holds: read and decoded, unless S3 keeps a digest of this kind of it.

        Raises CodecError where it cannot be decoded, Differs where its bytes are not those that S3
        keeps evidence of, PreconditionFailedError where it is another one by now.
        """
        codecs = coded(form)
        known = None if codecs else evidence_of(form.head, form.parts)
        wanted = kind or (known.kind if known and not known.parts else FALLBACK)
        if known is not None and known.kind == wanted:
            return Content(known, form.head.size)
        return await self._in_thread(lambda loop: self._read(loop, form, wanted))

    async def write(self, n: int, key: str, form: Form, attributes: ObjectAttributes) -> None:
        """Make the object with the form's content, coded as the recipe says, where nothing is.

        Raises the same; PreconditionFailedError also where the key is in use; OutcomeUnknownError;
        Refused, before anything is read, where its parts find no room on this machine.
        """
        recipe = self._recipe
        self._check_room(form)
        told = content_of(form.attributes) if coded(form) else None
        content = await self.content(form, told.kind if told else None)
        if told is not None and told != content.digest:
            raise Differs("it does not hold the content that its metadata tells")
        after = codecs_after(recipe, coded(form))
        wanted = coded_attributes(
            attributes, after, content.digest, content.size, recipe.recipients or ()
        )
        place = (self._bucket, key)
        writing = Writing(self._context, self._step, place, n, wanted, recipe.checksum)
        await self._in_thread(lambda loop: self._write(loop, form, after, content, writing))

    def _check_room(self, form: Form) -> None:
        # What is compressed may become anything; what is not, hardly more than it is.
        held = 2 * self._part_size(form)
        check_room(self._context.scratch, held if coded(form) else min(held, form.head.size))

    async def _in_thread(self, work: Callable[[asyncio.AbstractEventLoop], Result]) -> Result:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, work, loop)

    # -- in a thread ---------------------------------------------------------------------------

    def _read(self, loop: asyncio.AbstractEventLoop, form: Form, kind: Kind) -> Content:
        stored = Stored(loop, self._context, self._bucket, form)
        content = Digested(self._decoded(stored, coded(form)), kind)
        with stored.own_errors():
            while content.read(CHUNK):
                pass
        stored.check()
        return Content(content.checksum(), content.size)

    def _write(
        self,
        loop: asyncio.AbstractEventLoop,
        form: Form,
        after: tuple[CodecName, ...],
        content: Content,
        writing: Writing,
    ) -> None:
        stored = Stored(loop, self._context, self._bucket, form)
        plain = Digested(self._decoded(stored, coded(form)), content.digest.kind)
        stream: Reader = plain
        for name in after:
            stream = codec_named(name, self._recipe).encoded(stream)

        def check() -> None:
            """Before the object exists: all of it was read, and it was the content."""
            stored.check()
            if (plain.checksum(), plain.size) != (content.digest, content.size):
                raise Differs("its content was another one when it was read again")

        with stored.own_errors():
            writing.send(loop, stream, self._part_size(form), check)

    def _decoded(self, stored: Reader, codecs: tuple[CodecName, ...]) -> Reader:
        stream = stored
        for name in reversed(codecs):
            stream = codec_named(name, self._recipe).decoded(stream)
        return stream

    def _part_size(self, form: Form) -> int:
        wanted = self._recipe.part_size or max(PART, *form.parts[:1], 0)
        return part_size(form.head.size, wanted)


def side_by_side(memory: int) -> int:
    """How many objects may be coded at once within so many bytes."""
    return max(1, min(AT_ONCE, memory // EACH))


def coded(form: Form) -> tuple[CodecName, ...]:
    """The codecs of a form. Raises Differs for one that is not known."""
    codecs = codecs_of(form.attributes)
    if codecs is None:
        raise Differs("it is coded in a way that is not known")
    return codecs
