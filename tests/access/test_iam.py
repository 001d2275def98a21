"""``s3plan iam``: the printed policy is what full runs were seen to need, no less and no more.

What requests need is told here by a table of its own, from the service authorization reference, so
that the code under test is not its own witness.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest

from s3plan import api
from s3plan.cli.program import main
from s3plan.kinds.registry import FOLDERS, kind_named
from s3plan.model.buckets import DocumentName
from s3plan.model.events import GateReached
from s3plan.rules.permissions import READ, written
from s3plan.rules.policies.known import known_actions
from tests.access.conftest import Account
from tests.faults.proxy import Asked, Proxy, proxy_to

SUBRESOURCES = {
    "abac": "BucketAbac",
    "accelerate": "AccelerateConfiguration",
    "acl": "BucketAcl",
    "analytics": "AnalyticsConfiguration",
    "cors": "BucketCORS",
    "encryption": "EncryptionConfiguration",
    "intelligent-tiering": "IntelligentTieringConfiguration",
    "inventory": "InventoryConfiguration",
    "lifecycle": "LifecycleConfiguration",
    "logging": "BucketLogging",
    "metadataConfiguration": "BucketMetadataTableConfiguration",
    "metadataTable": "BucketMetadataTableConfiguration",
    "metrics": "MetricsConfiguration",
    "notification": "BucketNotification",
    "object-lock": "BucketObjectLockConfiguration",
    "ownershipControls": "BucketOwnershipControls",
    "policy": "BucketPolicy",
    "publicAccessBlock": "BucketPublicAccessBlock",
    "replication": "ReplicationConfiguration",
    "requestPayment": "BucketRequestPayment",
    "tagging": "BucketTagging",
    "versioning": "BucketVersioning",
    "website": "BucketWebsite",
}
DELETED_BY_ITSELF = {"BucketPolicy", "BucketWebsite"}


def actions_of(asked: Asked) -> set[tuple[str, str]]:
    """What IAM must allow for a request: on what, and the action."""
    if not asked.bucket:
        if asked.method != "POST":
            return {("account", "s3:ListAllMyBuckets")}
        (name,) = parse_qs(asked.body.decode())["Action"]
        # Everybody may ask who they are.
        return set() if name == "GetCallerIdentity" else {("role", f"iam:{name}")}
    if asked.key:
        return {("object", action) for action in _on_object(asked)}
    if "uploads" in asked.query:
        return {("bucket", "s3:ListBucketMultipartUploads")}
    found = [name for sub, name in SUBRESOURCES.items() if sub in asked.query]
    if found:
        verb = {"GET": "Get", "PUT": "Put", "DELETE": "Put"}[asked.method]
        if asked.method == "DELETE" and found[0] in DELETED_BY_ITSELF:
            verb = "Delete"
        return {("bucket", f"s3:{verb}{found[0]}")}
    if asked.method == "POST" and "delete" in asked.query:
        return {("object", "s3:DeleteObject")}
    names = {"GET": "ListBucket", "HEAD": "ListBucket", "PUT": "CreateBucket"}
    return {("bucket", f"s3:{names.get(asked.method, 'DeleteBucket')}")}


def _on_object(asked: Asked) -> Iterable[str]:
    if "restore" in asked.query:
        return ["s3:RestoreObject"]
    if "acl" in asked.query:
        return ["s3:GetObjectAcl"]
    if "tagging" in asked.query:
        return {"GET": ["s3:GetObjectTagging"], "PUT": ["s3:PutObjectTagging"]}[asked.method]
    if asked.method in {"GET", "HEAD"}:
        return ["s3:GetObject"]
    if asked.method == "DELETE":
        return ["s3:DeleteObject"]
    return ["s3:PutObject", *(["s3:PutObjectTagging"] if "x-amz-tagging" in asked.headers else [])]


def recorded(proxy: Proxy) -> set[tuple[str, str]]:
    return {pair for asked in proxy.asked for pair in actions_of(asked)}


def printed(capsys: pytest.CaptureFixture[str], bucket: str, *options: str) -> set[tuple[str, str]]:
    """The printed policy as the same pairs; it must name this bucket and no other."""
    assert main(["iam", "manifest.yaml", *options]) == 0
    policy = json.loads(capsys.readouterr().out)
    places = {
        "*": "account",
        f"arn:aws:s3:::{bucket}": "bucket",
        f"arn:aws:s3:::{bucket}/*": "object",
        "arn:aws:iam::*:role/*": "role",
    }
    assert policy["Version"] == "2012-10-17"
    return {
        (places[statement["Resource"]], action)
        for statement in policy["Statement"]
        for action in statement["Action"]
    }


@pytest.mark.long
def test_an_evacuation(account: Account, capsys: pytest.CaptureFixture[str]) -> None:
    """Row D40 and E6: everything that plan, apply with deletion, and rollback were seen to need."""
    bucket = account.bucket("photos")
    account.s3.put_object(Bucket=bucket, Key="a", Body=b"1", Tagging="kind=photo")
    account.s3.put_object(Bucket=bucket, Key="b", Body=b"2", StorageClass="GLACIER")
    with proxy_to(account.server.endpoint) as proxy:
        account.write(
            "BucketEvacuation",
            f"buckets: {{include: [{bucket}]}}\ndestination: {{path: here}}\n"
            "delete: afterVerification\ndeleteBucket: true\nrestore: {poll: 1s}",
            endpoint=proxy.endpoint,
        )
        assert api.plan([Path("manifest.yaml")]).plan is not None
        assert account.apply().outcome == "held"
        (gate,) = [event for event in account.events if isinstance(event, GateReached)]
        approval = api.Approval("tester", None, {bucket: gate.evidence}, {})
        finished = api.apply(Path("plan.json"), approval=approval)
        assert finished.exit_code == 0
        back = account.rollback()
        assert back is not None
        assert back.exit_code == 0
        seen = recorded(proxy)
    needed = printed(capsys, bucket)
    assert seen <= needed
    # The new bucket got back what the old one had; the others' documents nobody had to write.
    put_back = {("bucket", action) for name in READ for action in written(name)}
    # No upload was large, nobody had begun one that was to be aborted, no
    # object had an ACL or a lock, and only S3 itself has annotations.
    # Nor did the bucket keep versions: one that does is deleted by their ids.
    versions = {
        action for action in needed if "Version" in action[1] and action not in seen | put_back
    }
    unseen = (
        "AbortMultipartUpload",
        "GetObjectLegalHold",
        "GetObjectRetention",
        "ListMultipartUploadParts",
        "ListObjectAnnotations",
        "PutObjectAcl",
        "PutObjectLegalHold",
        "PutObjectRetention",
    )
    assert needed - seen <= put_back | versions | {("object", f"s3:{name}") for name in unseen}
    assert ("object", "s3:DeleteObjectVersion") in versions
    assert ("object", "s3:GetObjectAcl") in seen


def test_a_history_needs_actions_of_its_own(
    account: Account, capsys: pytest.CaptureFixture[str]
) -> None:
    """Who deletes nothing and copies only what is current has nothing to do with versions."""
    bucket = account.bucket("photos")
    spec = f"buckets: {{include: [{bucket}]}}\ndestination: {{path: here}}"
    account.write("BucketEvacuation", spec, endpoint=account.server.endpoint)
    plain = printed(capsys, bucket)
    deleting = f"{spec}\ndelete: afterVerification"
    account.write("BucketEvacuation", deleting, endpoint=account.server.endpoint)
    more = printed(capsys, bucket)
    assert not any(
        "Version" in action for _, action in plain - {("bucket", "s3:GetBucketVersioning")}
    )
    assert {
        ("bucket", "s3:ListBucketVersions"),
        ("object", "s3:DeleteObjectVersion"),
        ("object", "s3:GetObjectVersion"),
        ("object", "s3:DeleteObject"),
    } <= more
    assert ("bucket", "s3:ListBucketVersions") in printed(capsys, bucket, "--phase", "plan")


@pytest.mark.long
@pytest.mark.parametrize("kind", ["BucketAccess", "BucketLifecycle"])
def test_configuration(
    account: Account, capsys: pytest.CaptureFixture[str], kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same for kinds that write documents, by whoever has a session of a role."""
    bucket = account.bucket("astro", "a")
    specs = {
        "BucketAccess": "policy: {document: {Version: '2012-10-17', Statement: [{Sid: A, Effect:"
        f" Allow, Principal: '*', Action: 's3:*', Resource: 'arn:aws:s3:::{bucket}/*',"
        " Condition: {StringEquals: {'aws:SourceVpc': vpc-1}}}]}}\n"
        "ownership: enforced\nencryption: {algorithm: 'aws:kms'}\npublicAccess: blocked",
        "BucketLifecycle": "housekeeping: {}\nrules:\n"
        "- {id: t, filter: {tag: {a: b}}, transitions: [{days: 1, storageClass: GLACIER}]}",
    }
    _as_a_session(account, monkeypatch)
    with proxy_to(account.server.endpoint) as proxy:
        spec = f"buckets: {{include: [{bucket}]}}\n{specs[kind]}"
        account.write(kind, spec, endpoint=proxy.endpoint)
        assert account.plan()
        assert account.apply().exit_code == 0, account.problems()
        back = account.rollback()
        assert back is not None
        assert back.exit_code == 0
        seen = recorded(proxy)
    assert printed(capsys, bucket) == seen


