"""The words and symbols of verbs, reversibility and states: one place, so all views agree."""

from __future__ import annotations

import shlex
from typing import Final, NamedTuple, assert_never

from s3plan.model.archivesteps import Adopt, Tag, VerifyReplacement
from s3plan.model.commands import CommandRef
from s3plan.model.journal import LossReason
from s3plan.model.status import BucketState
from s3plan.model.steps import (
    AbortUploads,
    AnyAction,
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
    Probe,
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
    Reversibility,
    RewriteFile,
    RunCommand,
    Stage,
    Swap,
    SwapBack,
    Upload,
    Verify,
    VerifyCopies,
    VerifyStaged,
)
from s3plan.rules.commands import short


class VerbWords(NamedTuple):
    """How a verb reads. ``things`` is None where the step is about the bucket itself."""

    symbol: str
    infinitive: str
    things: str | None


def words_of(action: AnyAction) -> VerbWords:  # noqa: PLR0912 - one case a verb
    """``+`` makes something, ``-`` takes it away, ``~`` changes it, ``=`` changes nothing."""
    match action:
        case Restore():
            return VerbWords("+", "to restore", "object")
        case Download():
            return VerbWords("+", "to download", "object")
        case Upload():
            return VerbWords("+", "to upload", "object")
        case CreateBucket() | DeleteBucket():
            return _words_of_bucket(action)
        case Copy() if action.shared:
            return VerbWords("=", "to compare", "object")
        case Copy():
            return VerbWords("+", "to copy", "object")
        case Stage():
            return VerbWords("+", "to stage", "object")
        case Reencrypt():
            return VerbWords("~", "to re-encrypt", "object")
        case Swap():
            return VerbWords("~", "to swap", "object")
        case SwapBack():
            return VerbWords("~", "to swap back", "object")
        case Verify() | VerifyCopies() | VerifyStaged():
            return VerbWords("=", "to verify", "object")
        case Delete() | DeleteSource():
            return VerbWords("-", "to delete", "object")
        case RemoveCopy():
            return VerbWords("-", "to remove", "object")
        case Purge():
            return VerbWords("-", "to purge", "form")
        case Archive():
            symbol = "~" if action.replaces is not None else "+"
            return VerbWords(symbol, "to archive", "file")
        case Tag():
            return VerbWords("~", "to tag", "object")
        case Adopt():
            return VerbWords("+", "to adopt", "file")
        case VerifyReplacement():
            return VerbWords("=", "to verify", "file")
        case RemoveArchive():
            return VerbWords("-", "to remove", "archive")
        case Extract():
            return VerbWords("+", "to extract", "file")
        case RemoveExtracted():
            return VerbWords("-", "to remove", "file")
        case PutFiles():
            return VerbWords("~" if action.replaces else "+", "to put", "file")
        case RemovePut():
            return VerbWords("-", "to remove", "object")
        case AbortUploads():
            return VerbWords("-", "to abort", "upload")
        case RemoveFile():
            return VerbWords("-", "to remove", "file")
        case BackupFile() | RewriteFile() | RestoreFile():
            return _words_of_file(action)
        case Configure():
            return VerbWords("~", "to configure", "document")
        case RunCommand():
            return VerbWords("=", "to run", "command")
        case _:
            assert_never(action)


def _words_of_bucket(action: CreateBucket | DeleteBucket) -> VerbWords:
    if isinstance(action, CreateBucket):
        return VerbWords("+", "to create", None)
    return VerbWords("-", "to delete", None)


def _words_of_file(action: BackupFile | RewriteFile | RestoreFile) -> VerbWords:
    match action:
        case BackupFile():
            return VerbWords("+", "to back up", "file")
        case RewriteFile():
            return VerbWords("~", "to rewrite", "URL")
        case RestoreFile():
            return VerbWords("~", "to put back", "file")


def words_of_command(command: CommandRef) -> str:
    """What a command of the project file is called, and by what it is known again."""
    return f"{command.name} of s3plan.yaml, {short(command.digest)}"


def argv_of(command: CommandRef) -> str:
    """The program and its arguments as a shell would take them; never shortened in a review."""
    return shlex.join(command.argv)


PROBES: Final[dict[Probe, str]] = {
    "list": "listing the bucket",
    "get": "reading an object",
    "document": "reading the document",
}
"""What is tried after a document was written."""

PAST: Final = {
    "download": "downloaded",
    "upload": "uploaded",
    "verify": "verified",
    "delete": "deleted",
    "delete-source": "deleted",
    "delete-bucket": "deleted",
    "create-bucket": "created",
    "remove-file": "removed",
    "copy": "copied",
    "verify-copies": "verified",
    "remove-copy": "removed",
    "purge": "purged",
    "archive": "archived",
    "remove-archive": "removed",
    "tag": "tagged",
    "adopt": "adopted",
    "verify-replacement": "verified",
    "put-files": "put",
    "remove-put": "removed",
    "stage": "staged",
    "verify-staged": "verified",
    "reencrypt": "re-encrypted",
    "swap": "swapped",
    "swap-back": "swapped back",
    "extract": "extracted",
    "remove-extracted": "removed",
    "backup-file": "backed up",
    "rewrite-file": "rewritten",
    "restore-file": "put back",
    "configure": "configured",
    "restore": "made readable",
    "run-command": "passed",
}
"""What was done, by verb."""

LOSSES: Final[dict[LossReason, str]] = {
    "unverifiable": "whose content could not be verified",
    "no-copy": "of which there is no copy",
    "annotations": "whose annotations nothing saves",
    "metadata": "with metadata that no HTTP header can carry",
    "grants": "whose ACL cannot be read",
}
"""What is lost, after a count of objects."""

SYMBOL_STYLES: Final = {"+": "green", "=": "cyan", "-": "red", "~": "yellow"}

REVERSIBILITY: Final[dict[Reversibility, str]] = {
    "free": "free",
    "costs": "costs time or money",
    "until": "only until something else happens",
    "never": "cannot be undone",
}

STATE_STYLES: Final[dict[BucketState, str]] = {
    "pending": "dim",
    "configuring": "cyan",
    "restoring": "cyan",
    "syncing": "cyan",
    "verifying": "cyan",
    "deleting": "cyan",
    "completed": "green",
    "failed": "red",
    "held": "yellow",
    "skipped": "yellow",
}
