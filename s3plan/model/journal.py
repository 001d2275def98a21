"""The records of a journal (``s3plan.journal/1``). A run's state is a pure fold over them.

Each stored line is framed with ``seq`` and ``crc`` by the append log; the records here are what
stands between.
"""

from __future__ import annotations

from typing import Literal

from msgspec import UNSET, Struct, UnsetType

from s3plan.model.objects import Checksum, Rung
from s3plan.model.plan import Target
from s3plan.model.steps import Totals

JOURNAL_FORMAT = "s3plan.journal/1"

Outcome = Literal["verified", "mismatched", "unverifiable", "done", "failed", "drifted", "kept"]
"""How one item ended. The first three are downloads and verifications (done, with a verdict);
``done`` is an effect without content to compare; ``drifted`` was not as planned and left alone;
``kept`` is a rollback leaving alone what is no longer ours or is the last copy."""

StepOutcome = Literal["done", "incomplete", "held", "skipped"]

RunOutcome = Literal[
    "done",
    "incomplete",
    "held",
    "kept",
    "interrupted",
    "superseded",
    "abandoned",
    "failed",
    "rebuilt",
]
"""``rebuilt``: the journal was lost, and made again from what catalogues prove."""


Approves = Literal["delete", "loss", "replace"]
"""What a person can approve at a gate: the deletion, and besides it the loss that comes with it; or
that an archive is replaced, of which something changes or goes."""

LossReason = Literal["unverifiable", "no-copy", "annotations", "metadata", "grants"]
"""Why a deletion loses something: nothing tells whether its copy is right, or there is none; or the
object has annotations, metadata that no header carries, or an ACL that may not be read."""


class Loss(Struct, frozen=True):
    """What a deletion takes away for good, as far as anybody can tell.

    ``names`` are the first keys; ``listed`` is the file, or the command, that tells all of them.
    """

    reason: LossReason
    totals: Totals
    names: tuple[str, ...] = ()
    listed: str = ""


class Record(Struct, frozen=True, tag_field="type"):
    """One journal record. The variants below are all there are."""


class RunStarted(Record, frozen=True, tag="run"):
    """First record: which plan, by whom, where. ``rollback_of`` names the run taken back.

    ``destinations`` are the ids of the markers at the plan's destinations, by path; ``mirror`` is
    where the run folder is copied to, if anywhere.
    """

    format: str
    run: str
    digest: str
    command: Literal["apply", "rollback"]
    target: Target
    approver: str
    host: str
    pid: int
    time: str
    tool: str
    rollback_of: str | None = None
    destinations: dict[str, str] = {}
    mirror: str | None = None


class Resumed(Record, frozen=True, tag="resumed"):
    """The same run goes on in another process.

    ``doubted`` names the steps of which every item whose receipt no sync point covers is unknown
    from here on: a power cut may have taken its file, and a later sync point says nothing of it.
    """

    approver: str
    host: str
    pid: int
    time: str
    tool: str
    doubted: tuple[str, ...] = ()


class StepStarted(Record, frozen=True, tag="step"):
    """A step begins or goes on."""

    step: str
    time: str


class Intent(Record, frozen=True, tag="intent"):
    """Requests for items ``first`` to ``last`` (inclusive) of a step may be sent from now on.

    ``taken`` are those whose local path was in use before the run came to them: whatever is there
    is not the run's, also after a kill. ``time`` is empty in journals of before 2026-11-20, here as
    in receipts and failures.
    """

    step: str
    first: int
    last: int
    taken: tuple[int, ...] = ()
    time: str = ""


class Receipts(Record, frozen=True, tag="receipts"):
    """Items that ended with one outcome, as numbers in their worklist, and their bytes."""

    step: str
    outcome: Outcome
    items: tuple[int, ...]
    bytes: int = 0
    time: str = ""


RestoreStage = Literal["requested", "ongoing", "ready", "expired"]
"""``requested``: S3 accepted to restore it. ``ongoing``: S3 was seen to be at it. ``ready``: it can
be read. ``expired``: it cannot be read any more, or not yet, and has to be asked for (again)."""


