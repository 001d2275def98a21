"""The tables s3plan fills, as values: names, columns and what a row of each means.

All times are RFC 3339 text in UTC with milliseconds, so that text order is time order. Sizes are
bytes. Text compares by its UTF-8 bytes, which is the order in which S3 lists keys.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

ColumnType = Literal["VARCHAR", "BIGINT", "BOOLEAN"]


class Column(Struct, frozen=True):
    """One column. ``type`` is DuckDB's name; every column may be NULL."""

    name: str
    type: ColumnType = "VARCHAR"


class TableDef(Struct, frozen=True):
    """A table by name and columns, in order."""

    name: str
    columns: tuple[Column, ...]

    def ddl(self) -> str:
        """The statement that creates it; made of this module's constants only."""
        columns = ", ".join(f'"{column.name}" {column.type}' for column in self.columns)
        return f'CREATE TABLE "{self.name}" ({columns})'


LISTING = TableDef(
    "listing",
    (
        Column("bucket"),
        Column("key"),
        Column("size", "BIGINT"),
        Column("etag"),
        Column("modified"),
        Column("storage_class"),
        Column("checksum"),
        Column("version_id"),
        Column("newer", "BIGINT"),
        Column("marker", "BOOLEAN"),
        Column("history"),
    ),
)
"""One row per object that a bucket holds now, as its listing says.

Where versions were listed, one row per version and delete marker; the last four columns are NULL
elsewhere. ``newer`` counts the newer entries of the key. ``history`` is the id of a version or
marker that is not the object which the key holds now, else NULL: (key, history) names a row.
"""

REPEATED = TableDef("repeated", (Column("bucket"), Column("key")))
"""Keys that came more than once in their listing, where a planner leaves those alone; ``listing``
has the first entry of each."""

SHADOWS = TableDef("shadows", LISTING.columns)
"""As ``listing``, of what a migration of objects keeps beside them (:mod:`s3plan.rules.shadow`):
readers do not see it, so that no listing counts it."""

UPLOADS = TableDef(
    "uploads",
    (
        Column("bucket"),
        Column("key"),
        Column("upload_id"),
        Column("initiated"),
        Column("latest"),
        Column("size", "BIGINT"),
    ),
)
"""One row per incomplete multipart upload: when it was begun, when its last part came and the bytes
of all; these two are NULL where the caller may not ask."""

LOCKS = TableDef("locks", (Column("bucket"), Column("key"), Column("version_id"), Column("lock")))
"""One row per version that Object Lock keeps from being deleted, and how, in words."""

ARCHIVE_TIERS = TableDef(
    "archive_tiers", (Column("bucket"), Column("key"), Column("history"), Column("tier"))
)
"""Objects of INTELLIGENT_TIERING, and older versions by their ids, that lie in an archive tier:
``ARCHIVE_ACCESS`` or ``DEEP_ARCHIVE_ACCESS``. A listing does not show it; a HEAD of each did."""

HEADS = TableDef(
    "heads",
    (
        Column("bucket"),
        Column("key"),
        Column("content_type"),
        Column("checksums"),
        Column("encryption"),
    ),
)
"""What HEAD told of single objects, where a planner asked (inventory/questions.py). ``checksums``
is JSON: what S3 stored of the whole object, by algorithm. What there is none of is empty."""

OBJECT_TAGS = TableDef("object_tags", (Column("bucket"), Column("key"), Column("tags")))
"""The tags of single objects as JSON, where a planner asked."""

DIGESTS = TableDef("digests", (Column("bucket"), Column("key"), Column("sha256")))
"""The SHA-256 of single objects in hex, where a planner asked and there is one."""
FORMS = TableDef("forms", (Column("bucket"), Column("key"), Column("asked")))
"""All that single objects answered about themselves, where a planner asked: JSON of a
:class:`s3plan.inventory.forms.Asked`."""

TREE = TableDef(
    "tree",
    (
        Column("destination"),
        Column("path"),
        Column("size", "BIGINT"),
        Column("mtime_ns", "BIGINT"),
        Column("inode", "BIGINT"),
        Column("device", "BIGINT"),
    ),
)
"""One row per local file. ``size`` is -1 for what is no regular file (a link, a socket);
a ``path`` that ends in ``/`` is a directory without files."""

