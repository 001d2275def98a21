"""Which policy a bucket shall have, by the manifest and by what is there."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from s3plan.errors import ManifestError, PlanningError
from s3plan.kinds.access.manifest import AccessSpec, PolicySourceFields
from s3plan.kinds.access.principals import resolve
from s3plan.kinds.sources import as_json, files_of, is_pattern, read_json
from s3plan.rules.policies.document import read_policy
from s3plan.rules.policies.making import allow_only, merged, statements_of, tls_only
from s3plan.rules.policies.meaning import Caller
from s3plan.rules.policies.principals import Principal

SUFFIX = "_policy.json"
"""What follows the bucket's name in the name of its policy file."""

_NOBODY = Principal("", "unknown", "aws", "", "")


@dataclass(frozen=True, slots=True)
class PolicyFiles:
    """The files of ``policy.from``: one for all buckets, or one for each by its name."""

    single: Path | None
    by_bucket: dict[str, Path]
    others: tuple[Path, ...]
    """Files of a glob whose names do not say of which bucket they are."""


def policy_files(spec: AccessSpec, directory: Path) -> PolicyFiles:
    """The files that the manifest names. Raises ManifestError where there is none."""
    if spec.policy is None or spec.policy.source is None:
        return PolicyFiles(None, {}, ())
    source = spec.policy.source
    files = files_of(source, directory)
    if not is_pattern(source):
        return PolicyFiles(files[0], {}, ())
    if not files:
        raise ManifestError(
            "no file is meant by policy.from",
            address=str(directory / source),
            expected=f"files named BUCKET{SUFFIX}",
            next_step="s3plan render MANIFEST writes such files; or correct the glob",
        )
    named = {path.name.removesuffix(SUFFIX): path for path in files if path.name.endswith(SUFFIX)}
    others = tuple(path for path in files if not path.name.endswith(SUFFIX))
    return PolicyFiles(None, named, others)


def desired_policy(
    spec: AccessSpec, bucket: str, before: Any, caller: Caller | None, files: PolicyFiles
) -> Any:
    """The whole document that the bucket shall have; None is no policy.

    ``before`` is what it has. Raises PlanningError or ManifestError for what cannot be made.
    """
    address = f"s3://{bucket}"
    if spec.policy is not None:
        document = _written(spec.policy, bucket, files)
        if not spec.keeps_others:
            return document
        return merged(before, statements_of(document), keep_others=True)
    who = caller.principal if caller is not None else _NOBODY
    wanted: list[dict[str, Any]] = []
    if spec.allow_only is not None:
        names = (*spec.allow_only.principals, *spec.allow_only.break_glass)
        arns = resolve(names, caller, address)
        if caller is None:
            # Whoever plans is not known, so neither is the root user that must be spared.
            raise PlanningError(
                "allowOnly cannot be planned: this endpoint does not tell who you are",
                address=address,
                expected="an answer to sts:GetCallerIdentity",
                next_step="write the policy yourself and name it with policy.from",
            )
        wanted.append(
            allow_only(
                bucket,
                arns,
                who,
                services=spec.allow_only.services,
                deny_policy_actions=spec.allow_only.deny_policy_actions,
            )
        )
    if spec.tls_only:
        wanted.append(tls_only(bucket, who.partition))
    return merged(before, wanted, keep_others=spec.keeps_others)


def _written(source: PolicySourceFields, bucket: str, files: PolicyFiles) -> Any:
    """The policy of a file or of the manifest, checked to be one."""
    if source.document is not None:
        document = as_json(source.document)
        read_policy(document, f"s3://{bucket}, policy.document")
        return document
    path = files.single or files.by_bucket[bucket]
    document = read_json(path)
    read_policy(document, str(path))
    return document