class Restores(Record, frozen=True, tag="restores"):
    """Archived objects that came to a stage of being restored.

    ``until`` is when the copies expire (RFC 3339, UTC), empty where they do not; ``time`` is when
    the stage was seen.
    """

    step: str
    stage: RestoreStage
    items: tuple[int, ...]
    until: str = ""
    time: str = ""


class ItemFailed(Record, frozen=True, tag="item-failed"):
    """One item that did not end well, with the reason a person needs."""

    step: str
    n: int
    key: str
    path: str
    outcome: Outcome
    reason: str
    message: str
    time: str = ""


class CopyFacts(Struct, frozen=True, gc=False, array_like=True):
    """What S3 said of the copy of item ``n``: its ETag, when it was made, and what it was compared
    by (both None where the ETag alone, an MD5, proves it). ``md5`` of the source in hex, where it
    was computed.
    """

    n: int
    etag: str
    modified: str
    checksum: Checksum | None = None
    version_id: str | None = None
    md5: str | None = None


class Copied(Record, frozen=True, tag="copied"):
    """Copies that exist; their receipts follow. It is what makes them recognisable as ours."""

    step: str
    copies: tuple[CopyFacts, ...]


class UploadBegan(Record, frozen=True, tag="upload-began"):
    """A multipart upload for item ``n`` was begun: unless it is completed it must be abandoned."""

    step: str
    n: int
    upload: str


class StoredObject(Struct, frozen=True, omit_defaults=True):
    """What is under a key since the run came to it: how it is recognised again.

    With ``adopted`` it was there before, with the same bytes, and no rollback removes it.
    """

    etag: str
    size: int
    checksum: Checksum
    version_id: str | None = None
    adopted: bool = False


class PutDone(Record, frozen=True, tag="put", omit_defaults=True):
    """The object of item ``n`` exists: what it is recognised by. Its receipt follows.

    Read, and not written any more: :class:`Puts` says it of many.
    """

    step: str
    n: int
    stored: StoredObject


class PutFacts(Struct, frozen=True, gc=False, array_like=True):
    """What the object of item ``n`` is recognised by; as :class:`StoredObject`."""

    n: int
    etag: str
    size: int
    checksum: Checksum
    version_id: str | None = None
    adopted: bool = False

    @property
    def stored(self) -> StoredObject:
        """The same, without its number."""
        return StoredObject(self.etag, self.size, self.checksum, self.version_id, self.adopted)


class Puts(Record, frozen=True, tag="puts"):
    """Objects exist that were put from local files: what each is recognised by. Their receipts
    follow.
    """

    step: str
    puts: tuple[PutFacts, ...]


class Archived(Record, frozen=True, tag="archived", omit_defaults=True):
    """The archive of a step exists, and then its ``index`` too; the last record of a step counts.

    ``rung`` is what its verification rests on.
    """

    step: str
    archive: StoredObject
    rung: Rung
    index: StoredObject | None = None


JobStage = Literal["planned", "created", "confirmed", "ended"]
"""``planned``: its manifest is in S3, and it may be created under its token. ``created``: S3 gave
it an id, and does nothing before it is confirmed. ``confirmed``: it may run from now on; the
intents of its items are durable. ``ended``: it runs no more."""


class BatchJob(Record, frozen=True, tag="batch-job", omit_defaults=True):
    """A job of S3 Batch Operations for ``items`` objects of a step; the last record of a number
    counts, and says all that is needed to go on with it.

    ``bucket``, ``key`` and ``etag`` are of its manifest, ``versions`` is whether that names them.
    All its objects get ``storage_class`` (of a restore: have it) and the folder ``prefix``;
    ``newest`` is when the latest of them was changed. ``status`` is how S3 says that it ended.
    """

    step: str
    number: int
    stage: JobStage
    token: str
    items: int
    bucket: str
    key: str
    etag: str
    storage_class: str
    prefix: str = ""
    versions: bool = False
    newest: str = ""
    id: str = ""
    status: str = ""
    time: str = ""


