"""Jobs of S3 Batch Operations over boto3's S3 Control: created, asked about, told to go or to stop.

Synchronous; callers run it in threads. CreateJob carries a token of the caller's, so that boto3 may
send it again; the other three repeat harmlessly.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from s3plan.store.clients import Clients


class Job(Struct, frozen=True):
    """A job as DescribeJob tells of it. ``total`` is None until its manifest was read.

    ``reason`` is why it failed, or why somebody changed its status.
    """

    id: str
    status: str
    total: int | None
    failed: int
    reason: str


class Jobs:
    """Calls of S3 Control in an account and a region. Each may raise any `StoreError`."""

    def __init__(self, clients: Clients) -> None:
        """Calls nothing yet."""
        self._clients = clients

    def create(self, request: dict[str, Any], region: str) -> str:
        """CreateJob: the id. The same request, with its token, makes no second job."""
        answer = self._call("CreateJob", "create_job", region, **request)
        return str(answer["JobId"])

    def describe(self, account: str, job: str, region: str) -> Job:
        """DescribeJob."""
        answer = self._call("DescribeJob", "describe_job", region, AccountId=account, JobId=job)
        told = answer["Job"]
        progress = told.get("ProgressSummary") or {}
        reasons = [
            f"{one.get('FailureCode', '')}: {one.get('FailureReason', '')}"
            for one in told.get("FailureReasons") or ()
        ]
        total = progress.get("TotalNumberOfTasks")
        return Job(
            id=job,
            status=str(told["Status"]),
            total=None if total is None else int(total),
            failed=int(progress.get("NumberOfTasksFailed") or 0),
            reason="; ".join(reasons) or str(told.get("StatusUpdateReason") or ""),
        )

    def confirm(self, account: str, job: str, region: str) -> None:
        """UpdateJobStatus: a job that waits for confirmation may run."""
        self._update(account, job, region, "Ready")

    def cancel(self, account: str, job: str, region: str) -> None:
        """UpdateJobStatus: a job shall send no more requests; it still has to come to its end."""
        self._update(account, job, region, "Cancelled", StatusUpdateReason="told so by s3plan")

    def _update(self, account: str, job: str, region: str, status: str, **more: str) -> None:
        self._call(
            "UpdateJobStatus",
            "update_job_status",
            region,
            AccountId=account,
            JobId=job,
            RequestedJobStatus=status,
            **more,
        )

    def _call(self, action: str, method: str, region: str, **arguments: Any) -> dict[str, Any]:
        return self._clients.call(
            action, None, method, service="s3control", region=region, **arguments
        )
