"""The action graph: steps, what they do, what they wait for, and how they can be taken back."""

from __future__ import annotations

from typing import Literal, get_args

from msgspec import UNSET, Struct, UnsetType

from s3plan.model.actions import Action
from s3plan.model.archives import Compression
from s3plan.model.archivesteps import Adopt, Tag, VerifyReplacement
from s3plan.model.buckets import Document, DocumentName
from s3plan.model.commands import CommandRef
from s3plan.model.grouping import GroupingRules, TypeRule
from s3plan.model.layout import LARGEST_PUT, Recipe
from s3plan.model.objects import Count
from s3plan.model.soak import EarlierCopy, SoakTerms

Reversibility = Literal["free", "costs", "until", "never"]
"""``free``: undo costs nothing; ``costs``: money or time; ``until``: works until something
happens; ``never``: cannot be undone."""


Kept = Literal["enabled", "suspended"]
"""How a bucket that keeps versions is set. An action without it is about a bucket that never did,
and is written as it was before there was this parameter."""


Tier = Literal["Expedited", "Standard", "Bulk"]
"""How an archived object is retrieved: the faster, the dearer."""


class Restore(Action, frozen=True, tag="restore"):
    """Archived objects made readable: a temporary copy of each for ``days`` days.

    Objects of INTELLIGENT_TIERING move back to its frequent tier instead, and stay there. ``tiers``
    is the retrieval option by storage class. Every ``poll`` seconds S3 is asked how far it is.
    """

    days: int
    tiers: dict[str, Tier]
    poll: int


class Download(Action, frozen=True, tag="download"):
    """Objects to local files under ``destination`` (an absolute path).

    With ``restored`` they are archived ones, each read once a restore has made it readable.
    """

    destination: str
    restored: bool | UnsetType = UNSET


Attribute = Literal["acl", "annotations"]
"""What belongs to an object and comes neither with a listing nor with a GET."""


class Verify(Action, frozen=True, tag="verify"):
    """Compare a fresh listing, the plan and the local tree; make evidence; change nothing.

    ``root`` is the directory below ``destination`` that belongs to this bucket. With
    ``read_back`` every file is read from disk again. ``select`` limits which listed keys count;
    keys outside it belong to nobody. ``ignore`` are file names that are not counted as extra.
    With ``versions`` every version and delete marker counts.

    ``attributes`` are asked for of every object, by themselves, before a deletion.

    With ``read_back``, objects that nothing in S3 can be compared with are read a second time,
    unless ``second_read`` is False.
    """

    destination: str
    root: str
    inventory: Literal["exact", "superset"] = "exact"
    ignore: tuple[str, ...] = ()
    read_back: bool = False
    select: Select | None = None
    second_read: bool | UnsetType = UNSET
    attributes: tuple[Attribute, ...] | UnsetType = UNSET
    versions: Kept | UnsetType = UNSET


class Delete(Action, frozen=True, tag="delete"):
    """Exactly the worklist's objects, each only if still as planned and verified.

    With ``versions`` exactly the worklist's versions and delete markers, by their ids. With
    ``lost`` they are those of which there is no copy, and no evidence but the approved loss.
    """

    destination: str
    versions: Kept | UnsetType = UNSET
    lost: Literal[True] | UnsetType = UNSET


class AbortUploads(Action, frozen=True, tag="abort-uploads"):
    """Multipart uploads that nobody finished, and to which nothing was added since ``before``.

    An item's ``size`` is the bytes of its parts, ``modified`` when the last one came.
    """

    before: str


class DeleteBucket(Action, frozen=True, tag="delete-bucket"):
    """The empty bucket. Its configuration is in the catalogue by then: ``saved`` names what of it
    a rollback puts back, ``unsaved`` what it cannot.

    With ``versions`` no version and no delete marker may be left in it either.
    """

    region: str
    destination: str
    unsaved: tuple[str, ...] = ()
    saved: tuple[DocumentName, ...] | UnsetType = UNSET
    versions: Kept | UnsetType = UNSET


class CreateBucket(Action, frozen=True, tag="create-bucket"):
    """The bucket, empty, in ``region``; the catalogue in ``destination``, where there is one, notes
    it.

    ``object_lock`` can be had from the beginning only, and brings versioning with it.
    """

    region: str
    destination: str
    object_lock: bool | UnsetType = UNSET


class Upload(Action, frozen=True, tag="upload"):
    """Local files to keys that must not exist, with the attributes the catalogue keeps.

    With ``versions`` the entries of a key go on top of each other, oldest first, in a bucket that
    keeps them.
    """

    destination: str
    versions: Literal[True] | UnsetType = UNSET


