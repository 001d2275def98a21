"""What S3 answered becomes one of our errors, with what a reader needs and nothing secret."""

from __future__ import annotations

import pytest

from s3plan.errors import (
    AccessDeniedError,
    ArchivedObjectError,
    CredentialsError,
    EndpointError,
    NoSuchBucketError,
    NoSuchKeyError,
    NotSupportedError,
    PreconditionFailedError,
    StoreError,
    ThrottledError,
)
from s3plan.store import documents, failures
from s3plan.store.failures import Subject

OBJECT = Subject("b", "dir/k", "s3:GetObject")
BUCKET = Subject("b", None, "s3:ListBucket")


def explain(status: int, body: str = "", subject: Subject = OBJECT, **headers: str) -> StoreError:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return failures.refused(
        failures.read(status, named, body.encode()), subject, "https://s3.example"
    )


def document(code: str, message: str = "") -> str:
    return f"<Error><Code>{code}</Code><Message>{message}</Message></Error>"


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (404, "NoSuchKey", NoSuchKeyError),
        (404, "NoSuchBucket", NoSuchBucketError),
        (403, "AccessDenied", AccessDeniedError),
        (403, "InvalidObjectState", ArchivedObjectError),
        (403, "SignatureDoesNotMatch", CredentialsError),
        (400, "ExpiredToken", CredentialsError),
        (412, "PreconditionFailed", PreconditionFailedError),
        (409, "ConditionalRequestConflict", PreconditionFailedError),
        (501, "NotImplemented", NotSupportedError),
        (405, "MethodNotAllowed", NotSupportedError),
        (503, "SlowDown", ThrottledError),
        (500, "InternalError", EndpointError),
        (400, "KeyTooLongError", StoreError),
    ],
)
def test_every_code_has_its_error(status: int, code: str, kind: type[StoreError]) -> None:
    problem = explain(status, document(code, "why"), x_amz_request_id="RID")
    assert type(problem) is kind
    assert problem.address == "s3://b/dir/k"
    assert (problem.status, problem.s3_code, problem.request_id) == (status, code, "RID")
    assert "why" in (problem.found or "")


def test_answers_without_a_document() -> None:
    assert type(explain(404)) is NoSuchKeyError
    assert type(explain(404, subject=BUCKET)) is NoSuchBucketError
    assert type(explain(403)) is AccessDeniedError
    assert type(explain(502, "<html><body>Bad gateway</body></html>")) is EndpointError
    assert type(explain(503, "no xml <at all")) is ThrottledError


def test_a_missing_bucket_says_what_to_check() -> None:
    step = explain(404, document("NoSuchBucket")).next_step or ""
    for word in ("name", "region", "credentials", "https://s3.example"):
        assert word in step


def test_access_denied_names_action_and_principal() -> None:
    message = (
        "User: arn:aws:iam::1:user/eve is not authorized to perform: s3:GetObjectTagging on "
        'resource: "arn:aws:s3:::b/dir/k" because no identity-based policy allows it'
    )
    problem = explain(403, document("AccessDenied", message))
    assert problem.what == (
        "access denied: s3:GetObjectTagging on s3://b/dir/k for arn:aws:iam::1:user/eve"
    )
    assert explain(403, document("AccessDenied")).what == (
        "access denied: s3:GetObject on s3://b/dir/k"
    )


def test_long_messages_are_cut() -> None:
    assert len(explain(400, document("Odd", "x" * 100_000)).found or "") < 1000


BOMB = (
    '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'
    "<Error><Code>&b;</Code></Error>"
)


@pytest.mark.parametrize(
    "body",
    [
        BOMB.encode(),
        BOMB.encode("utf-16"),
        b'<!doctype x SYSTEM "file:///etc/passwd"><x/>',
        b"<a><b></a>",
        b"",
        b"\x00",
        b'<?xml version="1.0" encoding="no-such"?><a/>',
    ],
)
def test_dangerous_and_broken_documents_are_refused(body: bytes) -> None:
    with pytest.raises(documents.DocumentError):
        documents.parse(body)


def test_an_entity_bomb_in_an_error_is_only_an_unread_error() -> None:
    assert type(explain(500, BOMB)) is EndpointError
