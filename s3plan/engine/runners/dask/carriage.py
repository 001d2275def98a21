"""What workers are given of a step, by its verb: the one table of what goes out and what stays.

Whatever it is, the handler on a worker is the one that this process has. A verb goes out where its
items can be done one without the others, and where all that it goes by besides the plan can be
told item by item: ``telling`` says what.
"""

from __future__ import annotations

from collections.abc import Container
from typing import assert_never

from msgspec import Struct

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

PAGE = 1_000
"""Items of a partition that rests on a look by this process, which is to be young."""


class Carriage(Struct, frozen=True):
    """How the items of a step go to workers.

    ``looks``: before their intent a worker looks whether something is at their places that is not
    the run's. ``tree`` is the directory that workers read from, or write ``files`` to, and must
    share. ``tells`` are steps besides this one whose copies they tell of. ``most`` limits a
    partition. ``young``: what they are told rests on a look, and is not to be used for longer than
    they are trusted. ``flows``: its items may come one by one from the step before. ``writes``: its
    requests need an intent. ``asks``: workers ask S3 for something, and this process waits for it.
    """

    looks: bool = False
    tree: str | None = None
    files: bool = False
    tells: tuple[str, ...] = ()
    most: int | None = None
    young: bool = False
    flows: bool = False
    writes: bool = True
    asks: bool = False


def carriage_of(  # noqa: PLR0912 - a case a verb
    step: Step, shared: Container[str]
) -> Carriage | str:
    """How a step goes to workers, or why it stays here, as a clause.

    ``shared`` are the destinations that every worker sees.
    """
    action = step.action
    match action:
        case Copy():
            return Carriage(looks=True)
        case Tag():
            return Carriage(looks=True)
        case Restore():
            return Carriage(flows=True, asks=True)
        case Stage():
            return Carriage(flows=True)
        case VerifyStaged():
            kept = (action.staged,) if action.keeps_old else ()
            return Carriage(flows=True, writes=False, tells=kept)
        case Swap():
            return Carriage(looks=True, flows=True)
        case Reencrypt() | SwapBack() | RemoveCopy() | DeleteSource():
            return Carriage()
        case Delete():
            if action.versions:
                return "what lies above a version only a listing of the whole bucket tells"
            if action.lost:
                return "what has no copy is taken away by this process alone"
            return Carriage(most=PAGE, young=True)
        case Extract() if action.unpacked:
            return "an archive that is packed as one piece is one stream, and not many items"
        case Download() | Extract():
            if action.destination not in shared:
                return "its destination is not shared with the workers (destination.shared)"
            return Carriage(looks=True, tree=action.destination, files=True)
        case Verify() | VerifyCopies() | VerifyReplacement():
            return "it holds everything against everything, and makes the evidence"
        case Upload():
            if action.versions:
                return "the entries of a key go on top of each other, in their order"
            if action.destination not in shared:
                return "its files are not shared with the workers (destination.shared)"
            return Carriage(tree=action.destination)
        case PutFiles() | RemoveFile() | RemoveExtracted() | RemovePut():
            return "it reads files of this host"
        case Archive() | RemoveArchive() | Adopt():
            return "an archive is one stream, and not many items"
        case BackupFile() | RewriteFile() | RestoreFile():
            return "it is about one file of this host"
        case Configure() | CreateBucket() | DeleteBucket():
            return "it is one request"
        case AbortUploads():
            return "there are few of them"
        case Purge():
            return "what other runs here still need is known here"
        case RunCommand():
            return "its command belongs to this host"
        case _:
            assert_never(action)
