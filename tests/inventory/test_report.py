"""Plans from S3 Inventory reports: the same as from a listing, and never more than a hint."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from s3plan.errors import ListingError, PlanningError, S3PlanError
from s3plan.inventory import report as inventory_report
from tests.engine.conftest import enter
from tests.engine.scene import Scene, open_scene, open_versioned
from tests.hostile.keys import body_of, kept_by
from tests.inventory.reports import (
    FIELDS,
    FOLDER,
    Form,
    Row,
    comma_separated,
    parquet,
    publish,
    row,
)
from tests.servers import Server

YESTERDAY = datetime(2026, 11, 19, 1, tzinfo=UTC)
OTHER_MD5 = "0" * 32


@pytest.fixture
def scene(seaweed: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    with open_scene(seaweed, tmp_path) as made:
        enter(made, monkeypatch)
        yield made


@pytest.fixture(scope="module")
def holder(seaweed: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A bucket for reports."""
    with open_scene(seaweed, tmp_path_factory.mktemp("holder")) as made:
        yield made.bucket


def rows_of(scene: Scene) -> list[Row]:
    """What a report on the bucket holds."""
    pages = scene.s3.get_paginator("list_objects_v2").paginate(Bucket=scene.bucket)
    return [
        row(one["Key"], one["Size"], one["ETag"].strip('"'), one["LastModified"])
        for page in pages
        for one in page.get("Contents", ())
    ]


def written(rows: list[Row], form: Form, directory: Path) -> bytes:
    return parquet(rows, directory) if form == "Parquet" else comma_separated(rows)


def report(scene: Scene, holder: str, rows: list[Row], form: Form = "CSV", **changed: Any) -> str:
    """A report in one file; its address."""
    files = [written(rows, form, scene.directory)]
    return publish(scene.s3, holder, changed.pop("source", scene.bucket), files, form, **changed)


def spec(address: str, rest: str = "  delete: never\n") -> str:
    return f"{rest}  inventory: {{from: {json.dumps(address)}}}\n"


def items(scene: Scene) -> list[dict[str, Any]]:
    """The objects that the plan downloads, without what only a listing tells."""
    lines = map(json.loads, (scene.directory / "plan.json").read_bytes().strip().split(b"\n")[1:])
    return sorted(
        ({**one, "checksum": None} for one in lines if "key" in one), key=lambda one: one["key"]
    )


@pytest.mark.parametrize("form", ["Parquet", "CSV"])
def test_the_same_plan_as_from_a_listing(scene: Scene, holder: str, form: Form) -> None:
    """Hostile keys too; noncurrent versions and delete markers in the report are not objects."""
    for key in kept_by("seaweed"):
        scene.put(key, body_of(key))
    scene.plan("  delete: never\n")
    listed = items(scene)
    rows = rows_of(scene)
    old = row("old", 1, OTHER_MD5, YESTERDAY, is_latest=False)
    gone = row("gone", None, None, YESTERDAY, is_delete_marker=True)  # type: ignore[arg-type]
    half = len(rows) // 2
    files = [
        written(some, form, scene.directory) for some in ([*rows[:half], old], [gone, *rows[half:]])
    ]
    address = publish(scene.s3, holder, scene.bucket, files, form)

    made = scene.plan(spec(address))

    assert items(scene) == listed
    assert "planned from the S3 Inventory report of 2026-11-19" in made.notes[0]
    finished = scene.apply()
    assert finished.outcome == "done", scene.problems()
    assert sorted(scene.files().values()) == sorted(filter(None, map(body_of, kept_by("seaweed"))))


def test_a_deletion_is_decided_by_a_listing_of_then(scene: Scene, holder: str) -> None:
    """An object that is younger than the report holds the deletion, and stays."""
    scene.fill(3)
    address = report(scene, holder, rows_of(scene))
    scene.put("younger", b"not in the report")
    scene.plan(spec(address, "  delete: afterVerification\n"))
    assert scene.apply().outcome == "held"
    (problem,) = scene.gate().problems
    assert problem == "1 in S3 but not in the plan: younger"
    assert len(scene.keys()) == 4


def test_an_object_that_was_replaced_since_is_not_taken_for_the_old_one(
    scene: Scene, holder: str
) -> None:
    scene.put("a", b"old")
    address = report(scene, holder, rows_of(scene))
    scene.put("a", b"new")
    scene.plan(spec(address))
    assert scene.apply().exit_code == 3
    assert scene.files() == {}


