"""Where steps about archives take from and put to, as rows of a plan."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import assert_never

from rich.text import Text

from s3plan.model.archivesteps import Adopt, Tag, VerifyReplacement
from s3plan.model.steps import (
    Archive,
    Extract,
    PutFiles,
    RemoveArchive,
    RemoveExtracted,
    RemovePut,
)
from s3plan.views.quantities import size
from s3plan.views.text import visible

ArchiveAction = (
    Archive
    | RemoveArchive
    | Extract
    | RemoveExtracted
    | PutFiles
    | RemovePut
    | Tag
    | Adopt
    | VerifyReplacement
)

Row = tuple[str, Text]


def archive_rows(action: ArchiveAction, subject: str) -> Iterator[Row]:
    """A word and what it says, in the order of the page."""
    match action:
        case Archive():
            yield from _archive(action, subject)
        case RemoveArchive() | RemovePut():
            pass  # the worklist names them
        case Extract() | RemoveExtracted():
            yield "archive", _object(subject, action.key)
            if action.index:
                yield "index", _object(subject, action.index)
            if action.unpacked:
                yield "", Text(f"packed as one piece, {size(action.unpacked)} as tar")
            word = "in" if isinstance(action, RemoveExtracted) else "to"
            yield word, Text(visible(action.destination))
        case PutFiles():
            yield "from", Text(visible(action.source))
            yield "to", Text(visible(f"s3://{subject}, in {action.storage_class}"))
        case Tag():
            yield "tags", _tags(action.before)
            yield "become", _tags(action.after)
        case Adopt():
            yield "archive", _object(subject, action.key)
            yield "files in", Text(visible(action.source))
            yield "index", _object(subject, action.index)
        case VerifyReplacement():
            yield "archive", _object(subject, action.key)
            yield "files in", Text(visible(action.source))
        case _:
            assert_never(action)


def _archive(action: Archive, subject: str) -> Iterator[Row]:
    yield "from", Text(visible(action.source))
    packed = "" if action.compression == "none" else f", {action.compression}"
    yield "to", _object(subject, action.key)
    yield "", Text(f"{size(action.tar)} as tar{packed}, in {visible(action.storage_class)}")
    yield "index", _object(subject, action.index)
    if action.keep is not None:
        yield "keeps", Text(visible(f"a copy in {action.keep}"))
    if action.tags:
        yield "tags", _tags(action.tags)
    if action.window is not None:
        yield "hours", Text(visible(action.window))
    if action.replaces is not None:
        old = f"{size(action.replaces.size)}, ETag {action.replaces.etag}"
        yield "replaces", Text(visible(old), style="yellow")


def _object(bucket: str, key: str) -> Text:
    return Text(visible(f"s3://{bucket}/{key}"))


def _tags(tags: Mapping[str, str]) -> Text:
    return Text(visible(", ".join(f"{name}={value}" for name, value in sorted(tags.items()))))
