"""Who am I, what is there, and manifests made from it: the commands on moto."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from s3plan.cli.program import main
from tests.access.conftest import Account, enter, open_account
from tests.access.test_access_run import only_me, reading
from tests.servers import Server


def run(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> str:
    assert main(list(arguments)) == code
    return capsys.readouterr().out


def told(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run(capsys, *arguments, "--json"))
    return found


def connection(account: Account) -> str:
    """A file with nothing but the Connection."""
    path = account.directory / "connection.yaml"
    path.write_text(
        "apiVersion: s3plan/v1\nkind: Connection\nmetadata: {name: default}\n"
        f"spec: {{endpoint: '{account.endpoint}', region: {account.server.region}}}\n"
    )
    return str(path)


def test_whoami(account: Account, capsys: pytest.CaptureFixture[str]) -> None:
    """Row A53: account, user, ARN, and the buckets with what matters about them."""
    plain, public = account.bucket("plain"), account.bucket("public")
    statement = reading(public)["Statement"][0] | {"Principal": "*"}
    account.s3.put_bucket_policy(
        Bucket=public, Policy=json.dumps(reading(public) | {"Statement": [statement]})
    )
    account.s3.put_bucket_versioning(Bucket=plain, VersioningConfiguration={"Status": "Enabled"})
    found = told(capsys, "whoami", connection(account), "--buckets")
    assert found["account"] == "123456789012"
    assert found["arn"].startswith("arn:aws:sts::123456789012:")
    assert {one["name"]: (one["versioning"], one["public"]) for one in found["buckets"]} == {
        plain: ("enabled", False),
        public: ("never", True),
    }
    text = run(capsys, "whoami", connection(account), "--buckets")
    assert "account   123456789012" in text
    assert plain in text


def test_whoami_of_a_session(
    account: Account, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """E22: of a session it shows the role that policies must name, with its path."""
    import boto3

    keys = {
        "aws_access_key_id": account.server.access_key,
        "aws_secret_access_key": account.server.secret_key,
        "region_name": account.server.region,
        "endpoint_url": account.endpoint,
    }
    iam = boto3.client("iam", **keys)  # type: ignore[call-overload]
    iam.create_role(RoleName="admin", Path="/team/", AssumeRolePolicyDocument="{}")
    arn = "arn:aws:iam::123456789012:role/team/admin"
    sts = boto3.client("sts", **keys)  # type: ignore[call-overload]
    given = sts.assume_role(RoleArn=arn, RoleSessionName="laptop")["Credentials"]
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", given["AccessKeyId"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", given["SecretAccessKey"])
    monkeypatch.setenv("AWS_SESSION_TOKEN", given["SessionToken"])
    found = told(capsys, "whoami", connection(account))
    assert found["kind"] == "assumed-role"
    assert found["name"] == "admin"
    assert found["policy_arns"] == [arn]


@pytest.mark.long
def test_an_endpoint_that_has_no_sts(
    seaweed: Server,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """It says so, and everything else is still told."""
    with open_account(seaweed, tmp_path) as account:
        enter(account, monkeypatch)
        found = told(capsys, "whoami", connection(account))
        assert (found["account"], found["arn"]) == (None, None)
        assert "does not tell" in run(capsys, "whoami", connection(account))


def test_lists(account: Account, capsys: pytest.CaptureFixture[str]) -> None:
    """Rows A56 and A63: what there is to choose from, buckets and policy files."""
    one, other = account.bucket("one"), account.bucket("other")
    account.s3.put_bucket_policy(Bucket=one, Policy=json.dumps(reading(one)))
    folder = account.directory / "policies"
    folder.mkdir()
    (folder / f"{one}_policy.json").write_text(json.dumps(reading(one, "Filed")))
    (folder / "broken.json").write_text("{")
    manifest = connection(account)
    assert run(capsys, "list", "buckets", manifest).split() == sorted([one, other])
    assert told(capsys, "list", "buckets", manifest)["names"] == sorted([one, other])
    found = {
        (entry["bucket"], entry["file"]): entry["statements"] or entry["problem"]
        for entry in told(capsys, "list", "policies", manifest)["policies"]
    }
    assert found == {
        (one, None): ["Theirs"],
        (other, None): None,
        (one, f"{one}_policy.json"): ["Filed"],
        (None, "broken.json"): "is not JSON that can be read",
    }
    text = run(capsys, "list", "policies", manifest)
    assert "no policy" in text
    assert "broken.json" in text


@pytest.mark.parametrize("policy", [True, False], ids=["with-a-policy", "bare"])
def test_an_imported_access_gives_no_changes(
    account: Account, capsys: pytest.CaptureFixture[str], policy: bool
) -> None:
    """The policy with variables of its own, the protections, the encryption."""
    bucket = account.bucket("there")
    if policy:
        document = reading(bucket)
        document["Statement"][0]["Resource"] = [f"arn:aws:s3:::{bucket}/${{aws:username}}/*"]
        account.s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps(document))
        account.s3.put_public_access_block(
            Bucket=bucket,
            PublicAccessBlockConfiguration=dict.fromkeys(
                (
                    "BlockPublicAcls",
                    "IgnorePublicAcls",
                    "BlockPublicPolicy",
                    "RestrictPublicBuckets",
                ),
                True,
            ),
        )
        account.s3.put_bucket_encryption(
            Bucket=bucket,
            ServerSideEncryptionConfiguration={
                "Rules": [
                    {
                        "ApplyServerSideEncryptionByDefault": {
                            "SSEAlgorithm": "aws:kms",
                            "KMSMasterKeyID": "alias/mine",
                        },
                        "BucketKeyEnabled": True,
                    }
                ]
            },
        )
    text = run(capsys, "import", "bucket-access", bucket, "--connection", connection(account))
    (account.directory / "imported.yaml").write_text(text)
    assert ("publicAccess: blocked" in text) is policy
    assert run(capsys, "plan", "imported.yaml", "connection.yaml") == "No changes.\n"


def test_an_imported_lifecycle_gives_no_changes(
    account: Account, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every part of a rule comes through: the ten rules of the archiver among them."""
    bucket = account.bucket("there")
    both = {
        "And": {
            "Tags": [
                {"Key": "archive_policy", "Value": "fast"},
                {"Key": "backup_policy", "Value": "flexible"},
            ]
        }
    }
    account.s3.put_bucket_lifecycle_configuration(
        Bucket=bucket,
        LifecycleConfiguration={
            "Rules": [
                {
                    "ID": "fast-flexible",
                    "Status": "Enabled",
                    "Filter": both,
                    "Transitions": [
                        {"Days": 7, "StorageClass": "GLACIER"},
                        {"Days": 97, "StorageClass": "DEEP_ARCHIVE"},
                    ],
                    "NoncurrentVersionTransitions": [
                        {"NoncurrentDays": 7, "StorageClass": "GLACIER"}
                    ],
                },
                {
                    "ID": "old-versions",
                    "Status": "Enabled",
                    "Filter": {"Prefix": "database/"},
                    "NoncurrentVersionExpiration": {
                        "NoncurrentDays": 90,
                        "NewerNoncurrentVersions": 5,
                    },
                },
                {
                    "ID": "clean",
                    "Status": "Disabled",
                    "Filter": {"Prefix": ""},
                    "Expiration": {"ExpiredObjectDeleteMarker": True},
                    "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 3},
                },
            ]
        },
    )
    text = run(capsys, "import", "bucket-lifecycle", bucket, "--connection", connection(account))
    (account.directory / "imported.yaml").write_text(text)
    assert run(capsys, "plan", "imported.yaml", "connection.yaml") == "No changes.\n"


