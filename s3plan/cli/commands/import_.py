"""``s3plan import``: a manifest that says what a bucket has, or what another program was told; or
the receipts for what another program did.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from s3plan.cli.approval import approver
from s3plan.cli.command import Command
from s3plan.cli.exits import INCOMPLETE, INTERRUPTED
from s3plan.cli.settings import settings

if TYPE_CHECKING:
    from s3plan.views.view import View

RECEIPTS = "receipts"
CONFIGURATION = ".json"
"""How the name of another program's configuration ends; no kind is called so."""


@click.command(
    cls=Command,
    name="import",
    short_help="Print the manifest that says what a bucket has; or import receipts.",
    exits=(0, 1, 3, 4, 5, 6, 130),
)
@click.argument("kind", metavar="KIND|FILE|receipts")
@click.argument("bucket", metavar="[BUCKET|PLAN]", required=False)
@click.option(
    "--connection",
    metavar="MANIFEST",
    type=click.Path(path_type=Path),
    help="A manifest file with the Connection to use; without it the usual AWS chain counts.",
)
@click.option(
    "--leave-out",
    is_flag=True,
    help="Of a FILE: leave out settings that cannot be honoured, and name them in a comment.",
)
@click.option("--step", metavar="ID", help="With receipts: the step that was given away.")
@click.option(
    "--report",
    "reports",
    multiple=True,
    type=click.Path(path_type=Path, dir_okay=False),
    help="With receipts: a log (s5cmd --json, rclone --use-json-log) or a CSV file of a completion "
    "report, for the reasons of what is not there. May be repeated.",
)
def command(
    *,
    kind: str,
    bucket: str | None,
    connection: Path | None,
    leave_out: bool,
    step: str | None,
    reports: tuple[Path, ...],
) -> int:
    """Print a manifest for BUCKET that gives No changes, to begin from; only reads.

    KIND is bucket-access or bucket-lifecycle. FILE is astro_cat's s3_config.json: it becomes a
    SessionArchive with its Connection, and settings that cannot be honoured are refused by name.

    With `receipts`: look at what another program did of a step of PLAN (`s3plan export`), compare
    it with the plan, and write receipts for what is right into the journal of its run. What is not
    there is left to `s3plan apply`.
    """
    from s3plan import api

    view = settings().view()
    if kind == RECEIPTS:
        return _receipts(view, Path(bucket or "plan.json"), step, reports)
    if step is not None or reports:
        message = "--step and --report belong to `s3plan import receipts`"
        raise click.UsageError(message)
    if kind.endswith(CONFIGURATION):
        view.document(api.import_configuration(Path(kind), leave_out=leave_out))
        return 0
    if bucket is None:
        message = "name the BUCKET to import from"
        raise click.UsageError(message)
    view.document(api.import_manifest(kind, bucket, connection=connection))
    return 0


def _receipts(view: View, plan: Path, step: str | None, reports: tuple[Path, ...]) -> int:
    from s3plan import api

    if step is None:
        message = "name the step that was given away: --step ID"
        raise click.UsageError(message)
    with view.watch() as watch:
        looked = api.import_receipts(
            plan, step, approver=approver(), reports=reports, observer=watch
        )
    view.looked(looked)
    if looked.interrupted:
        return INTERRUPTED
    return 0 if looked.done else INCOMPLETE
