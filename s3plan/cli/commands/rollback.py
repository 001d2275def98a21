"""``s3plan rollback``: take a run back, as far as what it left is still as it left it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from s3plan.cli.approval import approve_option, approver, read_approve
from s3plan.cli.command import Command
from s3plan.cli.environment import DRY_RUN, unattended
from s3plan.cli.runner import runner_options
from s3plan.cli.settings import settings

if TYPE_CHECKING:
    from s3plan.model.plan import Stage
    from s3plan.model.runners import RunnerName


@click.command(
    cls=Command,
    name="rollback",
    short_help="Take a run back.",
    exits=(0, 1, 3, 4, 5, 6, 7, 130),
    logs=True,
)
@click.argument("journal", metavar="JOURNAL", required=False)
@approve_option("the rollback")
@click.option(
    "--only",
    type=click.Choice(["catalog", "copies", "backup", "sources"]),
    help="Take back only the rewritten table, the copies, their backup, or the deletion of the"
    " sources (ObjectGrouping).",
)
@runner_options(("local", "dask"), "this process, whomever s3plan.yaml names")
def command(
    journal: str | None,
    approve: str | None,
    only: Stage | None,
    runner: RunnerName | None,
    scheduler: str | None,
) -> int:
    """Take back the run that wrote JOURNAL.

    Without --approve it shows what it would do. What is no longer as the run left it, and what is
    a last copy, is left alone (exit 7). The same command goes on with a rollback that was stopped.
    """
    from s3plan import api
    from s3plan.rules.commands import rollback_command

    asked = read_approve(approve, journal, "journal")
    if asked.path is None:
        message = "missing argument JOURNAL, such as `journal.json`"
        raise click.UsageError(message)
    path = Path(asked.path)
    view = settings().view()
    is_dry = unattended().is_dry
    if asked.approved and not is_dry:
        approval = api.Approval(approver(), asked.digest)
        with view.watch() as watch:
            finished = api.rollback(
                path,
                approval=approval,
                only=only,
                observer=watch,
                log=settings().log_file,
                runner=runner or "local",
                scheduler=scheduler,
            )
        if finished is not None:
            view.finished(finished)
            return finished.exit_code
    else:
        plan = api.rollback_plan(path, only=only)
        if plan is not None:
            view.plan(plan, None, rollback_command(asked.path, plan.digest, only=only))
            if is_dry:
                view.told(DRY_RUN, {"type": "dry-run"})
            return 0
    view.told("Nothing to take back.", {"type": "plan", "changes": False, "steps": []})
    return 0
