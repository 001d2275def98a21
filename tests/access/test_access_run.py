"""BucketAccess from plan to rollback on moto: documents, drift, failed probes, partial failures."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from s3plan.engine.probe import Memory
from s3plan.engine.runs import timestamp
from s3plan.errors import ProblemsError
from s3plan.model.capabilities import CAPABILITIES_FORMAT, Capabilities, Capability
from s3plan.rules.policies.making import ALLOW_ONLY
from tests.access.conftest import Account
from tests.faults import faults
from tests.faults.proxy import Rule, proxy_to

BLOCKED = {
    "BlockPublicAcls": True,
    "IgnorePublicAcls": True,
    "BlockPublicPolicy": True,
    "RestrictPublicBuckets": True,
}


def reading(bucket: str, sid: str = "Theirs") -> dict[str, Any]:
    """A policy that lets a role of the account read."""
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": sid,
                "Effect": "Allow",
                "Principal": {"AWS": "arn:aws:iam::123456789012:role/reader"},
                "Action": ["s3:GetObject"],
                "Resource": [f"arn:aws:s3:::{bucket}/*"],
            }
        ],
    }


def only_me(*buckets: str) -> str:
    return f"buckets: {{include: [{', '.join(buckets)}]}}\nallowOnly: {{principals: [current]}}\n"


def test_the_whole_way_and_back(account: Account) -> None:
    """Rows A54, A57 and A59: planned, applied, No changes, rolled back to what was there."""
    secret = account.bucket("secret")
    account.s3.put_bucket_policy(Bucket=secret, Policy=json.dumps(reading(secret)))
    account.write("BucketAccess", only_me(secret) + "publicAccess: blocked\nownership: enforced")
    assert [action.document for action in account.plan()] == [
        "public-access-block",
        "ownership",
        "policy",
    ]
    assert account.policy(secret) == reading(secret), "planning only reads"
    assert account.apply().exit_code == 0
    sids = [one["Sid"] for one in account.policy(secret)["Statement"]]
    assert sids == ["Theirs", ALLOW_ONLY]
    block = account.s3.get_public_access_block(Bucket=secret)["PublicAccessBlockConfiguration"]
    assert block == BLOCKED
    assert account.plan() == [], "No changes"
    finished = account.rollback()
    assert finished is not None
    assert finished.exit_code == 0
    assert account.policy(secret) == reading(secret)


def test_only_some_of_them(account: Account) -> None:
    """Rows A60, A62 and A66: the plan is the dry run, and --only narrows it."""
    one, other = account.bucket("one"), account.bucket("other")
    account.write("BucketAccess", only_me(one, other))
    assert len(account.plan()) == 2
    assert len(account.plan(only=[f"bucket={one}"])) == 1
    assert account.apply().exit_code == 0
    assert account.policy(one) is not None
    assert account.policy(other) is None


def test_all_buckets_of_the_account(account: Account) -> None:
    """Row A55: one plan, a step for each, and what is excluded stays as it is."""
    names = [account.bucket("all") for _ in range(3)]
    kept = account.bucket("keep")
    account.write(
        "BucketAccess",
        "buckets: {include: ['*'], exclude: ['keep-*']}\nallowOnly: {principals: [current]}",
    )
    assert len(account.plan()) == 3
    assert account.apply().exit_code == 0
    assert all(account.policy(name) for name in names)
    assert account.policy(kept) is None


def test_a_failed_probe_puts_the_old_policy_back_at_once(account: Account) -> None:
    """On moto every Deny hits the caller as well: the old policy must be back."""
    secret = account.bucket("secret", "an-object")
    account.s3.put_bucket_policy(Bucket=secret, Policy=json.dumps(reading(secret)))
    account.write("BucketAccess", only_me(secret))
    account.plan()
    finished = account.apply()
    assert finished.exit_code == 3
    assert account.policy(secret) == reading(secret)
    (message,) = account.problems().values()
    assert "does not work" in message
    assert "old document is back" in message, message


def test_a_policy_that_changed_since_the_plan_is_left_alone(account: Account) -> None:
    """Drift stops the step, not the others: exit 3 names the bucket; nothing is written over."""
    changed, other = account.bucket("changed"), account.bucket("other")
    account.write("BucketAccess", only_me(changed, other))
    account.plan()
    account.s3.put_bucket_policy(Bucket=changed, Policy=json.dumps(reading(changed, "Meanwhile")))
    assert account.apply().exit_code == 3
    assert account.policy(changed) == reading(changed, "Meanwhile")
    assert account.policy(other) is not None
    assert [key for key in account.problems() if changed in key]
    assert not [key for key in account.problems() if other in key]


def test_part_of_it_failing_names_each_and_exits_3(account: Account) -> None:
    """E29: what failed is named, and the end does not say it was completed."""
    fine, denied, also = (account.bucket(word) for word in ("fine", "denied", "also"))
    with proxy_to(account.server.endpoint) as proxy:
        account.write("BucketAccess", only_me(fine, denied, also), endpoint=proxy.endpoint)
        account.plan()
        proxy.play(
            Rule(
                "denied",
                faults.refuse(403, "AccessDenied"),
                method="PUT",
                query="policy",
                when=lambda asked: asked.bucket in {denied, also},
            )
        )
        finished = account.apply()
    assert finished.exit_code == 3
    assert finished.outcome == "incomplete"
    assert account.policy(fine) is not None
    text = " ".join(str(event) for event in account.events)
    assert denied in text
    assert also in text
    assert account.policy(denied) is None


def test_rollback_leaves_alone_what_is_no_longer_ours(account: Account) -> None:
    """A policy that somebody changed after the run stays, and the exit code says 7."""
    secret = account.bucket("secret")
    account.write("BucketAccess", only_me(secret))
    account.plan()
    account.apply()
    account.s3.put_bucket_policy(Bucket=secret, Policy=json.dumps(reading(secret, "Later")))
    finished = account.rollback()
    assert finished is not None
    assert finished.exit_code == 7
    assert account.policy(secret) == reading(secret, "Later")


def test_conditions_that_were_seen_not_to_be_enforced(account: Account) -> None:
    """What ``s3plan doctor --with-bucket`` found is remembered, and allowOnly is refused on it."""
    secret, place = account.bucket("secret"), f"s3://{account.bucket('scratch')}/p"
    path = account.write("BucketAccess", only_me(secret))
    path.write_text(path.read_text().replace("  region:", f"  scratch: {place}\n  region:"))
    found = Capability("policy-condition", "ignored", "a Deny with ArnNotEquals denies everybody")
    region, now = account.server.region, timestamp(datetime.now(UTC))
    Memory(Path(account.environ["XDG_STATE_HOME"]) / "s3plan" / "capabilities").remember(
        Capabilities(CAPABILITIES_FORMAT, account.endpoint, region, place, now, "test", (found,))
    )
    with pytest.raises(ProblemsError) as caught:
        account.plan()
    assert "does not enforce conditions in bucket policies" in caught.value.problems[0].what


def test_rendered_files_are_the_source_again(account: Account, capsys: Any) -> None:
    """Rows A58, A61 and A64: rendered to policies/, and applied from there."""
    from s3plan.cli.program import main

    secret = account.bucket("secret")
    account.write("BucketAccess", only_me(secret))
    assert main(["render", "manifest.yaml"]) == 0
    assert capsys.readouterr().out == f"policies/{secret}_policy.json\n"
    rendered = json.loads((account.directory / f"policies/{secret}_policy.json").read_text())
    assert [one["Sid"] for one in rendered["Statement"]] == [ALLOW_ONLY]
    account.write(
        "BucketAccess", f"buckets: {{include: [{secret}]}}\npolicy: {{from: policies/*.json}}"
    )
    (action,) = account.plan()
    assert action.after == rendered
    assert account.apply().exit_code == 0
    assert account.policy(secret) == rendered
    account.write("BucketAccess", only_me(secret))
    assert account.plan() == [], "the rendered policy is what the manifest means"


def test_a_journal_holds_the_old_policy(account: Account) -> None:
    """E21: the document that was there is in the plan file, for whoever needs it by hand."""
    secret = account.bucket("secret")
    account.s3.put_bucket_policy(Bucket=secret, Policy=json.dumps(reading(secret)))
    account.write("BucketAccess", only_me(secret) + "merge: replace")
    account.plan()
    text = Path("plan.json").read_text()
    assert '"Theirs"' in text


def test_where_nobody_tells_who_asks(ceph: Account) -> None:
    """RGW 16 denies nobody by ArnNotEquals and tells nobody: allowOnly is refused, with the reason.

    A policy that is taken as it is works: it is written, read back, probed, and taken back.
    """
    bucket = ceph.bucket("secret", "a")
    ceph.write("BucketAccess", only_me(bucket))
    with pytest.raises(ProblemsError) as caught:
        ceph.plan()
    assert "does not tell who you are" in caught.value.problems[0].what
    statement = (
        "{Sid: Mine, Effect: Allow, Principal: '*', Action: 's3:GetObject',"
        f" Resource: 'arn:aws:s3:::{bucket}/public/*'}}"
    )
    ceph.write(
        "BucketAccess",
        f"buckets: {{include: [{bucket}]}}\n"
        f"policy: {{document: {{Version: '2012-10-17', Statement: [{statement}]}}}}",
    )
    assert len(ceph.plan()) == 1
    assert ceph.apply().exit_code == 0, ceph.problems()
    assert ceph.policy(bucket)["Statement"][0]["Sid"] == "Mine"
    assert ceph.plan() == []
    finished = ceph.rollback()
    assert finished is not None
    assert finished.exit_code == 0
    assert ceph.policy(bucket) is None
