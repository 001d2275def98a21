"""``kind: BucketAccess`` as people write it: who may use buckets, and how they are protected."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from s3plan.kinds.fields import CONTRADICTION, BucketFields, Fields, Frame, Text


class AllowOnlyFields(Fields):
    """Everybody else is denied, by a Deny on ``aws:PrincipalArn``; the root user never is."""

    principals: tuple[Text, ...] = Field(
        min_length=1,
        description="Who keeps access: current (whoever plans), ARNs of users and roles, or"
        " user/NAME and role/NAME of this account. A session of a role counts as the role.",
        examples=[["current", "role/backup", "arn:aws:iam::123456789012:user/alice"]],
    )
    break_glass: tuple[Text, ...] = Field(
        (), description="Who keeps access besides, for emergencies; as principals."
    )
    services: bool = Field(
        True,
        description="Whether AWS's own services (log delivery, replication, ...) keep theirs.",
    )
    deny_policy_actions: bool = Field(
        False,
        description="Whether everybody else is denied to read, replace and delete the policy, too."
        " Then only those who are named, and the root user, can take it back.",
    )


class PolicySourceFields(Fields):
    """A policy that is taken as it is written: in files, or here."""

    source: Text | None = Field(
        None,
        alias="from",
        description="A JSON file, or a glob such as policies/*.json whose files belong to the"
        " buckets by their names, BUCKET_policy.json; relative to this file.",
    )
    document: dict[str, Any] | None = Field(None, description="The policy itself.")

    @model_validator(mode="after")
    def _one_of_both(self) -> PolicySourceFields:
        if (self.source is None) == (self.document is None):
            raise PydanticCustomError(CONTRADICTION, "a policy has from or document, one of them")
        return self


class EncryptionFields(Fields):
    """How S3 encrypts new objects that say nothing about it."""

    algorithm: Literal["AES256", "aws:kms", "aws:kms:dsse"] = Field(
        description="AES256 is S3's own (SSE-S3), the default of every bucket."
    )
    kms_key: Text | None = Field(
        None, description="The key of aws:kms, an ARN or id; without it, AWS's own for S3."
    )
    bucket_key: bool = Field(
        False, description="Whether one key of the bucket's saves requests to KMS."
    )

    @model_validator(mode="after")
    def _keys_are_for_kms(self) -> EncryptionFields:
        if self.algorithm == "AES256" and (self.kms_key is not None or self.bucket_key):
            raise PydanticCustomError(CONTRADICTION, "kmsKey and bucketKey are for aws:kms")
        return self


class AccessSpec(Fields):
    """What shall be true of the buckets. What is not said is left as it is."""

    buckets: BucketFields = Field(description="Which buckets.")
    allow_only: AllowOnlyFields | None = Field(
        None, description="Who may use the buckets; everybody else is denied."
    )
    tls_only: bool | None = Field(
        None, description="Whether requests without TLS are denied; false removes that again."
    )
    policy: PolicySourceFields | None = Field(
        None, description="The policy as you wrote it, instead of allowOnly and tlsOnly."
    )
    merge: Literal["keepOthers", "replace"] | None = Field(
        None,
        description="keepOthers: statements of the bucket with other Sids stay (usual with"
        " allowOnly and tlsOnly); replace: nothing else stays (usual with policy).",
    )
    public_access: Literal["blocked"] | None = Field(
        None, description="blocked: all four settings of S3's public access block are on."
    )
    ownership: Literal["enforced"] | None = Field(
        None, description="enforced: the bucket's owner owns every object, and ACLs do not count."
    )
    encryption: EncryptionFields | None = Field(
        None, description="How new objects are encrypted by default."
    )
    allow_lockout: Literal["nobody", "you", "everyone"] = Field(
        "nobody",
        description="Whom the change may lock out. you: yourself; everyone: all but the account's"
        " root user. Anything else is refused.",
    )
    connection: Text | None = Field(
        None, description="The name of a Connection; without it, the only one or 'default'."
    )

    @model_validator(mode="after")
    def _one_source_of_policies(self) -> AccessSpec:
        if self.policy is not None and (self.allow_only is not None or self.tls_only is not None):
            raise PydanticCustomError(
                CONTRADICTION, "a policy is taken as it is: it excludes allowOnly and tlsOnly"
            )
        wanted = (
            self.allow_only,
            self.tls_only,
            self.policy,
            self.public_access,
            self.ownership,
            self.encryption,
        )
        if all(one is None for one in wanted):
            raise PydanticCustomError(
                CONTRADICTION,
                "say at least one of allowOnly, tlsOnly, policy, publicAccess, ownership and"
                " encryption",
            )
        return self

    @property
    def has_policy(self) -> bool:
        """Whether anything is said about the bucket policy."""
        return self.allow_only is not None or self.tls_only is not None or self.policy is not None

    @property
    def keeps_others(self) -> bool:
        """Whether statements with other Sids stay."""
        usual = "replace" if self.policy is not None else "keepOthers"
        return (self.merge or usual) == "keepOthers"


class AccessDocument(Frame):
    """Buckets with the access that is said, and no other."""

    kind: Literal["BucketAccess"] = Field(description="This kind.")
    spec: AccessSpec = Field(description="What shall be true.")