class RemoveFile(Action, frozen=True, tag="remove-file"):
    """Local files that are still as the run left them and whose object is there and matches.

    With ``versions`` also files of noncurrent versions, each against any version of its key.
    """

    destination: str
    versions: Literal[True] | UnsetType = UNSET


class Copy(Action, frozen=True, tag="copy"):
    """Objects of the bucket ``source`` to new keys of the subject, within S3.

    An item's ``key`` is the source's, its ``path`` the new key, which must not exist. Content
    type, metadata and tags come along. ``storage_class`` None is each object's own. ``encryption``
    None is the subject's default, ``keep`` each object's own, else ``AES256`` or ``aws:kms`` with
    ``kms_key``. ``acl`` is a canned ACL, or ``keep`` for each object's own. ``headers`` replace
    those of the source, ``tags`` are added to its own, and so are ``tag_templates``, filled in for
    each object. ``into`` is what every new key starts with. ``grouping`` is how the new keys came
    about. With ``checksums`` sources whose ETag is no MD5 are read, so that their MD5 is known.
    With ``shared`` nothing is written: what is at the new keys, copies of equal objects, is
    compared. ``soak`` is how long the copies are watched afterwards. ``without_tags`` are names
    that the copies do not get: those that an earlier copy was given.
    """

    source: str
    into: str = ""
    storage_class: str | None = None
    encryption: str | None = None
    kms_key: str | None = None
    acl: str | None = None
    headers: dict[str, str] = {}
    tags: dict[str, str] = {}
    grouping: GroupingRules | UnsetType = UNSET
    soak: SoakTerms | UnsetType = UNSET
    tag_templates: dict[str, str] | UnsetType = UNSET
    checksums: Literal["compute"] | UnsetType = UNSET
    shared: Literal[True] | UnsetType = UNSET
    without_tags: tuple[str, ...] | UnsetType = UNSET


class VerifyCopies(Action, frozen=True, tag="verify-copies"):
    """Compare fresh listings of the bucket ``source`` and of the subject with the worklist of a
    copy step and with what its journal says of each copy; make evidence; change nothing.

    Of ``headers`` many copies, spread over all (-1 is every one), content type, metadata and tags
    are compared with the source's as well. ``copied`` is the copy step.

    With ``earlier`` the copies are those of runs that finished before (``copied`` is empty then),
    the last word on each counting. With ``content`` every copy whose ETag does not prove it is
    compared by stored checksums, or by reading both sides.
    """

    source: str
    copied: str
    headers: int = 0
    earlier: tuple[EarlierCopy, ...] | UnsetType = UNSET
    content: Literal[True] | UnsetType = UNSET


class RemoveCopy(Action, frozen=True, tag="remove-copy"):
    """Copies that are still as the run left them and whose original in the bucket ``source`` is
    there and matches; an item's ``key`` is the original's, its ``path`` the copy's. ``copied`` is
    the step of the run that made them, whose journal tells what they are recognised by.
    """

    source: str
    copied: str


class DeleteSource(Action, frozen=True, tag="delete-source"):
    """Objects whose copies earlier runs made in the bucket ``copies``, each only if it is as it was
    copied and its copy is there as it was verified. An item's ``key`` is the object's, its ``path``
    the copy's; ``earlier`` are the copy steps that made them.

    Nothing is deleted before the soak of each of these runs is over by ``terms``, its last check
    found nothing, and somebody has signed it off.
    """

    copies: str
    earlier: tuple[EarlierCopy, ...]
    terms: SoakTerms


class Reencrypt(Action, frozen=True, tag="reencrypt"):
    """Objects encrypted with the KMS key of the ARN ``kms_key`` from now on, in place; ``before``
    is the ARN of the key that they had, None where S3 had its own (SSE-S3).
    """

    kms_key: str
    before: str | None = None


class Stage(Action, frozen=True, tag="stage"):
    """The new form of each object built beside it: an item's ``path`` is its shadow key
    (:mod:`s3plan.rules.shadow`).

    With ``keeps_old`` the old form is kept under a shadow key as well, for a bucket that keeps no
    versions. Nothing is staged that could not take its place: without ``window`` an object is
    refused whose cutover no condition of the endpoint holds. ``largest_put`` is bytes.
    """

    recipe: Recipe
    keeps_old: bool
    window: bool = False
    largest_put: int = LARGEST_PUT


class VerifyStaged(Action, frozen=True, tag="verify-staged"):
    """Staged forms compared with their objects: content, headers, metadata, tags and parts; old
    forms that are kept, by content. ``staged`` is the step that made them.
    """

    staged: str
    recipe: Recipe
    keeps_old: bool


