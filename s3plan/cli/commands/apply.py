"""``s3plan apply``: run exactly one plan, once a person has approved it."""

from __future__ import annotations

import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from s3plan.cli.approval import (
    approve_option,
    approver,
    read_approve,
    read_classes,
    read_evidences,
)
from s3plan.cli.command import Command
from s3plan.cli.environment import DRY_RUN, unattended
from s3plan.cli.exits import HELD
from s3plan.cli.runner import runner_options
from s3plan.cli.settings import settings
from s3plan.errors import HeldError, PlanFileError, UsageError
from s3plan.model.runners import RUNNERS

if TYPE_CHECKING:
    from s3plan.api import Approval, Outlets
    from s3plan.model.runners import RunnerName
    from s3plan.views.view import View

_MIRROR = re.compile(r"s3://[A-Za-z0-9][A-Za-z0-9._-]{1,254}(/\S*)?")
_STANDARD_INPUT = "-"
_SUFFIXES = {b"\x28\xb5\x2f\xfd": ".json.zst", b"\x1f\x8b": ".json.gz"}


@click.command(
    cls=Command,
    name="apply",
    short_help="Run exactly one plan, once it is approved.",
    exits=(0, 1, 3, 4, 5, 6, 130),
    logs=True,
)
@click.argument("plan", metavar="[PLAN]", required=False)
@approve_option("the plan: every step but deletions")
@click.option(
    "--approve-delete",
    "deletes",
    multiple=True,
    metavar="SUBJECT@EVIDENCE",
    help="Open a delete gate, as the gate printed it. May be repeated.",
)
@click.option(
    "--approve-loss",
    "losses",
    multiple=True,
    metavar="SUBJECT@EVIDENCE",
    help="Approve besides that what has no verified copy is deleted, as the gate listed it. "
    "May be repeated.",
)
@click.option(
    "--approve-replace",
    "replacements",
    multiple=True,
    metavar="SUBJECT@EVIDENCE",
    help="Let an archive be replaced whose files change or go, as the gate listed them. "
    "May be repeated.",
)
@click.option(
    "--approve-class",
    "classes",
    metavar="VERB,...",
    help="Approve only steps of these verbs, such as copy,upload; what only reads runs too. "
    "Deletions need their own approval besides.",
)
@click.option(
    "--approvals",
    type=click.Path(path_type=Path, dir_okay=False),
    help="A file of approvals from a review (docs/review.md); one of them must be for this plan.",
)
@click.option(
    "--journal-mirror",
    "mirror",
    metavar="s3://BUCKET/PREFIX",
    help="Copy the journal there at every gate, so that another machine can go on "
    "(`s3plan runs recover`).",
)
@click.option(
    "--snapshot",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Keep a JSON file of every object with its status (docs/worklists.md).",
)
@click.option(
    "--snapshot-interval",
    default="2",
    show_default=True,
    metavar="SECONDS",
    help="How often it is written: seconds, or 1m; 0 is after each change.",
)
@click.option(
    "--metrics-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Keep a file of metrics for Prometheus (docs/worklists.md).",
)
@runner_options(RUNNERS, "whom s3plan.yaml names, or this process")
def command(
    plan: str | None,
    approve: str | None,
    deletes: tuple[str, ...],
    losses: tuple[str, ...],
    replacements: tuple[str, ...],
    classes: str | None,
    approvals: Path | None,
    mirror: str | None,
    snapshot: Path | None,
    snapshot_interval: str,
    metrics_file: Path | None,
    runner: RunnerName | None,
    scheduler: str | None,
) -> int:
    """Run a plan file (plan.json unless named; - is standard input).

    Nothing is decided again: what is no longer as planned is left alone and reported. Without
    --approve the plan is shown and asked about on a terminal. Deletions ask again after
    verification. The same command goes on with a run that was stopped.
    """
    asked = read_approve(approve, plan, "plan")
    given = read_evidences(deletes), read_evidences(losses)
    replaced = read_evidences(replacements)
    if mirror is not None and not _MIRROR.fullmatch(mirror):
        message = f"`{mirror}` is no place in S3 such as s3://bucket/prefix"
        raise click.UsageError(message)
    view = settings().view()
    is_dry = unattended().is_dry
    with _plan_file(asked.path or "plan.json") as path:
        if is_dry:
            return _shown(view, path, asked.path or "plan.json")
        digest = asked.digest
        approved = asked.approved or classes is not None or approvals is not None
        if not approved:
            digest = _approved_digest(view, path, asked.path or "plan.json")
        if not approved and digest is None:
            view.told("Not approved: nothing was changed.", {"type": "not-approved"})
            return HELD
        from s3plan import api

        approval = api.Approval(
            approver(),
            digest,
            *given,
            classes=None if classes is None else read_classes(classes),
            granted=None if approvals is None else api.read_approvals(approvals),
            replacements=replaced,
        )
        outlets = api.Outlets(snapshot, _seconds(snapshot_interval), metrics_file)
        return _run(view, path, approval, mirror, outlets, runner, scheduler)


