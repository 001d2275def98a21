"""Which verbs are about the host that a plan was made on, and which are about S3 alone."""

from __future__ import annotations

from typing import assert_never

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


def is_of_one_host(action: AnyAction) -> bool:
    """Whether a path, a command or other runs that the verb goes by are those of one host.

    What earlier runs made of copies is asked of their folders, which may be brought along.
    """
    match action:
        case Download() | Verify() | Delete() | Upload() | RemoveFile():
            return True
        case Extract() | RemoveExtracted() | Archive() | RemoveArchive():
            return True
        case PutFiles() | RemovePut() | VerifyReplacement() | Adopt():
            return True
        case BackupFile() | RewriteFile() | RestoreFile() | RunCommand():
            return True
        case Purge():
            return True  # other runs of the directory may need what it removes
        case CreateBucket() | DeleteBucket():
            return bool(action.destination)
        case Copy() | VerifyCopies() | RemoveCopy() | DeleteSource():
            return False
        case Restore() | Tag() | Configure() | AbortUploads():
            return False
        case Stage() | VerifyStaged() | Swap() | SwapBack() | Reencrypt():
            return False
        case _:
            assert_never(action)
