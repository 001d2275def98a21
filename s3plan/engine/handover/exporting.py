"""A step's worklist written for another program, into a folder of its own; asks S3 nothing."""

from __future__ import annotations

import shlex
from pathlib import Path

from s3plan.engine.handover.leftovers import Leftovers
from s3plan.engine.handover.lines import Lines, save
from s3plan.engine.handover.manifests import terms_for, write_jobs
from s3plan.errors import UsageError
from s3plan.localfs.refusals import refusal
from s3plan.model.connection import Connection
from s3plan.model.handover import Exported
from s3plan.model.plan import Target
from s3plan.model.steps import Copy, Download, Step
from s3plan.plan.reading import PlanFile
from s3plan.rules.commands import apply_command, receipts_command
from s3plan.rules.endpoints import is_aws
from s3plan.rules.handover import rclone, s5cmd
from s3plan.rules.handover.terms import why_not
from s3plan.rules.handover.tools import Tool

_MOST_PRINTED = 6
"""Commands that are printed; more are in a script."""

_REMOTE = "S3PLAN"
"""The remote that rclone's variables define."""


def export(tool: Tool, plan: PlanFile, step: Step, folder: Path) -> Exported:
    """Write what ``tool`` is to do of a step to the new directory ``folder``.

    Raises UsageError where the step cannot be given to it, or the folder is there; DestinationError
    where the disk refuses.
    """
    reason = why_not(tool, step)
    if reason is not None:
        raise UsageError(
            f"{tool} cannot be given this step: {reason}",
            address=f"{plan.path}, step {step.id}",
            next_step=apply_command(str(plan.path), plan.digest),
        )
    remark = _confirmation(plan, step) if tool == "s3-batch" else ""
    try:
        folder.mkdir(parents=True)
    except FileExistsError:
        raise UsageError(
            "the folder is there already",
            address=str(folder),
            next_step="name another with --out, or remove it",
        ) from None
    except OSError as error:
        raise refusal(error, str(folder), "make the folder") from error
    counted = Leftovers()
    write = {"s5cmd": _for_s5cmd, "rclone": _for_rclone, "s3-batch": write_jobs}[tool]
    commands = write(plan, step, folder, counted)
    if len(commands) > _MOST_PRINTED:
        script = folder / "run.sh"
        save(script, "set -e\n" + "".join(f"{command}\n" for command in commands))
        commands = [shlex.join(["sh", str(script)])]
    after = tuple(need.step for need in step.needs if need.mode == "after")
    return Exported(
        tool=tool,
        step=step.id,
        folder=str(folder),
        given=counted.given,
        left=counted.told(),
        commands=tuple(commands),
        next_step=receipts_command(str(plan.path), step.id),
        after=after,
        remark=remark,
    )


def _confirmation(plan: PlanFile, step: Step) -> str:
    """A job does nothing before somebody says that it may. Raises UsageError as `terms_for`."""
    terms, _ = terms_for(plan, step)
    words = ["aws", "s3control", "update-job-status", "--region", plan.header.target.region]
    words += ["--account-id", terms.account, "--requested-job-status", "Ready", "--job-id"]
    return f"Each job waits to be confirmed, in S3's console or by: {shlex.join(words)} ID"


def _for_s5cmd(plan: PlanFile, step: Step, folder: Path, counted: Leftovers) -> list[str]:
    action = step.action
    assert isinstance(action, Copy | Download)
    path = folder / "run.txt"
    with Lines(path) as lines:
        for item in plan.items(step.id):
            reason = s5cmd.refusal(action, item)
            if reason is not None:
                counted.keep(item, reason)
                continue
            counted.give(item)
            lines.add(s5cmd.line(action, step.subject, item))
    words = ["s5cmd", *_s5cmd_options(plan.header.connection, plan.header.target)]
    log = shlex.quote(str(folder / "log.jsonl"))
    return [f"{shlex.join([*words, '--json', 'run', str(path)])} > {log} 2>&1"]


def _s5cmd_options(connection: Connection, target: Target) -> list[str]:
    words = [] if is_aws(target.endpoint) else ["--endpoint-url", target.endpoint]
    if connection.profile:
        words += ["--profile", connection.profile]
    if connection.requester_pays:
        words += ["--request-payer", "requester"]
    return words


def _for_rclone(plan: PlanFile, step: Step, folder: Path, counted: Leftovers) -> list[str]:
    action = step.action
    assert isinstance(action, Copy | Download)
    lists: dict[tuple[rclone.Pair, str], Lines] = {}
    alone: list[str] = []
    source = action.source if isinstance(action, Copy) else step.subject
    begin = f"{_REMOTE.lower()}:{source}/"
    if isinstance(action, Copy):
        end = f"{_REMOTE.lower()}:{step.subject}/"
    else:
        end = f"{action.destination.rstrip('/')}/"
    log = ["--use-json-log", "--log-file", str(folder / "log.jsonl"), "--log-level", "INFO"]

    def command(verb: str, pair: rclone.Pair, storage_class: str, *more: str) -> str:
        told = rclone.options(action, storage_class)
        places = [begin + pair.source, end + pair.target]
        return shlex.join(["rclone", verb, *places, *more, *told, *log])

    with Lines(folder / "one-by-one.sh") as script:
        for item in plan.items(step.id):
            reason = rclone.refusal(item)
            if reason is not None:
                counted.keep(item, reason)
                continue
            counted.give(item)
            # Each list is a command of its own, which is told one class.
            storage_class = item.storage_class if isinstance(action, Copy) else "STANDARD"
            pair, name = rclone.split(item)
            known = lists.get((pair, storage_class)) if name else None
            if name and known is None and len(lists) < rclone.MOST_LISTS:
                known = Lines(folder / f"list-{len(lists) + 1:04}.txt")
                lists[pair, storage_class] = known
            if known is not None:
                known.add(name)
            else:
                whole = rclone.Pair(item.key, item.path)
                script.add(command("copyto", whole, storage_class))
    for (pair, storage_class), names in lists.items():
        names.close()
        listed = ("--files-from-raw", str(names.path))
        alone.append(command("copy", pair, storage_class, *listed))
    if script.count:
        alone.append(shlex.join(["sh", str(script.path)]))
    else:
        script.path.unlink()
    return [*_rclone_remote(plan.header.connection, plan.header.target), *alone]


def _rclone_remote(connection: Connection, target: Target) -> list[str]:
    aws = is_aws(target.endpoint)
    told = {
        "TYPE": "s3",
        "PROVIDER": "AWS" if aws else "Other",
        "ENV_AUTH": "true",
        "REGION": target.region,
        "ENDPOINT": None if aws else target.endpoint,
        "PROFILE": connection.profile,
        "FORCE_PATH_STYLE": {"path": "true", "virtual": "false"}.get(connection.addressing),
        "REQUESTER_PAYS": "true" if connection.requester_pays else None,
    }
    pairs = [f"RCLONE_CONFIG_{_REMOTE}_{name}={shlex.quote(v)}" for name, v in told.items() if v]
    return [f"export {' '.join(pairs)}"]
