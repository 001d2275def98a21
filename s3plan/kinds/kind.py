"""What a kind is to the rest of s3plan: what it must look at, and what follows from what it saw."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Literal, Protocol, runtime_checkable

from msgspec import Struct

from s3plan.inventory.annotations import Annotated
from s3plan.inventory.catalogue import CatalogueState
from s3plan.inventory.questions import Inquiry
from s3plan.inventory.selection import matches_any
from s3plan.inventory.tablerows import LocalTable
from s3plan.kinds.fields import Frame
from s3plan.model.archives import Unindexed
from s3plan.model.buckets import BucketFacts, Document, DocumentName
from s3plan.model.capabilities import UNPROBED, Capabilities
from s3plan.model.commands import Command
from s3plan.model.connection import Connection
from s3plan.model.plan import Target
from s3plan.model.sessions import Library
from s3plan.model.soak import EarlierRun
from s3plan.model.steps import AnyAction
from s3plan.plan import StepDraft
from s3plan.rules.layout import DEFAULT_LAYOUT, root_of
from s3plan.rules.policies.meaning import Caller
from s3plan.rules.prices import RegionPrices
from s3plan.rules.systemfiles import SYSTEM_FILES
from s3plan.tables import Database


@dataclass(frozen=True, slots=True)
class SessionFilters:
    """Which sessions a plan is narrowed to: globs of their names, and the ``years`` they are of.

    ``limit`` is how many are archived at most. With ``replace`` those that are archived already are
    archived again.
    """

    only: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    years: tuple[str, ...] = ()
    limit: int | None = None
    replace: bool = False

    def keeps(self, session: str, year: str | None) -> bool:
        """Whether a session of that name and year is planned for."""
        return (
            (not self.only or matches_any(self.only, session))
            and not matches_any(self.exclude, session)
            and (not self.years or year in self.years)
        )

    @property
    def is_narrow(self) -> bool:
        """Whether some sessions are left out by name or year."""
        return bool(self.only or self.exclude or self.years)


@dataclass(frozen=True, slots=True)
class Filters:
    """Which buckets a plan is narrowed to: globs of ``--only`` (if given) and ``--exclude``.

    ``groups`` is how many groups of objects a pilot is of; None is all of them. ``items`` are the
    buckets of the objects that a worklist names (the table ``asked``); None without a worklist.
    ``sessions`` are for kinds that know sessions.
    """

    only: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    groups: int | None = None
    items: frozenset[str] | None = None
    sessions: SessionFilters = SessionFilters()

    def keeps(self, name: str) -> bool:
        """Whether a bucket of that name is planned for."""
        return (
            (not self.only or matches_any(self.only, name))
            and not matches_any(self.exclude, name)
            and (self.items is None or name in self.items)
        )

    def of_buckets(self) -> Filters:
        """The same, whatever buckets a worklist names."""
        return replace(self, items=None)


@dataclass(frozen=True, slots=True)
class Manifest:
    """One checked document: its kind, name, model, and the place for error messages."""

    kind: str
    name: str
    document: Frame
    directory: Path
    address: str
    filters: Filters = Filters()


@dataclass(frozen=True, slots=True)
class Scope:
    """What must be looked at before a manifest can be planned.

    ``include`` and ``exclude`` are bucket names or globs. ``destination`` is the absolute path of
    the tree whose files and catalogues count, None where there is none; ``layout`` says which
    directory of it is a bucket's. Listings start with ``prefix``; without ``listing`` objects do
    not matter, and only what is known of the buckets themselves is looked at; without ``bodies``
    nobody will read the objects, and whether that is possible is not tried. With ``versions``
    buckets that keep them are listed with all versions and delete markers. With ``repeats`` a key
    that comes twice in a listing stands in ``repeated``, instead of failing it. With ``deletes`` it
    is looked at what stands in the way of that: Object Lock, and uploads that nobody finished.
    ``documents`` are the parts of the buckets' configuration that matter, None all. ``tag_sample``
    is of how many objects of each bucket the tags are read. With ``caller`` it is asked who plans.
    ``inventory`` and ``ignore`` say what else may stand in the tree, as the verify step says it.
    ``parallel`` is how many buckets may be worked on side by side, None where the kind has no say
    in that. ``files`` are absolute paths of files of the user's that are read. ``reports`` are S3
    Inventory reports, by the addresses of their manifests, in the place of listings. With
    ``earlier`` it is asked what runs of this directory copied between these buckets, with
    ``layouts`` what of changes of layout they still need. ``inquiry`` is what has to be asked of
    single objects. ``library`` is where sessions lie on disk; the indexes of their archives are
    read with it, and with ``indexes``; ``headers`` are archives without one that are looked into.
    ``keeps`` is a directory that is written besides.
    """

    include: tuple[str, ...]
    exclude: tuple[str, ...] = ()
    destination: str | None = None
    layout: str = DEFAULT_LAYOUT
    prefix: str = ""
    listing: bool = True
    bodies: bool = True
    documents: tuple[DocumentName, ...] | None = None
    tag_sample: int = 0
    caller: bool = False
    versions: bool = False
    repeats: bool = False
    deletes: bool = False
    filters: Filters = Filters()
    inventory: Literal["exact", "superset"] = "exact"
    ignore: tuple[str, ...] = SYSTEM_FILES
    parallel: int | None = None
    shared: bool = False
    files: tuple[str, ...] = ()
    reports: tuple[str, ...] = ()
    keeps: str | None = None
    earlier: bool = False
    layouts: bool = False
    inquiry: Inquiry | None = None
    library: Library | None = None
    indexes: bool = False
    headers: Unindexed | None = None

    @property
    def literals(self) -> tuple[str, ...]:
        """The buckets that are named as such and not excluded: each of them must exist."""
        return tuple(name for name in self.include if not _is_glob(name) and self._means(name))

    @property
    def has_globs(self) -> bool:
        """Whether the endpoint's buckets must be listed to know which are meant."""
        return any(map(_is_glob, self.include))

    def buckets(self, names: Iterable[str]) -> tuple[str, ...]:
        """Those of ``names`` that are meant, in byte order."""
        return tuple(sorted({name for name in names if self._means(name)}))

    def root(self, bucket: str) -> str:
        """The directory of ``bucket`` below the destination; empty where it is all of it."""
        return root_of(self.layout, bucket)

    def _means(self, name: str) -> bool:
        return (
            matches_any(self.include, name)
            and not matches_any(self.exclude, name)
            and self.filters.keeps(name)
        )


