"""``s3plan doctor``: every finding at once, nothing written without being asked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from s3plan import api
from s3plan.engine import doctor
from s3plan.localfs import health
from s3plan.model.diagnosis import Diagnosis
from s3plan.store.control import Control
from tests.engine.scene import COPY_ONLY, Scene

pytestmark = pytest.mark.parametrize("server", ["moto_server"])


def _findings(found: Diagnosis) -> dict[str, list[str]]:
    """What was said of each health, as ``subject: what``."""
    told: dict[str, list[str]] = {"ok": [], "warning": [], "problem": []}
    for finding in found.findings:
        told[finding.health].append(f"{finding.subject}: {finding.what}")
    return told


def test_a_healthy_place(scene: Scene, server: str) -> None:
    found = api.doctor([scene.manifest(COPY_ONLY)])
    told = _findings(found)
    assert found.healthy
    assert told["problem"] == []
    assert f"bucket {scene.bucket}: in region us-east-1" in told["ok"]
    assert f"destination {scene.here}: will be made in {scene.directory}" in told["ok"]
    assert [text for text in told["warning"] if text.startswith("scratch: the Connection names no")]
    assert not scene.here.exists(), "looking makes nothing"
    assert not found.capabilities.holds("put-if-none-match"), "not probed, not relied upon"


def test_every_problem_is_told_at_once(scene: Scene, server: str) -> None:
    manifest = scene.manifest(COPY_ONLY)
    text = manifest.read_text().replace(f"[{scene.bucket}]", "[no-such-bucket]")
    manifest.write_text(text.replace("./here", "./missing/deep/here"))
    found = api.doctor([manifest])
    told = _findings(found)
    assert not found.healthy
    assert any(text.startswith("bucket no-such-bucket: no such bucket") for text in told["problem"])
    assert any("missing/deep does not exist" in text for text in told["problem"])
    assert scene.s3plan("doctor", "manifest.yaml").code == 1


_SESSIONS = """\
---
apiVersion: s3plan/v1
kind: SessionArchive
metadata: {{name: raw}}
spec:
  source: {{path: library}}
  sessions: {{by: directory, pattern: "{{session}}"}}
  target: {{bucket: {bucket}, key: "raw/{{session}}.tar"}}
  archive: {{keepLocal: kept}}
"""


def test_what_killed_runs_left_is_told_and_left_there(scene: Scene, server: str) -> None:
    """D48: in a destination, and in a directory that keeps archives."""
    manifest = scene.manifest(COPY_ONLY)
    sessions = _SESSIONS.format(bucket=scene.bucket)
    manifest.with_name("sessions.yaml").write_text(
        manifest.read_text().partition("---")[0] + sessions
    )
    kept = scene.directory / "kept"
    for root in (scene.here, kept):
        dead = root / ".s3plan" / "tmp" / "4711-0123abcd"
        dead.mkdir(parents=True)
        (dead / "lock").touch()
        (dead / "0").write_bytes(b"half of it")
    for name, root in (("manifest.yaml", scene.here), ("sessions.yaml", kept)):
        told = _findings(api.doctor([scene.directory / name]))
        found = "1 unfinished file of runs that were killed, 10 bytes"
        assert f"destination {root}: {found}" in told["warning"]
        assert (root / ".s3plan" / "tmp" / "4711-0123abcd" / "0").exists()


@pytest.mark.parametrize("filesystem", ["tmpfs", "overlay"])
def test_a_journal_that_would_not_outlive_the_machine_is_warned_of(
    scene: Scene, server: str, filesystem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "_filesystem", lambda device: filesystem)
    told = _findings(api.doctor([scene.manifest(COPY_ONLY)]))
    warned = [text for text in told["warning"] if filesystem in text]
    assert any(text.startswith(f"journal in {scene.directory}:") for text in warned)
    assert any(text.startswith(f"destination {scene.here}:") for text in warned)


def test_the_kernel_names_the_filesystem(scene: Scene, server: str) -> None:
    """Against the mount point's own line, where this machine has a tmpfs to look at."""
    if not Path("/dev/shm").is_mount():
        pytest.skip("no /dev/shm here")
    assert health.look_at(Path("/dev/shm")).filesystem == "tmpfs"


