"""``s3plan report``: what happened, for the people who asked for it."""

from __future__ import annotations

from pathlib import Path

import click

from s3plan.cli.command import Command, Group
from s3plan.cli.settings import settings
from s3plan.cli.tables import chosen_format, put_out, table_options, warn
from s3plan.cli.variables import read_variables, variable_options


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


@command.command(cls=Command, name="log", exits=(0, 1))
@table_options
def log(*, source: Path | None, form: str | None, out: Path | None, redact: bool) -> int:
    """Tell what the runs here did with archives of sessions, and statistics of it."""
    return _write("log", source, form, out, redact=redact)


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


@command.command(cls=Command, name="sessions", exits=(0, 1))
@click.argument("manifest", type=click.Path(path_type=Path))
@click.option(
    "--mbps",
    type=click.FloatRange(min=0, min_open=True),
    default=100.0,
    show_default=True,
    metavar="N",
    help="Megabits a second to S3, for the time that the rest takes.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "csv", "json", "markdown"]),
    help="How to write it; text unless said.",
)
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write to FILE, whole or not at all; .csv, .json and .md say the format.",
)
@variable_options
def sessions(
    *,
    manifest: Path,
    mbps: float,
    form: str | None,
    out: Path | None,
    var: tuple[str, ...],
    var_file: tuple[Path, ...],
) -> int:
    """Count the sessions of a SessionArchive by year, and the hours that the rest would take."""
    from s3plan import api
    from s3plan.views.tabular import report_lines

    with settings().view().look() as watch:
        made = api.sessions_by_year(
            manifest, variables=read_variables(var, var_file), megabits=mbps, observer=watch
        )
    put_out(report_lines(made, chosen_format(form, out), most_rows=None), out)
    return 0


@command.command(cls=Command, name="migration", exits=(0, 1))
@click.option(
    "--from",
    "source",
    type=click.Path(path_type=Path, exists=True),
    metavar="PATH",
    help="A journal; unless named, the latest run here.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    metavar="DIR",
    help="The directory to write the files to; made if missing.",
)
@click.option("--redact", is_flag=True, help="Replace keys, bucket names and ids by tokens.")
def migration(*, source: Path | None, out: Path, redact: bool) -> int:
    """Write every report of a migration by type (ObjectGrouping) to its file."""
    out.mkdir(parents=True, exist_ok=True)
    for name, file in MIGRATION:
        _write(name, source, None, out / file, redact=redact)
    return 0


def _one(name: str, help_text: str) -> None:
    """A command that writes one report of a migration."""

    @command.command(cls=Command, name=name, exits=(0, 1), help=help_text)
    @table_options
    def written(*, source: Path | None, form: str | None, out: Path | None, redact: bool) -> int:
        return _write(name, source, form, out, redact=redact)


MIGRATION = (
    ("migration-log", "migration_log.csv"),
    ("migration-summary", "migration_summary.json"),
    ("inventory-checksums", "inventory_checksums.csv"),
    ("inventory-report", "inventory_report.json"),
    ("mapping", "mapping.csv"),
    ("verification", "verification_report.csv"),
    ("rollback-plan", "rollback_plan.json"),
    ("rollback-plan", "ROLLBACK.md"),
    ("comparison", "comparison.json"),
    ("comparison", "comparison.md"),
    ("certificate", "certificate.json"),
    ("certificate", "certificate.md"),
)
"""The files of a migration: the report that each is, and its name."""

for _name, _text in (
    ("migration-log", "Name every file of a migration, its old and new path, and how it went."),
    ("migration-summary", "Give the totals of a migration."),
    ("inventory-checksums", "List the sources of a migration with their checksums."),
    ("inventory-report", "Count the sources of a migration by type and person."),
    ("mapping", "Say where each object of a migration is now, by its old path."),
    ("verification", "Say by what each copy of a migration was compared, and the result."),
    ("rollback-plan", "Name every copy of a migration and the command that takes them back."),
    ("comparison", "Compare a migration before and after, by type and by person."),
    ("final", "Close a migration: phases, soak, space, artifacts, lessons, what to update."),
    ("certificate", "Certify a migration, with the journal's digest and room for signatures."),
):
    _one(_name, _text)


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
