"""``s3plan iam`` of a SessionArchive: what full runs were seen to need (D40, E6)."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from s3plan import api
from tests.access.conftest import Account, account
from tests.access.test_iam import printed, recorded
from tests.faults.proxy import proxy_to
from tests.sessions.fitsfiles import light
from tests.sessions.test_archiving import LONG_AGO

__all__ = ["account"]  # a fixture


@pytest.mark.long
def test_archives_notes_and_rules(account: Account, capsys: pytest.CaptureFixture[str]) -> None:
    """Bucket, rule, archive, index, note; planned again; all of it taken back."""
    for name, data in (
        ("library/2024/20240110_A/a.fits", light()),
        ("notes/20240110_A_notes.md", b"clear"),
    ):
        path = account.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        os.utime(path, (LONG_AGO, LONG_AGO))
    bucket = f"sessions-{os.getpid()}"
    with proxy_to(account.server.endpoint) as proxy:
        account.write(
            "SessionArchive",
            "source: {path: library}\n"
            f'target: {{bucket: {bucket}, key: "raw/{{year}}/{{session}}.tar"}}\n'
            'notes: {from: "notes/{session}_notes.md", key: "notes/{session}.md"}\n'
            "bucket: {create: true, versioning: enabled}\nlifecycle: {policy: fast}",
            endpoint=proxy.endpoint,
        )
        assert api.plan([Path("manifest.yaml")]).plan is not None
        assert account.apply().exit_code == 0, account.problems()
        assert api.plan([Path("manifest.yaml")]).plan is None
        back = account.rollback()
        assert back is not None
        seen = recorded(proxy)
    needed = printed(capsys, bucket)
    assert seen <= needed, seen - needed
    # Nothing was killed, so no upload had to be looked at or aborted.
    unseen = {"AbortMultipartUpload", "ListMultipartUploadParts", "DeleteObjectVersion"}
    assert {action.removeprefix("s3:") for _, action in needed - seen} <= unseen