def test_a_grouping(account: Account, capsys: pytest.CaptureFixture[str]) -> None:
    """Copies within one bucket, with tags of their own and of the sources, and the way back."""
    bucket = account.bucket("library")
    account.s3.put_object(Bucket=bucket, Key="7/Ann/a.mp3", Body=b"1", Tagging="kind=x")
    account.s3.put_object(Bucket=bucket, Key="7/Ann/b.jpg", Body=b"2")
    with proxy_to(account.server.endpoint) as proxy:
        account.write(
            "ObjectGrouping",
            f"source: {{bucket: {bucket}}}\n"
            "target: {key: '{type}/{row_id}_{name}_{file}', tags: {made: here}}",
            endpoint=proxy.endpoint,
        )
        assert api.plan([Path("manifest.yaml")]).plan is not None
        assert account.apply().exit_code == 0, account.problems()
        back = account.rollback()
        assert back is not None
        assert back.exit_code == 0
        seen = recorded(proxy)
    needed = printed(capsys, bucket)
    # Only a large copy is made in parts, and only one that fails is aborted.
    assert needed - seen == {("object", "s3:AbortMultipartUpload")}
    assert seen <= needed


@pytest.mark.parametrize("versioned", [False, True])
def test_a_layout(account: Account, capsys: pytest.CaptureFixture[str], *, versioned: bool) -> None:
    """Staged, swapped and swapped back; where versions are kept, from a version."""
    bucket = account.bucket("data")
    if versioned:
        account.s3.put_bucket_versioning(
            Bucket=bucket, VersioningConfiguration={"Status": "Enabled"}
        )
    account.s3.put_object(Bucket=bucket, Key="o/a", Body=b"1", Tagging="kind=x")
    account.s3.put_object(Bucket=bucket, Key="o/b", Body=b"2")
    with proxy_to(account.server.endpoint) as proxy:
        account.write(
            "ObjectLayout",
            f"select: {{bucket: {bucket}}}\ntarget: {{layoutVersion: 2}}\n"
            "cutover: {window: accept}",
            endpoint=proxy.endpoint,
        )
        assert api.plan([Path("manifest.yaml")]).plan is not None
        assert account.apply().exit_code == 0, account.problems()
        back = account.rollback()
        assert back is not None
        assert back.exit_code == 0
        seen = recorded(proxy)
    needed = printed(capsys, bucket)
    assert seen <= needed
    # What keeps versions is known only at the bucket; large objects are made in parts.
    assert {action for _, action in needed - seen} <= {
        "s3:AbortMultipartUpload",
        "s3:GetObjectVersion",
        "s3:GetObjectVersionTagging",
    }