class Swap(Action, frozen=True, tag="swap"):
    """Each staged form takes its object's place by one conditional write, if the object is still
    as planned and the form as verified by the step ``verified``.

    With ``window`` also where nothing holds a writer off between the look and the write.
    ``largest_put`` is the bytes up to which the form is sent again instead of copied.
    """

    staged: str
    verified: str
    recipe: Recipe
    keeps_old: bool
    window: bool = False
    largest_put: int = LARGEST_PUT


class SwapBack(Action, frozen=True, tag="swap-back"):
    """The old form takes its place again, where the new one still stands as the run left it.

    ``swapped`` is the step of the run that put it there, ``staged`` the one that kept the old form.
    """

    swapped: str
    staged: str
    keeps_old: bool
    window: bool = False
    largest_put: int = LARGEST_PUT


Probe = Literal["list", "get", "document"]
"""What must still work after a document was written: listing the bucket, reading an object of it,
reading the document itself."""


class Configure(Action, frozen=True, tag="configure", omit_defaults=True):
    """One document of the bucket's configuration: from ``before`` to ``after``; None is absent.

    Written only over ``before``, read back, and then probed with the same credentials; where a
    probe fails ``before`` is put back at once. ``fresh`` is for a bucket that the same plan makes:
    whatever S3 gave it is replaced, and ``before`` does not count. What is ``temporary`` is for the
    deletion of the subject: ``before`` is put back as soon as that is declined or fails.
    """

    document: DocumentName
    before: Document = None
    after: Document = None
    probe: tuple[Probe, ...] = ()
    fresh: bool = False
    temporary: bool = False


class BackupFile(Action, frozen=True, tag="backup-file"):
    """The local file ``file``, if its SHA-256 is still this, to a new file in ``folder``.

    Beside it its MD5 and SHA-256 and, with ``gzip``, a compressed copy. ``name`` may hold
    ``{time}``, the time of the run as YYYYMMDD_HHMMSS. ``upload`` is ``s3://bucket/prefix``: there
    too go the copy, compressed if there is such a one, and the digests.
    """

    file: str
    sha256: str
    folder: str
    name: str
    gzip: bool = True
    upload: str | UnsetType = UNSET


class RewriteFile(Action, frozen=True, tag="rewrite-file"):
    """URLs in the local CSV file ``file`` that name the worklist's keys name their new keys.

    An item's ``key`` is the old key in the bucket ``source``, its ``path`` the new one in the
    subject. ``pattern``, ``prefix``, ``rules`` and ``default`` say of which row and type it is. The
    file is replaced as a whole, if its SHA-256 is still this, by one in which every field of other
    columns is the same byte for byte; what was there is kept in ``folder`` first.
    """

    file: str
    sha256: str
    folder: str
    name: str
    source: str
    prefix: str
    pattern: str
    rules: tuple[TypeRule, ...]
    default: str
    row: str
    columns: dict[str, str | None]
    added: tuple[str, ...] = ()
    separator: str = "|"
    delimiter: str = ","
    unresolved: Literal["block", "keep"] = "block"


class RestoreFile(Action, frozen=True, tag="restore-file"):
    """The local file ``file`` as it was before the run, if it is still as the run left it.

    ``backup`` is where it was kept; ``before`` and ``after`` are SHA-256 in hex.
    """

    file: str
    backup: str
    before: str
    after: str


class Purge(Action, frozen=True, tag="purge"):
    """Forms that a change of layout left beside its objects, removed for good: an item's ``key`` is
    a shadow key and its ``path`` the object's own; where both are the same, its ``version_id`` is
    that of an older version. All stand there since before ``before``.

    Each goes only while its object is there and no run that is not finished needs it, and after the
    command ``before_delete``, where there is one, ended well for it. With ``versions`` the bucket
    keeps versions, and items are deleted by their ids.
    """

    before: str
    before_delete: CommandRef | UnsetType = UNSET
    versions: Literal[True] | UnsetType = UNSET


class RunCommand(Action, frozen=True, tag="run-command"):
    """A command of the project file, which must end with exit code 0: a gate of the user's own.

    ``environment`` is what the kind tells it, besides what every command is told.
    """

    command: CommandRef
    environment: dict[str, str] = {}


class Replaced(Struct, frozen=True, omit_defaults=True):
    """The archive that a new one takes the place of, and its index; ``index_etag`` None is none."""

    etag: str
    size: Count
    version_id: str | None = None
    index_etag: str | None = None