def test_a_bucket_with_versions_is_listed(
    seaweed: Server, holder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_versioned(seaweed, tmp_path) as scene:
        enter(scene, monkeypatch)
        scene.put("a")
        address = report(scene, holder, rows_of(scene))
        with pytest.raises(PlanningError, match="cannot be used") as caught:
            scene.plan(spec(address, "  delete: afterVerification\n"))
        assert caught.value.found == f"versioning of {scene.bucket}: enabled"


def damaged_file(scene: Scene, holder: str) -> None:
    scene.s3.put_object(Bucket=holder, Key="reports/photos/daily/data/0.csv.gz", Body=b"another")


def no_file(scene: Scene, holder: str) -> None:
    scene.s3.delete_object(Bucket=holder, Key="reports/photos/daily/data/0.csv.gz")


def damaged_manifest(scene: Scene, holder: str) -> None:
    scene.s3.put_object(Bucket=holder, Key=f"{FOLDER}/manifest.checksum", Body=OTHER_MD5.encode())


def unfinished(scene: Scene, holder: str) -> None:
    scene.s3.delete_object(Bucket=holder, Key=f"{FOLDER}/manifest.checksum")


@pytest.mark.parametrize(
    ("damage", "error", "said"),
    [
        (damaged_file, ListingError, "found MD5"),
        (no_file, ListingError, "found no such key"),
        (damaged_manifest, PlanningError, f"MD5 {OTHER_MD5}, as manifest.checksum says"),
        (unfinished, PlanningError, "manifest.checksum beside it"),
    ],
)
def test_a_damaged_report_is_refused(
    scene: Scene,
    holder: str,
    damage: Callable[[Scene, str], None],
    error: type[S3PlanError],
    said: str,
) -> None:
    scene.put("a")
    address = report(scene, holder, rows_of(scene))
    damage(scene, holder)
    with pytest.raises(error) as caught:
        scene.plan(spec(address))
    assert said in str(caught.value)
    assert caught.value.next_step


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"schema": FIELDS.replace("ETag, ", "")}, "without ETag"),
        ({"fileFormat": "ORC"}, "found ORC"),
        ({"source": "other"}, "a report of other"),
        ({"creationTimestamp": "soon"}, "invalid literal"),
        ({"fileSchema": 3}, "Expected `str`"),
    ],
)
def test_a_report_of_another_kind_is_refused(
    scene: Scene, holder: str, changed: dict[str, Any], said: str
) -> None:
    scene.put("a")
    address = report(scene, holder, rows_of(scene), **changed)
    with pytest.raises(PlanningError) as caught:
        scene.plan(spec(address))
    assert said in str(caught.value)


def test_orc_is_refused_with_what_to_choose_instead(scene: Scene, holder: str) -> None:
    address = report(scene, holder, rows_of(scene), fileFormat="ORC")
    with pytest.raises(PlanningError) as caught:
        scene.plan(spec(address))
    assert "ORC, which DuckDB does not read" in str(caught.value.found)
    assert "choose Parquet" in str(caught.value.next_step)


_OTHERS = """\
apiVersion: s3plan/v1
kind: Connection
metadata: {{name: default}}
spec: {{endpoint: {endpoint}, region: {region}}}
---
apiVersion: s3plan/v1
kind: {kind}
metadata: {{name: reported}}
spec:
  {rest}
  inventory: {{from: {address}}}
"""


def write_other(scene: Scene, address: str, kind: str, rest: str) -> None:
    """A manifest of another kind than the scene's own, planned from the report."""
    (scene.directory / "manifest.yaml").write_text(
        _OTHERS.format(
            endpoint=scene.server.endpoint,
            region=scene.server.region,
            kind=kind,
            rest=rest,
            address=json.dumps(address),
        )
    )