def test_a_bucket_that_is_not_there_cannot_be_imported(
    account: Account, capsys: pytest.CaptureFixture[str]
) -> None:
    """An error, not an empty manifest."""
    arguments = ["import", "bucket-access", "nobody-has-this", "--connection", connection(account)]
    assert main(arguments) == 1
    assert "nobody-has-this" in capsys.readouterr().err


def test_rendered_lifecycles_are_the_source_again(
    account: Account, capsys: pytest.CaptureFixture[str]
) -> None:
    """``rules.from`` takes what render writes."""
    bucket = account.bucket("astro")
    account.write(
        "BucketLifecycle",
        f"buckets: {{include: [{bucket}]}}\nhousekeeping: {{noncurrentDays: 30}}",
    )
    assert (
        run(capsys, "render", "manifest.yaml", "--out", "out") == f"out/{bucket}_lifecycle.json\n"
    )
    assert len(account.plan()) == 1
    account.apply()
    account.write(
        "BucketLifecycle",
        f"buckets: {{include: [{bucket}]}}\nrules: {{from: out/{bucket}_lifecycle.json}}",
    )
    assert account.plan() == []


def test_examples_run(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    """What examples/plans shows is planned and applied as it stands."""
    from s3plan import api

    examples = Path(__file__).parents[2] / "examples" / "plans"
    monkeypatch.setenv("ENDPOINT", account.endpoint)
    monkeypatch.setenv("REGION", account.server.region)
    for name in ("secret", "private-notes", "astro"):
        account.s3.create_bucket(Bucket=name)
    for kind in ("bucket-access", "bucket-lifecycle"):
        made = api.plan([examples / f"{kind}.yaml"])
        assert made.plan is not None
        finished = account.apply()
        assert finished.exit_code == 0, account.problems()
        assert api.plan([examples / f"{kind}.yaml"]).plan is None
    assert account.policy("private-notes")["Statement"][0]["Sid"] == "S3planAllowOnly"
    assert set(account.lifecycle("astro")) == {"fast", "normal", "delayed", "s3plan-housekeeping"}


def test_only_me_is_rendered_for_every_bucket(
    account: Account, capsys: pytest.CaptureFixture[str]
) -> None:
    """Row A58: policies/BUCKET_policy.json, as people know it."""
    one, other = account.bucket("one"), account.bucket("other")
    account.write("BucketAccess", only_me(one, other))
    assert run(capsys, "render", "manifest.yaml").split() == [
        f"policies/{name}_policy.json" for name in sorted([one, other])
    ]


def test_a_file_that_was_edited_is_not_written_over(
    account: Account, capsys: pytest.CaptureFixture[str]
) -> None:
    """Unless that is said; one that says the same is no obstacle."""
    bucket = account.bucket("one")
    account.write("BucketAccess", only_me(bucket))
    path = account.directory / "policies" / f"{bucket}_policy.json"
    run(capsys, "render", "manifest.yaml")
    run(capsys, "render", "manifest.yaml")
    rendered = path.read_text()
    path.write_text("mine")
    assert main(["render", "manifest.yaml"]) == 1
    assert path.name in capsys.readouterr().err
    assert path.read_text() == "mine"
    run(capsys, "render", "manifest.yaml", "--replace")
    assert path.read_text() == rendered


def test_policy_files_that_nobody_uses_are_listed(
    account: Account, capsys: pytest.CaptureFixture[str]
) -> None:
    """With a plan and without one, where a person reads it."""
    bucket = account.bucket("used")
    folder = account.directory / "policies"
    folder.mkdir()
    for name in (bucket, "gone"):
        (folder / f"{name}_policy.json").write_text(json.dumps(reading(name)))
    account.write(
        "BucketAccess", f"buckets: {{include: [{bucket}]}}\npolicy: {{from: policies/*.json}}"
    )
    words = "gone_policy.json is not used: no bucket gone is planned for"
    assert words in run(capsys, "plan", "manifest.yaml")
    assert account.apply().exit_code == 0
    assert main(["plan", "manifest.yaml"]) == 0
    told_to = capsys.readouterr()
    assert told_to.out == "No changes.\n"
    assert words in told_to.err


def test_the_library_does_what_the_commands_do(account: Account) -> None:
    """Row A65: what other programs load and save goes through functions, without a terminal."""
    from s3plan import api

    bucket = account.bucket("secret")
    there = Path(connection(account))
    account.write("BucketAccess", only_me(bucket))
    manifest = account.directory / "manifest.yaml"
    assert api.whoami(there).account == "123456789012"
    assert bucket in api.list_buckets(there)
    (written,) = api.render([manifest], out=Path("policies"))
    listed = {one.file: one.statements for one in api.list_policies(there) if one.file}
    assert listed == {written.name: ("S3planAllowOnly",)}
    assert api.import_manifest("bucket-access", bucket, connection=there).startswith("apiVersion")
    resources = {one["Resource"] for one in api.iam_policy([manifest])["Statement"]}
    assert f"arn:aws:s3:::{bucket}" in resources