class Archive(Action, frozen=True, tag="archive", omit_defaults=True):
    """The worklist's files as one tar, streamed to the object ``key``, and its index beside it.

    An item's ``key`` is the member's name below the top folder ``name``, its ``path`` that of the
    file below ``source``, ``modified`` when the file was last changed. ``tar`` is the bytes of the
    tar. Neither key may be in use, but by what it ``replaces`` in a bucket that keeps versions.
    With ``keep`` the archive is also written to that directory, under its key.
    It is begun only within ``window``, hours of the clock on the wall such as 22:00-07:00.
    """

    source: str
    key: str
    index: str
    name: str
    tar: Count
    compression: Compression = "none"
    storage_class: str = "STANDARD"
    index_class: str = "STANDARD"
    encryption: str | None = None
    kms_key: str | None = None
    tags: dict[str, str] = {}
    metadata: dict[str, str] = {}
    replaces: Replaced | None = None
    keep: str | None = None
    window: str | None = None


class PutFiles(Action, frozen=True, tag="put-files", omit_defaults=True):
    """Local files below ``source`` to objects, one by one, each as it was planned.

    An item's ``path`` is the file below ``source``, ``modified`` when it was last changed, ``etag``
    that of the object it takes the place of, in a bucket that keeps versions; empty where the key
    must be free, which every one must be unless the step ``replaces``. ``content_type`` None leaves
    it to the endpoint.
    """

    source: str
    content_type: str | None = None
    storage_class: str = "STANDARD"
    encryption: str | None = None
    kms_key: str | None = None
    tags: dict[str, str] = {}
    replaces: bool = False


class RemovePut(Action, frozen=True, tag="remove-put"):
    """Objects that ``put``, a put-files step of the run, made: each that is still as the run left
    it and whose file below ``source`` is still there, as it was.
    """

    source: str
    put: str


class RemoveArchive(Action, frozen=True, tag="remove-archive", omit_defaults=True):
    """Archives of the run that are still as it left them, with their indexes, and whose files are
    still there; an item's ``key`` is the archive's, its ``path`` the index's. Of those that were
    also written to ``keep`` the local copy goes too.
    """

    keep: str | None = None


class Extract(Action, frozen=True, tag="extract", omit_defaults=True):
    """Members of the archive ``key`` to local files under ``destination``, each read by its range.

    An item's ``key`` is the member's name, its ``path`` that of the file. ``etag`` and ``size`` are
    the archive's; where a member lies, and what it must be, says the object ``index``, if its
    ``digest`` is still this. Without an index, where ``index`` is empty, the headers of the tar say
    where; ``digest`` is theirs, and what is read twice must be the same. An archive that is
    packed as one piece unpacks to ``unpacked`` bytes, and can be read from its beginning only;
    without an index ``digest`` is over its headers and its contents.
    """

    destination: str
    key: str
    etag: str
    size: Count
    index: str
    digest: str
    unpacked: Count = 0


class RemoveExtracted(Action, frozen=True, tag="remove-extracted", omit_defaults=True):
    """Files that an extract step wrote, if they are still as it left them and the archive is there;
    items and parameters are those of the step.
    """

    destination: str
    key: str
    etag: str
    index: str
    digest: str
    unpacked: Count = 0


AnyAction = (
    Restore
    | Download
    | Verify
    | Delete
    | AbortUploads
    | DeleteBucket
    | CreateBucket
    | Upload
    | RemoveFile
    | Copy
    | VerifyCopies
    | RemoveCopy
    | DeleteSource
    | Reencrypt
    | Stage
    | VerifyStaged
    | Swap
    | SwapBack
    | BackupFile
    | RewriteFile
    | RestoreFile
    | Archive
    | RemoveArchive
    | Extract
    | RemoveExtracted
    | PutFiles
    | RemovePut
    | Tag
    | Adopt
    | VerifyReplacement
    | Configure
    | Purge
    | RunCommand
)


Verifying = Verify | VerifyCopies | VerifyReplacement
"""Verbs that end with a gate: they look at a worklist as a whole, and make evidence of it."""


class Select(Struct, frozen=True, omit_defaults=True):
    """Which keys of a bucket a step is about. Times are RFC 3339 in UTC with milliseconds.

    ``prefix`` is literal; ``keys`` are globs (any of them; ``*`` crosses ``/``, as in S3
    policies); sizes are bytes, inclusive. With ``items`` only keys of the worklist that the plan
    was made for, which are those of the step's own items.
    """

    prefix: str = ""
    keys: tuple[str, ...] = ()
    older_than: str | None = None
    newer_than: str | None = None
    min_size: int | None = None
    max_size: int | None = None
    items: bool = False


