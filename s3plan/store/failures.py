"""The one mapping from what S3 answered, or what kept it from answering, to our errors."""

from __future__ import annotations

import re

from msgspec import Struct

from s3plan.errors import (
    AccessDeniedError,
    ArchivedObjectError,
    CredentialsError,
    EndpointError,
    NoSuchBucketError,
    NoSuchKeyError,
    NotSupportedError,
    ObjectTimeoutError,
    OutcomeUnknownError,
    PreconditionFailedError,
    StoreError,
    ThrottledError,
)
from s3plan.store import documents
from s3plan.store.retry import judge

_LONGEST_DOCUMENT = 256 * 1024
_LONGEST_MESSAGE = 500

EXPIRED_CODES = frozenset({"ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired"})
SKEWED_CODE = "RequestTimeTooSkewed"
SKEW_SECONDS = 300
"""S3 accepts signatures within 15 minutes of its own clock; a third of that is already wrong."""
_CREDENTIAL_CODES = EXPIRED_CODES | {
    SKEWED_CODE,
    "InvalidAccessKeyId",
    "SignatureDoesNotMatch",
    "InvalidToken",
    "InvalidSecurity",
    "NotSignedUp",
    "AuthorizationHeaderMalformed",
    "AuthFailure",
}
_DENIED_CODES = frozenset({"AccessDenied", "AllAccessDisabled", "AccountProblem", "Forbidden"})

# Error documents without a status of their own: per key in DeleteObjects, or inside a 200 answer.
STATUS_OF = {
    "PreconditionFailed": 412,
    "AccessDenied": 403,
    "NoSuchBucket": 404,
    "NoSuchKey": 404,
    "NoSuchVersion": 404,
    "InternalError": 500,
    "SlowDown": 503,
    "ServiceUnavailable": 503,
    "NotImplemented": 501,
    "ConditionalRequestConflict": 409,
}

# "User: arn:aws:iam::1:user/x is not authorized to perform: s3:GetObject on resource: ..."
_PRINCIPAL = re.compile(r"User: (\S+) is not authorized")
_ACTION = re.compile(r"perform: (\w+:\w+)")


class Subject(Struct, frozen=True):
    """What a request was about: for the address in errors, and the IAM action it needs."""

    bucket: str | None
    key: str | None
    action: str

    @property
    def address(self) -> str:
        """``s3://bucket/key``; the key is untrusted text, which views escape."""
        if self.bucket is None:
            return "s3://"
        return f"s3://{self.bucket}" if self.key is None else f"s3://{self.bucket}/{self.key}"


class Refusal(Struct, frozen=True):
    """An answer that is not a success, read."""

    status: int
    code: str | None
    message: str
    region: str | None
    endpoint: str | None
    request_id: str | None


def read(status: int, headers: dict[str, str], body: bytes) -> Refusal:
    """The error document and headers; whatever is unreadable (a proxy's HTML) is left out."""
    found: dict[str, str] = {}
    if body[:_LONGEST_DOCUMENT].lstrip()[:1] == b"<":
        try:
            root = documents.parse(body[:_LONGEST_DOCUMENT])
        except documents.DocumentError:
            pass
        else:
            # Most answer <Error>; some clones wrap it, as STS does: <ErrorResponse><Error>.
            inner = next((e for e in root.iter() if documents.local_name(e.tag) == "Error"), root)
            found = documents.fields(inner)
    code = found.get("Code") or headers.get("x-amz-error-code")
    return Refusal(
        # An error document in a 200 came after the work had begun: a 500, unless it is clear.
        status=status if status >= 300 else STATUS_OF.get(code or "", 500),
        code=code,
        message=found.get("Message", "")[:_LONGEST_MESSAGE],
        region=headers.get("x-amz-bucket-region") or found.get("Region") or None,
        endpoint=found.get("Endpoint") or headers.get("location"),
        request_id=headers.get("x-amz-request-id") or found.get("RequestId"),
    )


def is_error_document(body: bytes) -> bool:
    """Whether a 200 answer is an error after all (AWS: CopyObject, Complete, DeleteObjects)."""
    head = body[:1024]
    return (
        b"Error" in head  # seldom is, and what is sought is slow to find missing
        and re.search(rb"<(?:\w+:)?Error[\s>]", head) is not None
        and not re.search(rb"<(?:\w+:)?DeleteResult[\s>]", head)
    )


