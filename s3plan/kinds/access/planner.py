"""The kind as the rest of s3plan sees it: bucket by bucket, document by document, what differs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from s3plan.errors import ManifestError, PlanningError, ProblemsError, S3PlanError
from s3plan.kinds.access.desired import SUFFIX, PolicyFiles, desired_policy, policy_files
from s3plan.kinds.access.manifest import AccessDocument, AccessSpec, EncryptionFields
from s3plan.kinds.access.policystep import policy_step
from s3plan.kinds.buckets import configured_step, missing_bucket, readable
from s3plan.kinds.kind import Manifest, Observed, Rendered, Scope
from s3plan.model.buckets import BucketFacts, DocumentName
from s3plan.model.steps import AnyAction, Configure
from s3plan.plan import StepDraft
from s3plan.rules.bucketdocuments import same
from s3plan.rules.policies.exposure import BLOCKED, is_public

ENFORCED = {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}


DOCUMENTS: tuple[DocumentName, ...] = (
    "acl",
    "encryption",
    "ownership",
    "policy",
    "public-access-block",
)
"""What is looked at of each bucket."""


class Access:
    """``kind: BucketAccess``; see kind.Kind."""

    document = AccessDocument

    def connection(self, manifest: Manifest) -> str | None:
        """The name of the connection that the manifest asks for."""
        return _spec(manifest).connection

    def scope(self, manifest: Manifest) -> Scope:
        """The buckets, and who plans; their objects do not matter."""
        spec = _spec(manifest)
        return Scope(
            include=spec.buckets.include,
            exclude=spec.buckets.exclude,
            listing=False,
            documents=DOCUMENTS,
            caller=spec.has_policy,
            filters=manifest.filters,
        )

    def uses(self, manifest: Manifest) -> Iterator[tuple[str, AnyAction]]:
        """Every document that the manifest says something about."""
        spec = _spec(manifest)
        said: list[Configure] = []
        if spec.public_access is not None:
            said.append(Configure("public-access-block"))
        if spec.ownership is not None:
            said.append(Configure("ownership"))
        if spec.encryption is not None:
            said.append(Configure("encryption"))
        if spec.has_policy:
            said.append(Configure("policy", probe=("list", "get", "document")))
        yield from ((bucket, action) for bucket in spec.buckets.include for action in said)

    def render(self, manifest: Manifest, observed: Observed) -> list[Rendered]:
        """The policy of every bucket, as the manifest and what is there make it."""
        spec = _spec(manifest)
        files = policy_files(spec, manifest.directory)
        found: list[Rendered] = []
        for bucket, facts in sorted(observed.facts.items()):
            meant = bucket in self.scope(manifest).buckets([bucket])
            if not meant or not spec.has_policy or not _has_file(spec, bucket, files):
                continue
            before = readable(facts, "policy")
            document = desired_policy(spec, bucket, before, observed.caller, files)
            if document is not None:
                found.append(Rendered(bucket, f"{bucket}{SUFFIX}", document))
        return found

    def plan(self, manifest: Manifest, observed: Observed) -> list[StepDraft]:
        """Buckets in byte order; every problem of every bucket together."""
        spec, scope = _spec(manifest), self.scope(manifest)
        problems: list[S3PlanError] = []
        drafts: list[StepDraft] = []
        try:
            files = policy_files(spec, manifest.directory)
        except ManifestError as error:
            raise ProblemsError("the policy files are not right", [error]) from error
        meant = scope.buckets({*observed.facts, *scope.literals})
        observed.notes.extend(_unused(files, meant))
        for bucket in meant:
            facts = observed.facts.get(bucket)
            if facts is None:
                problems.append(missing_bucket(bucket, observed.target))
                continue
            try:
                drafts += _bucket_steps(
                    spec, facts, files, observed, named=bucket in scope.literals
                )
            except ProblemsError as error:
                problems += error.problems
            except (ManifestError, PlanningError) as error:
                problems.append(error)
        if problems:
            raise ProblemsError(f"{manifest.kind} {manifest.name} cannot be planned", problems)
        return drafts


def _bucket_steps(
    spec: AccessSpec, facts: BucketFacts, files: PolicyFiles, observed: Observed, *, named: bool
) -> Iterator[StepDraft]:
    """What closes comes before what opens: the public access block first, the policy last."""
    for name, wanted, reason, meaning in _settings(spec, facts):
        before = readable(facts, name)
        if not same(name, before, wanted):
            yield configured_step(facts.name, name, before, wanted, reason, meaning=meaning)
    if not spec.has_policy:
        return
    if not _has_file(spec, facts.name, files):
        if named:
            raise PlanningError(
                "the bucket has no policy file",
                address=f"s3://{facts.name}",
                expected=f"{facts.name}_policy.json",
                found=", ".join(sorted(path.name for path in files.by_bucket.values())) or "none",
                next_step="write it, or leave the bucket out with buckets.exclude",
            )
        return
    before = readable(facts, "policy")
    after = desired_policy(spec, facts.name, before, observed.caller, files)
    yield from policy_step(spec, facts, before, after, observed)


def _has_file(spec: AccessSpec, bucket: str, files: PolicyFiles) -> bool:
    """Whether the bucket's policy is said, where files say it."""
    by_files = spec.policy is not None and spec.policy.source is not None
    return not by_files or files.single is not None or bucket in files.by_bucket


Setting = tuple[DocumentName, Any, str, tuple[str, ...]]


def _settings(spec: AccessSpec, facts: BucketFacts) -> Iterator[Setting]:
    """Every document but the policy that the manifest says something about."""
    if spec.public_access == "blocked":
        yield "public-access-block", BLOCKED, "Public access is to be blocked.", _blocking(facts)
    if spec.ownership == "enforced":
        yield (
            "ownership",
            ENFORCED,
            "The bucket's owner is to own every object.",
            ("ACLs of the bucket and of its objects no longer count.",),
        )
    if spec.encryption is not None:
        yield (
            "encryption",
            _encryption(spec.encryption),
            "New objects are to be encrypted so by default.",
            ("Objects that are there already stay encrypted as they are.",),
        )


def _blocking(facts: BucketFacts) -> tuple[str, ...]:
    found = facts.configuration
    public = is_public(found.get("policy"), found.get("public-access-block"), found.get("acl"))
    return (f"public before: {'yes' if public else 'no'}; after: no",)


def _encryption(wanted: EncryptionFields) -> Any:
    default: dict[str, Any] = {"SSEAlgorithm": wanted.algorithm}
    if wanted.kms_key is not None:
        default["KMSMasterKeyID"] = wanted.kms_key
    return {
        "Rules": [
            {
                "ApplyServerSideEncryptionByDefault": default,
                "BucketKeyEnabled": wanted.bucket_key,
            }
        ]
    }


def _unused(files: PolicyFiles, meant: tuple[str, ...]) -> Iterator[str]:
    """Files that no bucket uses, so that nobody believes they were applied."""
    for bucket, path in sorted(files.by_bucket.items()):
        if bucket not in meant:
            yield f"{path.name} is not used: no bucket {bucket} is planned for"
    for path in files.others:
        yield f"{path.name} is not used: its name is not BUCKET_policy.json"
    if files.by_bucket:
        for bucket in meant:
            if bucket not in files.by_bucket:
                yield f"bucket {bucket} stays as it is: there is no {bucket}_policy.json"


def _spec(manifest: Manifest) -> AccessSpec:
    assert isinstance(manifest.document, AccessDocument)
    return manifest.document.spec
