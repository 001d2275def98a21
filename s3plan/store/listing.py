"""ListObjectsV2 page by page, each checked before anybody sees it.

A listing decides what is evacuated and what may be deleted, so a page that is out of order, counts
wrongly, or repeats raises `ListingError`; nothing is skipped, nothing sorted here. Whoever can
leave single objects alone may ask for the keys that repeat instead: entries of one key next to each
other within a page. What repeats in any other way may stand for what is missing.
"""

from __future__ import annotations

import itertools
import operator
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from typing import TypeVar
from urllib.parse import unquote_plus
from xml.etree.ElementTree import Element

from msgspec import Struct, structs

from s3plan.errors import ListingError, NotSupportedError
from s3plan.rules.restores import ONGOING
from s3plan.store import documents
from s3plan.store.sender import Request, Sender

_Value = TypeVar("_Value")

_RESTORE_STATUS = ("x-amz-optional-object-attributes", "RestoreStatus")


class ListPage(Struct, frozen=True):
    """Entries as columns of equal length, keys strictly rising in byte order or in path order.

    ``etags`` are without quotes, ``modified`` RFC 3339 with milliseconds, a missing class is
    STANDARD, ``checksums`` are ``ALGORITHM/TYPE`` or None. ``restores`` are as
    ``rules.restores.restore_of`` gives them, and empty where nobody asked. ``more`` says whether
    there are further pages. ``repeated`` are keys that came more than once, of which this is the
    first entry; there are none where nobody asked for them.
    """

    keys: list[str]
    sizes: list[int]
    etags: list[str]
    modified: list[str]
    storage_classes: list[str]
    checksums: list[str | None]
    restores: list[str | None] = []
    more: bool = False
    repeated: list[str] = []

    def head(self, count: int) -> ListPage:
        """Its first entries."""
        if count == len(self.keys):
            return self
        return self._taken(range(count))

    def without_repeats(self) -> ListPage:
        """Of entries of one key next to each other the first, the key in ``repeated``."""
        first = [n for n, key in enumerate(self.keys) if n == 0 or key != self.keys[n - 1]]
        if len(first) == len(self.keys):
            return self
        again = {a for a, b in itertools.pairwise(self.keys) if a == b}
        return structs.replace(self._taken(first), repeated=sorted(again))

    def _taken(self, numbers: Sequence[int]) -> ListPage:
        def of(column: list[_Value]) -> list[_Value]:
            return [column[n] for n in numbers] if column else []

        keys = of(self.keys)
        return ListPage(
            keys,
            of(self.sizes),
            of(self.etags),
            of(self.modified),
            of(self.storage_classes),
            of(self.checksums),
            of(self.restores),
            self.more,
            [key for key in self.repeated if key in keys],
        )


class _Parsed(Struct, frozen=True):
    page: ListPage
    count: int | None
    truncated: bool
    token: str | None


async def pages(
    sender: Sender,
    bucket: str,
    *,
    prefix: str,
    start_after: str,
    max_keys: int,
    restores: bool = False,
    repeats: bool = False,
) -> AsyncIterator[ListPage]:
    """All pages. Raises `ListingError`, or the `StoreError` of a page that failed.

    With ``repeats`` entries of one key next to each other within a page are no error; see the
    module.
    """
    checker = _Checker(bucket, prefix, start_after)
    query = [("list-type", "2"), ("encoding-type", "url"), ("max-keys", str(max_keys))]
    if prefix:
        query.append(("prefix", prefix))
    position = [("start-after", start_after)] if start_after else []
    headers = (_RESTORE_STATUS,) if restores else ()
    while True:
        answer = await sender.send(
            Request("GET", bucket, None, "s3:ListBucket", headers, query=(*query, *position))
        )
        try:
            parsed = parse_page(answer.body, restores=restores)
        except (documents.DocumentError, ValueError, KeyError, UnicodeError) as error:
            raise bad_listing(bucket, f"a page cannot be read: {error!r}") from error
        checker.check_count(parsed)
        if repeats:
            parsed = structs.replace(parsed, page=parsed.page.without_repeats())
        checker.check(parsed)
        if parsed.page.keys:
            yield parsed.page
        if parsed.token is None:
            return
        position = [("continuation-token", parsed.token)]


