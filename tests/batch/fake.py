"""S3 Batch Operations, played in front of a server that has none.

Each request is held against botocore's model and the rules that AWS documents. A job goes one
status further each time it is asked about; when it becomes Active its manifest is executed at the
S3 server, without conditions, as the service does. Reports are in the documented format. Never has
this met AWS: it plays what the user guide says.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

from botocore.exceptions import ClientError

from tests.batch.shapes import NAMESPACE, BadRequest, decoded

ACCOUNT = "123456789012"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/batch"
_LARGEST = 5 * 10**9
_CODES = {"Cancelled", "Complete", "Failed"}


@dataclass
class Made:
    """A job."""

    id: str
    request: dict[str, Any]
    account: str
    status: str = "New"
    total: int | None = None
    succeeded: int = 0
    failed: list[tuple[str, str, str, int, str]] = field(default_factory=list)
    reason: str = ""


@dataclass
class BatchOperations:
    """The service. ``s3`` is boto3's client at the server behind.

    ``refuse`` are tasks that fail, by key: code and status. ``break_off`` is how many tasks a job
    does before it fails as a whole; ``hold`` keeps jobs Active when their tasks are done;
    ``throttle`` is how many requests are refused for being too many. ``on_active`` is called right
    before the tasks of a job.
    """

    s3: Any
    refuse: dict[str, tuple[str, int]] = field(default_factory=dict)
    break_off: int | None = None
    hold: bool = False
    throttle: int = 0
    on_active: Callable[[], None] = lambda: None
    jobs: dict[str, Made] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    restored: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    endpoint: str = ""
    lock: threading.Lock = field(default_factory=threading.Lock)

    # -- the four operations -------------------------------------------------------------------

    def create(self, account: str, body: bytes) -> str:
        request = decoded("CreateJob", body)
        self._check(account, request)
        token, whole = request["ClientRequestToken"], json.dumps(request, sort_keys=True)
        known = next((j for j in self.jobs.values() if j.id == self.tokens.get(token)), None)
        if known is not None:
            if json.dumps(known.request, sort_keys=True) != whole:
                raise Refused(400, "IdempotencyException")
            return known.id
        made = Made(str(uuid.uuid4()), request, account)
        self.jobs[made.id] = made
        self.tokens[token] = made.id
        return made.id

    def describe(self, job: Made) -> str:
        self._go_on(job)
        failures = f"<member><FailureReason>{escape(job.reason)}</FailureReason></member>"
        total = "" if job.total is None else f"<TotalNumberOfTasks>{job.total}</TotalNumberOfTasks>"
        return (
            f"<Job><JobId>{job.id}</JobId><Status>{job.status}</Status>"
            f"<FailureReasons>{failures if job.reason else ''}</FailureReasons>"
            f"<ProgressSummary>{total}<NumberOfTasksSucceeded>{job.succeeded}"
            f"</NumberOfTasksSucceeded><NumberOfTasksFailed>{len(job.failed)}"
            "</NumberOfTasksFailed></ProgressSummary></Job>"
        )

    def update(self, job: Made, status: str) -> str:
        if status not in ("Ready", "Cancelled"):
            raise BadRequest(f"requestedJobStatus {status}")
        if job.status in _CODES or (status == "Ready" and job.status != "Suspended"):
            raise Refused(400, "JobStatusException")
        job.status = "Ready" if status == "Ready" else "Cancelling"
        return f"<JobId>{job.id}</JobId><Status>{job.status}</Status>"

    def cancel_all(self) -> None:
        """As somebody does in the console."""
        for job in self.jobs.values():
            self.update(job, "Cancelled")

    # -- what the documentation says -----------------------------------------------------------

    def _check(self, account: str, request: dict[str, Any]) -> None:
        rules = {
            "an account of twelve digits": account.isdigit() and len(account) == 12,
            "a role of the same account": request["RoleArn"].split(":")[4] == account,
            "one operation": len(request["Operation"]) == 1,
            "a manifest": "Manifest" in request,
            "a report with bucket, format and scope": not request["Report"]["Enabled"]
            or {"Bucket", "Format", "ReportScope"} <= set(request["Report"]),
        }
        told = request["Operation"].get("S3PutObjectCopy")
        if told is not None:
            rules["a target"] = "TargetResource" in told
        told = request["Operation"].get("S3InitiateRestoreObject")
        if told is not None:
            rules["a tier"] = "GlacierJobTier" in told
        broken = [rule for rule, holds in rules.items() if not holds]
        if broken:
            raise BadRequest(f"not {', '.join(broken)}")

    def _go_on(self, job: Made) -> None:
        match job.status:
            case "New":
                job.status = "Preparing"
            case "Preparing":
                self._prepare(job)
            case "Ready":
                job.status = "Active"
                self.on_active()
                self._execute(job)
            case "Active" if not self.hold:
                job.status = "Failing" if job.reason else "Completing"
            case "Completing" | "Failing" | "Cancelling":
                self._report(job)
                job.status = {"Completing": "Complete", "Failing": "Failed"}.get(
                    job.status, "Cancelled"
                )

    def _prepare(self, job: Made) -> None:
        try:
            job.total = len(self._rows(job))
        except (ClientError, ValueError) as error:
            job.reason, job.status = str(error), "Failed"
        else:
            job.status = "Suspended" if job.request.get("ConfirmationRequired") else "Ready"

    def _rows(self, job: Made) -> list[dict[str, str]]:
        place = job.request["Manifest"]["Location"]
        bucket, _, key = place["ObjectArn"].split(":::")[1].partition("/")
        told = self.s3.get_object(Bucket=bucket, Key=key)
        if told["ETag"].strip('"') != place["ETag"]:
            raise ValueError("the manifest's ETag is another one")
        fields = job.request["Manifest"]["Spec"]["Fields"]
        rows = list(csv.reader(io.StringIO(told["Body"].read().decode("ascii")), strict=True))
        if any(len(row) != len(fields) for row in rows):
            raise ValueError("a row of the manifest has other fields")
        found = [dict(zip(fields, row, strict=True)) for row in rows]
        if len({row["Bucket"] for row in found}) != 1:
            raise ValueError("all objects must be in one bucket")
        return found

    def _execute(self, job: Made) -> None:
        ((name, told),) = job.request["Operation"].items()
        work = {"S3PutObjectCopy": self._copy, "S3InitiateRestoreObject": self._restore}[name]
        for number, row in enumerate(self._rows(job)):
            if self.break_off is not None and number >= self.break_off:
                job.reason = "JobFailed"
                return
            key = unquote(row["Key"], errors="strict")
            code, status = self.refuse.get(key, ("", 0))
            if not code:
                code, status = work(row["Bucket"], key, row.get("VersionId"), told)
            if code:
                version = row.get("VersionId", "")
                job.failed.append((row["Bucket"], row["Key"], version, status, code))
            else:
                job.succeeded += 1

    def _copy(
        self, bucket: str, key: str, version: str | None, told: dict[str, Any]
    ) -> tuple[str, int]:
        source = {"Bucket": bucket, "Key": key} | ({"VersionId": version} if version else {})
        try:
            seen = self.s3.head_object(**source)
            if seen["ContentLength"] > _LARGEST:
                return "InvalidRequest", 400
            limit = told.get("UnModifiedSinceConstraint")
            if limit and seen["LastModified"] > datetime.fromisoformat(limit):
                return "PreconditionFailed", 412
            prefix = f"{told['TargetKeyPrefix']}/" if "TargetKeyPrefix" in told else ""
            self.s3.copy_object(
                Bucket=told["TargetResource"].split(":::")[1],
                Key=prefix + key,
                CopySource=source,
                MetadataDirective=told.get("MetadataDirective", "COPY"),
                StorageClass=told.get("StorageClass", "STANDARD"),
            )
        except ClientError as error:
            return str(error.response["Error"]["Code"]), 404
        return "", 0

    def _restore(
        self, bucket: str, key: str, version: str | None, told: dict[str, Any]
    ) -> tuple[str, int]:
        tiered = self.s3.head_object(Bucket=bucket, Key=key).get("StorageClass")
        if (tiered == "INTELLIGENT_TIERING") == ("ExpirationInDays" in told):
            return "MalformedXML", 400
        self.restored.append((key, told))
        asked: dict[str, Any] = {
            "GlacierJobParameters": {"Tier": told["GlacierJobTier"].capitalize()}
        }
        if "ExpirationInDays" in told:
            asked["Days"] = told["ExpirationInDays"]
        try:
            self.s3.restore_object(Bucket=bucket, Key=key, RestoreRequest=asked)
        except ClientError as error:
            return str(error.response["Error"]["Code"]), 409
        return "", 0

    def _report(self, job: Made) -> None:
        """Failed tasks only; nothing where no task was done ("Examples: completion reports")."""
        told = job.request["Report"]
        if not told["Enabled"] or not (job.succeeded or job.failed):
            return
        bucket = told["Bucket"].split(":::")[1]
        folder = f"{told['Prefix']}/" if told.get("Prefix") else ""
        folder += f"job-{job.id}/"
        text = io.StringIO()
        csv.writer(text).writerows(
            (bucket_, key, version, "failed", status, code, f"{code} ({status})")
            for bucket_, key, version, status, code in job.failed
        )
        body = text.getvalue().encode()
        name = f"{folder}results/{hashlib.sha1(body).hexdigest()}.csv"
        results = []
        if job.failed:
            self.s3.put_object(Bucket=bucket, Key=name, Body=body)
            results.append(
                {
                    "TaskExecutionStatus": "failed",
                    "Bucket": bucket,
                    "MD5Checksum": hashlib.md5(body).hexdigest(),
                    "Key": name,
                }
            )
        document = {
            "Format": "Report_CSV_20180820",
            "ReportCreationDate": "2026-11-20T17:48:39.725Z",
            "Results": results,
            "ReportSchema": "Bucket, Key, VersionId, TaskStatus, ErrorCode, HTTPStatusCode,"
            " ResultMessage",
        }
        self.s3.put_object(
            Bucket=bucket, Key=f"{folder}manifest.json", Body=json.dumps(document).encode()
        )


class Refused(Exception):
    """An error of the service."""

    def __init__(self, status: int, code: str) -> None:
        super().__init__(code)
        self.status = status
        self.code = code


@contextmanager
def batch_operations(s3: Any) -> Iterator[BatchOperations]:
    """The service at an address of its own; requests that were not right fail the test."""
    service = BatchOperations(s3)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            """Say nothing."""

        def do_GET(self) -> None:
            self._answer("")

        def do_POST(self) -> None:
            self._answer("")

        def _answer(self, found: str) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            with service.lock:
                try:
                    status, found = 200, _route(service, self, body)
                except BadRequest as error:
                    service.problems.append(str(error))
                    status, found = 400, _error("BadRequestException", str(error))
                except Refused as error:
                    status, found = error.status, _error(error.code, error.code)
            raw = found.encode()
            with suppress(ConnectionError):  # who asked may have been killed
                self.send_response(status)
                self.send_header("Content-Type", "text/xml")
                self.send_header("Content-Length", str(len(raw)))
                self.end_headers()
                self.wfile.write(raw)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    service.endpoint = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield service
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert not service.problems, service.problems


def _route(service: BatchOperations, request: BaseHTTPRequestHandler, body: bytes) -> str:
    parts = urlsplit(request.path)
    account = request.headers.get("x-amz-account-id", "")
    signed = request.headers.get("authorization", "")
    if "/s3/aws4_request" not in signed or "x-amz-account-id" not in signed:
        raise BadRequest("the request is not signed for s3, with its account")
    if service.throttle > 0:
        service.throttle -= 1
        raise Refused(429, "TooManyRequestsException")
    match (request.command, *parts.path.strip("/").split("/")):
        case ("POST", "v20180820", "jobs"):
            service.asked.append("create")
            return _wrapped("CreateJob", f"<JobId>{service.create(account, body)}</JobId>")
        case ("GET", "v20180820", "jobs", name):
            service.asked.append("describe")
            return _wrapped("DescribeJob", service.describe(_job(service, account, name)))
        case ("POST", "v20180820", "jobs", name, "status"):
            (status,) = parse_qs(parts.query)["requestedJobStatus"]
            service.asked.append(status)
            return _wrapped("UpdateJobStatus", service.update(_job(service, account, name), status))
    raise BadRequest(f"there is no {request.command} {request.path}")


def _job(service: BatchOperations, account: str, name: str) -> Made:
    job = service.jobs.get(name)
    if job is None or job.account != account:
        raise Refused(404, "NotFoundException")
    return job


def _wrapped(operation: str, inside: str) -> str:
    return f'<{operation}Result xmlns="{NAMESPACE.strip("{}")}">{inside}</{operation}Result>'


def _error(code: str, message: str) -> str:
    return (
        f"<ErrorResponse><Error><Code>{code}</Code><Message>{escape(message)}</Message></Error>"
        "</ErrorResponse>"
    )
