"""Every door that a file of somebody else comes through, as functions from bytes.

Each returns when the input became a model or a clear error; anything else that comes out is a bug.
"""

from __future__ import annotations

import io
import json
import shutil
import tempfile
import zlib
from collections.abc import Callable
from pathlib import Path

from s3plan import api
from s3plan.engine.evidence import check_evidence
from s3plan.engine.runs import Run
from s3plan.errors import S3PlanError
from s3plan.inventory.catalogue import observe_catalogue
from s3plan.kinds.documents import read_variables
from s3plan.kinds.loading import load
from s3plan.localfs.catalogue import path_of
from s3plan.localfs.tree import Tree
from s3plan.model.journal import GateRecord
from s3plan.model.steps import Totals
from s3plan.plan.reading import PlanFile
from s3plan.tables import Database
from s3plan.views.human import HumanView
from s3plan.views.jsonl import JsonView
from s3plan.views.progress import Silent
from s3plan.views.terminal import Screen
from s3plan.views.view import View
from tests.tamper.forge import edit_plan

SAMPLE = Path(__file__).parent.parent / "samples" / "v1"
EXPECTED = json.loads((SAMPLE / "expected.json").read_text())
DIGEST = EXPECTED["digest"]


def _views() -> tuple[View, ...]:
    screen = Screen(io.StringIO(), color=False, environ={})
    human = HumanView(screen, screen, "none", lambda _: None)
    return human, JsonView(io.BytesIO(), Silent())


def _shown(error: S3PlanError) -> None:
    """An error must be showable, and say what is wrong."""
    assert error.what
    for view in _views():
        view.error(error)


def manifest(data: bytes, directory: Path) -> None:
    """A manifest, as ``validate`` reads it."""
    path = directory / "manifest.yaml"
    path.write_bytes(data)
    try:
        loaded = load([path], variables={"GIVEN": "value"}, environ={})
        for view in _views():
            view.valid(loaded.refs)
    except S3PlanError as error:
        _shown(error)


def variables(data: bytes, directory: Path) -> None:
    """A ``--var-file``."""
    path = directory / "local.yaml"
    path.write_bytes(data)
    try:
        read_variables(path)
    except S3PlanError as error:
        _shown(error)


def plan(data: bytes, directory: Path) -> None:
    """A plan file, as ``show`` reads it."""
    path = directory / "plan.json"
    path.write_bytes(data)
    try:
        opened = PlanFile.open(path)
        for view in _views():
            view.plan(opened, "plan.json", "next")
            for step in opened.steps:
                view.items(step, opened.items(step.id) if step.worklist else ())
    except S3PlanError as error:
        _shown(error)


def sealed_plan(data: bytes, directory: Path) -> None:
    """A plan of any records at all whose ids, counts and digest are made right."""
    path = directory / "plan.json"
    path.write_bytes(data)
    try:
        edit_plan(path, lambda _: None)
    except Exception:  # noqa: BLE001 - not even a forger's tool can make a plan of it
        return
    plan(path.read_bytes(), directory)


def compressed_plan(data: bytes, directory: Path) -> None:
    """The same in a compressed file."""
    for suffix in (".zst", ".gz"):
        path = directory / f"plan.json{suffix}"
        path.write_bytes(data)
        try:
            PlanFile.open(path)
        except S3PlanError as error:
            _shown(error)


def journal(data: bytes, directory: Path) -> None:
    """A journal beside its plan, as ``status`` reads it."""
    run = Run(directory / EXPECTED["run"])
    run.folder.mkdir(exist_ok=True)
    shutil.copy(SAMPLE / "plan.json", run.plan)
    run.journal.write_bytes(data)
    try:
        status = api.status(run.journal)
        for view in _views():
            view.status(status)
    except S3PlanError as error:
        _shown(error)


def framed_journal(data: bytes, directory: Path) -> None:
    """A journal of any records at all, with right numbers and checksums."""
    journal(framed(data), directory)


