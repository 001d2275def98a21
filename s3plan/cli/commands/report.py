"""``s3plan report``: what happened, for the people who asked for it."""

from __future__ import annotations

from pathlib import Path

import click

from s3plan.cli.command import Command, Group
from s3plan.cli.tables import chosen_format, put_out, table_options, warn


@click.group(cls=Group, name="report")
def command() -> None:
    """Write a report of a run, a plan or a destination."""


@command.command(cls=Command, name="inventory", exits=(0, 1))
@table_options
def inventory(*, source: Path | None, form: str | None, out: Path | None, redact: bool) -> int:
    """Count objects and bytes by bucket and storage class, and name the largest."""
    return _write("inventory", source, form, out, redact=redact)


@command.command(cls=Command, name="restores", exits=(0, 1))
@table_options
def restores(*, source: Path | None, form: str | None, out: Path | None, redact: bool) -> int:
    """Tell what must be restored from an archive before it can be read, and how far that is."""
    return _write("restores", source, form, out, redact=redact)


@command.command(cls=Command, name="errors", exits=(0, 1))
@table_options
@click.option(
    "--max-errors",
    type=click.IntRange(min=0),
    default=10,
    show_default=True,
    metavar="N",
    help="How many items to name on the screen; a file names all.",
)
def errors(
    *, source: Path | None, form: str | None, out: Path | None, redact: bool, max_errors: int
) -> int:
    """Name everything that did not end well, why, and what to type next."""
    return _write("errors", source, form, out, redact=redact, most_rows=max_errors)


@command.command(cls=Command, name="closeout", exits=(0, 1))
@table_options
@click.option(
    "--sample",
    type=click.IntRange(min=0),
    default=20,
    show_default=True,
    metavar="N",
    help="How many files to read again and compare by content.",
)
@click.option(
    "--seed",
    default="",
    metavar="TEXT",
    help="What the sample is drawn by; the run's id unless said.",
)
def closeout(
    *,
    source: Path | None,
    form: str | None,
    out: Path | None,
    redact: bool,
    sample: int,
    seed: str,
) -> int:
    """Tell whether a run is complete and its copies are as recorded, with room for signatures."""
    return _write("closeout", source, form, out, redact=redact, sample=sample, seed=seed)


def _write(
    name: str,
    source: Path | None,
    form: str | None,
    out: Path | None,
    *,
    redact: bool,
    most_rows: int = 10,
    sample: int = 0,
    seed: str = "",
) -> int:
    from s3plan import api
    from s3plan.views.tabular import report_lines

    with api.report(
        name, source=source, redacted=redact, sample=sample, seed=seed, observer=warn
    ) as made:
        # Only a screen is too small for all of it.
        most = most_rows if out is None else None
        put_out(report_lines(made, chosen_format(form, out), most_rows=most), out)
    return 0
