"""The real program on a pseudo-terminal, with a bucket of names that try to take it over."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine.scene import OBJECTS_ONLY, Scene, open_scene
from tests.rendering.emulator import HOSTILE, Shown, misleading, on_a_terminal
from tests.servers import Server

# moto writes names into XML as they are, and fails; RGW (`make test-rgw`) has all of them.
_NOT_ON_MOTO = re.compile("[\x01-\x08\x0a-\x0c\x0e-\x1f]")


@pytest.fixture(params=["moto_server", "rgw"])
def scene(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Scene]:
    server: Server = request.getfixturevalue(request.param)
    with open_scene(server, tmp_path) as made:
        for number, key in enumerate(HOSTILE):
            if request.param == "rgw" or not _NOT_ON_MOTO.search(key):
                made.put(key, f"content {number}".encode())
        made.manifest(OBJECTS_ONLY)
        yield made


def _run(scene: Scene, *arguments: str, answer: str = "") -> Shown:
    command = [sys.executable, "-m", "s3plan", *arguments]
    environ = scene.environ | {"TERM": "xterm", "PAGER": "cat"}
    del environ["COLUMNS"]
    shown = on_a_terminal(command, scene.directory, environ, answer)
    assert shown.lines[0] == "BEFORE", arguments
    assert shown.lines[-2:] == ("AFTER", ""), arguments
    assert misleading(shown.sent) == [], arguments
    return shown


@pytest.mark.long
def test_every_command_leaves_the_terminal_as_it_was(scene: Scene) -> None:
    keys = set(scene.keys())
    count = len(keys)
    assert count >= 13
    planned = _run(scene, "plan", "manifest.yaml")
    assert planned.code == 0
    assert any(line.startswith(f"Plan: {count} to download") for line in planned.lines)
    shown = _run(scene, "show")
    assert any(line.startswith(f"Plan: {count} to download") for line in shown.lines)

    step = json.loads((scene.directory / "plan.json").read_bytes().splitlines()[1])["id"]
    items = _run(scene, "show", "--step", step)
    assert sum("STANDARD" in line for line in items.lines) == count, "a line for each"

    log = scene.directory / "items.log"
    applied = _run(scene, "apply", "--approve", "--log-file", str(log), answer="no\n")
    assert applied.code == 4, applied.sent
    for mark in ("✓ download", "✓ verify", "verification of", "(yes/no)"):
        assert any(mark in line for line in applied.lines), (mark, applied.lines)
    assert misleading(log.read_text()) == []
    logged = {json.loads(line).get("key") for line in log.read_text().splitlines()}
    assert logged >= keys, "the log names them exactly"

    _run(scene, "status")
    for arguments in (["status"], ["show"], ["show", "--step", step]):
        _run(scene, *arguments, "--json")
    missing = _run(scene, "show", "\x1b[2Jno\nsuch.json")
    assert missing.code == 1
    assert any("no such plan file" in line for line in missing.lines)

    for key in sorted(keys)[:3]:
        scene.put(key, b"changed since")
    drifted = _run(scene, "apply", "--approve", answer="no\n")
    assert drifted.code == 4, drifted.sent
    assert any("changed in S3 since the plan" in line for line in drifted.lines)
    rolled = _run(scene, "rollback", "journal.json", "--approve")
    assert rolled.code in {0, 7}, rolled.sent
