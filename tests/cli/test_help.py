"""Help: complete, quick, and honest about exit codes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import click
import pytest

from s3plan import __version__
from s3plan.cli import main
from s3plan.cli.program import program

HEAVY = ("boto3", "botocore", "duckdb", "msgspec", "pydantic", "pycurl", "rich", "yaml")


def commands() -> list[tuple[list[str], click.Command]]:
    found: list[tuple[list[str], click.Command]] = []
    context = click.Context(program)
    for name in program.list_commands(context):
        command = program.get_command(context, name)
        assert command is not None
        found.append(([name], command))
        if isinstance(command, click.Group):
            found += [([name, sub], command.commands[sub]) for sub in command.commands]
    return found


@pytest.mark.parametrize("given", [["--help"], ["--version"], ["apply", "--help"]])
def test_help_imports_nothing_heavy(given: list[str]) -> None:
    code = (
        "import sys; from s3plan.cli import main; code = main(sys.argv[1:]);"
        f"heavy = [name for name in {HEAVY} if name in sys.modules];"
        "sys.exit(code or ', '.join(heavy) or 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *given], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_help_takes_little_time() -> None:
    code = (
        "import resource, subprocess, sys;"
        "subprocess.run([sys.executable, '-m', 's3plan', '--help'], stdout=-3, check=True);"
        "usage = resource.getrusage(resource.RUSAGE_CHILDREN);"
        "print(usage.ru_utime + usage.ru_stime)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert float(done.stdout) < 0.15


def test_version_works_before_and_after_a_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert main(["plan", "--version"]) == 0
    assert capsys.readouterr().out == f"s3plan {__version__}\n" * 2


@pytest.mark.parametrize(
    ("path", "command"), [pytest.param(*pair, id=" ".join(pair[0])) for pair in commands()]
)
def test_every_command_and_option_explains_itself(
    path: list[str], command: click.Command, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*path, "--help"]) == 0
    text = capsys.readouterr().out
    assert command.help
    assert "Global options:" in text
    if not isinstance(command, click.Group):
        assert "Exit codes:" in text
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, f"{parameter.name} has no help"


def test_the_list_of_commands_is_not_cut(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--help"])
    _, _, listed = capsys.readouterr().out.partition("Commands:")
    assert "..." not in listed


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_a_script(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == 0
    assert "_S3PLAN_COMPLETE" in capsys.readouterr().out


def test_completion_answers_the_shell(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("_S3PLAN_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", "s3plan pl")
    monkeypatch.setenv("COMP_CWORD", "1")
    assert main([]) == 0
    assert capsys.readouterr().out == "plain,plan\n"


def test_apply_reads_no_project_file_where_there_is_none(tmp_path: Path) -> None:
    """What checks manifests takes a tenth of a second to import, which no apply should pay."""
    code = (
        "import sys; from s3plan.api import places; assert places.house() == places.House();"
        "sys.exit('pydantic' in sys.modules or 'yaml' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
