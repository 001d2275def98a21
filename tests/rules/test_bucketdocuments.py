"""Two documents that say the same are the same, however S3 spells them."""

from __future__ import annotations

from typing import Any, get_args

import pytest

from s3plan.model.buckets import DocumentName
from s3plan.rules.bucketdocuments import completed, is_default, normal, same


def _policy(**statement: Any) -> dict[str, Any]:
    said = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*", **statement}
    return {"Version": "2012-10-17", "Statement": [said]}


RULE = {"ID": "r", "Status": "Enabled", "Filter": {"Prefix": "a/"}}
TAG = {"Key": "k", "Value": "v"}
OWN = {"Grantee": {"Type": "CanonicalUser", "ID": "me"}, "Permission": "FULL_CONTROL"}


@pytest.mark.parametrize(
    ("name", "one", "other"),
    [
        ("policy", _policy(Action="s3:GetObject"), _policy(Action=["s3:GetObject"])),
        ("policy", _policy(Action=["b", "a"]), _policy(Action=["a", "b", "b"])),
        ("policy", _policy(Principal="*"), _policy(Principal={"AWS": ["*"]})),
        (
            "policy",
            _policy(Principal={"AWS": "111122223333"}),
            _policy(Principal={"AWS": ["arn:aws:iam::111122223333:root"]}),
        ),
        (
            "policy",
            _policy(Condition={"Bool": {"aws:SecureTransport": False}}),
            _policy(Condition={"Bool": {"aws:SecureTransport": "false"}}),
        ),
        (
            "policy",
            {"Version": "2012-10-17", "Statement": _policy()["Statement"][0]},
            _policy(),
        ),
        (
            "lifecycle",
            {"Rules": [{"ID": "r", "Status": "Enabled", "Prefix": "a/"}]},
            {
                "Rules": [RULE],
                "TransitionDefaultMinimumObjectSize": "all_storage_classes_128K",
            },
        ),
        (
            "lifecycle",
            {"Rules": [{"ID": "r", "Status": "Enabled", "Filter": {}}]},
            {"Rules": [{"ID": "r", "Status": "Enabled", "Filter": {"Prefix": ""}}]},
        ),
        (
            "lifecycle",
            {"Rules": [{**RULE, "Filter": {"And": {"Prefix": "a", "Tags": [TAG]}}}]},
            {"Rules": [{**RULE, "Filter": {"Prefix": "a", "Tag": TAG}}]},
        ),
        (
            "lifecycle",
            {"Rules": [RULE, {**RULE, "ID": "a"}]},
            {"Rules": [{**RULE, "ID": "a"}, RULE]},
        ),
        (
            "tagging",
            [{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}],
            [{"Key": "b", "Value": "2"}, {"Key": "a", "Value": "1"}],
        ),
        (
            "encryption",
            {"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}]},
            None,
        ),
        ("public-access-block", {"BlockPublicAcls": False}, None),
        ("acl", {"Owner": {"ID": "me", "DisplayName": "Me"}, "Grants": [OWN]}, None),
        ("accelerate", "Suspended", None),
        ("request-payment", "BucketOwner", None),
        ("logging", {"TargetBucket": "b", "TargetObjectKeyFormat": {"SimplePrefix": {}}},
         {"TargetBucket": "b"}),
        (
            "notification",
            {"TopicConfigurations": [{"Id": "t", "Events": ["b", "a"],
              "Filter": {"Key": {"FilterRules": [{"Name": "Prefix", "Value": "x"}]}}}]},
            {"TopicConfigurations": [{"Id": "t", "Events": ["a", "b"],
              "Filter": {"Key": {"FilterRules": [{"Name": "prefix", "Value": "x"}]}}}]},
        ),
        ("notification", {"TopicConfigurations": []}, None),
    ],
)  # fmt: skip
def test_same(name: DocumentName, one: Any, other: Any) -> None:
    assert same(name, one, other), (normal(name, one), normal(name, other))


@pytest.mark.parametrize(
    ("name", "one", "other"),
    [
        ("policy", _policy(Action="s3:GetObject"), _policy(Action="s3:PutObject")),
        ("policy", _policy(Principal="*"), _policy(NotPrincipal="*")),
        ("policy", _policy(), None),
        ("lifecycle", {"Rules": [RULE]}, {"Rules": [{**RULE, "Status": "Disabled"}]}),
        (
            "lifecycle",
            {"Rules": [RULE]},
            {"Rules": [RULE], "TransitionDefaultMinimumObjectSize": "varies_by_storage_class"},
        ),
        ("cors", [{"AllowedMethods": ["GET"]}, {"AllowedMethods": ["PUT"]}],
         [{"AllowedMethods": ["PUT"]}, {"AllowedMethods": ["GET"]}]),
        ("public-access-block", {"BlockPublicAcls": True}, None),
        (
            "encryption",
            {"Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms"}}]},
            None,
        ),
        ("versioning", {"Status": "Suspended"}, None),
    ],
)  # fmt: skip
def test_not_the_same(name: DocumentName, one: Any, other: Any) -> None:
    assert not same(name, one, other)
    assert not same(name, other, one)


def test_rules_without_an_id_get_one_of_their_own_that_stays() -> None:
    rules = {"Rules": [{"Status": "Enabled", "Filter": {"Prefix": p}} for p in ("a", "b")]}
    once = completed("lifecycle", rules)
    assert completed("lifecycle", once) == once == completed("lifecycle", rules)
    first, second = (rule["ID"] for rule in once["Rules"])
    assert first != second
    assert same("lifecycle", rules, once)


def test_what_a_new_bucket_has_is_a_default() -> None:
    """Since April 2023: all public access blocked, no ACLs."""
    flags = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
    assert is_default("public-access-block", dict.fromkeys(flags, True))
    assert is_default("ownership", {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]})
    assert not is_default("ownership", {"Rules": [{"ObjectOwnership": "ObjectWriter"}]})


@pytest.mark.parametrize("name", get_args(DocumentName))
def test_every_document_has_a_normal_form(name: DocumentName) -> None:
    assert normal(name, None) is None
    assert is_default(name, None)
