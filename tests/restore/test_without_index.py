"""ArchiveRestore of tars that nobody wrote an index of: found by headers, read twice, confined."""

from __future__ import annotations

import io
import tarfile

import pytest

from s3plan import api
from s3plan.errors import ProblemsError
from s3plan.model.steps import Extract, Restore
from tests.engine.conftest import moto_scene, scene
from tests.engine.scene import Scene
from tests.restore.test_archive_restore import MANIFEST, here, plan
from tests.rules.test_tarheaders import FILES, made

__all__ = ["moto_scene", "scene"]  # fixtures


def plan_reading(scene: Scene, more: str = "") -> api.PlanResult:
    """A plan with source.withoutIndex: read."""
    text = MANIFEST.replace("prefix: raw/}}", "prefix: raw/, withoutIndex: read}}")
    assert text != MANIFEST
    (scene.directory / "manifest.yaml").write_text(
        text.format(
            endpoint=scene.server.endpoint,
            region=scene.server.region,
            bucket=scene.bucket,
            more="".join(f"  {line}\n" for line in more.splitlines()),
        )
    )
    return api.plan([scene.directory / "manifest.yaml"])


def hostile() -> bytes:
    """A tar whose names and links would lead out of any directory that took them at their word."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, kind in (("evil/link", tarfile.SYMTYPE), ("evil/dev", tarfile.CHRTYPE)):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "/etc"
            tar.addfile(info)
        for name in ("../../outside", "/absolute", "evil/link/passwd", "evil/ok"):
            info = tarfile.TarInfo(name)
            info.size = len(name)
            tar.addfile(info, io.BytesIO(name.encode()))
    return out.getvalue()


def test_a_tar_without_an_index_becomes_files(scene: Scene) -> None:
    """D44, D49: members by their headers; nothing of it is read while planning but these."""
    big = {**FILES, "night/big": bytes(3_000_000)}
    scene.put("raw/night.tar", made(big))
    left = plan(scene)
    assert left.plan is None
    assert "source.withoutIndex: read" in " ".join(left.notes)
    result = plan_reading(scene)
    assert result.plan is not None
    (step,) = result.plan.steps
    assert isinstance(step.action, Extract)
    assert (step.action.index, step.totals.items) == ("", len(big))
    assert "each is read twice" in " ".join(result.notes)
    assert scene.apply().exit_code == 0, scene.problems()
    assert here(scene) == big
    assert plan_reading(scene).plan is None
    assert scene.rollback() is not None
    assert here(scene) == {}


def test_no_header_leads_out_of_the_destination(scene: Scene) -> None:
    """Invariant 6: no absolute path, no .., no link, no device; the rest is there, encoded."""
    scene.put("raw/evil.tar", hostile())
    result = plan_reading(scene)
    assert "2 entries that are no files" in " ".join(result.notes)
    assert scene.apply().exit_code == 0, scene.problems()
    found = here(scene)
    assert sorted(found.values()) == [
        b"../../outside", b"/absolute", b"evil/link/passwd", b"evil/ok"
    ]  # fmt: skip
    assert not (scene.here / "evil/link").is_symlink()
    assert not any(path.is_symlink() for path in scene.here.rglob("*"))
    outside = [p for p in scene.directory.rglob("*outside*") if scene.here not in p.parents]
    assert outside == []


@pytest.mark.long
def test_what_is_no_tar_or_another_one_by_now_is_told(scene: Scene) -> None:
    scene.put("raw/night.tar", made(FILES)[:-11_000])
    with pytest.raises(ProblemsError) as refused:
        plan_reading(scene)
    assert "no whole tar" in str(refused.value.problems[0].found)
    scene.put("raw/night.tar", made(FILES))
    plan_reading(scene)
    scene.put("raw/night.tar", made({"night/other": b"x"}))
    assert scene.apply().exit_code == 3
    assert here(scene) == {}


@pytest.mark.long
def test_one_that_is_asleep_is_asked_for_first(moto_scene: Scene) -> None:
    """D44: what is in it shows once it can be read; the plan says so, and the next one extracts."""
    scene = moto_scene
    scene.put("raw/night.tar", made(FILES), StorageClass="DEEP_ARCHIVE")
    result = plan_reading(scene, "restore: {poll: 1}")
    assert result.plan is not None
    assert [type(step.action) for step in result.plan.steps] == [Restore]
    assert "plan again then" in " ".join(result.notes)
    assert scene.apply().exit_code == 0, scene.problems()
    plan_reading(scene, "restore: {poll: 1}")
    assert scene.apply().exit_code == 0, scene.problems()
    assert here(scene) == FILES