_LEVELS = 4
"""Folders within each other that are looked into for more than one."""


async def folders(sender: Sender, bucket: str, *, prefix: str, after: str) -> list[str]:
    """Folders behind a key below ``prefix``, rising: of the highest level that has several.

    At most 1,000 of one level, which is enough to divide a listing at. None where the endpoint has
    no delimiters. Raises `ListingError`, or the `StoreError` of a page that failed.
    """
    found: list[str] = []
    level = prefix
    for _ in range(_LEVELS):
        query = [("list-type", "2"), ("encoding-type", "url"), ("max-keys", "1000")]
        query += [("delimiter", "/"), ("prefix", level), ("start-after", after)]
        try:
            answer = await sender.send(
                Request("GET", bucket, None, "s3:ListBucket", query=tuple(query))
            )
        except NotSupportedError:
            return []
        try:
            root = documents.parse(answer.body)
            names = [
                unquote_plus(documents.fields(element)["Prefix"], errors="strict")
                for element in root
                if documents.local_name(element.tag) == "CommonPrefixes"
            ]
        except (documents.DocumentError, ValueError, KeyError, UnicodeError) as error:
            raise bad_listing(bucket, f"a page cannot be read: {error!r}") from error
        found += names
        below, slash, _ = after[len(level) :].partition("/")
        if len(found) > 1 or not slash:
            break
        level += below + slash
    return sorted(found)


def parse_page(document: bytes, *, restores: bool = False) -> _Parsed:
    """One page as it stands. Raises DocumentError, ValueError, KeyError or UnicodeError."""
    root = documents.parse(document)
    if documents.local_name(root.tag) != "ListBucketResult":
        raise ValueError(f"its root is {root.tag!r}")
    namespace = root.tag[: -len("ListBucketResult")]
    rows = [
        {child.tag: child.text for child in element}
        for element in root.iterfind(f"{namespace}Contents")
    ]
    facts = documents.fields(root)
    keys = [row[f"{namespace}Key"] or "" for row in rows]
    if facts.get("EncodingType") == "url":
        # "+" is a space here, as in forms; S3 spells a plus sign %2B.
        keys = [
            unquote_plus(key, errors="strict") if "%" in key or "+" in key else key for key in keys
        ]
    tag = f"{namespace}ETag"
    algorithm, kind = f"{namespace}ChecksumAlgorithm", f"{namespace}ChecksumType"
    page = ListPage(
        keys=keys,
        sizes=[int(row[f"{namespace}Size"] or "") for row in rows],
        etags=[(row.get(tag) or "").strip('"') for row in rows],
        modified=[milliseconds(row[f"{namespace}LastModified"] or "") for row in rows],
        storage_classes=[row.get(f"{namespace}StorageClass") or "STANDARD" for row in rows],
        checksums=[
            f"{row[algorithm]}/{row.get(kind) or 'UNKNOWN'}" if row.get(algorithm) else None
            for row in rows
        ],
        restores=_restores(root, namespace) if restores else [],
        more=bool(facts.get("NextContinuationToken")),
    )
    count = facts.get("KeyCount")
    return _Parsed(
        page,
        int(count) if count else None,
        boolean(root, facts),
        facts.get("NextContinuationToken") or None,
    )


def _restores(root: Element, namespace: str) -> list[str | None]:
    """How far the restore of each entry is.

    RestoreStatus of https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html; an
    object that was not restored has none.
    """
    found: list[str | None] = []
    for element in root.iterfind(f"{namespace}Contents"):
        status = element.find(f"{namespace}RestoreStatus")
        told = {} if status is None else documents.fields(status)
        if told.get("IsRestoreInProgress", "").strip().lower() == "true":
            found.append(ONGOING)
        else:
            expiry = told.get("RestoreExpiryDate")
            found.append(milliseconds(expiry) if expiry else None)
    return found


