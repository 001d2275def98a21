"""What a verb does to what is there: the classes that limits, approvals and reviews go by."""

from __future__ import annotations

from typing import Literal, assert_never

from s3plan.model.archivesteps import Adopt, Tag, VerifyReplacement
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
    Swap,
    SwapBack,
    Upload,
    Verify,
    VerifyCopies,
    VerifyStaged,
)

Effect = Literal["reads", "adds", "changes", "removes"]
"""``reads`` leaves everything as it is; ``adds`` makes what was not there, and replaces nothing;
``changes`` puts something else in a thing's place; ``removes`` takes something away."""


def effect_of(action: AnyAction) -> Effect:  # noqa: PLR0912 - one case a verb
    """The strongest thing that the verb does."""
    match action:
        case Verify() | VerifyCopies() | VerifyStaged() | VerifyReplacement():
            return "reads"
        case Copy() if action.shared:
            return "reads"
        case Archive() if action.replaces is not None:
            return "changes"
        case Restore() | Download() | Upload() | Copy() | CreateBucket() | BackupFile():
            return "adds"
        case Archive() | Extract() | Adopt():
            return "adds"
        case Stage():
            return "adds"
        case (
            Configure() | RewriteFile() | RestoreFile() | Swap() | SwapBack() | Reencrypt() | Tag()
        ):
            return "changes"
        case RunCommand():
            return "changes"  # nobody knows: whoever approves classes of steps names it
        case Delete() | DeleteSource() | AbortUploads() | DeleteBucket():
            return "removes"
        case RemoveCopy() | RemoveFile():
            return "removes"
        case RemoveArchive() | RemovePut() | RemoveExtracted() | Purge():
            return "removes"
        case PutFiles():
            return "changes" if action.replaces else "adds"
        case _:
            assert_never(action)


def touches_s3(action: AnyAction) -> bool:
    """Whether the verb changes or removes something that S3 holds."""
    return effect_of(action) in ("changes", "removes") and not isinstance(
        action, RemoveFile | RemoveExtracted | RewriteFile | RestoreFile | RunCommand
    )
