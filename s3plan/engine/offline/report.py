"""A whole verification with its report: every problem a line, the figures the last one."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

import msgspec

from s3plan.engine.offline.claims import Claim
from s3plan.engine.offline.verify import Observer, verify_trees
from s3plan.engine.signals import terminable
from s3plan.localfs.newfile import whole_file
from s3plan.model.verification import TreeProblem, TreeVerified
from s3plan.rules.characters import harmless_json

_encoder = msgspec.json.Encoder()


def verified_trees(
    claims: Sequence[Claim], most_problems: int, report: Path | None, observer: Observer
) -> TreeVerified:
    """Verify, tell ``observer`` each problem, and write them to ``report`` where one is named.

    The result holds the first ``most_problems``; the report appears complete or not at all.
    """
    began = time.monotonic()
    first: list[TreeProblem] = []
    count = 0
    with terminable(), whole_file(report) if report is not None else nullcontext() as file:

        def tell(problem: TreeProblem) -> None:
            nonlocal count
            count += 1
            if len(first) < most_problems:
                first.append(problem)
            if file is not None:
                file.write(report_line(problem))
            observer(problem)

        figures = verify_trees(claims, tell, observer)
        result = TreeVerified(
            buckets=figures,
            problem_count=count,
            problems=tuple(first),
            seconds=round(time.monotonic() - began, 3),
            report=str(report) if report is not None else None,
        )
        if file is not None:
            file.write(report_line(result))
    return result


def report_line(value: object) -> bytes:
    """A record of a report, newline included; people look at reports on terminals."""
    return harmless_json(_encoder.encode(value)) + b"\n"
