"""A bucket, a manifest and a working directory, and what people do to them between two commands.

The bucket is filled, changed and read with boto3, so that s3plan is never its own witness.
"""

from __future__ import annotations

import itertools
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any
from urllib.parse import unquote_plus
from xml.etree import ElementTree

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError
from msgspec.structs import replace

from s3plan import api
from s3plan.engine import runs
from s3plan.engine.journal import read_journal
from s3plan.engine.runs import Run
from s3plan.localfs.catalogue import read_catalogue
from s3plan.localfs.tree import Tree
from s3plan.model.events import AnyEvent, GateReached, ItemProblem, RunFinished
from s3plan.model.journal import JournalRecord
from s3plan.model.local import CatalogueRemoved, CatalogueRow, CatalogueTags, CatalogueVerdict
from s3plan.model.steps import Step
from tests.servers import Server

_NUMBERS = itertools.count()
_EMPTY: dict[str, list[str]] = {}
"""Buckets by endpoint that nothing is in."""

_MANIFEST = """\
apiVersion: s3plan/v1
kind: Connection
metadata: {{name: default}}
spec:
  endpoint: {endpoint}
  region: {region}
  limits: {{connections: 8{limits}}}
---
apiVersion: s3plan/v1
kind: BucketEvacuation
metadata: {{name: evacuation}}
spec:
  buckets: {{include: [{buckets}]}}
  destination: {{path: ./here}}
{spec}"""

WHOLE = "  delete: afterVerification\n  deleteBucket: true\n"
OBJECTS_ONLY = "  delete: afterVerification\n"
COPY_ONLY = "  delete: never\n"


@dataclass(frozen=True)
class Stored:
    """An object as a reader of the bucket sees it."""

    body: bytes
    content_type: str
    metadata: dict[str, str]
    tags: dict[str, str]
    cache_control: str | None = None


@dataclass(frozen=True)
class Ran:
    """A command that ended."""

    code: int
    out: str
    err: str


@dataclass(frozen=True)
class Version:
    """A version or delete marker as it is listed."""

    key: str
    version_id: str
    is_marker: bool