class Need(Struct, frozen=True):
    """Wait for ``step``: ``after`` is the whole step, ``each`` is the same item of it."""

    step: str
    mode: Literal["after", "each"] = "after"


class Gate(Struct, frozen=True):
    """What must be true before a step may start.

    ``approve-delete`` opens when the evidence of step ``evidence`` is complete, passes, and a
    person has approved that evidence for ``subject``. Where the evidence passes but for losses,
    these have to be approved besides, on the same evidence.

    ``approve-loss`` stands before a step whose items have no copy at all: they are losses of that
    evidence, whatever the verification finds.

    ``approve-replace`` opens when the evidence passes and, where something of what is replaced
    changes or goes, a person has approved that evidence. Its ``subject`` is ``bucket/key``.
    """

    kind: Literal["approve-delete", "approve-loss", "approve-replace"]
    subject: str
    evidence: str


class Totals(Struct, frozen=True):
    """Items and their bytes."""

    items: Count = 0
    bytes: Count = 0

    def __add__(self, other: Totals) -> Totals:
        return Totals(self.items + other.items, self.bytes + other.bytes)


class Item(Struct, frozen=True, gc=False, tag_field="type", tag="item", omit_defaults=True):
    """One object of a worklist, with the fingerprint it had when planned and its local path.

    ``n`` counts from 0 within the worklist, in UTF-8 byte order of the keys; the entries of one key
    come oldest first. ``path`` is relative to the destination and uses ``/``; of a copy it is the
    new key, as it is. It is empty where nothing is to be on disk.

    In a bucket that keeps versions ``version_id`` names the one that is meant, ``newer`` counts the
    newer entries of its key (0 is what the key holds now), and ``marker`` tells a delete marker.
    ``beneath`` counts the entries that an upload finds below what it puts back. ``upload_id`` names
    an incomplete multipart upload of the key. ``label`` is the type of an object that is regrouped,
    where its key and its size alone do not tell, and what becomes of a member of an archive that is
    replaced. ``keywords`` are what the header of a file says that goes into an archive.
    ``ambiguous`` tells a key that came twice in one listing: it fails, and nothing is done to it.
    """

    step: str
    n: Count
    key: str
    path: str
    size: Count
    etag: str
    modified: str
    storage_class: str = "STANDARD"
    checksum: str | None = None
    version_id: str | None = None
    newer: Count = 0
    marker: bool = False
    beneath: Count = 0
    upload_id: str | None = None
    label: str | None = None
    keywords: dict[str, str] = {}
    ambiguous: bool = False

    @property
    def history(self) -> str | None:
        """The version's id, unless the item is the object that its key holds now."""
        return self.version_id if self.newer or self.marker else None


class Step(Struct, frozen=True, tag_field="type", tag="step"):
    """One verb on one subject with a worklist.

    ``id`` is made from content, so it is the same in every plan that says the same. ``subject`` is
    a bucket name. ``worklist`` names the step whose items these are: itself, an earlier step, or
    None for a step without items. ``seconds`` is an estimate, None where nothing is known.
    ``meaning`` are sentences on what the step means; a step without any does not have the field.
    """

    id: str
    action: AnyAction
    subject: str
    needs: tuple[Need, ...]
    gate: Gate | None
    reversibility: Reversibility
    undo: str
    reason: str
    totals: Totals
    worklist: str | None = None
    seconds: float | None = None
    warnings: tuple[str, ...] = ()
    meaning: tuple[str, ...] | UnsetType = UNSET

    @property
    def verb(self) -> str:
        """The verb's name, as in plans and on the command line."""
        return verb_of(self.action)

    @property
    def things(self) -> int:
        """What the step works on, as far as it is counted: its items, one document, one file,
        one command.
        """
        one = isinstance(self.action, Configure | BackupFile | RestoreFile | RunCommand)
        return 1 if one else self.totals.items


VERBS = frozenset(str(action.__struct_config__.tag) for action in get_args(AnyAction))
"""The name of every verb."""


REPLACING = "replace-archive"
"""The class of an archive step that takes the place of an archive."""

APPROVAL_CLASSES = VERBS | {REPLACING}
"""What can be approved as a class: all steps of a verb, but for archives that replace others; these
are a class of their own, so that whoever lets archives be added unattended has not let them be
changed."""


def approval_class(action: Action) -> str:
    """The class that an approval of this step goes by."""
    if isinstance(action, Archive) and action.replaces is not None:
        return REPLACING
    return verb_of(action)


def verb_of(action: Action) -> str:
    """The tag under which an action is stored."""
    tag = action.__struct_config__.tag
    assert isinstance(tag, str)
    return tag
