"""Ceph's S3 gateway (RGW) as a test server: a third implementation, with its own gaps."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from s3plan.demo.programs import free_ports
from tests.servers import Server

PACKAGES = "radosgw ceph-mon ceph-osd ceph-mgr ceph-common"
_SCRIPT = Path(__file__).with_name("ceph-rgw.sh")
_STOP_SECONDS = 20


@contextlib.contextmanager
def ceph_rgw(directory: Path) -> Iterator[Server]:
    """A one-node Ceph in memory; never skips: whoever asks for RGW must have it."""
    assert shutil.which("radosgw"), (
        "Ceph's radosgw is not installed, and these tests are about nothing else; on Debian:"
        f" apt-get install --no-install-recommends {PACKAGES}"
    )
    s3, monitor = free_ports(2)
    log = directory / "rgw.log"
    command = [str(_SCRIPT), str(directory / "ceph"), str(s3), str(monitor)]
    with log.open("wb") as errors:
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors
        )
    with process:
        assert process.stdout is not None
        try:
            ready = process.stdout.readline()
            assert ready == b"ready\n", f"RGW does not start:\n{log.read_text()[-4000:]}"
            yield Server(f"http://127.0.0.1:{s3}", "AK", "SK", "us-east-1")
        finally:
            process.terminate()
            process.wait(_STOP_SECONDS)
