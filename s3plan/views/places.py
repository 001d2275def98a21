"""Where a step reads and where it writes, as rows of its entry in a review."""

from __future__ import annotations

from collections.abc import Iterator
from typing import assert_never

from rich.text import Text

from s3plan.model.archivesteps import Adopt, Tag, VerifyReplacement
from s3plan.model.steps import (
    AbortUploads,
    Archive,
    BackupFile,
    Configure,
    Copy,
    CreateBucket,
    Delete,
    DeleteBucket,
    DeleteSource,
    Download,
    Extract,
    Purge,
    PutFiles,
    Reencrypt,
    RemoveArchive,
    RemoveCopy,
    RemoveExtracted,
    RemoveFile,
    RemovePut,
    Restore,
    RestoreFile,
    RewriteFile,
    RunCommand,
    Stage,
    Step,
    Swap,
    SwapBack,
    Upload,
    Verify,
    VerifyCopies,
    VerifyStaged,
)
from s3plan.views.archivesteps import archive_rows
from s3plan.views.documents import change_rows
from s3plan.views.layout import layout_rows
from s3plan.views.quantities import counted, duration
from s3plan.views.text import visible


def place_rows(  # noqa: PLR0912 - one case a verb
    step: Step,
) -> Iterator[tuple[str, Text]]:
    """Yield the rows of one step: a label, and what it names."""
    action = step.action
    match action:
        case Restore():
            yield from _retrieval(action)
        case Download():
            yield "to", Text(visible(action.destination))
        case Upload():
            yield "from", Text(visible(action.destination))
        case RemoveFile():
            yield "in", Text(visible(action.destination))
        case AbortUploads():
            yield "untouched", Text(f"since {visible(action.before)}")
        case Delete():
            yield "copy in", Text(visible(action.destination))
        case Verify():
            yield "copy in", Text(visible(f"{action.destination.rstrip('/')}/{action.root}"))
            yield from _readings(action)
        case Copy() | VerifyCopies() | RemoveCopy() | DeleteSource():
            yield from _place_in_s3(action, step.subject)
        case Stage() | VerifyStaged() | Swap() | SwapBack() | Purge() | Reencrypt():
            yield from layout_rows(action)
        case CreateBucket() | DeleteBucket():
            yield from _bucket_itself(action)
        case BackupFile() | RewriteFile() | RestoreFile() | RunCommand():
            yield from _on_this_host(action)
        case Archive() | RemoveArchive() | Extract() | RemoveExtracted() | PutFiles() | RemovePut():
            yield from archive_rows(action, step.subject)
        case Tag() | Adopt() | VerifyReplacement():
            yield from archive_rows(action, step.subject)
        case Configure():
            yield from change_rows(action)
        case _:
            assert_never(action)


def _readings(action: Verify) -> Iterator[tuple[str, Text]]:
    if action.read_back:
        yield "reads", Text("every file back from disk")
        if action.second_read is not False:
            yield "", Text("objects that S3 keeps no comparable checksum of, a second time")


def _bucket_itself(action: CreateBucket | DeleteBucket) -> Iterator[tuple[str, Text]]:
    yield "region", Text(visible(action.region))
    if isinstance(action, CreateBucket):
        if action.object_lock:
            yield "with", Text("Object Lock, and so with versioning")
        return
    if action.saved:
        yield "saves", Text(", ".join(action.saved))
    if action.unsaved:
        yield "loses", Text(visible(", ".join(action.unsaved)), style="red")


def _retrieval(action: Restore) -> Iterator[tuple[str, Text]]:
    options = ", ".join(f"{name} {tier}" for name, tier in sorted(action.tiers.items()))
    yield "option", Text(visible(options))
    yield "keeps", Text(f"temporary copies for {counted(action.days, 'day')}")
    yield "looks", Text(f"every {duration(action.poll)}, until all are downloaded")


def _on_this_host(
    action: BackupFile | RewriteFile | RestoreFile | RunCommand,
) -> Iterator[tuple[str, Text]]:
    if isinstance(action, RunCommand):
        return  # its command has rows of its own
    yield "file", Text(visible(action.file))
    match action:
        case BackupFile():
            yield "to", Text(visible(f"{action.folder}/{action.name}"))
            if action.upload:
                yield "and to", Text(visible(action.upload))
        case RewriteFile():
            columns = (
                f"{name} ({kind})" if kind else name for name, kind in action.columns.items()
            )
            yield "columns", Text(visible(", ".join(columns)))
            if action.added:
                yield "adds", Text(visible(", ".join(action.added)))
            yield "backup", Text(visible(f"{action.folder}/{action.name}"))
        case RestoreFile():
            yield "from", Text(visible(action.backup))


def _place_in_s3(
    action: Copy | VerifyCopies | RemoveCopy | DeleteSource, subject: str
) -> Iterator[tuple[str, Text]]:
    match action:
        case Copy():
            yield "from", Text(visible(f"s3://{action.source}"))
            yield "to", Text(visible(f"s3://{subject}/{action.into}"))
            yield from _changed(action)
        case VerifyCopies():
            yield "against", Text(visible(f"s3://{action.source}"))
            if action.headers:
                many = "all" if action.headers < 0 else f"{action.headers:,}"
                yield "headers", Text(f"content type, metadata and tags of {many} compared")
            if action.content:
                yield (
                    "reads",
                    Text("both sides, where no ETag and no stored checksum proves a copy"),
                )
        case RemoveCopy():
            yield "copy of", Text(visible(f"s3://{action.source}"))
        case DeleteSource():
            yield "copy in", Text(visible(f"s3://{action.copies}"))
            runs = ", ".join(dict.fromkeys(one.run for one in action.earlier))
            yield "made by", Text(visible(f"run {runs}"))
            days = f"{action.terms.days:,} days from the end of each"
            yield "soak", Text(f"{days}, the last check without findings, signed off")


def _changed(action: Copy) -> Iterator[tuple[str, Text]]:
    """What the copies do not have from their sources."""
    if action.storage_class is not None:
        yield "class", Text(visible(action.storage_class))
    if action.encryption is not None:
        key = f" {action.kms_key}" if action.kms_key else ""
        yield "encrypted", Text(visible(f"{action.encryption}{key}"))
    if action.acl is not None:
        yield "acl", Text(visible(action.acl))
    for label, pairs in (("headers", action.headers), ("adds tags", action.tags)):
        if pairs:
            yield label, Text(visible(", ".join(f"{k}={v}" for k, v in sorted(pairs.items()))))
    if action.without_tags:
        yield "drops tags", Text(visible(", ".join(action.without_tags)))
