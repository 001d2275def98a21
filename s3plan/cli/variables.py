"""The values of ``${VAR}`` in manifests, from ``--var`` and ``--var-file``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click


def variable_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--var`` and ``--var-file``."""
    options = (
        click.option(
            "--var",
            "var",
            multiple=True,
            metavar="NAME=VALUE",
            help="A value for ${NAME} in the manifests. May be repeated.",
        ),
        click.option(
            "--var-file",
            "var_file",
            multiple=True,
            type=click.Path(dir_okay=False, path_type=Path),
            help="A YAML file with NAME: VALUE pairs; --var wins over it. May be repeated.",
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


def read_variables(pairs: Sequence[str], files: Sequence[Path]) -> dict[str, str]:
    """Return values by name: later files over earlier ones, ``--var`` over files.

    Raises click.UsageError for a pair without ``=``, ManifestError or ProblemsError for a file
    that cannot be read or is no mapping of plain values.
    """
    from s3plan.kinds.documents import read_variables as read_file

    found: dict[str, str] = {}
    for path in files:
        found |= read_file(path)
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not name or not equals:
            message = f"`{pair}` is not NAME=VALUE"
            raise click.UsageError(message)
        found[name] = value
    return found
