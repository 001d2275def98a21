"""``s3plan verify``: trees against catalogues, archives against indexes, tables against answers."""

from __future__ import annotations

from pathlib import Path

import click

from s3plan.cli.command import Command
from s3plan.cli.exits import INCOMPLETE
from s3plan.cli.settings import settings
from s3plan.cli.variables import read_variables, variable_options


@click.command(
    cls=Command,
    name="verify",
    short_help="Read evacuated files again, or look at archives, or at the URLs of a table.",
    exits=(0, 1, 3, 130),
)
@click.argument("target", metavar="DIRECTORY|MANIFEST|JOURNAL", type=click.Path(path_type=Path))
@click.option(
    "--only",
    multiple=True,
    metavar="bucket=GLOB|session=GLOB",
    help="Verify only buckets, or archives of sessions, that match. May be repeated.",
)
@click.option(
    "--exclude",
    multiple=True,
    metavar="bucket=GLOB",
    help="Leave out buckets that match. May be repeated.",
)
@click.option(
    "--max-errors",
    type=click.IntRange(min=0),
    default=10,
    show_default=True,
    metavar="N",
    help="How many problems to name on the screen; the report names all.",
)
@click.option(
    "--report",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write every problem and the figures to FILE, as JSON Lines.",
)
@click.option(
    "--urls",
    is_flag=True,
    help="Ask for every URL in the table of the ObjectGrouping in MANIFEST instead.",
)
@click.option(
    "--download",
    type=click.IntRange(min=0),
    default=0,
    metavar="N",
    help="With --urls, or of archives: read N objects whole, and compare their checksums.",
)
@click.option(
    "--adopted",
    is_flag=True,
    help="Of archives: read each that has no index, and compare it with itself and with the disk.",
)
@click.option(
    "--anonymous",
    is_flag=True,
    help="With --urls: ask for the objects as somebody without credentials does.",
)
@variable_options
def command(
    *,
    target: Path,
    only: tuple[str, ...],
    exclude: tuple[str, ...],
    max_errors: int,
    report: Path | None,
    urls: bool,
    download: int,
    adopted: bool,
    anonymous: bool,
    var: tuple[str, ...],
    var_file: tuple[Path, ...],
) -> int:
    """Read every evacuated file again and compare it with what was recorded of its object.

    Works years later and without S3: it sends no request and writes nothing but the report. Names
    a destination, the manifest that says where it is, or the journal of a run. Ends with 3 where a
    file is missing, extra, unreadable or other than recorded.

    Of a SessionArchive it looks at the archives in S3: each is there, is what its index says (by
    the checksum that S3 stores), and in the class that its age and the rules make of it. Ends with
    3 where one is missing, changed, or in another class. With --adopted also where one that has
    no index is no whole tar, or does not hold what is on disk.

    With --urls it reads the table of an ObjectGrouping, sends a signed HEAD for each URL, and looks
    at each row: every file of it is reachable and named, every key holds its parts. Ends with 3
    where one is not.
    """
    from s3plan import api

    view = settings().view()
    variables = read_variables(var, var_file)
    archives = not urls and api.has_sessions(target, variables=variables)
    if not urls and (anonymous or (download and not archives)):
        message = "--download and --anonymous are about URLs: they need --urls"
        raise click.UsageError(message)
    if adopted and not archives:
        message = "--adopted is about archives: name the manifest of a SessionArchive"
        raise click.UsageError(message)
    if archives and exclude:
        message = "--exclude chooses buckets of a tree: name archives with --only session=GLOB"
        raise click.UsageError(message)
    if urls and (only or exclude):
        message = "--only and --exclude choose buckets of a tree: leave them out with --urls"
        raise click.UsageError(message)
    if urls:
        with view.watch() as watch:
            table = api.verify_urls(
                target,
                variables=variables,
                download=download,
                anonymous=anonymous,
                most_problems=max_errors,
                report=report,
                observer=watch,
            )
        view.urls_verified(table)
        return 0 if table.passes else INCOMPLETE
    if archives:
        with view.watch() as watch:
            looked = api.verify_archives(
                target,
                variables=variables,
                only=only,
                download=download,
                adopted=adopted,
                most_problems=max_errors,
                report=report,
                observer=watch,
            )
        view.archives_verified(looked)
        return 0 if looked.passes else INCOMPLETE
    with view.watch() as watch:
        found = api.verify(
            target,
            variables=variables,
            only=only,
            exclude=exclude,
            most_problems=max_errors,
            report=report,
            observer=watch,
        )
    view.tree_verified(found)
    return 0 if found.passes else INCOMPLETE