def catalogue(data: bytes, directory: Path) -> None:
    """A catalogue, as planning reads it."""
    bucket = EXPECTED["bucket"]
    path = directory / path_of(bucket)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    try:
        with (
            Tree.open(directory, create=False) as tree,
            tempfile.TemporaryDirectory() as scratch,
            Database(Path(scratch)) as database,
        ):
            observe_catalogue(tree, bucket, database, attributes=True)
    except S3PlanError as error:
        _shown(error)


def framed_catalogue(data: bytes, directory: Path) -> None:
    """A catalogue of any records at all, with right numbers and checksums."""
    catalogue(framed(data), directory)


def evidence(data: bytes, directory: Path) -> None:
    """An evidence file of whatever digest."""
    path = directory / "evidence.jsonl"
    path.write_bytes(data)
    gate = GateRecord("verify-1", "bucket", "0" * 64, True, Totals(), {}, "")
    assert not check_evidence(path, DIGEST, gate)


def framed(data: bytes) -> bytes:
    """Lines of JSON objects as an append-only log frames them."""
    lines = []
    for seq, body in enumerate((line for line in data.split(b"\n") if len(line) > 2), 1):
        text = b'{"seq":%d,%b' % (seq, body[1:-1])
        lines.append(b'%b,"crc":"%08x"}\n' % (text, zlib.crc32(text)))
    return b"".join(lines)


def unframed(path: Path) -> bytes:
    """The records of a log without what frames them."""
    lines = path.read_bytes().splitlines()
    bodies = [b"{" + line[line.index(b",") + 1 : line.rindex(b',"crc"')] + b"}" for line in lines]
    return b"\n".join(bodies) + b"\n"


LOADERS: dict[str, Callable[[bytes, Path], None]] = {
    one.__name__: one
    for one in (
        manifest,
        variables,
        plan,
        sealed_plan,
        compressed_plan,
        journal,
        framed_journal,
        catalogue,
        framed_catalogue,
        evidence,
    )
}

_MANIFEST = b"""\
apiVersion: s3plan/v1
kind: Connection
metadata: {name: default}
spec:
  endpoint: http://127.0.0.1:8333
  region: us-east-1
  expectAccount: 123456789012
  limits: {connections: 8, requests: 20.5, bandwidth: 10MB, memory: 256MiB, objectTimeout: 5m}
---
apiVersion: s3plan/v1
kind: BucketEvacuation
metadata: {name: evacuation}
spec:
  buckets: {include: ["a-*", &one b], exclude: [*one]}
  destination: {path: "./${GIVEN}", layout: "{bucket}/{key}"}
  select: {prefix: x, keys: ["*.jpg"], olderThan: 30d, newerThan: 2026-01-31, minSize: 1KiB}
  verify: {inventory: superset, ignore: ["._*"]}
  delete: never
"""

SEEDS: dict[str, bytes] = {
    "manifest": _MANIFEST,
    "variables": b"BUCKET: photos\nnumber: 012\ntext: 'a b'\n",
    "plan": (SAMPLE / "plan.json").read_bytes(),
    "sealed_plan": (SAMPLE / "rollback-plan.json").read_bytes(),
    "compressed_plan": zlib.compress((SAMPLE / "plan.json").read_bytes(), wbits=31),
    "journal": (SAMPLE / "journal.json").read_bytes(),
    "framed_journal": unframed(SAMPLE / "journal.json"),
    "catalogue": (SAMPLE / "catalogue.jsonl").read_bytes(),
    "framed_catalogue": unframed(SAMPLE / "catalogue.jsonl"),
    "evidence": (
        b'{"n":0,"key":"k","verdict":"verified","checksum":{"algorithm":"SHA256","value":"x"},'
        b'"file":{"device":1,"inode":2,"size":3,"mtime_ns":4}}\n'
    ),
}