def _shown(view: View, path: Path, name: str) -> int:
    """Show what would be applied, and change nothing."""
    from s3plan import api
    from s3plan.rules.commands import apply_command

    found = api.show(path)
    view.plan(found, name, apply_command(name, found.digest))
    view.told(DRY_RUN, {"type": "dry-run"})
    return 0


def _approved_digest(view: View, path: Path, name: str) -> str | None:
    """Return the digest of the plan that was shown and approved; None where the answer was no."""
    from s3plan import api
    from s3plan.rules.commands import apply_command

    found = api.show(path)
    answer = view.confirm_plan(found, name)
    if answer is None:
        raise HeldError(
            "the plan is not approved, and nobody is here to ask",
            address=name,
            next_step=f"review it with `s3plan show`, then `{apply_command(name, found.digest)}`",
        )
    return found.digest if answer else None


def _seconds(text: str) -> float:
    with suppress(ValueError):
        return max(0.0, float(text))
    from s3plan.kinds.quantities import parse_duration

    try:
        return parse_duration(text)
    except ValueError as error:
        raise click.UsageError(f"--snapshot-interval {text}: {error}") from error


def _run(
    view: View,
    path: Path,
    approval: Approval,
    mirror: str | None,
    outlets: Outlets,
    runner: RunnerName | None,
    scheduler: str | None,
) -> int:
    from s3plan import api

    with view.watch() as watch:
        finished = api.apply(
            path,
            approval=approval,
            observer=watch,
            ask=watch.ask,
            log=settings().log_file,
            mirror=mirror,
            outlets=outlets,
            runner=runner,
            scheduler=scheduler,
        )
    view.finished(finished)
    return finished.exit_code


@contextmanager
def _plan_file(name: str) -> Iterator[Path]:
    """Yield the plan's path; standard input is kept in a temporary file meanwhile."""
    if name != _STANDARD_INPUT:
        yield Path(name)
        return
    with tempfile.TemporaryDirectory(prefix="s3plan-") as directory:
        spooled = Path(directory) / "plan"
        with spooled.open("wb") as file:
            shutil.copyfileobj(sys.stdin.buffer, file)
        with spooled.open("rb") as file:
            start = file.read(4)
        suffix = next(
            (name for magic, name in _SUFFIXES.items() if start.startswith(magic)), ".json"
        )
        plan = spooled.rename(spooled.with_suffix(suffix))
        try:
            yield plan
        except PlanFileError as error:
            if Path(error.address or "").parent.parent != plan.parent:
                raise
            raise UsageError(
                "large worklists of this plan stand in files beside it, which do not come through"
                " standard input",
                next_step="bring the plan and its folder here, and name the plan: s3plan apply"
                " plan.json",
            ) from error
