"""Which files of a library are which session: what a manifest says, for those who look."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

SessionsBy = Literal["directory", "header", "list"]
"""How files are told apart: by their directories, by what their FITS headers say, or by a list."""

INDEX_SUFFIX = ".index.jsonl"
"""What the key of an archive's index has more than the archive's own."""


class Library(Struct, frozen=True):
    """The directory ``path`` (absolute) and how its files are sessions.

    ``pattern`` is a regular expression of paths with a group for each of ``names`` and one for the
    rest; ``zone`` and ``keys`` are for headers; ``listed`` is the absolute path of the list.
    ``ignore`` are globs of names that count for nothing, of files and of directories with all
    that is in them.
    """

    path: str
    by: SessionsBy
    pattern: str = ""
    names: tuple[str, ...] = ()
    zone: str = "site"
    keys: tuple[str, ...] = ()
    listed: str | None = None
    ignore: tuple[str, ...] = ()


SessionState = Literal[
    "new", "same", "changed", "adopted", "other", "unindexed", "waiting", "retained"
]
"""``new``: there is no archive; ``waiting``: nor shall there be one yet, a file of it is too young;
``same``: the archive holds these very files; ``changed``: it holds others; ``retained``: its files
are gone from disk; ``adopted``: it has no index, so that nobody knows what it holds; ``other``: its
index is of another object; ``unindexed``: there is an index and no archive."""


class SeenSession(Struct, frozen=True):
    """A session as it is on disk and in a bucket. Times are RFC 3339, ``date`` is YYYY-MM-DD.

    ``files`` and ``bytes`` are those on disk, of a retained session those in its archive. ``size``
    and ``storage_class`` are the archive's, ``expected_class`` is what its age and the lifecycle
    policy make of it, ``transition`` the day of its next move. ``restore`` says how far a restore
    is: None where there is none, or nobody asked.
    """

    bucket: str
    session: str
    key: str
    year: str | None
    date: str | None
    camera: str | None
    telescope: str | None
    files: int
    bytes: int
    state: SessionState
    size: int | None = None
    storage_class: str | None = None
    expected_class: str | None = None
    transition: str | None = None
    archived: str | None = None
    restore: str | None = None

    @property
    def is_archived(self) -> bool:
        """Whether the bucket holds an archive of it, whatever is in it."""
        return self.size is not None
