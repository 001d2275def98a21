"""``backup-file``, ``rewrite-file`` and ``restore-file``: a person's table and its URLs.

The new file is written beside the old one, read again and compared with it row by row; only then
does it take the old one's place, which is in the journal before it happens. A file that is not as
planned, or not as the run left it, is left alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import islice
from pathlib import Path

from s3plan.engine.context import Context
from s3plan.engine.filesending import send_file
from s3plan.engine.lease import split
from s3plan.engine.looking import look_at
from s3plan.engine.runs import Run
from s3plan.errors import HeldError
from s3plan.inventory.tablerows import GROUPED, Buckets, CsvError, TableRows
from s3plan.localfs import tablefile
from s3plan.localfs.tablefile import FileDigests
from s3plan.model.journal import BackedUp, FileRewritten
from s3plan.model.steps import BackupFile, RestoreFile, RewriteFile, Step
from s3plan.plan.reading import PlanFile
from s3plan.rules.grouping.filetypes import type_of_object
from s3plan.rules.grouping.keys import KeyPattern
from s3plan.rules.grouping.rewriting import Columns
from s3plan.tables import Database

_ITEMS = 2_000

RECEIPTS = 10_000
"""Items whose receipts are one record."""


async def backup_file(context: Context, step: Step, action: BackupFile) -> None:
    """Run a backup-file step."""
    known = await context.in_thread(_as_planned, action.file, action.sha256)
    backup = Path(action.folder) / _named(action.name, context.run)
    keep = partial(tablefile.keep_aside, compressed=action.gzip)
    await context.in_thread(keep, Path(action.file), known, backup)
    uploaded: tuple[str, ...] = ()
    if action.upload:
        await context.intend_whole(step)
        uploaded = await _uploaded(context, action.upload, _files_of(backup, action))
    await context.journal.commit(
        BackedUp(step.id, action.file, str(backup), known.sha256, uploaded)
    )
    context.receive(step, "done", (0,), 0, ())


def _files_of(backup: Path, action: BackupFile) -> tuple[Path, ...]:
    """What is uploaded of a backup: itself, compressed if it is so, and its digests."""
    suffixes = (".gz" if action.gzip else "", ".md5", ".sha256")
    return tuple(backup.with_name(backup.name + suffix) for suffix in suffixes)


async def _uploaded(context: Context, address: str, files: Sequence[Path]) -> tuple[str, ...]:
    """Put files below ``s3://bucket/prefix``; their addresses, once each was verified there."""
    name, prefix = split(address)
    bucket = context.store.bucket(name)
    for path in files:
        await send_file(context, bucket, prefix + path.name, path)
    return tuple(f"s3://{name}/{prefix}{path.name}" for path in files)


async def rewrite_file(context: Context, step: Step, action: RewriteFile) -> None:
    """Run a rewrite-file step; what a session before this one did is recognised."""
    earlier = context.state.rewritten.get(step.id)
    found = await context.in_thread(tablefile.digests, Path(action.file))
    if earlier is None or found is None or found.sha256 != earlier.after:
        await _rewrite(context, step, action)
    numbers = iter(range(step.totals.items))
    while chunk := list(islice(numbers, RECEIPTS)):
        context.receive(step, "done", chunk, 0, ())


async def _rewrite(context: Context, step: Step, action: RewriteFile) -> None:
    path = Path(action.file)
    known = await context.in_thread(_as_planned, action.file, action.sha256)
    backup = await context.in_thread(_free, Path(action.folder), action.name, known, context.run)
    keep = partial(tablefile.keep_aside, compressed=False)
    await context.in_thread(keep, path, known, backup)
    await _look_at_copies(context, step)
    new = _beside(path, context.run)
    with context.tables() as database:
        await context.in_thread(_load, context, step, action, database)
        table = _table(context, step, action, database)
        made = await context.in_thread(_write, table, path, new)
    record = FileRewritten(
        step=step.id,
        file=action.file,
        before=known.sha256,
        after=made.sha256,
        backup=str(backup),
        rows=table.rows,
        urls=table.urls,
    )
    await context.intend(step, 0, max(0, step.totals.items - 1))
    await context.journal.commit(record)
    context.state.apply(context.journal.seq, record)
    await context.in_thread(tablefile.replace_by, path, new, known.sha256)


async def _look_at_copies(context: Context, step: Step) -> None:
    """Raise HeldError unless everything that the table is to name is there, of its size."""
    bucket = context.bucket(step)
    items = context.plan.items(step.id)
    while chunk := list(islice(items, _ITEMS)):
        context.check_stop()
        there = await look_at(bucket, [item.path for item in chunk])
        for item in chunk:
            seen = there.get(item.path)
            if seen is None or seen.size != item.size:
                raise HeldError(
                    "a copy that the table is to name is not there",
                    address=f"s3://{step.subject}/{item.path}",
                    expected=f"{item.size:,} bytes, a copy of {item.key}",
                    found=f"{seen.size:,} bytes" if seen else "nothing",
                    next_step="plan again",
                )


