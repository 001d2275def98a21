"""What comes with no GET: ACLs as the headers that make them again, and annotations by name."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from s3plan.errors import AccessDeniedError, EndpointError
from s3plan.model.connection import Connection
from s3plan.model.objects import ObjectAttributes
from s3plan.store import Store
from s3plan.store.heads import object_head, put_headers
from tests.servers import Server
from tests.store.scripted import answer, error, scripted, store_at
from tests.store.test_configuration import control_of

NAMED = """<?xml version="1.0" encoding="UTF-8"?>
<AccessControlPolicy xmlns="http://s3.amazonaws.com/doc/2006-03-01/">
<Owner><ID>me</ID></Owner><AccessControlList>
<Grant><Grantee xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="CanonicalUser">
<ID>me</ID></Grantee><Permission>FULL_CONTROL</Permission></Grant>
<Grant><Grantee xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="Group">
<URI>http://acs.amazonaws.com/groups/global/AllUsers</URI></Grantee>
<Permission>READ</Permission></Grant>
<Grant><Grantee xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="CanonicalUser">
<ID>other</ID></Grantee><Permission>READ</Permission></Grant>
</AccessControlList></AccessControlPolicy>"""

ANNOTATIONS = """<?xml version="1.0" encoding="UTF-8"?>
<ListObjectAnnotationsResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">
<Bucket>b</Bucket><Key>k</Key><AnnotationCount>2</AnnotationCount>
<Annotations><AnnotationName>caption</AnnotationName><Size>3</Size></Annotations>
<Annotations><AnnotationName>place</AnnotationName><Size>3</Size></Annotations>
</ListObjectAnnotationsResult>"""


def _asked(reply: bytes, method: str, *arguments: Any, **options: Any) -> tuple[Any, str]:
    """What a method of a bucket makes of an answer, and the request's first line."""

    async def main() -> tuple[Any, str]:
        async with scripted([reply]) as server, store_at(server.endpoint) as store:
            result = await getattr(store.bucket("bkt"), method)(*arguments, **options)
            return result, server.asked[0].target

    return asyncio.run(main())


def test_an_acl_becomes_the_headers_that_make_it() -> None:
    grants, target = _asked(answer(200, NAMED), "grants", "k")
    assert grants == {
        "x-amz-grant-full-control": 'id="me"',
        "x-amz-grant-read": 'uri="http://acs.amazonaws.com/groups/global/AllUsers", id="other"',
    }
    assert target.endswith("?acl=")


def test_what_says_nothing_about_an_object_is_left_out() -> None:
    writes = NAMED.replace("<Permission>READ<", "<Permission>WRITE<")
    assert _asked(answer(200, writes), "grants", "k")[0] == {}


def test_the_owners_own_right_is_no_grant() -> None:
    head, _, rest = NAMED.partition("<Grant><Grantee xmlns:xsi=")
    first, _, _ = rest.partition("</Grant>")
    alone = f"{head}<Grant><Grantee xmlns:xsi={first}</Grant></AccessControlList>"
    assert _asked(answer(200, f"{alone}</AccessControlPolicy>"), "grants", "k")[0] == {}


def test_annotations_are_listed_by_name() -> None:
    """Finding 6 of the facts: annotations are new, and no listing tells of them."""
    names, target = _asked(answer(200, ANNOTATIONS), "annotations", "k", version="v1")
    assert names == ("caption", "place")
    assert "annotation=" in target
    assert "versionId=v1" in target


def test_what_cannot_be_read_is_not_taken_for_nothing() -> None:
    with pytest.raises(EndpointError, match="annotations cannot be read"):
        _asked(answer(200, "the object itself"), "annotations", "k")
    with pytest.raises(AccessDeniedError):
        _asked(error(403, "AccessDenied"), "annotations", "k")
    strange = NAMED.replace("READ", "WATCH")
    with pytest.raises(EndpointError, match="ACL cannot be read"):
        _asked(answer(200, strange), "grants", "k")


def test_grants_make_the_same_acl_again(moto_server: Server) -> None:
    client = control_of(moto_server).witness()
    client.create_bucket(Bucket="grants")
    client.put_object(Bucket="grants", Key="a", ACL="public-read")
    before = client.get_object_acl(Bucket="grants", Key="a")["Grants"]

    async def main() -> None:
        connection = Connection(endpoint=moto_server.endpoint)
        async with Store(connection, environ=moto_server.environ) as store:
            bucket = store.bucket("grants")
            attributes = ObjectAttributes(grants=await bucket.grants("a"))
            await bucket.put(
                "b",
                b"",
                size=0,
                attributes=attributes,
                content_md5=bytes.fromhex("d41d8cd98f00b204e9800998ecf8427e"),
                checksum=None,
                if_none_match=True,
            )

    asyncio.run(main())
    after = client.get_object_acl(Bucket="grants", Key="b")["Grants"]
    assert sorted(map(repr, after)) == sorted(map(repr, before))


LOCKED = {
    "content-length": "1",
    "last-modified": "Fri, 20 Nov 2026 04:23:11 GMT",
    "x-amz-object-lock-mode": "GOVERNANCE",
    "x-amz-object-lock-retain-until-date": "2027-01-01T00:00:00Z",
    "x-amz-object-lock-legal-hold": "ON",
    "x-amz-server-side-encryption": "aws:kms",
    "x-amz-server-side-encryption-bucket-key-enabled": "true",
}


def test_a_lock_comes_back_while_it_has_not_run_out() -> None:
    attributes = object_head("k", LOCKED).attributes
    before = datetime(2026, 12, 1, tzinfo=UTC)
    sent = dict(put_headers(attributes, "s3://b/k", now=before))
    assert {name: sent[name] for name in LOCKED if name.startswith("x-amz")} == {
        name: value for name, value in LOCKED.items() if name.startswith("x-amz")
    }
    later = dict(put_headers(attributes, "s3://b/k", now=datetime(2027, 2, 1, tzinfo=UTC)))
    assert "x-amz-object-lock-mode" not in later, "S3 refuses a date that is past"
    assert later["x-amz-object-lock-legal-hold"] == "ON"
    copied = dict(put_headers(attributes, "s3://b/k"))
    assert not [name for name in copied if "lock" in name], "a copy is another object"
