"""What a command may show: one port, with one implementation for people and one for programs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from types import TracebackType
from typing import NamedTuple, Protocol, Self

from s3plan.errors import S3PlanError
from s3plan.model.cost import PlanCost
from s3plan.model.diagnosis import Diagnosis
from s3plan.model.discovery import SeenPolicy, Whoami
from s3plan.model.events import AnyEvent, GateReached, RunFinished
from s3plan.model.handover import Exported, Looked
from s3plan.model.plan import ManifestRef
from s3plan.model.recheck import Drift, PlanRecheck
from s3plan.model.status import RunStatus
from s3plan.model.steps import Item, Step
from s3plan.model.verification import ArchivesVerified, TreeVerified, UrlsVerified
from s3plan.plan.comparison import PlanChanges
from s3plan.rules.prices import RegionPrices
from s3plan.views.review import PlanDocument


class Watching(Protocol):
    """Watches the library at work; call it with events. It never raises because nobody reads."""

    @property
    def ask(self) -> Callable[[GateReached], bool] | None:
        """Asks whether a delete gate may open; None where nobody can answer."""

    def __call__(self, event: AnyEvent) -> None:
        """Show an event."""

    def __enter__(self) -> Self:
        """Begin to watch."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Leave the screen as it was."""


class Remarks(NamedTuple):
    """What was noticed while planning: notes, and the run that is not finished, if there is one."""

    notes: Sequence[str]
    unfinished: str | None


class View(Protocol):
    """Shows results and errors. Every method raises BrokenPipeError when nobody reads any more."""

    def watch(self) -> Watching:
        """Show what happens while the library works."""

    def look(self) -> Watching:
        """Show how far the library is with looking at S3, before there is a plan."""

    def plan_made(
        self, plan: PlanDocument | None, name: str, next_command: str, remarks: Remarks
    ) -> None:
        """A new plan, and the command that applies it. Without a plan nothing would change."""

    def plan(self, plan: PlanDocument, name: str | None, next_command: str) -> None:
        """A plan, and the command that runs it; ``name`` is None where it is in no file yet."""

    def document(self, text: str) -> None:
        """A whole document, as it is: Markdown, a graph. Ends in a newline."""

    def items(self, step: Step, items: Iterable[Item]) -> None:
        """The worklist of a step, streamed."""

    def confirm_plan(self, plan: PlanDocument, name: str) -> bool | None:
        """Show a plan and ask whether to apply it; None where nobody can answer."""

    def confirm(self, question: str) -> bool | None:
        """Ask; only the word ``yes`` is yes; None where nobody can answer."""

    def rechecked(self, recheck: PlanRecheck) -> None:
        """A plan held against reality."""

    def drift(self, drift: Drift) -> None:
        """What drifted since the last apply."""

    def changes(self, changes: PlanChanges) -> None:
        """What changed between two plans."""

    def bill(self, cost: PlanCost | None, months: int) -> None:
        """What a plan costs, by charge and by month; None where prices are not known."""

    def class_prices(self, region: str, prices: RegionPrices) -> None:
        """The prices of a region by storage class."""

    def status(self, status: RunStatus) -> None:
        """The standing of a run."""

    def tree_verified(self, verified: TreeVerified) -> None:
        """What reading an evacuated tree again came to."""

    def urls_verified(self, verified: UrlsVerified) -> None:
        """What the URLs of a table turned out to be."""

    def archives_verified(self, verified: ArchivesVerified) -> None:
        """What the archives of sessions turned out to be."""

    def valid(self, manifests: Sequence[ManifestRef]) -> None:
        """Manifests that were found valid."""

    def diagnosis(self, diagnosis: Diagnosis) -> None:
        """What the doctor found."""

    def lines(self, lines: Iterable[str]) -> None:
        """Lines with their ends, made by ``views.tabular``, as they come."""

    def whoami(self, found: Whoami) -> None:
        """Whose credentials these are."""

    def policies(self, found: Sequence[SeenPolicy]) -> None:
        """The policies of buckets, and policy files."""

    def names(self, what: str, names: Sequence[str]) -> None:
        """Names of things, one a line; ``what`` is one of them."""

    def exported(self, exported: Exported) -> None:
        """What another program is given, and how to run it."""

    def looked(self, looked: Looked) -> None:
        """What another program was found to have done."""

    def told(self, sentence: str, record: Mapping[str, object]) -> None:
        """A short result: as a sentence for people, as a record for programs."""

    def finished(self, finished: RunFinished) -> None:
        """The closing summary of a run."""

    def error(self, error: S3PlanError) -> None:
        """What went wrong."""