FRAMES = TableDef(
    "frames",
    (
        Column("destination"),
        Column("path"),
        Column("session"),
        Column("night"),
        Column("unknown"),
        Column("keywords"),
        Column("broken"),
    ),
)
"""One row per FITS file that was read: the id of its session by night and rig and its night as
YYYY-MM-DD, or why nobody can tell them (``unknown``); ``keywords`` is the JSON of those that an
index keeps; ``broken`` says what is wrong with the file, NULL where nothing is."""

SESSION_FILES = TableDef(
    "session_files",
    (
        Column("destination"),
        Column("path"),
        Column("size", "BIGINT"),
        Column("modified"),
        Column("session"),
        Column("parts"),
        Column("member"),
        Column("unknown"),
        Column("sha256"),
    ),
)
"""One row per file of a library: the session that it is of, or why it is of none (``unknown``).

``parts`` is a JSON object of what else keys are made of (the year, what its directories are
called), the same for all files of a session. ``member`` is its name in the session's archive.
``sha256`` is NULL unless an archive holds a file of that name and size that was changed at another
time.
"""

SESSIONS = TableDef(
    "sessions",
    (Column("destination"), Column("session"), Column("parts"), Column("key"), Column("place")),
)
"""Every session of a library: the key that its archive has or shall have, and ``place``, by which
sessions are in order of age."""

LISTED = TableDef(
    "listed", (Column("destination"), Column("path"), Column("session"), Column("parts"))
)
"""Files that a list names, and of which session they are."""

ARCHIVES = TableDef(
    "archives",
    (
        Column("bucket"),
        Column("key"),
        Column("name"),
        Column("etag"),
        Column("size", "BIGINT"),
        Column("tar", "BIGINT"),
        Column("made"),
        Column("compression"),
        Column("content"),
        Column("digest"),
        Column("problem"),
        Column("unindexed", "BOOLEAN"),
        Column("asleep", "BOOLEAN"),
        Column("others", "BIGINT"),
        Column("frames", "BIGINT"),
    ),
)
"""One row per index of an archive: of which object it is, and what it says of it. ``problem`` says
why it cannot be read, and then the rest is NULL.

And one per ``unindexed`` archive whose headers were read, where that was asked for: ``digest`` is
of them, ``others`` counts entries that are neither files nor directories; ``asleep`` is one that
cannot be read before it is restored. ``frames`` counts the pieces that unpack by themselves; what
is compressed and has none is packed as one."""

MEMBERS = TableDef(
    "members",
    (
        Column("bucket"),
        Column("archive"),
        Column("name"),
        Column("size", "BIGINT"),
        Column("modified"),
        Column("sha256"),
        Column("keywords"),
        Column("path"),
        Column("folded"),
    ),
)
"""One row per member that an index tells of; ``archive`` is the key of the archive, ``keywords`` a
JSON object. ``path`` is where its file goes in a destination; two paths that are ``folded`` to the
same may be one file."""

PRESENT = TableDef("present", (Column("destination"), Column("path"), Column("sha256")))
"""Files of a destination that may be members of archives, and were read: of the size of one, and
changed at another time."""

CATALOGUE = TableDef(
    "catalogue",
    (
        Column("seq", "BIGINT"),
        Column("destination"),
        Column("bucket"),
        Column("key"),
        Column("path"),
        Column("size", "BIGINT"),
        Column("etag"),
        Column("modified"),
        Column("algorithm"),
        Column("value"),
        Column("parts"),
        Column("verdict"),
        Column("rung"),
        Column("device", "BIGINT"),
        Column("inode", "BIGINT"),
        Column("mtime_ns", "BIGINT"),
        Column("run"),
        Column("adopted", "BOOLEAN"),
        Column("tags_known", "BOOLEAN"),
        Column("attributes"),
        Column("tags"),
        Column("grants"),
        Column("missing_metadata", "BIGINT"),
        Column("checksums"),
        Column("history"),
    ),
)
"""One row per key that the destination's catalogue says is on disk: the last word on each.

Noncurrent versions have rows of their own, with their id as ``history``; so have delete markers,
whose ``path`` is NULL.

``attributes`` is the JSON of an ObjectAttributes; ``tags``, where not NULL, is the JSON of the tags
that take the place of those in it; so is ``grants`` of its ACL. ``missing_metadata`` counts entries
that S3 could not send. ``checksums`` is the JSON of what S3 stored of the content.
"""

