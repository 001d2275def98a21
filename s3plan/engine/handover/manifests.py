"""Jobs of S3 Batch Operations written to files, for people who start them themselves."""

from __future__ import annotations

import hashlib
import json
import shlex
from pathlib import Path

from msgspec import Struct

from s3plan.engine.handover.leftovers import Leftovers
from s3plan.engine.handover.lines import Lines, save
from s3plan.errors import UsageError
from s3plan.model.connection import Batch
from s3plan.model.steps import Copy, Item, Restore, Step
from s3plan.plan.reading import PlanFile
from s3plan.rules.handover import batch
from s3plan.rules.handover.batch import JobKind, Terms
from s3plan.rules.handover.terms import not_exclusive

MOST_JOBS = 1_000
"""Jobs of one step; objects that would need more stay here."""


class _Job(Struct):
    """A job while its manifest is written."""

    lines: Lines
    newest: str = ""

    def add(self, row: str, item: Item) -> None:
        """Add an item."""
        self.lines.add(row.removesuffix("\n"))
        self.newest = max(self.newest, item.modified)


def terms_of(plan: PlanFile) -> tuple[Terms, Batch]:
    """Under what jobs of a plan run. Raises UsageError where its connection does not say."""
    connection = plan.header.connection
    told = connection.batch
    missing = [
        name
        for name, value in (("batch.roleArn", told), ("scratch", connection.scratch))
        if value is None
    ]
    if told is None or connection.scratch is None:
        raise UsageError(
            "the connection does not say how S3 Batch Operations is to be used",
            address=f"Connection {connection.name}",
            expected="spec.batch with a roleArn, and spec.scratch for manifests and reports",
            found=f"no {' and no '.join(missing)}",
            next_step="add that to the Connection, then s3plan plan again",
        )
    account = told.role_arn.split(":")[4]
    known = plan.header.target.account
    if known is not None and known != account:
        raise UsageError(
            "the role for S3 Batch Operations is another account's",
            address=f"Connection {connection.name}, spec.batch.roleArn",
            expected=f"a role of account {known}",
            found=told.role_arn,
            next_step="name a role of the account that the jobs are made in",
        )
    return Terms(account, told.role_arn, told.priority, f"{connection.scratch}/reports"), told


def terms_for(plan: PlanFile, step: Step) -> tuple[Terms, Batch]:
    """The same, for a step that may be given away. Raises UsageError where it may not."""
    terms, told = terms_of(plan)
    refused = not_exclusive(told, step)
    if refused is not None:
        raise UsageError(
            f"the step is not for S3 Batch Operations: {refused}",
            address=f"{plan.path}, step {step.id}",
            next_step="declare it, if that is so, and s3plan plan again; or export to rclone",
        )
    return terms, told


def write_jobs(plan: PlanFile, step: Step, folder: Path, counted: Leftovers) -> list[str]:
    """Write a manifest and a request for each job; the commands that put them to work."""
    action = step.action
    assert isinstance(action, Copy | Restore)
    terms, told = terms_for(plan, step)
    assert plan.header.connection.scratch is not None
    bucket, _, prefix = plan.header.connection.scratch.removeprefix("s3://").partition("/")
    source = action.source if isinstance(action, Copy) else step.subject
    jobs: dict[JobKind, _Job] = {}
    for item in plan.items(step.id):
        kind = batch.kind_of(action, item)
        if not isinstance(kind, str) and kind not in jobs and len(jobs) >= MOST_JOBS:
            kind = f"more than {MOST_JOBS:,} different folders and classes"
        if isinstance(kind, str):
            counted.keep(item, kind)
            continue
        if kind not in jobs:
            jobs[kind] = _Job(Lines(folder / f"manifest-{len(jobs) + 1:04}.csv"))
        jobs[kind].add(batch.row(source, item, versions=kind.versions), item)
        counted.give(item)
    commands: list[str] = []
    where = ["create-job", "--region", plan.header.target.region]
    if told.endpoint:
        where += ["--endpoint-url", told.endpoint]
    for number, (kind, job) in enumerate(jobs.items(), 1):
        job.lines.close()
        with job.lines.path.open("rb") as file:
            digest = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False))
        key = "/".join(filter(None, (prefix, "manifests", plan.digest[7:19], job.lines.path.name)))
        manifest = batch.Manifest(bucket, key, digest.hexdigest(), kind.versions)
        request = batch.request(
            terms,
            manifest,
            batch.operation(action, step.subject, kind, job.newest, terms.partition),
            hashlib.sha256(f"{plan.digest} {step.id} {kind}".encode()).hexdigest(),
            f"s3plan {step.id} {number} of {len(jobs)}",
        )
        path = folder / f"job-{number:04}.json"
        save(path, json.dumps(request, indent=2) + "\n")
        body = str(job.lines.path)
        commands += [
            shlex.join(
                ["aws", "s3api", "put-object", "--bucket", bucket, "--key", key, "--body", body]
            ),
            shlex.join(["aws", "s3control", *where, "--cli-input-json", f"file://{path}"]),
        ]
    return commands
