"""Plans read, compared, priced, approved, and held against what is there now."""

from __future__ import annotations

import asyncio
import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from s3plan.api.places import Observer, around_here, house, ignore, price_list, project_file
from s3plan.api.planning import _plan
from s3plan.engine import session
from s3plan.engine.approval import House
from s3plan.errors import UsageError
from s3plan.model.approvals import PlanApproval
from s3plan.model.recheck import Drift, PlanRecheck, StepRecheck
from s3plan.plan.comparison import PlanChanges, compare_plans
from s3plan.plan.reading import PlanFile
from s3plan.rules.prices import RegionPrices

if TYPE_CHECKING:
    pass


def show(path: Path) -> PlanFile:
    """Read a plan file and check it whole. Raises PlanFileError."""
    return PlanFile.open(path)


def recheck(plan: Path) -> PlanRecheck:
    """Hold a plan against what is there now, without applying it. Only reads.

    Raises PlanFileError for a plan that is damaged, and a StoreError where S3 cannot be read.
    """
    return asyncio.run(session.recheck(plan, around_here(ignore, None), house()))


def drift(
    manifests: Sequence[Path],
    *,
    variables: Mapping[str, str] | None = None,
    observer: Observer = ignore,
) -> Drift:
    """What was last applied here, what lives and what the manifests declare, compared. Only reads.

    Raises ProblemsError with everything that cannot be planned for.
    """
    from s3plan import kinds
    from s3plan.engine.drift import drift_between, last_applied

    loaded = kinds.load(manifests, variables=variables or {}, environ=os.environ)
    found = last_applied(Path(), loaded.refs)
    looked: tuple[StepRecheck, ...] = ()
    with tempfile.TemporaryDirectory(prefix="s3plan-") as folder:
        project = project_file()
        made, _ = asyncio.run(
            _plan(
                loaded,
                Path(folder) / "plan.json",
                observer,
                price_list(project.prices),
                project.commands,
            )
        )
        if found is not None:
            applied = found[1].path
            looked = asyncio.run(session.recheck(applied, around_here(ignore, None), House())).steps
        return drift_between(found, looked, made)


def approvals_from(reviews: Path, plan: Path, *, commit: str | None = None) -> str:
    """The reviews of a pull request as approvals of a plan: the text of a file of them.

    ``reviews`` is JSON as GitHub or GitLab gives it. Raises UsageError where it is neither,
    PlanFileError for the plan.
    """
    from s3plan.kinds.approvals import approvals_text
    from s3plan.rules.reviews import approvals_in

    digest = PlanFile.open(plan).digest
    return approvals_text(approvals_in(_json_pages(reviews), digest, commit))


def _json_pages(path: Path) -> object:
    """A JSON document; pages of a list, one after the other, are one list."""
    try:
        text = path.read_text(encoding="utf-8").strip()
        pages: list[object] = []
        decoder = json.JSONDecoder()
        while text:
            page, end = decoder.raw_decode(text)
            pages.append(page)
            text = text[end:].lstrip()
    except (OSError, ValueError) as error:
        raise UsageError(
            "the reviews cannot be read", address=str(path), found=str(error)
        ) from error
    if len(pages) > 1 and all(isinstance(page, list) for page in pages):
        return [entry for page in pages if isinstance(page, list) for entry in page]
    return pages[0] if len(pages) == 1 else None


def compare(old: Path, new: Path, *, shown: int = 10) -> PlanChanges:
    """What the plan ``new`` does differently from ``old``, with ``shown`` items of each step.

    Raises PlanFileError.
    """
    return compare_plans(PlanFile.open(old), PlanFile.open(new), shown=shown)


def region_prices(region: str, *, prices: Path | None = None) -> RegionPrices:
    """What S3 costs in a region. ``prices`` is a price list of the user's.

    Raises ProblemsError for a list that is not right, UsageError for a region without prices.
    """
    known = price_list(prices).regions
    if region not in known:
        raise UsageError(
            "there are no prices for this region",
            expected="one of " + ", ".join(sorted(known)),
            found=region,
            next_step="name another with --region, or give its prices with --prices FILE",
        )
    return known[region]


def read_approvals(path: Path) -> tuple[PlanApproval, ...]:
    """The approvals of plans in a file, as a review writes it. Raises ProblemsError."""
    from s3plan.kinds import approvals

    return approvals.read_approvals(path)
