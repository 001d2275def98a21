"""A whole verification of trees with its report."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from s3plan.engine.findings import Findings, Observer
from s3plan.engine.offline.claims import Claim
from s3plan.engine.offline.verify import verify_trees
from s3plan.engine.signals import terminable
from s3plan.model.verification import TreeProblem, TreeVerified


def verified_trees(
    claims: Sequence[Claim], most_problems: int, report: Path | None, observer: Observer
) -> TreeVerified:
    """Verify, tell ``observer`` each problem, and write them to ``report`` where one is named.

    The result holds the first ``most_problems``; the report appears complete or not at all.
    """
    with terminable(), Findings[TreeProblem](report, most_problems, observer) as found:
        buckets = verify_trees(claims, found.add, observer)
        return found.end(
            TreeVerified(
                buckets=buckets,
                problem_count=found.count,
                problems=tuple(found.first),
                seconds=found.seconds,
                report=found.report,
            )
        )