class FileRewritten(Record, frozen=True, tag="file-rewritten"):
    """``file`` is about to be replaced: durable before it is. What was there is in ``backup``.

    ``before`` and ``after`` are SHA-256 in hex; ``rows`` and ``urls`` are counts of the new file.
    """

    step: str
    file: str
    before: str
    after: str
    backup: str
    rows: int
    urls: int


class BackedUp(Record, frozen=True, tag="backed-up"):
    """``file`` is kept in ``backup``, a path, and in the objects ``uploaded``, where it was to be.

    ``sha256`` in hex is of the file, ``uploaded`` are addresses (``s3://bucket/key``) of what was
    verified there.
    """

    step: str
    file: str
    backup: str
    sha256: str
    uploaded: tuple[str, ...] = ()


class CommandRan(Record, frozen=True, tag="command-ran"):
    """A command of the project file ended: for ``step``, or to tell of the run where that is empty.

    ``n`` is the item that it was about, None for the whole step. ``definition`` is the digest of
    what the project file said. ``exit_code`` is below 0 where a signal ended it, and None where it
    was not started. ``problem`` says what s3plan did about it, or why it could not. ``output`` is
    the end of what it wrote, ``left_out`` the bytes before that.
    """

    step: str
    command: str
    definition: str
    exit_code: int | None
    seconds: float
    time: str
    output: str = ""
    left_out: int = 0
    problem: str = ""
    n: int | None = None

    @property
    def ok(self) -> bool:
        """Whether it ended by itself, and well."""
        return self.exit_code == 0 and not self.problem


class SyncPoint(Record, frozen=True, tag="sync"):
    """Every file whose receipt has a sequence number up to ``through`` is durable."""

    through: int
    device: int


class GateRecord(Record, frozen=True, tag="gate"):
    """A verification ended: its evidence and figures, and whether it passes.

    ``content`` is the SHA-256 of the evidence file in hex; empty in journals of before 2026-11-20.
    ``configuration`` is the SHA-256 of the bucket's configuration that was saved, where the bucket
    itself is to go. ``guard`` says what keeps a deletion from hitting another object; empty where
    none follows.
    With ``losses`` it passes but for them: a deletion takes the approval of the loss besides.
    ``takes`` is what has to be approved where it is no deletion; nothing, where nothing goes.
    """

    step: str
    subject: str
    evidence: str
    passes: bool
    totals: Totals
    figures: dict[str, int]
    time: str
    content: str = ""
    guard: str = ""
    configuration: str = ""
    losses: tuple[Loss, ...] = ()
    takes: tuple[Approves, ...] | UnsetType = UNSET


class Approved(Record, frozen=True, tag="approved"):
    """A person approved deletions of ``subject`` on that evidence, or the loss they bring.

    ``how``: prompt or option. The losses themselves are in the gate's record.
    """

    subject: str
    evidence: str
    approver: str
    how: Literal["prompt", "option"]
    time: str
    what: Approves = "delete"


class Declined(Record, frozen=True, tag="declined"):
    """A person said no at the prompt; the subject is skipped in this session."""

    subject: str
    evidence: str
    time: str
    what: Approves = "delete"


class StepEnded(Record, frozen=True, tag="step-ended"):
    """A step ended with an outcome and, unless done, the reason."""

    step: str
    outcome: StepOutcome
    reason: str
    time: str


class RunEnded(Record, frozen=True, tag="run-ended"):
    """The process leaves the run. ``done``, ``kept``, ``superseded``, ``abandoned`` and
    ``rebuilt`` are final.
    """

    outcome: RunOutcome
    time: str
    detail: str = ""


class RolledBack(Record, frozen=True, tag="rolled-back"):
    """This run has been taken back by a rollback; it is never resumed."""

    time: str
    outcome: RunOutcome


JournalRecord = (
    RunStarted
    | Resumed
    | StepStarted
    | Intent
    | Receipts
    | Restores
    | ItemFailed
    | Copied
    | UploadBegan
    | Archived
    | PutDone
    | Puts
    | BatchJob
    | FileRewritten
    | BackedUp
    | CommandRan
    | SyncPoint
    | GateRecord
    | Approved
    | Declined
    | StepEnded
    | RunEnded
    | RolledBack
)