def boolean(root: Element, facts: dict[str, str]) -> bool:
    """What IsTruncated says. Raises ValueError where it is missing."""
    value = facts.get("IsTruncated", "").strip().lower()
    if value not in ("true", "false"):
        raise ValueError(f"IsTruncated is {value!r} in {root.tag!r}")
    return value == "true"


def milliseconds(time: str) -> str:
    """A time of a listing as RFC 3339 in UTC with milliseconds. Raises ValueError."""
    if len(time) == 24 and time[19] == "." and time[23] == "Z":
        return time
    if len(time) == 20 and time[19] == "Z":
        return f"{time[:19]}.000Z"
    moment = datetime.fromisoformat(time)
    if moment.tzinfo is None:
        raise ValueError(f"LastModified {time!r} has no time zone")
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + (
        f"{moment.microsecond // 1000:03}Z"
    )


class _Checker:
    """What one listing has shown so far."""

    def __init__(self, bucket: str, prefix: str, start_after: str) -> None:
        self._bucket = bucket
        self._prefix = prefix
        self._order = KeyOrder(bucket, start_after)
        self._tokens: set[str] = set()

    def check_count(self, parsed: _Parsed) -> None:
        if parsed.count is not None and parsed.count != len(parsed.page.keys):
            found = f"KeyCount says {parsed.count}, the page has {len(parsed.page.keys)} keys"
            raise bad_listing(self._bucket, found)

    def check(self, parsed: _Parsed) -> None:
        keys = parsed.page.keys
        self._order.check(keys)
        if self._prefix and not all(key.startswith(self._prefix) for key in keys):
            wrong = next(key for key in keys if not key.startswith(self._prefix))
            raise bad_listing(self._bucket, f"a key is outside the prefix {self._prefix!r}", wrong)
        if parsed.truncated != (parsed.token is not None):
            found = "IsTruncated and NextContinuationToken contradict each other"
            raise bad_listing(self._bucket, found)
        if parsed.token is not None:
            if parsed.token in self._tokens:
                raise bad_listing(self._bucket, "a continuation token repeats")
            self._tokens.add(parsed.token)


class KeyOrder:
    """The order of a listing's keys, from its first page to its last.

    Keys must rise strictly in one of two orders, the same from first to last: UTF-8 byte order, as
    AWS promises, or path order, in which ``/`` sorts before everything (``a/x`` before ``a b``), as
    servers list that keep directories. Either is total, so nothing can repeat or loop unseen.
    """

    def __init__(self, bucket: str, start_after: str = "") -> None:
        self.last = start_after
        self._bucket = bucket
        self._bytewise = True
        self._pathwise = True

    def check(self, keys: list[str]) -> None:
        """The next keys. Raises `ListingError` where they do not rise."""
        if not keys:
            return
        rising = [self.last, *keys] if self.last else keys
        # Code point order of str is UTF-8 byte order.
        self._bytewise = self._bytewise and _rises(rising)
        self._pathwise = self._pathwise and _rises([key.replace("/", "\0") for key in rising])
        if not (self._bytewise or self._pathwise):
            wrong = next((b for a, b in itertools.pairwise(rising) if a >= b), keys[0])
            raise bad_listing(
                self._bucket, "keys are neither in byte order nor in path order", wrong
            )
        self.last = keys[-1]


def _rises(values: list[str]) -> bool:
    return all(map(operator.lt, values, values[1:]))


def bad_listing(bucket: str, found: str, key: str | None = None) -> ListingError:
    """The error for a listing that contradicts itself or its order."""
    return ListingError(
        "the listing cannot be trusted",
        address=f"s3://{bucket}" if key is None else f"s3://{bucket}/{key}",
        expected="complete pages, keys rising",
        found=found,
        next_step="run again; if it stays, this endpoint cannot be used with s3plan",
    )