@dataclass
class Scene:
    """One bucket at one server and one working directory; ``here`` is the destination."""

    server: Server
    directory: Path
    bucket: str
    s3: Any
    environ: dict[str, str]
    events: list[AnyEvent] = field(default_factory=list)
    encodes: bool = False
    """Whether the server encodes keys in listings of versions, as AWS does."""

    # -- the bucket ----------------------------------------------------------------------------

    def put(self, key: str, body: bytes = b"data", **options: Any) -> str:
        """PutObject; the ETag without quotes."""
        etag = self.s3.put_object(Bucket=self.bucket, Key=key, Body=body, **options)["ETag"]
        return str(etag).strip('"')

    def put_in_parts(self, key: str, parts: Sequence[bytes], **options: Any) -> None:
        """A multipart upload. ``options`` go to CreateMultipartUpload."""
        made = self.s3.create_multipart_upload(Bucket=self.bucket, Key=key, **options)
        where = {"Bucket": self.bucket, "Key": key, "UploadId": made["UploadId"]}
        algorithm = options.get("ChecksumAlgorithm")
        done = []
        for number, part in enumerate(parts, 1):
            extra = {"ChecksumAlgorithm": algorithm} if algorithm else {}
            answer = self.s3.upload_part(PartNumber=number, Body=part, **where, **extra)
            told = {name: answer[name] for name in answer if name.startswith("Checksum")}
            done.append({"PartNumber": number, "ETag": answer["ETag"], **told})
        kind = options.get("ChecksumType")
        self.s3.complete_multipart_upload(
            MultipartUpload={"Parts": done}, **where, **({"ChecksumType": kind} if kind else {})
        )

    def fill(self, count: int, body: Callable[[int], bytes] | None = None) -> None:
        """``count`` small objects in a few directories."""
        for number in range(count):
            self.put(_key(number), body(number) if body else f"content {number}".encode())

    def delete(self, *keys: str) -> None:
        """Objects deleted behind s3plan's back."""
        for key in keys:
            self.s3.delete_object(Bucket=self.bucket, Key=key)

    def abort_uploads(self) -> None:
        """Uploads in parts that nobody finished, aborted behind s3plan's back."""
        for upload in self.s3.list_multipart_uploads(Bucket=self.bucket).get("Uploads", ()):
            self.s3.abort_multipart_upload(
                Bucket=self.bucket, Key=upload["Key"], UploadId=upload["UploadId"]
            )

    def keys(self) -> list[str]:
        """Every key in the bucket; none where there is no bucket."""
        if not self.bucket_exists():
            return []
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket)
        return [entry["Key"] for page in pages for entry in page.get("Contents", ())]

    def bucket_exists(self) -> bool:
        """Whether the bucket is there."""
        return self.bucket in {b["Name"] for b in self.s3.list_buckets()["Buckets"]}

    def objects(self) -> dict[str, Stored]:
        """Everything in the bucket, as a reader sees it."""
        found = {}
        for key in self.keys():
            answer = self.s3.get_object(Bucket=self.bucket, Key=key)
            tagging = self.s3.get_object_tagging(Bucket=self.bucket, Key=key)
            tags = tagging.get("TagSet", [])  # RGW tells no empty set
            found[key] = Stored(
                answer["Body"].read(),
                answer["ContentType"],
                answer["Metadata"],
                {tag["Key"]: tag["Value"] for tag in tags},
                answer.get("CacheControl"),
            )
        return found

    # -- its versions --------------------------------------------------------------------------

    def keep_versions(self, status: str) -> None:
        """``Enabled`` or ``Suspended``."""
        self.s3.put_bucket_versioning(
            Bucket=self.bucket, VersioningConfiguration={"Status": status}
        )

    def versions(self) -> list[Version]:
        """Every version and delete marker, as the listing's document has them: newest first."""
        found: list[Version] = []
        documents: list[bytes] = []

        def keep(response_dict: dict[str, Any], **_: object) -> None:
            documents.append(response_dict["body"])

        self.s3.meta.events.register("before-parse.s3.ListObjectVersions", keep)
        try:
            pages = self.s3.get_paginator("list_object_versions").paginate(Bucket=self.bucket)
            for _ in pages:
                root = ElementTree.fromstring(documents.pop())
                namespace = root.tag.removesuffix("ListVersionsResult")
                for element in root:
                    kind = element.tag.removeprefix(namespace)
                    if kind in ("Version", "DeleteMarker"):
                        told = {e.tag.removeprefix(namespace): e.text or "" for e in element}
                        key = unquote_plus(told["Key"]) if self.encodes else told["Key"]
                        found.append(Version(key, told["VersionId"], kind == "DeleteMarker"))
        finally:
            self.s3.meta.events.unregister("before-parse.s3.ListObjectVersions", keep)
        return found

    def stacks(self) -> dict[str, list[bytes | None]]:
        """What each key holds, oldest first: the content of versions, None for delete markers."""
        found: dict[str, list[bytes | None]] = {}
        for version in self.versions():
            found.setdefault(version.key, []).insert(0, self.content(version))
        return found

    def content(self, version: Version) -> bytes | None:
        """The content of a version; None of a delete marker."""
        if version.is_marker:
            return None
        answer = self.s3.get_object(
            Bucket=self.bucket, Key=version.key, VersionId=version.version_id
        )
        body: bytes = answer["Body"].read()
        return body

    def forget_versions(self) -> None:
        """Everything deleted for good."""
        for version in self.versions():
            self.s3.delete_object(Bucket=self.bucket, Key=version.key, VersionId=version.version_id)

    # -- the directory -------------------------------------------------------------------------

    @property
    def here(self) -> Path:
        """The destination."""
        return self.directory / "here"

    @property
    def copies(self) -> Path:
        """The bucket's directory in the destination."""
        return self.here / self.bucket

    def files(self) -> dict[str, bytes]:
        """Every regular file of the bucket's directory by its path in it."""
        return {
            str(path.relative_to(self.copies)): path.read_bytes()
            for path in sorted(self.copies.rglob("*"))
            if path.is_file() and not path.is_symlink()
        }

    def manifest(
        self, spec: str = WHOLE, *, requests: float | None = None, bandwidth: str | None = None
    ) -> Path:
        """Write manifest.yaml."""
        limits = f", requests: {requests}" if requests else ""
        limits += f", bandwidth: {bandwidth}" if bandwidth else ""
        path = self.directory / "manifest.yaml"
        path.write_text(
            _MANIFEST.format(
                endpoint=self.server.endpoint,
                region=self.server.region,
                buckets=self.bucket,
                spec=spec,
                limits=limits,
            )
        )
        return path

    def catalogue(self) -> dict[str, tuple[CatalogueRow, dict[str, str]]]:
        """The last row of each key with its tags, as the catalogue's own format says."""
        rows: dict[str, tuple[CatalogueRow, dict[str, str]]] = {}
        with Tree.open(self.here, create=False) as tree:
            found = read_catalogue(tree, self.bucket)
            for record in found[1] if found else ():
                match record:
                    case CatalogueRow():
                        rows[record.key] = (record, record.attributes.tags)
                    case CatalogueTags():
                        rows[record.key] = (rows[record.key][0], record.tags)
                    case CatalogueVerdict():
                        row, tags = rows[record.key]
                        if record.digest == row.evidence.value:
                            row = replace(row, verdict=record.verdict, rung=record.rung)
                            rows[record.key] = (row, tags)
                    case CatalogueRemoved():
                        rows.pop(record.key, None)
        return rows

    # -- s3plan in this process ----------------------------------------------------------------

    def plan(self, spec: str | None = None, **limits: Any) -> api.PlanResult:
        """``s3plan plan``, after writing the manifest if ``spec`` is given."""
        if spec is not None:
            self.manifest(spec, **limits)
        return api.plan([self.directory / "manifest.yaml"])

    def apply(
        self,
        *,
        delete: str | None = None,
        loss: str | None = None,
        digest: str | None = None,
        ask: Callable[[GateReached], bool] | None = None,
    ) -> RunFinished:
        """``s3plan apply --approve``; ``delete`` is the evidence for the bucket's deletion,
        ``loss`` that for what it loses.
        """
        self.events.clear()
        deletes, losses = ({self.bucket: given} if given else {} for given in (delete, loss))
        approval = api.Approval("tester", digest, deletes, losses)
        return api.apply(Path("plan.json"), approval=approval, observer=self.events.append, ask=ask)

    def apply_to_gate(self, spec: str = WHOLE) -> str:
        """Plan, and apply up to the delete gate; the evidence that opens it."""
        self.plan(spec)
        finished = self.apply()
        assert finished.outcome == "held", (finished, self.problems())
        return self.gate().evidence

    def gate(self) -> GateReached:
        """The gate that was reached last."""
        return [event for event in self.events if isinstance(event, GateReached)][-1]

    def gates(self) -> list[GateReached]:
        """Every gate that the last command verified, in order."""
        return [event for event in self.events if isinstance(event, GateReached)]

    def problems(self) -> list[ItemProblem]:
        """Items that did not end well in the last command."""
        return [event for event in self.events if isinstance(event, ItemProblem)]

    def rollback(self) -> RunFinished | None:
        """``s3plan rollback journal.json --approve``."""
        self.events.clear()
        return api.rollback(
            Path("journal.json"), approval=api.Approval("tester"), observer=self.events.append
        )

    def run(self) -> Run:
        """The latest run."""
        return runs.run_of(self.directory / "journal.json")

    def journal(self) -> list[JournalRecord]:
        """The records of the latest run's journal."""
        return [record for _, record in read_journal(self.run().journal)]

    def step(self, verb: str) -> Step:
        """The latest run's step of a verb."""
        return next(s for s in api.show(self.run().plan).steps if s.verb == verb)

    # -- s3plan as a command -------------------------------------------------------------------

    def s3plan(self, *arguments: str) -> Ran:
        """A command in a process of its own."""
        done = subprocess.run(
            [sys.executable, "-m", "s3plan", *arguments],
            cwd=self.directory,
            env=self.environ,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
        return Ran(done.returncode, done.stdout, done.stderr)

    def start(
        self, *arguments: str, module: str = "s3plan", output: IO[bytes] | None = None
    ) -> subprocess.Popen[bytes]:
        """A command in a process of its own, not waited for."""
        return subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            cwd=self.directory,
            env=self.environ,
            stdin=subprocess.DEVNULL,
            stdout=output or subprocess.DEVNULL,
            stderr=subprocess.STDOUT if output else subprocess.DEVNULL,
        )


