"""What only the objects themselves tell of which of them are meant, and of how they are now."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from s3plan.inventory.questions import About, Inquiry, Question
from s3plan.inventory.selection import conditions, matches_any
from s3plan.kinds.layout.manifest import LayoutSpec, listed
from s3plan.tables import Database


def inquiry_of(spec: LayoutSpec, *, of_worklist: bool) -> Inquiry:
    """One question for each bucket: every object that its listing does not rule out is asked."""
    by_version = spec.select.where.layout_version or spec.target.layout_version
    about: About = "tagged-forms" if by_version is not None else "forms"
    return Inquiry((about,), partial(_questions, spec, about, of_worklist))


def _questions(
    spec: LayoutSpec, about: About, of_worklist: bool, database: Database
) -> Iterator[Question]:
    buckets = [bucket for (bucket,) in database.rows("SELECT DISTINCT bucket FROM listing")]
    for bucket in sorted(buckets):
        if not matches_any([spec.select.bucket], bucket):
            continue
        clauses, given = conditions(bucket, listed(spec, of_worklist=of_worklist))
        values: list[object] = [*given]
        for column, names in (
            ("key", spec.select.keys),
            ("storage_class", [spec.select.where.storage_class or ""]),
        ):
            if any(names):
                clauses.append(f"list_contains(?::VARCHAR[], {column})")
                values.append(list(names))
        # The conditions are constants; a question names its values.
        text = " AND ".join(clauses).split("?")
        where = "".join(f"{part}$v{n}" for n, part in enumerate(text[:-1])) + text[-1]
        yield Question(
            bucket,
            about,
            f"SELECT key, etag, size FROM listing WHERE {where} ORDER BY key",  # noqa: S608
            {f"v{n}": value for n, value in enumerate(values)},
            f"the objects of {bucket}",
        )
