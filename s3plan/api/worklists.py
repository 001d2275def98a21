"""What a plan can be asked to be for: the objects of a file, or those of an earlier run."""

from __future__ import annotations

from pathlib import Path

from s3plan.engine.retrying import entries_of_run
from s3plan.inventory.worklist import Worklist, read_worklist
from s3plan.model.worklist import Entry


def worklist_of_file(path: Path, name: str | None = None) -> Worklist:
    """The worklist in a file (docs/worklists.md); ``name`` is what the person calls it.

    Raises nothing yet: WorklistError and ProblemsError come when the entries are read.
    """
    name = str(path) if name is None else name
    return Worklist(name, lambda: read_worklist(path, name))


def worklist_of_object(bucket: str, key: str) -> Worklist:
    """A worklist of one object. Raises nothing: WorklistError is for those that are read."""
    return Worklist(f"s3://{bucket}/{key}", lambda: [Entry(bucket, key)])


def worklist_of_run(journal: Path, *, failed: bool = False) -> Worklist:
    """The objects of the run that ``journal`` is of; with ``failed`` those that failed, drifted or
    were found to differ.

    Raises nothing yet: JournalError comes when the entries are read.
    """
    return Worklist(str(journal), lambda: entries_of_run(journal, failed=failed))