def _key(number: int) -> str:
    return f"d{number % 3}/object-{number:04}.txt"


def approval_in(text: str) -> str:
    """SUBJECT@EVIDENCE as a command printed it."""
    found = re.search(r"--approve-delete (\S+@[0-9a-f]{12,})", text)
    assert found, f"no approval is asked for in:\n{text}"
    return found[1]


def environment(server: Server, home: Path, base: Mapping[str, str]) -> dict[str, str]:
    """A process's variables: this server's keys, no profile, and a state folder of its own."""
    kept = {name: value for name, value in base.items() if not name.startswith("AWS_")}
    return kept | server.environ | {
        "HOME": str(home),
        "XDG_STATE_HOME": str(home / "state"),
        "COLUMNS": "100",
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }  # fmt: skip


@contextmanager
def open_versioned(server: Server, directory: Path) -> Iterator[Scene]:
    """A new bucket that keeps versions, gone afterwards, and an empty working directory."""
    with open_scene(server, directory) as scene:
        spare, scene.bucket = scene.bucket, f"versioned-{os.getpid()}-{next(_NUMBERS)}"
        scene.s3.create_bucket(Bucket=scene.bucket)
        scene.keep_versions("Enabled")
        try:
            yield scene
        finally:
            if scene.bucket_exists():
                scene.forget_versions()
                scene.s3.delete_bucket(Bucket=scene.bucket)
            scene.bucket = spare


