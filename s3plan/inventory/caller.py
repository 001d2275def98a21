"""Who is asking: the identity behind the credentials, and the role that a session is of."""

from __future__ import annotations

import asyncio

from s3plan.errors import StoreError
from s3plan.rules.policies.meaning import Caller
from s3plan.rules.policies.principals import read_principal
from s3plan.store import Store


async def observe_caller(store: Store) -> Caller | None:
    """The caller, as policies see it; None where the endpoint has no way to tell.

    The ARN is STS's: iam:GetUser fails for roles and for root. iam:GetRole is asked for the path of
    a session's role, where that is permitted. Raises a StoreError of credentials that are refused.
    """
    try:
        identity = await asyncio.to_thread(store.control.identity)
    except StoreError:
        if store.custom:
            return None  # it speaks S3, and need not have an STS
        raise
    principal = read_principal(identity.arn)
    role_arn = None
    if principal.kind == "assumed-role":
        try:
            role_arn = await asyncio.to_thread(store.control.role_arn, principal.name)
        except StoreError:
            role_arn = None  # any path of the role will do
    return Caller(principal, role_arn, secure=store.target.endpoint.startswith("https:"))