def test_every_kind_says_what_it_uses() -> None:
    """A new kind without it would print a policy that is not enough."""
    for name in FOLDERS:
        assert callable(getattr(kind_named(name), "uses", None)), name


def _as_a_session(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    import boto3

    keys: dict[str, Any] = {
        "aws_access_key_id": account.server.access_key,
        "aws_secret_access_key": account.server.secret_key,
        "region_name": account.server.region,
        "endpoint_url": account.server.endpoint,
    }
    iam, sts = boto3.client("iam", **keys), boto3.client("sts", **keys)
    iam.create_role(RoleName="admin", AssumeRolePolicyDocument="{}")
    arn = "arn:aws:iam::123456789012:role/admin"
    given = sts.assume_role(RoleArn=arn, RoleSessionName="laptop")["Credentials"]
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", given["AccessKeyId"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", given["SecretAccessKey"])
    monkeypatch.setenv("AWS_SESSION_TOKEN", given["SessionToken"])


def test_freezing_needs_to_try_a_write(
    account: Account, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whether a frozen bucket refuses writes is seen by one that may not even begin."""
    account.write(
        "BucketEvacuation",
        "buckets: {include: [photos]}\ndestination: {path: here}\n"
        "delete: afterVerification\nfreeze: policy",
    )
    applying = printed(capsys, "photos", "--phase", "apply")
    assert {("bucket", "s3:PutBucketPolicy"), ("object", "s3:PutObject")} <= applying


def test_one_phase_alone(account: Account, capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever only plans needs nothing that writes."""
    account.write("BucketLifecycle", "buckets: {include: [astro]}\nhousekeeping: {}")
    planning = printed(capsys, "astro", "--phase", "plan")
    assert ("bucket", "s3:PutLifecycleConfiguration") not in planning
    assert ("bucket", "s3:GetLifecycleConfiguration") in planning
    both = printed(capsys, "astro", "--phase", "plan", "--phase", "apply")
    assert ("bucket", "s3:PutLifecycleConfiguration") in both


def test_globs_prefixes_and_scratch(account: Account, capsys: pytest.CaptureFixture[str]) -> None:
    """Resources are as narrow as the manifest is."""
    path = account.write(
        "BucketEvacuation",
        "buckets: {include: ['photos-*']}\ndestination: {path: here}\nselect: {prefix: 2019/}",
    )
    path.write_text(path.read_text().replace("  region:", "  scratch: s3://probes/p\n  region:"))
    assert main(["iam", "manifest.yaml", "--json"]) == 0
    policy = json.loads(capsys.readouterr().out)["policy"]
    resources = {one["Resource"]: one["Action"] for one in policy["Statement"]}
    assert resources["*"] == ["s3:ListAllMyBuckets"]
    assert resources["arn:aws:s3:::photos-*/2019/*"] == [
        "s3:GetObject",
        "s3:GetObjectTagging",
        "s3:RestoreObject",
    ]
    assert "s3:PutObject" in resources["arn:aws:s3:::probes/*"]


def test_jobs_are_made_only_where_the_connection_says_how(
    account: Account, capsys: pytest.CaptureFixture[str]
) -> None:
    path = account.write(
        "BucketEvacuation", "buckets: {include: [photos]}\ndestination: {path: here}"
    )
    role = "arn:aws:iam::123456789012:role/batch"
    told = f"  scratch: s3://probes/p\n  batch: {{roleArn: '{role}'}}\n  region:"
    path.write_text(path.read_text().replace("  region:", told))
    assert main(["iam", "manifest.yaml", "--json"]) == 0
    statements = json.loads(capsys.readouterr().out)["policy"]["Statement"]
    actions = {action for one in statements for action in one["Action"]}
    wanted = {"s3:CreateJob", "s3:DescribeJob", "s3:UpdateJobStatus", "iam:PassRole"}
    assert wanted <= actions
    assert {one.partition(":")[2].lower() for one in wanted if "s3:" in one} <= set(known_actions())


def test_every_action_exists() -> None:
    """E6: no name of an API operation where IAM has another."""
    from typing import get_args

    names: tuple[DocumentName, ...] = get_args(DocumentName)
    actions = {READ[name] for name in names} | {one for name in names for one in written(name)}
    unknown = {one for one in actions if one.removeprefix("s3:").lower() not in known_actions()}
    assert unknown == set()
