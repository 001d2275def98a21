"""What only a whole bucket can show: versions, and whether policies and their conditions count.

The bucket is the probe's own, made for it and removed after it.
"""

from __future__ import annotations

import asyncio
import secrets

from s3plan.errors import AccessDeniedError, StoreError
from s3plan.model.capabilities import Capability, CapabilityName, Standing
from s3plan.store.canaries import Canaries
from s3plan.store.store import Store

PREFIX = "s3plan-probe-"

BUCKET_CAPABILITIES: tuple[CapabilityName, ...] = ("policy-deny", "policy-condition", "versioning")

_PROPAGATION = 10
"""Seconds that a policy is given to come into force."""

_NOBODY = "arn:aws:iam::000000000000:user/nobody"
_EVERYBODY = "arn:*:*:*:*:*"


async def probe_bucket(store: Store) -> tuple[Capability, ...]:
    """Make a bucket, try :data:`BUCKET_CAPABILITIES` in it, remove it.

    Raises a `StoreError` where it cannot be made or removed; the error names the bucket.
    """
    name = PREFIX + secrets.token_hex(8)
    control = store.control
    await asyncio.to_thread(control.create_bucket, name, store.target.region)
    try:
        found: list[Capability] = []
        # Each with canaries of its own: once there are versions, what is deleted leaves markers.
        for trial in (_policies, _versioning):
            canaries = store.canaries(name, "")
            try:
                found += await trial(store, name, canaries)
            finally:
                await canaries.clean()
    finally:
        await asyncio.to_thread(control.delete_bucket, name)
    return tuple(found)


async def _policies(store: Store, name: str, canaries: Canaries) -> tuple[Capability, ...]:
    """A plain Deny, one whose condition meets everybody, and one whose condition meets nobody."""
    keys = {end: canaries.key(end) for end in ("denied", "met", "unmet")}
    for key in keys.values():
        await canaries.put(key, b"canary")
    document = {
        "Version": "2012-10-17",
        "Statement": [
            _deny(name, keys["denied"]),
            _deny(name, keys["met"]) | {"Condition": _unless(_NOBODY)},
            _deny(name, keys["unmet"]) | {"Condition": _unless(_EVERYBODY)},
        ],
    }
    try:
        await asyncio.to_thread(store.control.put_document, name, "policy", document)
    except StoreError as error:
        detail = error.found or error.what
        return Capability("policy-deny", "refused", detail), Capability(
            "policy-condition", "refused", detail
        )
    try:
        for _ in range(_PROPAGATION):
            if await _is_denied(canaries, keys["denied"]):
                break
            await asyncio.sleep(1)
        else:
            detail = "the policy denies nobody"
            return Capability("policy-deny", "ignored", detail), Capability(
                "policy-condition", "ignored", detail
            )
        met = await _is_denied(canaries, keys["met"])
        unmet = await _is_denied(canaries, keys["unmet"])
    finally:
        await asyncio.to_thread(store.control.put_document, name, "policy", None)
    standing: Standing = "honoured" if met and not unmet else "ignored"
    details = {
        (True, False): "",
        (True, True): "a Deny with ArnNotEquals denies everybody",
        (False, False): "a Deny with ArnNotEquals denies nobody",
        (False, True): "a Deny with ArnNotEquals denies the wrong ones",
    }
    return Capability("policy-deny", "honoured"), Capability(
        "policy-condition", standing, details[met, unmet]
    )


def _deny(bucket: str, key: str) -> dict[str, object]:
    return {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:GetObject",
        "Resource": f"arn:aws:s3:::{bucket}/{key}",
    }


def _unless(arn: str) -> dict[str, object]:
    operator = "ArnNotLike" if "*" in arn else "ArnNotEquals"
    return {operator: {"aws:PrincipalArn": arn}}


async def _is_denied(canaries: Canaries, key: str) -> bool:
    try:
        await canaries.read(key)
    except AccessDeniedError:
        return True
    return False


async def _versioning(store: Store, name: str, canaries: Canaries) -> tuple[Capability, ...]:
    try:
        enabled = {"Status": "Enabled"}
        await asyncio.to_thread(store.control.put_document, name, "versioning", enabled)
    except StoreError as error:
        return (Capability("versioning", "refused", error.found or error.what),)
    key = canaries.key("versions")
    first = await canaries.put_version(key, b"first")
    second = await canaries.put_version(key, b"second")
    if not first or first == second:
        return (Capability("versioning", "ignored", "an overwritten object left no version"),)
    kept = (await canaries.read(key, version=first)).body == b"first"
    return (Capability("versioning", "honoured" if kept else "ignored"),)