def test_a_grouping_is_planned_from_a_report(scene: Scene, holder: str) -> None:
    """What changed since is left alone, and what a report does not know is not copied."""
    for key in ("in/1.jpg", "in/2.jpg", "in/3.jpg"):
        scene.put(key, key.encode())
    address = report(scene, holder, rows_of(scene))
    scene.put("in/2.jpg", b"written since")
    scene.put("in/4.jpg", b"younger")
    scene.s3.delete_object(Bucket=scene.bucket, Key="in/3.jpg")
    copying = (
        f'source: {{bucket: {scene.bucket}, prefix: in/, pattern: "{{path}}"}}\n'
        '  target: {key: "out/{path}"}'
    )
    write_other(scene, address, "ObjectGrouping", copying)

    made = scene.plan()

    assert "planned from the S3 Inventory report of 2026-11-19" in made.notes[0]
    assert [one["key"] for one in items(scene)] == ["in/1.jpg", "in/2.jpg", "in/3.jpg"]
    assert scene.apply().exit_code == 3
    copies = [key for key in scene.objects() if key.startswith("out/")]
    assert copies == ["out/1.jpg"]
    reasons = {problem.key: problem.reason for problem in scene.problems()}
    assert reasons == {"in/2.jpg": "source-changed", "in/3.jpg": "source-gone"}


def test_a_layout_is_planned_from_a_report(scene: Scene, holder: str) -> None:
    """Each object is looked at besides, so that one that changed since is left out and named."""
    for key in ("a", "b", "c"):
        scene.put(key, key.encode())
    address = report(scene, holder, rows_of(scene))
    scene.put("b", b"written since")
    scene.s3.delete_object(Bucket=scene.bucket, Key="c")
    write_other(
        scene,
        address,
        "ObjectLayout",
        f"select: {{bucket: {scene.bucket}}}\n  target: {{layoutVersion: 2}}\n"
        "  cutover: {window: accept}",
    )

    made = scene.plan()

    assert "planned from the S3 Inventory report of 2026-11-19" in made.notes[0]
    assert [one["key"] for one in items(scene)] == ["a"]
    assert any("changed" in note and "b" in note for note in made.notes), made.notes


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([row("a", 1, OTHER_MD5, YESTERDAY)] * 2, "a: twice"),
        ([row("a", None, OTHER_MD5, YESTERDAY)], "a: a row without"),  # type: ignore[arg-type]
        ([row("a", 1, "", YESTERDAY)], "a: a row without"),
        ([row("a", "one", OTHER_MD5, YESTERDAY)], "cannot be read"),  # type: ignore[arg-type]
    ],
)
def test_a_report_that_is_no_list_of_objects_is_refused(
    scene: Scene, holder: str, rows: list[Row], said: str
) -> None:
    address = report(scene, holder, rows)
    with pytest.raises(ListingError) as caught:
        scene.plan(spec(address))
    assert said in str(caught.value)


def test_times_are_of_milliseconds_and_utc(scene: Scene, holder: str, tmp_path: Path) -> None:
    """As a listing tells them, however a report writes them."""
    moment = YESTERDAY + timedelta(seconds=1)
    forms: tuple[Form, ...] = ("Parquet", "CSV")
    for form in forms:
        rows = [row("a", 1, OTHER_MD5, moment)]
        address = report(scene, holder, rows, form)
        scene.plan(spec(address))
        assert [one["modified"] for one in items(scene)] == ["2026-11-19T01:00:01.000Z"]


def test_files_of_a_report_are_read_side_by_side(
    scene: Scene, holder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What one thread unpacks must not keep the other processors waiting; and four are fetched."""
    rows = [row(f"{n:03}", n, OTHER_MD5, YESTERDAY) for n in range(60)]
    files = [comma_separated(rows[n::6]) for n in range(6)]
    load, fetch = inventory_report._load, inventory_report._fetch
    together = threading.Barrier(2, timeout=60)
    fetched, most = 0, 0

    def loading(*arguments: Any) -> None:
        together.wait()  # six files in pairs: one by one they would wait for ever
        load(*arguments)

    async def fetching(*arguments: Any) -> None:
        nonlocal fetched, most
        fetched += 1
        most = max(most, fetched)
        await fetch(*arguments)
        fetched -= 1

    monkeypatch.setattr(inventory_report, "_load", loading)
    monkeypatch.setattr(inventory_report, "_fetch", fetching)
    address = publish(scene.s3, holder, scene.bucket, files, "CSV")
    assert scene.plan(spec(address)) is not None
    assert [item["key"] for item in items(scene)] == [f"{n:03}" for n in range(60)]
    assert 2 <= most <= 4
