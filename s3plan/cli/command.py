"""The shapes of commands: global options everywhere, exit codes in every help, lazy groups."""

from __future__ import annotations

import importlib
import keyword
from collections.abc import Sequence
from typing import Any

import click

from s3plan.cli.exits import EXITS, USAGE
from s3plan.cli.settings import Settings, global_options


def _format_options(
    command: click.Command, context: click.Context, out: click.HelpFormatter
) -> None:
    """Write the command's own options first and the global ones apart."""
    shared = {parameter.name for parameter in global_options()}
    own: list[tuple[str, str]] = []
    common: list[tuple[str, str]] = []
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if isinstance(parameter, click.Argument):
            continue  # the usage line and the text name them
        if record is not None:
            (common if parameter.name in shared else own).append(record)
    for title, records in (("Options", own), ("Global options", common)):
        if records:
            with out.section(title):
                out.write_dl(records)


class Command(click.Command):
    """A command that takes the global options and tells its exit codes."""

    def __init__(
        self, *args: Any, exits: Sequence[int] = (0, 1), logs: bool = False, **kwargs: Any
    ) -> None:
        """``exits`` are the codes it ends with, besides 64; ``logs``: it reads ``--log-file``."""
        super().__init__(*args, **kwargs)
        self.params.extend(global_options())
        self._exits = (*exits, USAGE)
        self._logs = logs

    def invoke(self, context: click.Context) -> Any:
        """Run the command; refuse an option that it would not read."""
        found = context.find_object(Settings)
        if found is not None and found.log_file is not None and not self._logs:
            message = "--log-file is for `apply` and `rollback`, which work on items"
            raise click.UsageError(message, context)
        if found is not None and found.debug:
            from s3plan.cli.logs import log_to_stderr

            log_to_stderr()
        return super().invoke(context)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write both lists of options."""
        _format_options(self, ctx, formatter)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the exit codes."""
        with formatter.section("Exit codes"):
            codes = sorted(set(self._exits))
            formatter.write_dl([(str(code), EXITS[code]) for code in codes])


class Group(click.Group):
    """A group that takes the global options."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params.extend(global_options())

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the commands, then the options."""
        self.format_commands(ctx, formatter)
        _format_options(self, ctx, formatter)


class LazyGroup(Group):
    """A group whose commands are modules, imported when one is run or listed."""

    def __init__(self, *args: Any, package: str, names: Sequence[str], **kwargs: Any) -> None:
        """``names`` are modules of ``package``, in the order of the help."""
        super().__init__(*args, **kwargs)
        self._package = package
        self._names = tuple(names)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order people meet them."""
        return list(self._names)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the module of a command."""
        if cmd_name not in self._names:
            return None
        # A word of Python's cannot name a module.
        name = f"{cmd_name}_" if keyword.iskeyword(cmd_name) else cmd_name
        module = importlib.import_module(f"{self._package}.{name}")
        command: click.Command = module.command
        return command