@dataclass(frozen=True, slots=True)
class Observed:
    """What was seen, besides the tables ``listing``, ``tree`` and ``catalogue`` in ``database``.

    ``facts`` holds every bucket in scope that exists. ``catalogues`` holds, by destination and then
    by bucket, every catalogue that is in a destination in scope. ``sealed`` holds, by bucket, keys
    of a sample that only a customer's key opens (SSE-C), and ``annotated`` what the sample shows of
    annotations. ``prices`` are None where nobody knows them. ``hidden_uploads`` are buckets whose
    incomplete uploads cannot be listed. ``tags`` holds, by bucket and key, those of a sample; a
    bucket whose tags may not be read is not in it. ``caller`` is None where nobody asked or the
    endpoint does not tell. ``capabilities``: what the endpoint was last seen to do. Planners add
    sentences that a person should read to ``notes``. ``commands`` are those of the project
    file, each that a manifest names among them. ``files`` holds the files of the scopes, by path.
    ``earlier`` are the runs whose copies are in the table ``copied``, oldest first.
    """

    database: Database
    target: Target
    connection: Connection
    facts: Mapping[str, BucketFacts]
    catalogues: Mapping[str, Mapping[str, CatalogueState]]
    now: datetime
    sealed: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    annotated: Mapping[str, Annotated] = field(default_factory=dict)
    prices: RegionPrices | None = None
    tags: Mapping[str, Mapping[str, Mapping[str, str]]] = field(default_factory=dict)
    caller: Caller | None = None
    capabilities: Capabilities = UNPROBED
    notes: list[str] = field(default_factory=list)
    files: Mapping[str, LocalTable] = field(default_factory=dict)
    hidden_uploads: frozenset[str] = frozenset()
    commands: Mapping[str, Command] = field(default_factory=dict)
    earlier: tuple[EarlierRun, ...] = ()


def _is_glob(text: str) -> bool:
    return "*" in text or "?" in text


class Kind(Protocol):
    """A kind of manifest: a folder of ``s3plan.kinds`` that offers this as ``KIND``."""

    @property
    def document(self) -> type[Frame]:
        """The pydantic model of a whole document."""

    def connection(self, manifest: Manifest) -> str | None:
        """The name of the connection that the manifest asks for."""

    def scope(self, manifest: Manifest) -> Scope:
        """What must be looked at."""

    def uses(self, manifest: Manifest) -> Iterable[tuple[str, AnyAction]]:
        """Buckets, or globs of buckets, and what steps may do to each: for ``s3plan iam``.

        What planning looks at follows from the scope, what a rollback does from the actions.
        """

    def plan(self, manifest: Manifest, observed: Observed) -> list[StepDraft]:
        """The difference as steps, their worklists in ``items``; none when nothing differs.

        Raises ProblemsError with everything that cannot be planned for.
        """


@runtime_checkable
class TakesItems(Protocol):
    """A kind whose plans can be narrowed to the objects of a worklist.

    Where ``manifest.filters.items`` is not None it plans for those keys alone that the table
    ``asked`` holds of a bucket.
    """

    def has_items(self, manifest: Manifest, buckets: Collection[str]) -> bool:
        """Whether it does anything for objects of one of these buckets."""


class Rendered(Struct, frozen=True):
    """A document that a bucket shall have, under the name of the file that may hold it."""

    bucket: str
    name: str
    document: Document


@runtime_checkable
class Renders(Protocol):
    """A kind whose manifests mean whole documents: ``s3plan render`` writes them."""

    def render(self, manifest: Manifest, observed: Observed) -> Iterable[Rendered]:
        """Every document as the bucket shall have it, whether it has it already or not.

        Raises ProblemsError with everything that cannot be rendered.
        """