def refused(refusal: Refusal, subject: Subject, endpoint: str) -> StoreError:
    """The error for a refusal that trying again did not or cannot cure."""
    kind, what, next_step = _explain(refusal, subject, endpoint)
    code = refusal.code or "no error document"
    found = f"{refusal.status} {code}" + (f": {refusal.message}" if refusal.message else "")
    return kind(
        what,
        address=subject.address,
        found=found,
        next_step=next_step,
        status=refusal.status,
        s3_code=refusal.code,
        request_id=refusal.request_id,
    )


def _explain(
    refusal: Refusal, subject: Subject, endpoint: str
) -> tuple[type[StoreError], str, str | None]:
    status, code = refusal.status, refusal.code
    if code == "NoSuchBucket":
        return (
            NoSuchBucketError,
            "no such bucket",
            f"check name, region and credentials; the endpoint is {endpoint}",
        )
    if code in ("NoSuchKey", "NoSuchVersion", "NoSuchUpload") or (
        status == 404 and code is None and subject.key is not None
    ):
        return NoSuchKeyError, "no such object", None
    if status == 404 and code is None:
        return (
            NoSuchBucketError,
            "no such bucket",
            f"check name, region and credentials; the endpoint is {endpoint}",
        )
    if code == "InvalidObjectState":
        return ArchivedObjectError, "the object is archived", "restore it first"
    if code in _CREDENTIAL_CODES:
        return CredentialsError, *_unaccepted(code)
    if status in (401, 403) or code in _DENIED_CODES:
        return (
            AccessDeniedError,
            _denied(refusal, subject),
            "ask for the permission, or see with `s3plan whoami` whose credentials these are",
        )
    if status == 412:
        return PreconditionFailedError, "the object is not as expected", None
    if code == "ConditionalRequestConflict":
        return PreconditionFailedError, "another writer is changing this object", None
    if status in (405, 501) or code in ("NotImplemented", "MethodNotAllowed"):
        return NotSupportedError, f"the endpoint does not support {subject.action}", None
    if judge(status, code) == "not-done":
        return (
            ThrottledError,
            "the endpoint keeps asking to slow down",
            "run again later, or lower limits.requests or limits.connections in the Connection",
        )
    if status >= 500:
        return EndpointError, "the endpoint failed", "run the same command again"
    if status in (301, 302, 307, 308):
        return (
            EndpointError,
            "the bucket is answered for elsewhere, and S3 does not say in which region",
            "set region in the Connection to the bucket's region",
        )
    return StoreError, "S3 refused the request", None


def _unaccepted(code: str) -> tuple[str, str]:
    if code == SKEWED_CODE:
        return (
            "this machine's clock is wrong, so S3 refuses its signatures",
            "set the clock (`timedatectl set-ntp true`), then run the same command again",
        )
    step = (
        "sign in again"
        if code in EXPIRED_CODES
        else "check access key, secret key, region and endpoint"
    )
    return "S3 does not accept the credentials", step


def _denied(refusal: Refusal, subject: Subject) -> str:
    action = _ACTION.search(refusal.message)
    principal = _PRINCIPAL.search(refusal.message)
    what = f"access denied: {action.group(1) if action else subject.action} on {subject.address}"
    return f"{what} for {principal.group(1)}" if principal else what


def unreachable(what: str, subject: Subject, endpoint: str, *, attempts: int) -> EndpointError:
    """The error for a request that never got a whole answer and changed nothing that matters."""
    tried = f" (tried {attempts} times)" if attempts > 1 else ""
    return EndpointError(
        f"no answer from the endpoint{tried}",
        address=subject.address,
        expected=f"an answer from {endpoint}",
        found=what,
        next_step="check endpoint, proxy, CA bundle and network, then run the same command again",
    )


def out_of_time(seconds: float, subject: Subject) -> ObjectTimeoutError:
    """The error for a request for an object whose time was over."""
    return ObjectTimeoutError(
        "the object took too long",
        address=subject.address,
        expected=f"an end within {seconds:g} seconds (limits.objectTimeout)",
        next_step="run the same command again; raise limits.objectTimeout if it stays",
    )


def unknown(what: str, subject: Subject) -> OutcomeUnknownError:
    """The error for a request that was sent and must not be sent again blindly."""
    return OutcomeUnknownError(
        "the answer was lost: what S3 did with the request is unknown",
        address=subject.address,
        found=what,
        next_step="look at the object before anything else",
    )
