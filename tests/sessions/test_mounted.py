"""s3plan inside another click program (D38): its commands, its help and its exit codes."""

from __future__ import annotations

from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from s3plan.cli import mounted


@click.group()
def observatory() -> None:
    """The observatory's own commands."""


observatory.add_command(mounted)


def test_it_is_one_command_among_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Arguments arrive as they are given, options among them."""
    monkeypatch.chdir(tmp_path)
    runner = CliRunner()
    assert "s3plan" in runner.invoke(observatory, ["--help"]).output
    found = runner.invoke(observatory, ["s3plan", "--help"])
    assert (found.exit_code, "plan" in found.output) == (0, True)
    assert runner.invoke(observatory, ["s3plan", "init", "sessions"]).exit_code == 0
    assert (tmp_path / "manifest.yaml").exists()
    wrong = runner.invoke(observatory, ["s3plan", "plan", "--no-such-option"])
    assert wrong.exit_code == 64
    missing = runner.invoke(observatory, ["s3plan", "--json", "show", "none.json"])
    assert missing.exit_code == 1
    assert '"type"' in missing.output
