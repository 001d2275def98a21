"""What the global options say; they may stand before or after the name of a command."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click
from click.core import ParameterSource

if TYPE_CHECKING:
    from s3plan.views.view import View


@dataclass
class Settings:
    """Filled while the command line is parsed, so that an error in it is shown as asked for."""

    debug: bool = False
    json: bool = False
    color: bool = True
    progress: Literal["auto", "plain", "none"] | None = None
    progress_output: Literal["stdout", "stderr"] = "stderr"
    log_file: Path | None = None

    def view(self) -> View:
        """Build the view these settings ask for."""
        import sys

        from s3plan.views.human import HumanView
        from s3plan.views.jsonl import JsonView
        from s3plan.views.progress import Mode, progress_for
        from s3plan.views.terminal import screens

        out, err = screens(color=self.color)
        if self.json and self.progress_output == "stdout":
            self.progress_output = "stderr"  # the error itself is shown by such a view
            raise click.UsageError("with --json standard output is for JSON; leave it to stderr")
        if self.json:
            return JsonView(sys.stdout.buffer, progress_for(self.progress or "none", err))
        # Log records would tear bars apart.
        usual: Mode = "plain" if self.debug else "auto"
        return HumanView(
            out, err, self.progress or usual, click.echo_via_pager, output=self.progress_output
        )


def settings() -> Settings:
    """Return the settings of the command that runs."""
    found = click.get_current_context().find_object(Settings)
    assert found is not None  # main() put it there
    return found


def _note(context: click.Context, parameter: click.Parameter, value: object) -> None:
    """Keep an option that was given; of one given twice the later counts."""
    found = context.find_object(Settings)
    source = context.get_parameter_source(parameter.name or "")
    if found is None or source is not ParameterSource.COMMANDLINE:
        return
    match parameter.name:
        case "debug":
            found.debug = True
        case "json":
            found.json = True
        case "no_color":
            found.color = False
        case "progress" if value in {"auto", "plain", "none"}:
            found.progress = value
        case "progress_output" if value in {"stdout", "stderr"}:
            found.progress_output = value
        case "log_file":
            found.log_file = Path(str(value))


def _version(context: click.Context, _parameter: click.Parameter, value: bool) -> None:
    if not value or context.resilient_parsing:
        return
    from s3plan import __version__

    click.echo(f"s3plan {__version__}")
    context.exit()


def global_options() -> list[click.Parameter]:
    """Make the options that every command takes."""
    return [
        click.Option(
            ["--json"],
            is_flag=True,
            expose_value=False,
            callback=_note,
            help="Print JSON (JSON Lines for runs and items) on standard output.",
        ),
        click.Option(
            ["--progress"],
            type=click.Choice(["auto", "plain", "none"]),
            expose_value=False,
            callback=_note,
            help="Bars on a terminal and lines elsewhere (auto), lines, or nothing.",
        ),
        click.Option(
            ["--progress-output"],
            type=click.Choice(["stdout", "stderr"]),
            expose_value=False,
            callback=_note,
            help="Where progress is shown, and what happens meanwhile (stderr).",
        ),
        click.Option(
            ["--no-color"],
            is_flag=True,
            expose_value=False,
            callback=_note,
            help="Print without colour. NO_COLOR and FORCE_COLOR are honoured.",
        ),
        click.Option(
            ["--log-file"],
            type=click.Path(dir_okay=False),
            expose_value=False,
            callback=_note,
            help="Log start, done and failed of every item as JSON Lines (apply, rollback).",
        ),
        click.Option(
            ["--debug"],
            is_flag=True,
            expose_value=False,
            callback=_note,
            help="Log to standard error, and show tracebacks of errors.",
        ),
        click.Option(
            ["--version"],
            is_flag=True,
            is_eager=True,
            expose_value=False,
            callback=_version,
            help="Print the version.",
        ),
    ]
