"""Manifest files into checked manifests and the one connection they are for, or every problem."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from msgspec import structs
from pydantic import ValidationError

from s3plan.errors import ManifestError, ProblemsError, UsageError
from s3plan.kinds.connection import ConnectionDocument
from s3plan.kinds.documents import MOST_PROBLEMS, read_source
from s3plan.kinds.fields import API_VERSION, DocumentFrame, Frame
from s3plan.kinds.kind import Filters, Manifest, TakesItems
from s3plan.kinds.places import Document
from s3plan.kinds.problems import nearest, problems_of
from s3plan.kinds.registry import FOLDERS, kind_named
from s3plan.kinds.variables import Variables
from s3plan.model.connection import Connection
from s3plan.model.limits import Limits
from s3plan.model.plan import ManifestRef


@dataclass(frozen=True, slots=True)
class Loaded:
    """Everything the files say. ``connection`` is the one that all manifests are for."""

    manifests: tuple[Manifest, ...]
    connections: tuple[Connection, ...]
    connection: Connection
    refs: tuple[ManifestRef, ...]

    @property
    def limits(self) -> tuple[Limits, ...]:
        """What the manifests say that a plan may do at most."""
        return tuple(
            manifest.document.limits.limits(f"{manifest.kind} {manifest.name}")
            for manifest in self.manifests
            if manifest.document.limits is not None
        )

    @property
    def status_every(self) -> float | None:
        """Seconds between notes of how a run stands: the shortest that a manifest asks for."""
        asked = (manifest.document.status_every for manifest in self.manifests)
        return min((seconds for seconds in asked if seconds is not None), default=None)

    @property
    def notify(self) -> tuple[str, ...]:
        """The commands that the manifests want to be told how a run ended, each once."""
        named = (manifest.document.notify for manifest in self.manifests)
        return tuple(dict.fromkeys(name for name in named if name is not None))

    def narrowed(self, filters: Filters) -> Loaded:
        """The same, planned for less."""
        return self._filtered(self.manifests, filters)

    def for_items(self, buckets: frozenset[str]) -> Loaded:
        """The same, planned for objects of these buckets that a worklist names.

        Manifests that do nothing for any of them are left out. Raises UsageError for one whose
        plans cannot be narrowed so.
        """
        filters = replace(self.manifests[0].filters, items=buckets)
        kept = []
        for manifest in self.manifests:
            kind = kind_named(manifest.kind)
            if not isinstance(kind, TakesItems):
                raise UsageError(
                    f"{manifest.kind} {manifest.name} is not about single objects",
                    address=manifest.address,
                    next_step="plan it by itself, without a worklist",
                )
            if kind.has_items(manifest, buckets):
                kept.append(manifest)
        return self._filtered(tuple(kept), filters)

    def with_objects(self, objects: int) -> Loaded:
        """The same, with so many objects worked on at once, whatever the connection says."""
        limits = structs.replace(self.connection.limits, objects=objects)
        return replace(self, connection=structs.replace(self.connection, limits=limits))

    def _filtered(self, manifests: tuple[Manifest, ...], filters: Filters) -> Loaded:
        filtered = tuple(replace(manifest, filters=filters) for manifest in manifests)
        return replace(self, manifests=filtered)


def load(
    paths: Sequence[Path], *, variables: Mapping[str, str], environ: Mapping[str, str]
) -> Loaded:
    """Read and check every document of every file.

    ``variables`` (of ``--var`` and ``--var-file``) come before ``environ``. Raises ProblemsError
    with all that is wrong, in the order of the files.
    """
    loader = _Loader(Variables(variables, environ))
    for path in paths:
        loader.file(path)
    connection = loader.chosen_connection()
    if not loader.manifests and not loader.problems:
        loader.problems.append(
            ManifestError(
                "there is nothing to plan",
                address=", ".join(map(str, paths)),
                expected="a document of kind " + " or ".join(FOLDERS),
                next_step="write one with s3plan init",
            )
        )
    if loader.problems:
        raise ProblemsError("the manifest is not right", loader.problems)
    return Loaded(
        tuple(loader.manifests),
        tuple(loader.connections.values()),
        connection,
        tuple(loader.refs),
    )


def load_connection(path: Path, *, environ: Mapping[str, str]) -> Connection:
    """The one connection of a file. Raises ProblemsError."""
    loader = _Loader(Variables({}, environ))
    loader.file(path)
    if not loader.problems and len(loader.connections) != 1:
        loader.problems.append(
            ManifestError(
                "the file must hold one connection",
                address=str(path),
                expected="one document of kind Connection",
                found=f"{len(loader.connections)}",
                next_step="write it as `s3plan init` does",
            )
        )
    if loader.problems:
        raise ProblemsError("the connection is not right", loader.problems)
    return next(iter(loader.connections.values()))


class _Loader:
    def __init__(self, variables: Variables) -> None:
        self.problems: list[ManifestError] = []
        self.manifests: list[Manifest] = []
        self.connections: dict[str, Connection] = {}
        self.refs: list[ManifestRef] = []
        self._variables = variables
        self._seen: dict[tuple[str, str], str] = {}

    def file(self, path: Path) -> None:
        source = read_source(path, self._variables)
        self.problems += source.problems
        for document in source.documents:
            # A file of nothing but mistakes: those that are known are enough.
            if len(self.problems) >= MOST_PROBLEMS:
                break
            self._document(document, path, source.sha256)

    def _document(self, document: Document, path: Path, sha256: str) -> None:
        kind = self._kind(document)
        if kind is None:
            return
        model: type[DocumentFrame] = (
            ConnectionDocument if kind == "Connection" else kind_named(kind).document
        )
        try:
            checked = model.model_validate(document.value, by_alias=True, by_name=False)
        except ValidationError as error:
            self.problems += problems_of(error, document, model)
            return
        directory = path.absolute().parent
        name = checked.metadata.name
        address = str(document.place)
        first = self._seen.setdefault((kind, name), address)
        if first != address:
            self.problems.append(
                ManifestError(
                    f"there are two documents {kind} {name}",
                    address=address,
                    found=f"the first at {first}",
                    next_step="give one of them another metadata.name",
                )
            )
            return
        self.refs.append(ManifestRef(str(path), kind, name, sha256))
        if isinstance(checked, ConnectionDocument):
            self.connections[name] = checked.connection(directory)
        else:
            assert isinstance(checked, Frame)
            self.manifests.append(Manifest(kind, name, checked, directory, address))

    def _kind(self, document: Document) -> str | None:
        """The kind of a document; None after saying why it has none."""
        value = document.value
        known = [*FOLDERS, "Connection"]
        if not isinstance(value, dict):
            self.problems.append(
                ManifestError(
                    "a document is a mapping",
                    address=str(document.place),
                    expected="apiVersion, kind, metadata, spec",
                    next_step="write one with s3plan init",
                )
            )
            return None
        if value.get("apiVersion") != API_VERSION:
            self.problems.append(
                ManifestError(
                    "the document is not for this s3plan"
                    if "apiVersion" in value
                    else "the field apiVersion is missing",
                    address=str(document.place_of(("apiVersion",))),
                    expected=f"apiVersion: {API_VERSION}",
                    found=document.written.get(("apiVersion",)),
                    next_step=f"write apiVersion: {API_VERSION}",
                )
            )
            return None
        kind = value.get("kind")
        if isinstance(kind, str) and kind in known:
            return kind
        self.problems.append(
            ManifestError(
                "there is no such kind" if "kind" in value else "the field kind is missing",
                address=str(document.place_of(("kind",))),
                expected="one of " + ", ".join(known),
                found=document.written.get(("kind",)),
                next_step=nearest(str(kind), known) if "kind" in value else "add kind: ...",
            )
        )
        return None

    def chosen_connection(self) -> Connection:
        """The connection of all manifests; says what keeps them from having one."""
        chosen: dict[str, str] = {}
        for manifest in self.manifests:
            name = self._connection_name(manifest)
            if name is not None:
                chosen.setdefault(name, manifest.name)
        if len(chosen) > 1:
            self.problems.append(
                ManifestError(
                    "a plan is for one connection",
                    address=self.manifests[0].address,
                    found=", ".join(f"{who} wants {name}" for name, who in chosen.items()),
                    next_step="plan them one after the other",
                )
            )
        for name in chosen:
            if name in self.connections:
                return self.connections[name]
        return Connection()

    def _connection_name(self, manifest: Manifest) -> str | None:
        asked = kind_named(manifest.kind).connection(manifest)
        if asked in self.connections or (asked is None and not self.connections):
            return asked or "default"
        if asked is None and len(self.connections) == 1:
            return next(iter(self.connections))
        if asked is None and "default" in self.connections:
            return "default"
        known = list(self.connections)
        self.problems.append(
            ManifestError(
                f"there is no Connection {asked}"
                if asked
                else "it is not clear which Connection is meant",
                address=manifest.address,
                expected="one of " + ", ".join(known) if known else "a document of kind Connection",
                next_step=nearest(asked, known)
                if asked and known
                else "set spec.connection, or name one of them default"
                if known
                else "add the file that holds it to the command line",
            )
        )
        return None
