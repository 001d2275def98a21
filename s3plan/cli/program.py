"""The program: the top group, and the one place where whatever went wrong becomes an exit code."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import NoReturn

import click

from s3plan.cli.command import LazyGroup
from s3plan.cli.exits import BROKEN_PIPE, INTERRUPTED, USAGE
from s3plan.cli.settings import Settings
from s3plan.errors import S3PlanError, UsageError

NEW_OBJECTS = 50_000
"""Containers that may be made, less those freed, before Python looks for cycles among them. Its own
700 have it look several times for each page of a listing, where there are none: 6 % of a run."""

COMPLETE = "_S3PLAN_COMPLETE"  # set by the script that `s3plan completion` prints


@click.command(
    cls=LazyGroup,
    package="s3plan.cli.commands",
    names=(
        "init",
        "validate",
        "plan",
        "show",
        "diff",
        "drift",
        "graph",
        "resolve",
        "cost",
        "approvals",
        "apply",
        "status",
        "rollback",
        "monitor",
        "signoff",
        "verify",
        "query",
        "report",
        "runs",
        "journal",
        "lock",
        "schema",
        "demo",
        "doctor",
        "whoami",
        "list",
        "iam",
        "render",
        "import",
        "export",
        "completion",
    ),
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
def program() -> None:
    """Plan and apply, for the data in S3.

    Write manifests that say what should be true. `s3plan plan` looks at S3 and writes the
    difference as a plan, `s3plan apply` runs exactly that plan, `s3plan rollback` takes it back.
    """


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code; never raises and shows no traceback.

    ``arguments`` are without the program's name; None is those of the process.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    for stream in (sys.stdout, sys.stderr):
        # A key that the terminal's encoding lacks is printed as an escape.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    # Errors of parsing come before these two are parsed.
    settings = Settings(debug="--debug" in given, json="--json" in given)
    try:
        code = _run(given, settings)
        sys.stdout.flush()
    except BrokenPipeError:
        code = _unread()
    return code


def script() -> NoReturn:
    """The ``s3plan`` command: :func:`main` in a process of its own.

    It ends without tearing the interpreter down: nothing is left to do by then, and taking apart
    what a long run has loaded takes longer than starting it.
    """
    gc.set_threshold(NEW_OBJECTS)
    code = main()
    with suppress(OSError):
        sys.stderr.flush()
    os._exit(code)


def _run(given: list[str], settings: Settings) -> int:
    instruction = os.environ.get(COMPLETE)
    if instruction:
        from click.shell_completion import shell_complete

        return shell_complete(program, {}, "s3plan", COMPLETE, instruction)
    try:
        # Not program.main(): it would turn EOFError into an abort and EPIPE into exit code 1.
        with program.make_context("s3plan", list(given), obj=settings) as context:
            code = program.invoke(context)
            return code if isinstance(code, int) else 0
    except click.exceptions.Exit as leave:
        return leave.exit_code
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return USAGE
    except click.ClickException as error:
        return _failed(_usage_error(error), settings)
    except S3PlanError as error:
        return _failed(error, settings)
    except KeyboardInterrupt:
        click.echo("interrupted", err=True)
        return INTERRUPTED
    except BrokenPipeError:
        raise
    except Exception as error:  # noqa: BLE001 - the last resort: no traceback reaches a user
        return _failed(_internal_error(error), settings)


class InternalError(S3PlanError):
    """A mistake in s3plan itself."""

    code = "internal"


def _failed(error: S3PlanError, settings: Settings) -> int:
    if settings.debug:
        import traceback

        from s3plan.views.text import visible

        for line in "".join(traceback.format_exception(error)).splitlines():
            click.echo(visible(line), err=True)
    settings.view().error(error)
    return error.exit_code


def _usage_error(error: click.ClickException) -> UsageError:
    message = error.format_message().rstrip(".")
    context = error.ctx if isinstance(error, click.UsageError) else None
    command = context.command_path if context is not None else "s3plan"
    what = message[:1].lower() + message[1:]
    return UsageError(what, next_step=f"`{command} --help` lists what it takes")


def _internal_error(error: Exception) -> InternalError:
    internal = InternalError(
        f"{type(error).__name__}: {error}",
        next_step="this is a mistake in s3plan: run the same command with `--debug` and report "
        "what it prints; the journal of a run stays consistent, so `s3plan status` can be trusted",
    )
    internal.__cause__ = error
    return internal


def _unread() -> int:
    """Leave quietly: nobody reads standard output any more, and flushing it would fail again."""
    # https://docs.python.org/3/library/signal.html#note-on-sigpipe
    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, sys.stdout.fileno())
    os.close(devnull)
    return BROKEN_PIPE
