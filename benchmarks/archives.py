"""Cases: sessions of files on disk, each as a tar in S3."""

from __future__ import annotations

import json
import os

from benchmarks import buckets, ours
from benchmarks.case import Case, Contender, Job, Place
from benchmarks.datasets import MIB, Dataset
from benchmarks.goals import Ratio
from benchmarks.programs import RCLONE, S3PLAN, S5CMD, WrongResultError

FILES = 8
"""Files of a session."""

SESSIONS = """\
apiVersion: s3plan/v1
kind: SessionArchive
metadata: {{name: bench}}
spec:
  source: {{path: "{library}"}}
  sessions: {{pattern: "{{year}}/{{session}}", minAge: 0}}
  target: {{bucket: {archives}, key: "{{session}}.tar"}}
"""


def _fill(place: Place, dataset: Dataset) -> None:
    place.once("library", lambda: _make_library(place, dataset))


def _make_library(place: Place, dataset: Dataset) -> None:
    """``dataset.count`` sessions of ``dataset.size`` random bytes each."""
    for name in _sessions(dataset):
        session = place.scratch / "library" / "2024" / name
        session.mkdir(parents=True)
        for number in range(FILES):
            with (session / f"{number}.bin").open("wb") as file:
                for _ in range(dataset.size // FILES // MIB):
                    file.write(os.urandom(MIB))


def _sessions(dataset: Dataset) -> list[str]:
    return [f"night-{number}" for number in range(dataset.count)]


def _prepare(job: Job) -> None:
    buckets.new(job)
    library = job.place.scratch / "library"
    ours.declare(job, SESSIONS, library=library, archives=buckets.target(job))
    ours.plan(job)


def _check(job: Job) -> None:
    """Every session is one object with all its bytes, as another program lists it."""
    sizes = buckets.sizes(job, buckets.target(job), ".tar")
    if len(sizes) != job.dataset.count or min(sizes) < job.dataset.size:
        raise WrongResultError(f"{job.program.name} left archives of {sizes} bytes")


def _verified(job: Job) -> None:
    """``s3plan verify`` calls every archive verified as well."""
    _check(job)
    said = job.run(ours.s3plan("verify", "manifest.yaml", "--json"))
    found = json.loads(said.splitlines()[-1])
    if found["by_checksum"] != job.dataset.count or found["problem_count"]:
        raise WrongResultError(f"s3plan verify: {found}")


def _piped(job: Job, into: str) -> list[str]:
    """All sessions at once, each through a pipe: nothing on disk in between."""
    tar = f"tar -C {job.place.scratch}/library/2024 -cf -"
    pipes = [f"{tar} {name} | {into}/{name}.tar &" for name in _sessions(job.dataset)]
    return ["sh", "-c", " ".join([*pipes, "wait"])]


def _s5cmd(job: Job) -> list[str]:
    server = f"--endpoint-url {job.server.endpoint}"
    return _piped(job, f"{S5CMD.path()} {server} pipe s3://{buckets.target(job)}")


def _rclone(job: Job) -> list[str]:
    return _piped(job, f"{RCLONE.path()} rcat bench:{buckets.target(job)}")


ARCHIVED = Dataset("sessions", 4, 256 * MIB)
PEERS = (
    Contender(S5CMD, _s5cmd, does=" pipe", prepare=buckets.new, check=_check),
    Contender(RCLONE, _rclone, "MD5", does=" rcat", prepare=buckets.new, check=_check),
)

CASES = (
    Case(
        "archive-large",
        f"Archive and verify {ARCHIVED.title} from a disk, as a tar each",
        ARCHIVED,
        (Contender(S3PLAN, ours.apply, "CRC64NVME", prepare=_prepare, check=_verified), *PEERS),
        (Ratio(1.0, tuple(peer.name for peer in PEERS)),),
        _fill,
        note="Peers are `tar` through a pipe; parts and concurrency are left at their defaults.",
    ),
)
