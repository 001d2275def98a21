"""``s3plan resolve``: which key each object gets, and which key a new upload must use."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from s3plan.cli.command import Command
from s3plan.cli.settings import settings
from s3plan.cli.variables import read_variables, variable_options

if TYPE_CHECKING:
    from s3plan.model.grouping import ResolvedKey


@click.command(
    cls=Command,
    name="resolve",
    short_help="Show which key an ObjectGrouping gives each object, or a new upload.",
    exits=(0, 1),
)
@click.argument("manifest", type=click.Path(path_type=Path))
@click.argument("row", required=False)
@click.argument("file", required=False)
@click.option(
    "--part",
    "parts",
    multiple=True,
    metavar="NAME=TEXT",
    help="A part of source.pattern, such as name=Ann, for who is not in the bucket yet.",
)
@click.option(
    "--content-type",
    metavar="TYPE",
    help="The content type of FILE, where a rule is about it, such as audio/mpeg.",
)
@variable_options
def command(
    *,
    manifest: Path,
    row: str | None,
    file: str | None,
    parts: tuple[str, ...],
    content_type: str | None,
    var: tuple[str, ...],
    var_file: tuple[Path, ...],
) -> int:
    """Show every key of an ObjectGrouping with its new key, type and standing. Only reads.

    With ROW and FILE it prints the one key that a new file of that row must be uploaded to. What
    else the key is made of comes from the bucket, or from --part; then S3 is not asked.
    """
    from s3plan import api
    from s3plan.views.text import visible

    if (row is None) != (file is None):
        message = "name ROW and FILE together, or neither"
        raise click.UsageError(message)
    view = settings().view()
    variables = read_variables(var, var_file)
    if row is not None and file is not None:
        found = api.resolve_upload(
            manifest,
            row,
            file,
            parts=_parts(parts),
            content_type=content_type,
            variables=variables,
        )
        view.told(visible(found.new_key or ""), _record(found))
        return 0
    if parts or content_type is not None:
        message = "--part and --content-type go with ROW and FILE"
        raise click.UsageError(message)
    with view.look() as watch:
        known = api.resolve(manifest, variables=variables, observer=watch)
        for one in known:
            new = visible(one.new_key or "-")
            sentence = f"{visible(one.key)} -> {new} ({one.type}, {one.standing})"
            view.told(sentence, _record(one))
    return 0


def _record(known: ResolvedKey) -> dict[str, object]:
    return {"type": "resolved", "key": known.key, "newKey": known.new_key,
            "fileType": known.type, "standing": known.standing}  # fmt: skip


def _parts(given: tuple[str, ...]) -> dict[str, str]:
    found = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not equals or not name or not value:
            message = f"--part is NAME=TEXT, not {text}"
            raise click.UsageError(message)
        found[name] = value
    return found
