"""A stand-in for ``s3plan.api``: answers from samples and remembers what it was asked."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec

from s3plan.api.worklists import worklist_of_file, worklist_of_object
from s3plan.engine.livefiles import Outlets
from s3plan.errors import PlanFileError
from s3plan.inventory.worklist import Worklist
from s3plan.model.approvals import PlanApproval
from s3plan.model.connection import Connection
from s3plan.model.cost import PlanCost
from s3plan.model.events import (
    AnyEvent,
    GateReached,
    Progressed,
    RunFinished,
    Scanning,
    StepBegan,
    StepFinished,
)
from s3plan.model.plan import ManifestRef
from s3plan.model.status import RunStatus
from s3plan.rules.approvals import approvals_of
from s3plan.rules.pricelist import shipped
from s3plan.rules.prices import RegionPrices
from tests.views import samples

Observer = Callable[[AnyEvent], None]


@dataclass(frozen=True)
class Approval:
    approver: str
    digest: str | None = None
    deletes: Mapping[str, str] = field(default_factory=dict)
    losses: Mapping[str, str] = field(default_factory=dict)
    classes: frozenset[str] | None = None
    granted: tuple[PlanApproval, ...] | None = None
    replacements: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class PlanResult:
    plan: samples.SamplePlan | None
    path: Path | None
    notes: tuple[str, ...] = ()
    unfinished: str | None = None


class FakeApi:
    """What the library would answer; ``calls`` holds what it was asked."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.changes = True
        self.raises: BaseException | None = None
        self.finished = samples.DONE
        self.gate = samples.GATE
        self.plan_bytes = b""
        self.outlets: Outlets | None = None
        self.cost: PlanCost | None = None

    def module(self) -> ModuleType:
        """Return this library as a module."""
        made = ModuleType("s3plan.api")
        public = {name: getattr(self, name) for name in dir(self) if not name.startswith("_")}
        vars(made).update(public, Approval=Approval, Outlets=Outlets)
        return made

    def install(self) -> None:
        """Stand in for the library in this process, for good."""
        import s3plan

        sys.modules["s3plan.api"] = vars(s3plan)["api"] = self.module()

    def _called(self, name: str, **values: Any) -> None:
        self.calls.append((name, values))
        if self.raises is not None:
            raise self.raises

    def plan(
        self,
        manifests: Sequence[Path],
        *,
        out: Path,
        variables: Mapping[str, str],
        only: Sequence[str],
        exclude: Sequence[str],
        limit_groups: int | None,
        years: Sequence[str],
        limit: int | None,
        replace_archives: bool,
        worklist: Worklist | None,
        objects: int | None,
        prices: Path | None,
        observer: Observer,
    ) -> PlanResult:
        observer(Scanning("old-photos", 1204, 4096, finished=True))
        self._called(
            "plan",
            manifests=tuple(manifests),
            out=out,
            variables=dict(variables),
            only=tuple(only),
            exclude=tuple(exclude),
            limit_groups=limit_groups,
            sessions=(tuple(years), limit, replace_archives),
            objects=objects,
            worklist=None if worklist is None else [worklist.name, *worklist.entries()],
        )
        if self.changes:
            return PlanResult(samples.evacuation(), out)
        return PlanResult(None, None, ("old-photos: everything is on disk",))

    def worklist_of_file(self, path: Path, name: str) -> Worklist:
        return worklist_of_file(path, name)

    def worklist_of_object(self, bucket: str, key: str) -> Worklist:
        return worklist_of_object(bucket, key)

    def worklist_of_run(self, journal: Path, *, failed: bool) -> Worklist:
        return Worklist(f"{journal} {failed}", list)

    def validate(
        self, manifests: Sequence[Path], *, variables: Mapping[str, str]
    ) -> tuple[ManifestRef, ...]:
        self._called("validate", manifests=tuple(manifests), variables=dict(variables))
        return samples.evacuation().header.manifests

    def show(self, path: Path) -> samples.SamplePlan:
        self._called("show", path=path)
        if path.name == "missing.json":
            raise PlanFileError("there is no such file", address=str(path))
        found = samples.evacuation()
        if self.cost is None:
            return found
        return replace(found, header=msgspec.structs.replace(found.header, cost=self.cost))

    def region_prices(self, region: str, *, prices: Path | None) -> RegionPrices:
        self._called("region_prices", region=region, prices=prices)
        return shipped().regions[region]

    def apply(
        self,
        plan: Path,
        *,
        approval: Approval,
        observer: Observer,
        ask: Callable[[GateReached], bool] | None,
        log: Path | None,
        mirror: str | None = None,
        outlets: Outlets | None = None,
        runner: str | None = None,
        scheduler: str | None = None,
    ) -> RunFinished:
        self.plan_bytes = plan.read_bytes() if plan.exists() else b""
        self.outlets = outlets
        self._called("apply", plan=plan, approval=approval, log=log, asks=ask is not None)
        totals = samples.TOTALS
        observer(StepBegan("s1", "download", "old-photos", totals, type(totals)()))
        observer(Progressed("s1", "verified", totals.items, totals.bytes))
        observer(StepFinished("s1", "download", "old-photos", "done", "", 2.0))
        observer(self.gate)
        finished = self.finished
        for what in approvals_of(self.gate):
            if ask is not None and not ask(msgspec.structs.replace(self.gate, asks=what)):
                finished = msgspec.structs.replace(finished, outcome="held", exit_code=4)
        observer(finished)
        return finished

    def status(self, journal: Path | None = None) -> RunStatus:
        self._called("status", journal=journal)
        return samples.STATUS

    def rollback_plan(self, journal: Path, *, only: str | None = None) -> samples.SamplePlan | None:
        self._called("rollback_plan", journal=journal)
        return samples.evacuation() if self.changes else None

    def rollback(
        self,
        journal: Path,
        *,
        approval: Approval,
        only: str | None = None,
        observer: Observer,
        log: Path | None,
        runner: str,
        scheduler: str | None,
    ) -> RunFinished | None:
        self._called(
            "rollback",
            journal=journal,
            approval=approval,
            log=log,
            runner=runner,
            scheduler=scheduler,
        )
        if not self.changes:
            return None
        observer(self.finished)
        return self.finished

    def load_connection(self, manifest: Path) -> Connection:
        self._called("load_connection", manifest=manifest)
        return Connection(name="mine")

    def journal_reset(self) -> Path:
        self._called("journal_reset")
        return Path(".s3plan/archive/journal-1")