def client_of(server: Server) -> Any:
    """boto3's own client, for what is done to a bucket behind s3plan's back; to be closed."""
    return boto3.client(
        "s3",
        endpoint_url=server.endpoint,
        region_name=server.region,
        aws_access_key_id=server.access_key,
        aws_secret_access_key=server.secret_key,
        config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 1}),
    )


@contextmanager
def open_scene(server: Server, directory: Path) -> Iterator[Scene]:
    """A new bucket and an empty working directory."""
    home = directory / "home"
    work = directory / "work"
    home.mkdir()
    work.mkdir()
    s3 = client_of(server)
    # SeaweedFS gives every bucket volumes of its own: it has a limited number of them, and the
    # first object of a bucket takes a fifth of a second. So an empty bucket is used again.
    empty = _EMPTY.setdefault(server.endpoint, [])
    bucket = empty.pop() if empty else f"scene-{os.getpid()}-{next(_NUMBERS)}"
    scene = Scene(server, work, bucket, s3, environment(server, home, os.environ))
    if not scene.bucket_exists():
        s3.create_bucket(Bucket=bucket)
    try:
        yield scene
    finally:
        scene.delete(*scene.keys())
        if scene.bucket_exists():
            scene.abort_uploads()
            if not _has_policy(s3, bucket):
                empty.append(bucket)
        s3.close()


def _has_policy(s3: Any, bucket: str) -> bool:
    """Whether somebody left rules in the bucket that the next one would be refused by."""
    try:
        s3.get_bucket_policy(Bucket=bucket)
    except ClientError:
        return False
    return True