def test_credentials_that_are_missing_are_a_finding(
    scene: Scene, server: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    told = _findings(api.doctor([scene.manifest(COPY_ONLY)]))
    assert [text for text in told["problem"] if text.startswith("credentials: no credentials")]


def test_only_a_connection_and_no_manifest_at_all(
    scene: Scene, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = scene.manifest(COPY_ONLY)
    manifest.write_text(manifest.read_text().split("---")[0])
    assert api.doctor([manifest]).healthy
    monkeypatch.setenv("AWS_ENDPOINT_URL", scene.server.endpoint)
    assert api.doctor().healthy


@pytest.mark.long
def test_the_probe_prints_the_table_and_the_next_look_remembers_it(
    scene: Scene, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With few races: moto is slow, and ``tests/capabilities/test_servers.py`` runs more."""
    assert doctor.RACES >= 300
    monkeypatch.setattr(doctor, "RACES", 12)
    scratch = f"{scene.bucket}-doctor"
    scene.s3.create_bucket(Bucket=scratch)
    manifest = scene.manifest(COPY_ONLY)
    text = manifest.read_text()
    manifest.write_text(text.replace("  limits:", f"  scratch: s3://{scratch}/x\n  limits:"))

    before = scene.s3plan("doctor", "manifest.yaml")
    assert before.code == 0, before.err
    assert "nobody has probed yet" in before.out
    assert "Contents" not in scene.s3.list_objects_v2(Bucket=scratch)

    names = _names(scene)
    assert api.doctor([manifest], probe=True, with_bucket=True).healthy
    probed = scene.s3plan("doctor", "manifest.yaml")
    assert probed.code == 0, probed.err
    rows = {line.split()[0]: line for line in probed.out.splitlines() if line.strip()}
    assert "honoured" in rows["put-if-match"]
    assert "both in 0 of 12" in " ".join(probed.out.split())
    assert "yes" in rows["put-if-match"]
    assert "ignored" in rows["delete-many-etag"]
    assert "yes" not in rows["delete-many-etag"].split()
    assert "ignored" in rows["policy-condition"]
    assert "Contents" not in scene.s3.list_objects_v2(Bucket=scratch), "canaries are removed"
    assert _names(scene) == names, "and so is the bucket of the probe"

    after: Any = json.loads(scene.s3plan("doctor", "manifest.yaml", "--json").out)
    standing = {one["name"]: one["standing"] for one in after["capabilities"]["found"]}
    assert standing["delete-if-match"] == "honoured"
    assert standing["versioning"] == "honoured"


def _names(scene: Scene) -> set[str]:
    return {bucket["Name"] for bucket in scene.s3.list_buckets()["Buckets"]}


@pytest.mark.parametrize(
    ("ahead", "health"), [(0.4, "ok"), (-59, "ok"), (75, "warning"), (-3_000, "problem")]
)
def test_a_clock_that_is_off_is_told_before_s3_refuses_it(
    scene: Scene, server: str, ahead: float, health: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Row D46: a wrong clock looks like wrong credentials, so it has a finding of its own."""
    monkeypatch.setattr(Control, "clock_ahead", lambda control: ahead)
    told = _findings(api.doctor([scene.manifest(COPY_ONLY)]))
    (line,) = [text for text in told[health] if text.startswith("clock: ")]
    if health != "ok":
        assert ("behind" if ahead > 0 else "ahead of") in line


def test_the_clock_is_compared_with_the_endpoint_s(scene: Scene, server: str) -> None:
    """By the Date of an answer of its own."""
    told = _findings(api.doctor([scene.manifest(COPY_ONLY)]))
    assert "clock: agrees with the endpoint's" in told["ok"]
    assert [text for text in told["ok"] if text.startswith("identity: arn:aws:sts::")]


def test_room_for_temporary_files(
    scene: Scene, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows D46 and D48: where tables spill to is looked at, too."""
    monkeypatch.setattr(doctor, "TEMPORARY_BYTES", 2**62)
    told = _findings(api.doctor([scene.manifest(COPY_ONLY)]))
    assert [text for text in told["warning"] if text.startswith("temporary files in ")]