CATALOGUE_NOTES = TableDef(
    "catalogue_notes",
    (
        Column("seq", "BIGINT"),
        Column("record"),
        Column("key"),
        Column("history"),
        Column("tags"),
        Column("value"),
        Column("verdict"),
        Column("rung"),
    ),
)
"""The catalogue's records about earlier rows (``record`` is tags, verdict or removed) while a
catalogue is read; then empty."""

ITEMS = TableDef(
    "items",
    (
        Column("step"),
        Column("n", "BIGINT"),
        Column("key"),
        Column("path"),
        Column("size", "BIGINT"),
        Column("etag"),
        Column("modified"),
        Column("storage_class"),
        Column("checksum"),
        Column("version_id"),
        Column("newer", "BIGINT"),
        Column("marker", "BOOLEAN"),
        Column("beneath", "BIGINT"),
        Column("upload_id"),
        Column("history"),
        Column("label"),
        Column("keywords"),
        Column("ambiguous", "BOOLEAN"),
    ),
)
"""Worklists: one row per item of a step, ``n`` counting from 0 in the order of the keys.

What versions are about is NULL where none is meant; ``history`` is as in ``listing``. ``keywords``
is a JSON object of texts as msgspec writes it, NULL where there are none. ``ambiguous`` is NULL
where nobody asked.
"""

ASKED = TableDef(
    "asked",
    (
        Column("n", "BIGINT"),
        Column("bucket"),
        Column("key"),
        Column("reason"),
        Column("fields"),
    ),
)
"""The objects that a plan is asked to be for, in the order given; none where it is for all.

``reason`` says why an entry is not planned for, NULL while it is; ``fields`` is JSON, or NULL."""

EVIDENCE = TableDef(
    "evidence",
    (
        Column("n", "BIGINT"),
        Column("verdict"),
        Column("algorithm"),
        Column("value"),
        Column("parts"),
        Column("device", "BIGINT"),
        Column("inode", "BIGINT"),
        Column("size", "BIGINT"),
        Column("mtime_ns", "BIGINT"),
    ),
)
"""What a verification found of item ``n`` of a worklist: the digest and stat of its local copy."""

COPIES = TableDef(
    "copies",
    (
        Column("n", "BIGINT"),
        Column("etag"),
        Column("modified"),
        Column("algorithm"),
        Column("value"),
    ),
)
"""What a journal says of the copy of item ``n`` of a worklist: its ETag, and by which checksum it
was compared (NULL where the ETag is an MD5 that proves it)."""

COPIED = TableDef(
    "copied",
    (
        Column("run"),
        Column("step"),
        Column("n", "BIGINT"),
        Column("source"),
        Column("target"),
        Column("key"),
        Column("path"),
        Column("size", "BIGINT"),
        Column("etag"),
        Column("modified"),
        Column("storage_class"),
        Column("copy_etag"),
        Column("row_id"),
        Column("type"),
    ),
)
"""One row per copy that earlier runs proved, and that was not taken back: the object of the bucket
``source`` as it was then, and the new key ``path`` in ``target`` with the ETag of the copy."""

LAYOUT_NEEDED = TableDef("layout_needed", (Column("bucket"), Column("key"), Column("run")))
"""Shadow keys that a run needs which is not finished, or is being taken back."""

SWAPPED_VERSIONS = TableDef(
    "swapped_versions", (Column("bucket"), Column("key"), Column("version_id"))
)
"""Versions that finished runs swapped for another form; only buckets that keep versions."""

TABLES = (
    LISTING,
    REPEATED,
    SHADOWS,
    UPLOADS,
    LOCKS,
    ARCHIVE_TIERS,
    HEADS,
    OBJECT_TAGS,
    DIGESTS,
    FORMS,
    TREE,
    FRAMES,
    SESSION_FILES,
    SESSIONS,
    LISTED,
    ARCHIVES,
    MEMBERS,
    PRESENT,
    CATALOGUE,
    CATALOGUE_NOTES,
    ITEMS,
    ASKED,
    LAYOUT_NEEDED,
    SWAPPED_VERSIONS,
    EVIDENCE,
    COPIES,
    COPIED,
)
"""Every table a new database has."""
