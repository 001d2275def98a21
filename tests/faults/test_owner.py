"""Every request names the account that its bucket must belong to, once the account is known."""

from __future__ import annotations

from pathlib import Path

import pytest

from s3plan import api
from s3plan.engine import freezing
from s3plan.engine.handlers import configure
from tests.engine.scene import WHOLE
from tests.faults.conftest import Between
from tests.faults.proxy import Asked
from tests.store.test_configuration import EXAMPLES, control_of

ACCOUNT = "123456789012"
"""The account of everybody at moto."""

HEADER = "x-amz-expected-bucket-owner"


def _is_about_a_bucket(asked: Asked) -> bool:
    """All but sts:GetCallerIdentity, ListBuckets, and CreateBucket, which takes no such header.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-owner-condition.html
    """
    makes_it = asked.method == "PUT" and not asked.key and not asked.query
    return bool(asked.bucket) and not makes_it


@pytest.mark.long
def test_a_full_run_names_the_owner_in_every_request(
    between_moto: Between, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Plan, apply with the bucket's deletion, rollback: over the wire and over boto3."""
    monkeypatch.setattr(configure, "PROBE_PAUSES", (0.0,))
    monkeypatch.setattr(freezing, "PATIENCE", 1)
    scene, proxy = between_moto.scene, between_moto.proxy
    for name in ("cors", "policy", "tagging"):
        plane = control_of(scene.server)
        plane.put_document(scene.bucket, name, _example(name, scene.bucket))
    scene.fill(3)
    scene.put("tagged", Tagging="a=1")
    path = scene.manifest(WHOLE + "  freeze: policy\n")
    region = f"region: {scene.server.region}"
    path.write_text(
        path.read_text()
        .replace(region, f'{region}\n  expectAccount: "{ACCOUNT}"')
        .replace("buckets: {include: [", 'buckets: {include: ["nothing-like-it-*", ')
    )
    seen = len(proxy.asked)
    api.plan([path])
    evidence = _to_the_gate(between_moto)
    assert scene.apply(delete=evidence).exit_code == 0
    undone = scene.rollback()
    assert undone is not None
    assert undone.exit_code == 0, scene.problems()

    requests = [asked for asked in proxy.asked[seen:] if _is_about_a_bucket(asked)]
    assert {asked.method for asked in requests} == {"GET", "HEAD", "PUT", "POST", "DELETE"}
    strangers = [
        (asked.method, asked.bucket, asked.key, asked.query)
        for asked in requests
        if asked.headers.get(HEADER) != ACCOUNT
    ]
    assert strangers == []
    assert any(asked.bucket == "" for asked in proxy.asked[seen:]), "ListBuckets was among them"


def _example(name: str, bucket: str) -> object:
    if name == "policy":
        statement = {
            "Effect": "Allow",
            "Principal": "*",
            "Action": "s3:ListBucket",
            "Resource": f"arn:aws:s3:::{bucket}",
        }
        return {"Version": "2012-10-17", "Statement": [statement]}
    return EXAMPLES["cors" if name == "cors" else "tagging"]


def _to_the_gate(between: Between) -> str:
    finished = between.scene.apply()
    assert finished.outcome == "held", (finished, between.scene.problems())
    return between.scene.gate().evidence


def test_a_bucket_of_another_account_is_not_touched(between_moto: Between) -> None:
    """The wrong account is found before the first request to the bucket."""
    scene, proxy = between_moto.scene, between_moto.proxy
    scene.fill(1)
    path: Path = scene.manifest(WHOLE)
    region = f"region: {scene.server.region}"
    path.write_text(path.read_text().replace(region, f'{region}\n  expectAccount: "999999999999"'))
    seen = len(proxy.asked)
    ran = scene.s3plan("plan", "manifest.yaml")
    assert ran.code == 5
    assert "belong to another account" in ran.err
    assert not [asked for asked in proxy.asked[seen:] if asked.bucket == scene.bucket]
