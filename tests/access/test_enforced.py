"""Policies where they are enforced: those who are spared get on, the others are shut out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace

import pytest
from botocore.exceptions import ClientError

from s3plan.errors import ProblemsError
from tests.access.conftest import Account
from tests.access.enforcer import ME, Enforcer
from tests.access.test_access_run import only_me
from tests.engine.scene import client_of
from tests.faults.proxy import proxy_to

BOB = "arn:aws:iam::123456789012:user/bob"


@pytest.fixture
def enforcer(account: Account) -> Iterator[Enforcer]:
    """The account's endpoint is the enforcing proxy from now on."""
    made = Enforcer({account.server.access_key: ME, "BOBSKEY": BOB})
    with proxy_to(account.server.endpoint) as proxy:
        proxy.play(made.rule())
        account.endpoint = proxy.endpoint
        yield made


def may_read(account: Account, bucket: str, access_key: str) -> bool:
    """Whether the owner of a key may read the one object."""
    client = client_of(replace(account.server, endpoint=account.endpoint, access_key=access_key))
    try:
        client.get_object(Bucket=bucket, Key="a")
    except ClientError as error:
        if error.response["Error"]["Code"] != "AccessDenied":
            raise
        return False
    finally:
        client.close()
    return True


def bob_may(account: Account, bucket: str) -> bool:
    """Whether somebody else of the account may read."""
    return may_read(account, bucket, "BOBSKEY")


def test_only_me_is_only_me(account: Account, enforcer: Enforcer) -> None:
    """Row A59: the caller lists, reads and writes on; everybody else is denied; and back."""
    bucket = account.bucket("secret", "a")
    assert bob_may(account, bucket)
    account.write("BucketAccess", only_me(bucket))
    account.plan()
    assert account.apply().exit_code == 0, account.problems()
    assert enforcer.refused == []
    assert not bob_may(account, bucket)
    assert account.plan() == []
    finished = account.rollback()
    assert finished is not None
    assert finished.exit_code == 0
    assert bob_may(account, bucket)
    assert enforcer.policies == {}


def test_a_lockout_is_refused_when_planning(account: Account, enforcer: Enforcer) -> None:
    """Nothing is written: the plan is refused, and says how it would be accepted."""
    bucket = account.bucket("secret", "a")
    account.write(
        "BucketAccess", f"buckets: {{include: [{bucket}]}}\nallowOnly: {{principals: [user/bob]}}"
    )
    with pytest.raises(ProblemsError) as caught:
        account.plan()
    assert "lock you out" in caught.value.problems[0].what
    assert enforcer.policies == {}


def test_an_accepted_lockout_is_carried_out_and_taken_back(
    account: Account, enforcer: Enforcer
) -> None:
    """The override is the caller's own word; the policy's own actions are left, so it goes back."""
    bucket = account.bucket("secret", "a")
    account.write(
        "BucketAccess",
        f"buckets: {{include: [{bucket}]}}\nallowOnly: {{principals: [user/bob]}}\n"
        "allowLockout: you",
    )
    account.plan()
    assert account.apply().exit_code == 0, account.problems()
    assert bob_may(account, bucket)
    assert not may_read(account, bucket, account.server.access_key)
    finished = account.rollback()
    assert finished is not None
    assert finished.exit_code == 0
    assert enforcer.policies == {}


def test_a_lockout_that_nobody_saw_is_put_back_at_once(
    account: Account, enforcer: Enforcer
) -> None:
    """The endpoint knows the caller by another ARN than its STS says: only the probe can tell."""
    bucket = account.bucket("secret", "a")
    account.write("BucketAccess", only_me(bucket))
    account.plan()
    enforcer.callers[account.server.access_key] = "arn:aws:iam::123456789012:user/really-eve"
    assert account.apply().exit_code == 3
    assert enforcer.policies == {}, "the bucket had no policy, and has none again"
    assert any("does not work" in message for message in account.problems().values())
    assert bob_may(account, bucket)


def test_others_statements_go_on_being_enforced(account: Account, enforcer: Enforcer) -> None:
    """What others denied before stays denied."""
    bucket = account.bucket("secret", "a")
    theirs = {
        "Sid": "NoBob",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:GetObject",
        "Resource": f"arn:aws:s3:::{bucket}/*",
        "Condition": {"ArnNotEquals": {"aws:PrincipalArn": ME}},
    }
    enforcer.policies[bucket] = {"Version": "2012-10-17", "Statement": [theirs]}
    account.write(
        "BucketAccess",
        f"buckets: {{include: [{bucket}]}}\nallowOnly: {{principals: [current, user/bob]}}",
    )
    account.plan()
    assert account.apply().exit_code == 0, account.problems()
    assert json.dumps(theirs) in json.dumps(enforcer.policies[bucket])
    assert not bob_may(account, bucket)
