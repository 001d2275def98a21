"""``s3plan schema``: the JSON Schema of a kind, for editors and checks of one's own."""

from __future__ import annotations

import click

from s3plan.cli.command import Command


@click.command(
    cls=Command,
    name="schema",
    short_help="Print the JSON Schema of a kind of manifest.",
    exits=(0,),
)
@click.argument("kind", metavar="KIND")
def command(kind: str) -> int:
    """Print the JSON Schema of KIND, such as BucketEvacuation or Connection."""
    import json

    from s3plan.kinds import json_schemas

    schemas = {name.removesuffix(".schema.json"): value for name, value in json_schemas().items()}
    if kind.lower() not in schemas:
        message = f"there is no kind `{kind}`; there are {', '.join(sorted(schemas))}"
        raise click.UsageError(message)
    click.echo(json.dumps(schemas[kind.lower()], indent=2, ensure_ascii=False))
    return 0
