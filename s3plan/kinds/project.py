"""The project file ``s3plan.yaml``: what holds for every plan made or applied in its directory."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from msgspec import Struct
from pydantic import AfterValidator, Field, ValidationError

from s3plan.errors import ManifestError, ProblemsError
from s3plan.kinds.commands import CommandFields, command
from s3plan.kinds.documents import read_source
from s3plan.kinds.fields import CommandName, Duration, Fields, PlanLimitFields
from s3plan.kinds.problems import problems_of
from s3plan.kinds.variables import Variables
from s3plan.model.commands import Command
from s3plan.model.limits import Limits
from s3plan.model.runners import SCHEDULER, DaskSettings, RunnerChoice, RunnerName
from s3plan.model.steps import VERBS
from s3plan.plan.parting import PARTED_FROM

FILE = "s3plan.yaml"


def _verb(name: str) -> str:
    if name not in VERBS:
        raise ValueError(f"there is no verb {name}; `s3plan show` names those of a plan")
    return name


Verb = Annotated[str, Field(json_schema_extra={"enum": sorted(VERBS)}), AfterValidator(_verb)]


class DaskFields(Fields):
    """The cluster that the runner dask hands work to."""

    scheduler: str = Field(
        DaskSettings().scheduler,
        pattern=SCHEDULER,
        description="Its scheduler, such as tcp://host:8786; local:N starts N processes here, for "
        "as long as the run lasts.",
    )
    workers: int | None = Field(
        None, ge=1, description="How many workers to wait for before the first step."
    )
    partition: int = Field(
        DaskSettings().partition, ge=1, le=1_000_000, description="Items of one task at the most."
    )
    trust: Duration = Field(
        DaskSettings().trust,
        ge=5.0,
        description="How long a worker goes on without a word from this process, and no request "
        "that writes may last longer. After a kill the next run waits as long.",
    )


class ApprovalFields(Fields):
    """Who has to approve a plan before it is applied."""

    required: int = Field(0, ge=0, description="How many different people.")
    approvers: tuple[Annotated[str, Field(min_length=1)], ...] = Field(
        (), description="Who counts; none: everybody."
    )


class ProjectSpec(Fields):
    """What holds for every plan."""

    limits: PlanLimitFields | None = Field(
        None, description="What a plan may do at most; manifests can only be stricter."
    )
    approvals: ApprovalFields | None = Field(
        None, description="Whose approvals `s3plan apply --approvals FILE` must bring."
    )
    prices: Annotated[str, Field(min_length=1)] | None = Field(
        None, description="A price list of your own; relative to this file."
    )
    commands: dict[CommandName, CommandFields] = Field(
        default_factory=dict, description="Commands that manifests may name; only these ever run."
    )
    runners: dict[Verb, RunnerName] = Field(
        default_factory=dict,
        description="Who sends the requests of steps, by verb; `s3plan apply --runner` overrides.",
    )
    dask: DaskFields = Field(DaskFields(), description="The cluster of the runner dask.")
    worklist_files_from: int = Field(
        PARTED_FROM,
        ge=1,
        description="Worklists of so many items or more stand in Parquet files beside the plan, "
        "which must go where the plan goes (docs/plan-files.md).",
    )


class ProjectDocument(Fields):
    """The project file: limits, approvals and prices that no manifest can loosen, and commands."""

    api_version: Literal["s3plan/v1"] = Field(description="The version of the format.")
    kind: Literal["Project"] = Field(description="This kind.")
    spec: ProjectSpec = Field(description="What holds for every plan.")


class Project(Struct, frozen=True):
    """The project file as read; without one nothing is limited and one approval is enough."""

    limits: Limits | None = None
    required_approvals: int = 0
    approvers: tuple[str, ...] = ()
    prices: Path | None = None
    commands: dict[str, Command] = {}
    runners: RunnerChoice = RunnerChoice()
    worklist_files_from: int = PARTED_FROM


def read_project(directory: Path) -> Project:
    """The project file of a directory, if it has one. Raises ProblemsError."""
    path = directory / FILE
    try:
        path.lstat()
    except FileNotFoundError:
        return Project()
    except OSError:
        pass  # it is there and cannot be read: reading it says why
    source = read_source(path, Variables({}, {}))
    problems = list(source.problems)
    if not problems and len(source.documents) != 1:
        problems.append(
            ManifestError(
                "the project file holds one document",
                address=str(path),
                found=f"{len(source.documents)}",
                next_step="put manifests into files of their own",
            )
        )
    for document in source.documents if not problems else ():
        try:
            checked = ProjectDocument.model_validate(document.value, by_alias=True, by_name=False)
        except ValidationError as error:
            problems += problems_of(error, document, ProjectDocument)
        else:
            return _project(checked.spec, path)
    raise ProblemsError("the project file is not right", problems)


def _project(spec: ProjectSpec, path: Path) -> Project:
    approvals = spec.approvals or ApprovalFields()
    return Project(
        limits=spec.limits.limits(str(path)) if spec.limits is not None else None,
        required_approvals=approvals.required,
        approvers=approvals.approvers,
        prices=path.parent / spec.prices if spec.prices is not None else None,
        commands={
            name: command(name, fields, path.parent) for name, fields in spec.commands.items()
        },
        runners=RunnerChoice(
            by_verb=spec.runners,
            dask=DaskSettings(
                spec.dask.scheduler, spec.dask.workers, spec.dask.partition, spec.dask.trust
            ),
        ),
        worklist_files_from=spec.worklist_files_from,
    )
