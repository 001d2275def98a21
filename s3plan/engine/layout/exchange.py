"""One form of an object put in the place of another: a single write that expects what it replaces.

Both ways: the staged form when the layout changes, the old one when that is taken back.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress

from msgspec import Struct, structs

from s3plan.engine.context import Context
from s3plan.engine.layout.failing import Differs, Refused
from s3plan.engine.layout.forms import Form, source_of
from s3plan.engine.partwise import begin_upload, copy_parts
from s3plan.errors import OutcomeUnknownError, StoreError
from s3plan.model.objects import Checksum, ChecksumAlgorithm, ObjectAttributes
from s3plan.model.steps import Step, Swap, SwapBack
from s3plan.rules.cutover import CONDITIONS, Way, way_of
from s3plan.rules.hashing import digest
from s3plan.rules.integrity import FALLBACK, evidence_of
from s3plan.rules.parts import cut
from s3plan.store import CopyOptions, CopyResult, CopySource, PutResult, part_size


class Written(Struct, frozen=True):
    """What S3 said of the write; ``etag`` is empty where it does not tell.

    Unless ``held``, nothing kept another writer off since the key was looked at.
    """

    etag: str
    version_id: str | None
    held: bool


class Place(Struct, frozen=True):
    """What is written where: item ``n`` of the step, over the object of that ETag."""

    n: int
    key: str
    etag: str
    storage_class: str


class Exchange:
    """Puts forms in their places for one step."""

    def __init__(self, context: Context, step: Step, action: Swap | SwapBack) -> None:
        self._context = context
        self._step = step
        self._action = action
        self._bucket = context.bucket(step)
        self._pinning = context.capabilities.get("copy-source-if-match").standing != "refused"
        memory = context.plan.header.connection.limits.memory
        self._bodies = asyncio.Semaphore(max(1, memory // max(1, action.largest_put)))

    def way(self, form: Form) -> Way:
        """How the form takes its place. Raises Refused where nothing holds, and the window between
        look and write is not accepted.
        """
        return permitted(
            self._context,
            size=form.head.size,
            parts=len(form.parts),
            largest_put=self._action.largest_put,
            window=self._action.window,
        )

    async def write(self, form: Form, expected: Checksum | None, place: Place) -> Written:
        """Let the form take its place. ``expected`` is the digest that its bytes are held to.

        Raises PreconditionFailedError or NoSuchKeyError where the key does not hold what is to be
        replaced, also where an earlier attempt of ours replaced it; OutcomeUnknownError.
        """
        way = self.way(form)
        # Sent also where it is not known to be honoured, unless requests that carry it fail.
        refused = self._context.capabilities.get(CONDITIONS[way.verb]).standing == "refused"
        if_match = None if refused else place.etag
        result: PutResult | CopyResult
        match way.verb:
            case "put":
                result = await self._put(form, expected, place)
            case "copy":
                result = await self._bucket.copy(
                    place.key,
                    self._source(form),
                    _options(form, place.storage_class, attributes=False),
                    if_none_match=False,
                    repeatable=way.held,
                    if_match=if_match,
                )
            case "complete":
                result = await self._complete(form, place, if_match)
        return Written(result.etag, result.version_id, way.held)

    async def _put(self, form: Form, expected: Checksum | None, place: Place) -> PutResult:
        head = form.head
        async with self._bodies:
            _, body = await self._bucket.get(
                head.key, if_match=head.etag, version=self._source(form).version_id
            )
            held_to = expected if expected and "-" not in expected.value else evidence_of(head)
            if held_to is not None and digest(held_to.algorithm, body, held_to.parts) != held_to:
                raise Differs("its bytes changed on their way")
            kept = _algorithm(form)
            return await self._bucket.put(
                place.key,
                body,
                size=len(body),
                attributes=structs.replace(
                    unlocked(form.attributes), storage_class=place.storage_class
                ),
                content_md5=bytes.fromhex(digest("MD5", body).value),
                checksum=digest(kept, body) if kept else None,
                if_none_match=False,
                if_match=place.etag,
            )

    async def _complete(self, form: Form, place: Place, if_match: str | None) -> CopyResult:
        options = _options(form, place.storage_class, attributes=True)
        where = (self._bucket, place.key)
        algorithm = _algorithm(form) or FALLBACK[0]
        upload = await begin_upload(self._context, self._step, place.n, where, options, algorithm)
        try:
            sizes = _sizes(form)
            parts = await copy_parts(self._context, upload, self._source(form), sizes)
            self._context.check_held()  # hours may have passed
            return await upload.complete(parts, if_none_match=False, if_match=if_match)
        except OutcomeUnknownError:
            raise
        except BaseException:
            with suppress(StoreError):
                await upload.abort()
            raise

    def _source(self, form: Form) -> CopySource:
        return source_of(self._bucket, form.head.key, form.head, pinned=self._pinning)


def permitted(context: Context, *, size: int, parts: int, largest_put: int, window: bool) -> Way:
    """How an object of this size can take a place. Raises Refused where nothing holds that."""
    known = context.capabilities
    way = way_of(known, size=size, parts=parts, largest_put=largest_put)
    if not way.held and not window:
        raise Refused(
            "no-conditional-swap",
            "nothing that this endpoint was seen to do keeps a writer from being overwritten"
            " at the cutover; see `s3plan doctor --probe`, or accept that with cutover.window",
        )
    return way


def _options(form: Form, storage_class: str, *, attributes: bool) -> CopyOptions:
    """A copy carries headers, metadata and tags along by itself; an upload is told them."""
    known = unlocked(form.attributes)
    again = attributes or known.website_redirect is not None
    return CopyOptions(
        attributes=known if again else None,
        storage_class=storage_class,
        encryption=known.encryption,
        kms_key=known.kms_key,
        checksum=None if attributes else _algorithm(form),
    )


def unlocked(attributes: ObjectAttributes) -> ObjectAttributes:
    """The attributes without lock and ACL, which are of one form and not of the object."""
    return structs.replace(attributes, grants={}, lock_mode=None, lock_until=None, legal_hold=None)


def _algorithm(form: Form) -> ChecksumAlgorithm | None:
    """The checksum of the whole that S3 keeps of the form, so that it keeps it on."""
    return form.head.checksums[0].algorithm if form.head.checksums else None


def _sizes(form: Form) -> Sequence[int]:
    size = form.head.size
    return form.parts or cut(size, part_size(size)) or (size,)
