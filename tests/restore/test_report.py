"""What `s3plan report restores` and the views tell of restores."""

from __future__ import annotations

import pytest

from s3plan import api
from tests.engine.scene import COPY_ONLY
from tests.restore.conftest import Archive

RESTORE = "  restore: {days: 3, poll: 1}\n"


@pytest.mark.long
def test_the_report_and_the_views_follow_a_restore(archive: Archive) -> None:
    """A37, and the times that the replaced tool's table has columns for; mistake E23."""

    def backlog() -> list[tuple[object, ...]]:
        with api.report("restores") as made:
            return [tuple(row) for row in made.sections[0].rows]

    def files(column: str) -> set[object]:
        with api.query(f"SELECT {column} FROM files WHERE storage_class = 'GLACIER'") as answer:
            return {row[0] for row in answer.rows}

    for number in range(6):
        storage = "GLACIER" if number % 2 else "STANDARD"
        archive.scene.put(f"k{number}.bin", f"content {number}".encode(), StorageClass=storage)
    archive.scene.put("instant", b"read at once", StorageClass="GLACIER_IR")
    archive.scene.plan(COPY_ONLY + RESTORE)
    assert backlog() == [(archive.scene.bucket, "GLACIER", 3, 27, 0, 0, 0)]
    assert files("state") == {"discovered"}
    archive.glacier.speed = 2 * 3600
    assert archive.scene.apply().exit_code == 0
    assert backlog() == []
    assert files("state") == {"verified"}
    requested = {str(time) for time in files("glacier_restore_requested_at")}
    restored = {str(time) for time in files("glacier_restored_at")}
    assert max(requested) < min(restored)
    with api.report("restores") as made:
        [standing] = made.sections[1].rows
        assert standing[2:6] == ("done", "verified", 3, 27)
        assert standing[7] is not None, "until when the copies can be read"
    with api.query("SELECT count(*) FROM restore_status WHERE stage = 'ready'") as answer:
        assert list(answer.rows) == [(3,)]
