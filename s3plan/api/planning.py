"""Manifests checked, planned, resolved and rendered."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import UNSET, Struct

from s3plan import __version__
from s3plan.api.fitting import check_fits
from s3plan.api.looking import globs_of, listed_totals, looked_at, surveyed
from s3plan.api.places import Observer, ignore, price_list, project_file, state_home
from s3plan.engine.beforehand import unfinished_runs
from s3plan.engine.runs import timestamp
from s3plan.errors import DestinationError, ProblemsError, UsageError
from s3plan.inventory.worklist import Worklist
from s3plan.localfs.marker import KnownDestinations
from s3plan.model.commands import Command
from s3plan.model.grouping import ResolvedKey
from s3plan.model.plan import PLAN_FORMAT, ManifestRef, PlanHeader
from s3plan.model.runners import ALL_HERE, RunnerChoice
from s3plan.plan.limits import broken_limits
from s3plan.plan.parting import PARTED_FROM
from s3plan.plan.reading import PlanFile
from s3plan.rules.prices import PriceList

if TYPE_CHECKING:
    from s3plan import kinds


class PlanResult(Struct, frozen=True):
    """What planning came to. ``plan`` is None where nothing differs: No changes.

    ``notes`` are sentences a person should read. ``unfinished`` is the id of a run here that was
    begun and not finished; applying the new plan closes it.
    """

    plan: PlanFile | None
    path: Path | None
    notes: tuple[str, ...] = ()
    unfinished: str | None = None


def validate(
    manifests: Sequence[Path], *, variables: Mapping[str, str] | None = None
) -> tuple[ManifestRef, ...]:
    """Check manifest files without looking at S3; the documents they hold.

    Raises ProblemsError with every problem of every file.
    """
    from s3plan import kinds

    loaded = kinds.load(manifests, variables=variables or {}, environ=os.environ)
    missing = list(kinds.missing_commands(loaded.manifests, project_file().commands))
    if missing:
        raise ProblemsError("the manifest is not right", missing)
    return loaded.refs


def plan(
    manifests: Sequence[Path],
    *,
    out: Path = Path("plan.json"),
    variables: Mapping[str, str] | None = None,
    only: Sequence[str] = (),
    exclude: Sequence[str] = (),
    limit_groups: int | None = None,
    years: Sequence[str] = (),
    limit: int | None = None,
    replace_archives: bool = False,
    worklist: Worklist | None = None,
    objects: int | None = None,
    prices: Path | None = None,
    observer: Observer = ignore,
) -> PlanResult:
    """Look at S3 and at the destinations, and write the difference to ``out``. Only reads.

    ``only`` and ``exclude`` are ``bucket=GLOB`` or ``session=GLOB``. ``limit_groups`` is how many
    groups of an ObjectGrouping a pilot is of. Of a SessionArchive ``years`` are those of the
    sessions that are meant, ``limit`` is how many are archived at most, and with
    ``replace_archives`` those that are archived already are archived again. ``worklist`` names the
    objects that the plan is for; what becomes of each is told in the notes and in the plan.
    ``objects`` takes the place of limits.objects. ``prices`` is a price list of the user's. Where
    nothing differs no file is written, and an earlier plan at ``out`` stays. Raises ProblemsError
    with everything that cannot be planned for.
    """
    from s3plan import kinds

    loaded = kinds.load(manifests, variables=variables or {}, environ=os.environ)
    kept, left = (globs_of(globs, ("bucket", "session")) for globs in (only, exclude))
    sessions = kinds.SessionFilters(
        kept["session"], left["session"], tuple(years), limit, replace_archives
    )
    loaded = loaded.narrowed(
        kinds.Filters(kept["bucket"], left["bucket"], limit_groups, sessions=sessions)
    )
    if sessions != kinds.SessionFilters() and all(
        m.kind not in ("SessionArchive", "ArchiveRestore") for m in loaded.manifests
    ):
        raise UsageError(
            "there are no sessions to choose from",
            expected="a document of kind SessionArchive or ArchiveRestore",
            found=", ".join(m.kind for m in loaded.manifests),
            next_step="leave --limit, --year, --replace and session= out",
        )
    if limit_groups is not None and all(m.kind != "ObjectGrouping" for m in loaded.manifests):
        raise UsageError(
            "there are no groups to limit",
            expected="a document of kind ObjectGrouping",
            found=", ".join(m.kind for m in loaded.manifests),
            next_step="leave --limit-groups out",
        )
    if objects is not None:
        loaded = loaded.with_objects(objects)
    if worklist is not None:
        loaded = loaded.for_items(worklist.buckets())
    known = KnownDestinations(state_home() / "destinations")
    for scope in kinds.scopes(loaded):
        if scope.destination is not None:
            known.check(Path(scope.destination))
    found = next(unfinished_runs(Path()), None)
    project = project_file()
    made, notes = asyncio.run(
        _plan(
            loaded,
            out,
            observer,
            price_list(prices or project.prices),
            project.commands,
            worklist,
            project.runners,
            parted_from=project.worklist_files_from,
        )
    )
    broken = broken_limits(made, project.limits) if made is not None else []
    if broken:
        raise ProblemsError(
            "the plan goes beyond its limits",
            broken,
            next_step=f"s3plan show {out}: it was written to be looked at, and cannot be applied",
        )
    return PlanResult(made, out if made else None, notes, found.id if found else None)


def resolve(
    manifest: Path, *, variables: Mapping[str, str] | None = None, observer: Observer = ignore
) -> Iterator[ResolvedKey]:
    """Which key an ObjectGrouping gives each object, in the order of the keys. Only reads.

    Raises ProblemsError for a manifest that is not right, UsageError where it holds no grouping.
    """
    from s3plan import kinds
    from s3plan.kinds.grouping import resolving

    loaded = kinds.load([manifest], variables=variables or {}, environ=os.environ)
    grouping = resolving.only_grouping(loaded.manifests, str(manifest))
    with surveyed(loaded, observer) as database:
        yield from resolving.preview(grouping, database)


def resolve_upload(
    manifest: Path,
    row: str,
    file: str,
    *,
    parts: Mapping[str, str] | None = None,
    content_type: str | None = None,
    variables: Mapping[str, str] | None = None,
) -> ResolvedKey:
    """The key that a new file of a row must be uploaded to.

    Parts of the key that are not among ``parts`` are those of the group that has this row in the
    bucket; where none is missing S3 is not asked. Raises UsageError where no group or several have
    the row, or where the type depends on a ``content_type`` and there is none; ProblemsError for a
    manifest that is not right.
    """
    from s3plan import kinds
    from s3plan.kinds.grouping import resolving

    loaded = kinds.load([manifest], variables=variables or {}, environ=os.environ)
    grouping = resolving.only_grouping(loaded.manifests, str(manifest))
    known = {resolving.ROW: row, **(parts or {})}
    if resolving.missing_parts(grouping, known):
        with surveyed(loaded, ignore) as database:
            known = resolving.row_parts(grouping, database, row) | known
    return resolving.upload_key(grouping, known, file, content_type)


def render(
    manifests: Sequence[Path],
    *,
    out: Path,
    replace: bool = False,
    variables: Mapping[str, str] | None = None,
) -> tuple[Path, ...]:
    """Write the documents that the manifests mean to files in ``out``; their paths.

    Looks at S3, since what others put there is kept. Raises ProblemsError for what cannot be
    rendered, and without ``replace`` for files that say something else by now; DestinationError
    where a file cannot be written.
    """
    from s3plan import kinds
    from s3plan.rules.policies.document import policy_text

    loaded = kinds.load(manifests, variables=variables or {}, environ=os.environ)
    texts = {out / one.name: policy_text(one.document) for one in asyncio.run(_render(loaded))}
    others = [path for path, text in texts.items() if not _says(path, text)]
    if others and not replace:
        raise ProblemsError(
            "files that are there say something else",
            [
                DestinationError(
                    "the file says something else than the manifest",
                    address=str(path),
                    next_step="compare them; --replace writes over it, --out chooses another place",
                )
                for path in others
            ],
        )
    for path, text in texts.items():
        try:
            out.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        except OSError as error:
            raise DestinationError(
                "the file cannot be written",
                address=str(path),
                found=error.strerror,
                next_step="choose another place with --out",
            ) from error
    return tuple(texts)


def _says(path: Path, text: str) -> bool:
    """Whether the file is not there, or holds this very text."""
    try:
        return path.read_bytes() == text.encode()
    except FileNotFoundError:
        return True
    except OSError:
        return False


async def _plan(
    loaded: kinds.Loaded,
    out: Path,
    observer: Observer,
    prices: PriceList,
    commands: Mapping[str, Command],
    worklist: Worklist | None = None,
    runners: RunnerChoice = ALL_HERE,
    *,
    parted_from: int = PARTED_FROM,
) -> tuple[PlanFile | None, tuple[str, ...]]:
    from s3plan import kinds
    from s3plan.plan import asked
    from s3plan.plan.opinions import with_opinions
    from s3plan.plan.seal import seal

    side_by_side = kinds.parallel_buckets(loaded)
    looking = looked_at(loaded, kinds.scopes(loaded), observer, prices, commands, worklist)
    async with looking as (store, observed):
        # Before planning: a manifest that selects forgets what it does not.
        held = await asyncio.to_thread(listed_totals, observed.database)
        if worklist is not None:
            await asyncio.to_thread(asked.note_missing, observed.database, observed.facts)
        planned = await asyncio.to_thread(kinds.plan_all, loaded, observed)
        if worklist is not None:
            await asyncio.to_thread(asked.settle, planned, observed.database)
            observed.notes.extend(asked.told(observed.database, worklist.name))
        notes = tuple(observed.notes)
        if not planned:
            return None, notes
        drafts = await with_opinions(planned, store, observed.caller)
        check_fits(drafts, observed.database, loaded.connection.limits)
        header = PlanHeader(
            format=PLAN_FORMAT,
            tool=__version__,
            created=timestamp(observed.now),
            host=socket.gethostname(),
            target=observed.target,
            connection=loaded.connection,
            manifests=loaded.refs,
            notes=notes,
            parallel_buckets=side_by_side if side_by_side > 1 else UNSET,
            limits=loaded.limits or UNSET,
            status_every=loaded.status_every or UNSET,
            shared=kinds.shared_destinations(loaded) or UNSET,
            held=held,
            notify=tuple(commands[name].ref for name in loaded.notify) or UNSET,
        )
        made = await asyncio.to_thread(
            seal,
            drafts,
            observed.database,
            header,
            out,
            prices=prices,
            runners=runners,
            parted_from=parted_from,
        )
        return made, made.header.notes


async def _render(loaded: kinds.Loaded) -> list[kinds.Rendered]:
    from s3plan import kinds
    from s3plan.rules.pricelist import shipped

    # Documents only: what objects there are does not change what a document says.
    scopes = [
        replace(scope, listing=False, tag_sample=0, destination=None, inquiry=None)
        for scope in kinds.scopes(loaded)
    ]
    async with looked_at(loaded, scopes, ignore, shipped()) as (_, observed):
        return kinds.render_all(loaded, observed)
