"""What commands whose result is a table share: its format, where it goes, and redaction."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

from s3plan.cli.settings import settings

if TYPE_CHECKING:
    from s3plan.model.events import AnyEvent
    from s3plan.views.tabular import Format

Decorated = TypeVar("Decorated", bound=Callable[..., Any])

SUFFIXES: dict[str, Format] = {".csv": "csv", ".json": "json", ".jsonl": "json", ".md": "markdown"}
"""What the name of a file says about its format."""

MANIFESTS = (".yaml", ".yml")
"""How the names of manifests end; those of plans and journals do not."""


def table_options(command: Decorated) -> Decorated:
    """Add ``--from``, ``--format``, ``--out`` and ``--redact``."""
    for option in (
        click.option(
            "--redact", is_flag=True, help="Replace keys, bucket names and ids by stable tokens."
        ),
        click.option(
            "--out",
            type=click.Path(dir_okay=False, path_type=Path),
            metavar="FILE",
            help="Write to FILE, whole or not at all; .csv, .json and .md say the format.",
        ),
        click.option(
            "--format",
            "form",
            type=click.Choice(["text", "csv", "json", "markdown"]),
            help="How to write it; text unless said.",
        ),
        click.option(
            "--from",
            "source",
            type=click.Path(path_type=Path),
            metavar="PATH",
            help="A journal, a plan file or a destination; unless named, the latest run here, "
            "else plan.json.",
        ),
    ):
        command = option(command)
    return command


def warn(event: AnyEvent) -> None:
    """Tell what is left out of a result, on standard error in every format."""
    from s3plan.model.events import Warned
    from s3plan.views.text import visible

    if isinstance(event, Warned):
        click.echo(f"warning: {visible(event.message)}", err=True)


def chosen_format(form: str | None, out: Path | None) -> Format:
    """The format that was asked for: by name, by ``--json``, or by the file's name."""
    if form is not None:
        return cast("Format", form)
    if settings().json:
        return "json"
    return SUFFIXES.get(out.suffix.lower(), "text") if out is not None else "text"


def put_out(lines: Iterable[str], out: Path | None) -> None:
    """Write lines to the file that was asked for, or show them."""
    if out is None:
        settings().view().lines(lines)
        return
    from s3plan.localfs.newfile import whole_file

    with whole_file(out) as file:
        for line in lines:
            file.write(line.encode("utf-8", "backslashreplace"))
