"""Who is asking, and what is there to choose from, for people."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from s3plan.model.discovery import SeenBucket, SeenPolicy, Whoami
from s3plan.views.text import visible


def whoami_parts(found: Whoami) -> Iterator[RenderableType]:
    """Yield a line for each thing that is known, and the table of buckets where asked for."""
    yield _line("endpoint", f"{found.endpoint}, region {found.region}")
    if found.arn is None:
        yield _line("caller", "this endpoint does not tell (it has no sts:GetCallerIdentity)")
    else:
        yield _line("account", found.account or "none")
        yield _line("arn", found.arn)
        who = f"{(found.kind or '').replace('-', ' ')} {found.name}"
        yield _line("caller", f"{who}, session {found.session}" if found.session else who)
        if found.policy_arns != (found.arn,):
            yield _line("policies", f"must name {' and '.join(found.policy_arns)}")
    if found.buckets is not None:
        yield Text()
        yield _buckets(found.buckets)


def policy_parts(found: Sequence[SeenPolicy]) -> Iterator[RenderableType]:
    """Yield the table of buckets, and that of files."""
    live = [one for one in found if one.file is None]
    files = [one for one in found if one.file is not None]
    table = _table("bucket", "public", "statements")
    for one in live:
        table.add_row(_text(one.bucket or ""), _yes(one.public), _text(_statements(one)))
    yield table if live else Text("There is no bucket.")
    if files:
        yield Text()
        table = _table("file", "of bucket", "public", "statements")
        for one in files:
            table.add_row(
                _text(one.file or ""),
                _text(one.bucket or "its name does not say"),
                _yes(one.public),
                _text(_statements(one)),
            )
        yield table


def _buckets(buckets: Sequence[SeenBucket]) -> Table | Text:
    if not buckets:
        return Text("There is no bucket.")
    table = _table("bucket", "region", "versioning", "public")
    for one in buckets:
        region = one.region or f"not known: {one.problem}"
        table.add_row(
            _text(one.name), _text(region), _text(one.versioning or "not known"), _yes(one.public)
        )
    return table


def _statements(one: SeenPolicy) -> str:
    if one.problem is not None:
        return one.problem
    return "no policy" if one.statements is None else ", ".join(one.statements)


def _yes(public: bool | None) -> Text:
    if public is None:
        return Text("not known")
    return Text("yes", style="red") if public else Text("no")


def _line(label: str, text: str) -> Text:
    return Text(f"{label:<10}", style="dim").append(visible(text), style="default")


def _text(text: str) -> Text:
    return Text(visible(text))


def _table(*columns: str) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="dim")
    for column in columns:
        table.add_column(column, overflow="fold")
    return table