def _table(context: Context, step: Step, action: RewriteFile, database: Database) -> TableRows:
    return TableRows(
        database,
        partial(tablefile.lines, Path(action.file)),
        Columns(action.row, action.columns, action.added, action.separator),
        Buckets(action.source, step.subject, context.plan.header.target.endpoint),
        delimiter=action.delimiter,
        keep_unresolved=action.unresolved == "keep",
    )


def _load(context: Context, step: Step, action: RewriteFile, database: Database) -> None:
    """Fill ``grouped`` from the worklist."""
    database.execute(GROUPED.ddl())
    pattern = KeyPattern.parse(action.pattern)
    items = context.plan.items(step.id)
    while chunk := list(islice(items, _ITEMS)):
        parts = [pattern.parts(item.key.removeprefix(action.prefix)) or {} for item in chunk]
        database.append(
            GROUPED,
            {
                "row_id": [part.get("row_id") for part in parts],
                "key": [item.key for item in chunk],
                "new_key": [item.path for item in chunk],
                "type": [
                    type_of_object(action.rules, action.default, item.key, item.size, item.label)
                    for item in chunk
                ],
            },
        )
    database.compact()


def _write(table: TableRows, path: Path, new: Path) -> FileDigests:
    """The new file beside the old one, read again. Raises HeldError; the old one is as it was."""
    try:
        made = tablefile.write_new(new, table.rewritten())
        if not table.wrong:
            table.check(partial(tablefile.lines, new))
    except CsvError as error:
        new.unlink(missing_ok=True)
        raise HeldError(
            "the table cannot be read without guessing",
            address=str(path),
            expected="CSV as RFC 4180 has it",
            found=str(error),
            next_step="correct that row, then plan again",
        ) from error
    if table.wrong:
        new.unlink(missing_ok=True)
        more = f", and {table.wrong - len(table.problems):,} more"
        raise HeldError(
            "the table cannot be rewritten without losing something; it was left as it is",
            address=str(path),
            found="; ".join(table.problems) + (more if table.wrong > len(table.problems) else ""),
            next_step="correct these rows, or set catalog.unresolved: keep, then plan again",
        )
    return made


async def restore_file(context: Context, step: Step, action: RestoreFile) -> None:
    """Run a restore-file step: the backup put back, only over what the run left."""
    path, backup = Path(action.file), Path(action.backup)
    found = await context.in_thread(tablefile.digests, path)
    if found is not None and found.sha256 == action.before:
        # It was never replaced, or is back already.
        context.receive(step, "done", (0,), 0, ())
        return
    kept = await context.in_thread(tablefile.digests, backup)
    ours = found is not None and found.sha256 == action.after
    if not ours or kept is None or kept.sha256 != action.before:
        raise HeldError(
            f"{'the backup of ' if ours else ''}the table was changed since the run;"
            " nothing was put back",
            address=str(backup if ours else path),
            expected=f"sha256 {action.before if ours else action.after}",
            found="no file" if (kept if ours else found) is None else "another file",
            next_step=f"compare it with {backup if not ours else path} yourself",
        )
    await context.intend(step, 0, 0)
    await context.in_thread(_put_back, path, backup, action.after)
    context.receive(step, "done", (0,), 0, ())


def _put_back(path: Path, backup: Path, after: str) -> None:
    new = path.with_name(f".{path.name}.restored.tmp")
    tablefile.write_new(new, tablefile.lines(backup))
    tablefile.replace_by(path, new, after)


def _as_planned(file: str, sha256: str) -> FileDigests:
    found = tablefile.digests(Path(file))
    if found is None or found.sha256 != sha256:
        raise HeldError(
            "the file is not the one that was planned with",
            address=file,
            expected=f"sha256 {sha256}",
            found=f"sha256 {found.sha256}" if found else "no file",
            next_step="plan again",
        )
    return found


def drop_unfinished_tables(plan: PlanFile, run: Run) -> None:
    """Remove what a killed run had not finished writing: copies of personal data.

    Called with the run's lock held, before it is taken back; a run that goes on overwrites it.
    """
    for step in plan.steps:
        if not isinstance(step.action, BackupFile | RewriteFile):
            continue
        folder = Path(step.action.folder)
        for backup in _names(step.action.name, run):
            tablefile.drop_unfinished(folder / backup)
        _beside(Path(step.action.file), run).unlink(missing_ok=True)


def _beside(path: Path, run: Run) -> Path:
    """Where the new table is written: in the same directory, so that the rename cannot copy."""
    return path.with_name(f".{path.name}.{run.id}.tmp")


def _free(folder: Path, name: str, known: FileDigests, run: Run) -> Path:
    """The place of the backup; where an earlier rewrite has it, the time tells them apart."""
    first, second = _names(name, run)
    known_or_free = tablefile.digests(folder / first) in (None, known)
    return folder / (first if known_or_free else second)


def _names(name: str, run: Run) -> tuple[str, str]:
    """What a backup of this run may be called."""
    first = Path(_named(name, run))
    return first.name, _named(f"{first.stem}_{{time}}{first.suffix}", run)


def _named(name: str, run: Run) -> str:
    """The backup's name; ``{time}`` is when the run began, also when it goes on later."""
    day, _, clock = run.id.partition("-")[0].rstrip("Z").partition("T")
    return name.replace("{time}", f"{day}_{clock}")
