"""DeleteObjects and DeleteObject: which keys, or which versions of them, are really gone.

A version is named by its id alone. It never changes, so no ETag is needed, and AWS answers 501 to a
DeleteObject with If-Match and versionId together.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import itertools
from collections.abc import Sequence

from msgspec import Struct

from s3plan.errors import StoreError, ThrottledError
from s3plan.store import documents, failures
from s3plan.store.sender import Request, Sender

MOST = 1000
"""Keys of one request (https://docs.aws.amazon.com/AmazonS3/latest/API/API_DeleteObjects.html)."""


class DeleteTarget(Struct, frozen=True):
    """What to delete: a key, only if its ETag (without quotes) is still this, where one is given.

    With ``version`` exactly that version or delete marker goes, and the ETag is not sent. Without,
    a bucket that keeps versions gets a delete marker.
    """

    key: str
    etag: str | None
    version: str | None = None


class DeleteResult(Struct, frozen=True):
    """``error`` None is deleted. An `OutcomeUnknownError` is one that S3 did not mention."""

    key: str
    error: StoreError | None
    version: str | None = None


_Name = tuple[str, str | None]
_Outcomes = dict[_Name, StoreError | None]


async def delete_many(
    sender: Sender, bucket: str, targets: Sequence[DeleteTarget]
) -> tuple[DeleteResult, ...]:
    """DeleteObjects for at most 1,000 targets; one result for each, in their order.

    Those that S3 asks to wait for are sent again, all others once: when an answer is lost as a
    whole this raises `OutcomeUnknownError`, and any of them may be gone. Keys that XML may garble
    (control characters) go one by one as DeleteObject.
    """
    if len(targets) > MOST:
        raise ValueError(f"at most {MOST} keys, not {len(targets)}")
    batch = [target for target in targets if documents.is_writable(target.key)]
    single = [target for target in targets if not documents.is_writable(target.key)]
    errors: _Outcomes = {}
    if batch:
        errors.update(await _patiently(sender, bucket, batch))
    for one in await delete_singly(sender, bucket, single):
        errors[one.key, one.version] = one.error
    return tuple(DeleteResult(t.key, errors[_name(t)], t.version) for t in targets)


async def delete_singly(
    sender: Sender, bucket: str, targets: Sequence[DeleteTarget]
) -> tuple[DeleteResult, ...]:
    """A DeleteObject for each, sent once."""
    errors = await asyncio.gather(*[_delete_one(sender, bucket, target) for target in targets])
    return tuple(
        DeleteResult(target.key, error, target.version)
        for target, error in zip(targets, errors, strict=True)
    )


async def _delete_one(sender: Sender, bucket: str, target: DeleteTarget) -> StoreError | None:
    conditional = target.etag is not None and target.version is None
    try:
        await sender.send(
            Request(
                "DELETE",
                bucket,
                target.key,
                _action(target),
                (("if-match", f'"{target.etag}"'),) if conditional else (),
                query=(("versionId", target.version),) if target.version is not None else (),
                # A version that is deleted twice is deleted once; a key may be a new object's.
                repeatable=target.version is not None,
            )
        )
    except StoreError as error:
        return error
    return None


async def _patiently(sender: Sender, bucket: str, targets: Sequence[DeleteTarget]) -> _Outcomes:
    """DeleteObjects, sent again for the targets with which S3 says it did nothing yet."""
    errors = await _batch(sender, bucket, targets)
    for times in itertools.count(1):
        slowed = [one for one in targets if isinstance(errors[_name(one)], ThrottledError)]
        if not slowed or not await sender.slowed_down(bucket, times):
            break
        errors.update(await _batch(sender, bucket, slowed))
    return errors


async def _batch(sender: Sender, bucket: str, targets: Sequence[DeleteTarget]) -> _Outcomes:
    body = delete_document(targets)
    md5 = base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()
    answer = await sender.send(
        Request(
            "POST",
            bucket,
            None,
            _action(targets[0]),
            (("content-md5", md5), ("content-type", "application/xml")),
            query=(("delete", ""),),
            body=body,
            repeatable=False,
            has_md5=True,
        )
    )
    endpoint = sender.address(bucket).origin
    request_id = answer.headers.get("x-amz-request-id")
    return _outcomes(bucket, targets, answer.body, endpoint, request_id)


def _outcomes(
    bucket: str,
    targets: Sequence[DeleteTarget],
    body: bytes,
    endpoint: str,
    request_id: str | None,
) -> _Outcomes:
    action = _action(targets[0])
    found: _Outcomes = {
        _name(target): failures.unknown(
            "S3 answered, but did not mention this key",
            failures.Subject(bucket, target.key, action),
        )
        for target in targets
    }
    try:
        root = documents.parse(body)
    except documents.DocumentError as error:
        raise failures.unknown(
            f"the answer cannot be read: {error}", failures.Subject(bucket, None, action)
        ) from error
    nameless: _Outcomes = {}
    for element in root:
        told = documents.fields(element)
        key, version = told.get("Key", ""), told.get("VersionId") or None
        kind = documents.local_name(element.tag)
        if kind == "Deleted" and (key, version) in found:
            found[key, version] = None
        elif kind == "Error":
            code = told.get("Code")
            refusal = failures.Refusal(
                status=failures.STATUS_OF.get(code or "", 400),
                code=code,
                message=told.get("Message", ""),
                region=None,
                endpoint=None,
                request_id=request_id,
            )
            refused = failures.refused(refusal, failures.Subject(bucket, key, action), endpoint)
            if (key, version) in found:
                found[key, version] = refused
            elif version is None:
                nameless[key, None] = refused
    for (key, version), outcome in found.items():
        # Some endpoints name only the key of a version that they refuse.
        if outcome is not None and (key, None) in nameless:
            found[key, version] = nameless[key, None]
    return found


def delete_document(targets: Sequence[DeleteTarget]) -> bytes:
    """The body of DeleteObjects; ETags stand in quotes, as listings give them."""
    objects = "".join(
        f"<Object><Key>{documents.escape(target.key)}</Key>{_which(target)}</Object>"
        for target in targets
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<Delete xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
        f"{objects}<Quiet>false</Quiet></Delete>"
    ).encode()


def _which(target: DeleteTarget) -> str:
    if target.version is not None:
        return f"<VersionId>{documents.escape(target.version)}</VersionId>"
    if target.etag is not None:
        return f"<ETag>{documents.escape(chr(34) + target.etag + chr(34))}</ETag>"
    return ""


def _name(target: DeleteTarget) -> _Name:
    return target.key, target.version


def _action(target: DeleteTarget) -> str:
    return "s3:DeleteObject" if target.version is None else "s3:DeleteObjectVersion"
