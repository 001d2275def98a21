"""What belongs to an object and comes with no GET or HEAD: its ACL, its annotations, its tags.

Each is a request of its own, so they are asked for only where there can be any.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from xml.etree.ElementTree import Element

from s3plan.errors import EndpointError
from s3plan.store import documents
from s3plan.store.sender import Request, Sender

_TYPE = "{http://www.w3.org/2001/XMLSchema-instance}type"

_HEADERS = {
    "FULL_CONTROL": "x-amz-grant-full-control",
    "READ": "x-amz-grant-read",
    "READ_ACP": "x-amz-grant-read-acp",
    "WRITE_ACP": "x-amz-grant-write-acp",
}
"""Permissions that an object's ACL can give (https://docs.aws.amazon.com/AmazonS3/latest/userguide/
acl-overview.html), and the headers by which PutObject gives them."""


async def acl_grants(
    sender: Sender, bucket: str, key: str, version: str | None = None
) -> dict[str, str]:
    """GetObjectAcl, as the request headers that make a new object have it.

    Empty where nobody but the owner has any right. `NotSupportedError` where there are no ACLs,
    `AccessDeniedError` without s3:GetObjectAcl.
    """
    action = "s3:GetObjectAcl" if version is None else "s3:GetObjectVersionAcl"
    answer = await sender.send(
        Request("GET", bucket, key, action, query=(("acl", ""), *_version(version)))
    )
    try:
        return _grants(documents.parse(answer.body))
    except (documents.DocumentError, LookupError) as error:
        raise _unreadable(bucket, key, "ACL") from error


async def put_tags(sender: Sender, bucket: str, key: str, tags: Mapping[str, str]) -> None:
    """PutObjectTagging: all tags are replaced by these; doing it twice does what once does.

    https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObjectTagging.html
    """
    pairs = "".join(
        f"<Tag><Key>{documents.escape(name)}</Key><Value>{documents.escape(value)}</Value></Tag>"
        for name, value in tags.items()
    )
    body = (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<Tagging xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
        f"<TagSet>{pairs}</TagSet></Tagging>"
    ).encode()
    md5 = base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()
    headers = (("content-md5", md5), ("content-type", "application/xml"))
    query = (("tagging", ""),)
    action = "s3:PutObjectTagging"
    await sender.send(
        Request("PUT", bucket, key, action, headers, query=query, body=body, has_md5=True)
    )


async def annotation_names(
    sender: Sender, bucket: str, key: str, version: str | None = None
) -> tuple[str, ...]:
    """The names of the object's annotations, the first thousand, which is as many as there can be.

    ListObjectAnnotations (https://docs.aws.amazon.com/AmazonS3/latest/API/
    API_ListObjectAnnotations.html). Only S3 itself has them: a server that does not know the
    subresource answers with the object.
    """
    query = (("annotation", ""), ("max-annotation-results", "1000"), *_version(version))
    answer = await sender.send(Request("GET", bucket, key, "s3:ListObjectAnnotations", query=query))
    try:
        root = documents.parse(answer.body)
    except documents.DocumentError as error:
        raise _unreadable(bucket, key, "annotations") from error
    return tuple(one.text or "" for one in root.iter() if _is(one, "AnnotationName"))


def _grants(root: Element) -> dict[str, str]:
    owner = next((_field(one, "ID") for one in root.iter() if _is(one, "Owner")), "")
    found: dict[str, list[str]] = {}
    alone = True
    for grant in (one for one in root.iter() if _is(one, "Grant")):
        grantee = next(one for one in grant if _is(one, "Grantee"))
        permission = _field(grant, "Permission")
        if permission == "WRITE":
            continue  # of objects it says nothing (acl-overview.html), and PutObject cannot say it
        named = _spelled(grantee)
        alone = alone and permission == "FULL_CONTROL" and _field(grantee, "ID") == owner
        found.setdefault(_HEADERS[permission], []).append(named)
    return {} if alone else {header: ", ".join(who) for header, who in found.items()}


def _spelled(grantee: Element) -> str:
    """Who, as the grant headers name them (API_PutObject, x-amz-grant-read)."""
    match grantee.get(_TYPE):
        case "Group":
            return f'uri="{_field(grantee, "URI")}"'
        case "AmazonCustomerByEmail":
            return f'emailAddress="{_field(grantee, "EmailAddress")}"'
        case _:
            return f'id="{_field(grantee, "ID")}"'


def _field(element: Element, name: str) -> str:
    return documents.fields(element).get(name, "")


def _is(element: Element, name: str) -> bool:
    return documents.local_name(element.tag) == name


def _version(version: str | None) -> tuple[tuple[str, str], ...]:
    return () if version is None else (("versionId", version),)


def _unreadable(bucket: str, key: str, what: str) -> EndpointError:
    return EndpointError(
        f"the endpoint's answer about an object's {what} cannot be read",
        address=f"s3://{bucket}/{key}",
        next_step="run the same command again",
    )
