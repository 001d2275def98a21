"""Looking around before anything is declared: who am I, which buckets and policies are there."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TypeVar

from s3plan.errors import PlanningError, StoreError
from s3plan.inventory.caller import observe_caller
from s3plan.model.buckets import DocumentName
from s3plan.model.discovery import SeenBucket, SeenPolicy, Whoami
from s3plan.rules.policies.document import read_policy
from s3plan.rules.policies.exposure import is_public
from s3plan.rules.policies.principals import policy_arns
from s3plan.store import Store

SUFFIX = "_policy.json"

AT_ONCE = 8
"""Buckets that are looked at side by side."""

_PUBLIC: tuple[DocumentName, ...] = ("policy", "public-access-block", "acl", "versioning")

Result = TypeVar("Result")


async def whoami(store: Store, *, buckets: bool) -> Whoami:
    """The caller and, with ``buckets``, every bucket with what may be read of it."""
    await store.identify()
    caller = await observe_caller(store)
    seen = None
    if buckets:
        seen = await _each(await store.list_buckets(), lambda name: _bucket(store, name))
    target = store.target
    if caller is None:
        return Whoami(target.endpoint, target.region, account=target.account, buckets=seen)
    principal = caller.principal
    return Whoami(
        target.endpoint,
        target.region,
        account=principal.account or None,
        arn=principal.arn,
        kind=principal.kind,
        name=principal.name,
        session=principal.session,
        partition=principal.partition,
        policy_arns=policy_arns(principal, caller.role_arn),
        buckets=seen,
    )


async def seen_policies(store: Store, directory: Path) -> tuple[SeenPolicy, ...]:
    """The policy of every bucket, then the policy files in ``directory``, if it is there."""
    names = await store.list_buckets()
    live = await _each(names, lambda name: _policy(store, name))
    return (*live, *await asyncio.to_thread(policy_files, directory))


def policy_files(directory: Path) -> tuple[SeenPolicy, ...]:
    """The JSON files of a directory, each with the bucket that its name says."""
    return tuple(_file(path, directory) for path in sorted(directory.glob("*.json")))


async def _bucket(store: Store, name: str) -> SeenBucket:
    try:
        facts = await asyncio.to_thread(store.control.facts, name, _PUBLIC)
    except StoreError as error:
        return SeenBucket(name, problem=error.what)
    found = facts.configuration
    hidden = set(facts.unreadable) & {"policy", "public-access-block", "acl"}
    try:
        public = is_public(found.get("policy"), found.get("public-access-block"), found.get("acl"))
    except PlanningError as error:
        return SeenBucket(name, facts.region, facts.versioning, problem=f"its policy: {error.what}")
    return SeenBucket(
        name, facts.region, facts.versioning, None if hidden and not public else public
    )


async def _policy(store: Store, name: str) -> SeenPolicy:
    try:
        facts = await asyncio.to_thread(
            store.control.facts, name, ("policy", "public-access-block", "versioning")
        )
    except StoreError as error:
        return SeenPolicy(name, problem=error.what)
    if "policy" in facts.unreadable:
        return SeenPolicy(name, problem="may not be read (s3:GetBucketPolicy)")
    found = facts.configuration.get("policy")
    block = facts.configuration.get("public-access-block")
    try:
        return SeenPolicy(name, _statements(found), is_public(found, block))
    except PlanningError as error:
        return SeenPolicy(name, problem=error.what)


def _file(path: Path, directory: Path) -> SeenPolicy:
    name = str(path.relative_to(directory))
    bucket = path.name.removesuffix(SUFFIX) if path.name.endswith(SUFFIX) else None
    try:
        document = json.loads(path.read_bytes())
        return SeenPolicy(bucket, _statements(document), is_public(document, None), name)
    except (OSError, ValueError, RecursionError):
        return SeenPolicy(bucket, file=name, problem="is not JSON that can be read")
    except PlanningError as error:
        return SeenPolicy(bucket, file=name, problem=error.what)


def _statements(document: object) -> tuple[str, ...] | None:
    if document is None:
        return None
    policy = read_policy(document, "policy")
    return tuple(one.sid or f"{one.effect} without Sid" for one in policy.statements)


async def _each(
    names: Sequence[str], look: Callable[[str], Awaitable[Result]]
) -> tuple[Result, ...]:
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(name: str) -> Result:
        async with gate:
            return await look(name)

    return tuple(await asyncio.gather(*map(one, names)))
