"""A file of approvals, as a review of a pull request writes it: who approved which plan, when."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, ValidationError

from s3plan.errors import ManifestError, ProblemsError
from s3plan.kinds.documents import read_source
from s3plan.kinds.fields import API_VERSION, Fields
from s3plan.kinds.problems import problems_of
from s3plan.kinds.variables import Variables
from s3plan.model.approvals import PlanApproval


def _time_checked(text: str) -> str:
    if datetime.fromisoformat(text).tzinfo is None:
        raise ValueError("an RFC 3339 time with its zone, such as 2026-01-31T12:00:00Z")
    return text


class ApprovalEntry(Fields):
    """One approval of one plan by one person."""

    name: str = Field(min_length=1, max_length=200, description="Who.")
    digest: str = Field(
        pattern=r"^sha256:[0-9a-f]{64}$", description="Which plan: its whole digest."
    )
    time: Annotated[str, AfterValidator(_time_checked)] = Field(description="When, RFC 3339.")
    note: str = Field("", max_length=1000, description="Where: the address of the review.")


class ApprovalsDocument(Fields):
    """Approvals of plans by their digests, from the reviews of a pull request."""

    api_version: Literal["s3plan/v1"] = Field(description="The version of the format.")
    kind: Literal["Approvals"] = Field(description="This kind.")
    approvals: tuple[ApprovalEntry, ...] = Field(description="Every approval.")


def read_approvals(path: Path) -> tuple[PlanApproval, ...]:
    """Every approval in a file, YAML or JSON. Raises ProblemsError."""
    source = read_source(path, Variables({}, {}))
    problems = list(source.problems)
    found: list[PlanApproval] = []
    for document in source.documents:
        try:
            checked = ApprovalsDocument.model_validate(document.value, by_alias=True, by_name=False)
        except ValidationError as error:
            problems += problems_of(error, document, ApprovalsDocument)
        else:
            found += (
                PlanApproval(entry.name, entry.digest, entry.time, entry.note)
                for entry in checked.approvals
            )
    if not problems and not source.documents:
        problems.append(
            ManifestError(
                "the file holds no approvals",
                address=str(path),
                expected="a document of kind Approvals",
                next_step="docs/review.md shows one",
            )
        )
    if problems:
        raise ProblemsError("the approvals are not right", problems)
    return tuple(found)


def approvals_text(approvals: tuple[PlanApproval, ...]) -> str:
    """A file of approvals that :func:`read_approvals` reads: JSON, which is YAML too."""
    document = {
        "apiVersion": API_VERSION,
        "kind": "Approvals",
        "approvals": [
            {"name": each.name, "digest": each.digest, "time": each.time, "note": each.note}
            for each in approvals
        ],
    }
    return json.dumps(document, indent=2, ensure_ascii=True) + "\n"
