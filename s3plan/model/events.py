"""What the library tells while it works; views render these, ``--json`` prints them as they are."""

from __future__ import annotations

from typing import Literal

from msgspec import UNSET, Struct, UnsetType

from s3plan.model.cost import Dollars
from s3plan.model.handover import LeftOut
from s3plan.model.journal import Approves, Loss, Outcome, RunOutcome, StepOutcome
from s3plan.model.steps import Totals
from s3plan.model.verification import ArchiveProblem, TreeProblem, UrlProblem


class Event(Struct, frozen=True, tag_field="type"):
    """One thing that happened. The variants below are all there are."""


class Scanning(Event, frozen=True, tag="scanning"):
    """Looking at a subject (a bucket or a directory) before a plan is made."""

    subject: str
    objects: int
    bytes: int
    finished: bool = False


class RunBegan(Event, frozen=True, tag="run-began"):
    """A run starts or resumes. ``done`` is what earlier sessions of it did already."""

    run: str
    command: str
    resumed: bool
    totals: Totals
    done: Totals


class RunnerReady(Event, frozen=True, tag="runner-ready"):
    """A runner other than this process is there: the ``verbs`` whose steps it carries, and why
    those of other verbs run ``here``. ``address`` is where it can be watched, if anywhere.
    """

    runner: str
    verbs: tuple[str, ...]
    here: dict[str, str] = {}
    address: str = ""


class HandedOver(Event, frozen=True, tag="handed-over"):
    """So many ``objects`` of a step go to S3 Batch Operations in so many ``jobs``, for ``price``
    besides the requests; ``left`` is what does not, with the reasons.
    """

    step: str
    subject: str
    jobs: int
    objects: int
    left: tuple[LeftOut, ...]
    price: Dollars


class StepBegan(Event, frozen=True, tag="step-began"):
    """A step starts; ``done`` of ``totals`` is behind it."""

    step: str
    verb: str
    subject: str
    totals: Totals
    done: Totals


class ItemBegan(Event, frozen=True, tag="item-began"):
    """One item is being worked on. Progress that shows single items wants it, nobody else."""

    step: str
    key: str


class Progressed(Event, frozen=True, tag="progress"):
    """Items of a step ended. ``items`` and ``bytes`` are the increase since the last event.

    ``keys`` are those of items that were told to have begun.
    """

    step: str
    outcome: Outcome
    items: int
    bytes: int
    keys: tuple[str, ...] = ()


class UnderWay(Event, frozen=True, tag="under-way"):
    """So many bytes of items of a step have been moved that have not ended yet; of those that end,
    ``progress`` tells. A large archive is one of many items that end together.
    """

    step: str
    bytes: int


class ItemProblem(Event, frozen=True, tag="item-problem"):
    """One item did not end well: what, why, and the command that tries it again."""

    step: str
    key: str
    path: str
    outcome: Outcome
    reason: str
    message: str
    next_step: str


class StepFinished(Event, frozen=True, tag="step-finished"):
    """A step ended."""

    step: str
    verb: str
    subject: str
    outcome: StepOutcome
    reason: str
    seconds: float


class GateReached(Event, frozen=True, tag="gate"):
    """A verification gate shows its figures, and how a deletion behind it is guarded.

    ``losses`` take an approval of their own. ``asks`` is what a person is asked to approve now,
    ``takes`` all that is to be approved where it is no deletion.
    """

    subject: str
    evidence: str
    passes: bool
    figures: dict[str, int]
    totals: Totals
    problems: tuple[str, ...] = ()
    guard: str = ""
    losses: tuple[Loss, ...] = ()
    asks: Approves = "delete"
    takes: tuple[Approves, ...] | UnsetType = UNSET


class Waiting(Event, frozen=True, tag="waiting"):
    """A step waits for S3 to restore ``objects``, and looks again in ``seconds``."""

    step: str
    subject: str
    objects: int
    seconds: float


class CommandEnded(Event, frozen=True, tag="command-ended"):
    """A command of the project file ended: for ``step``, or, where that is empty, told of the run.

    ``exit_code`` and ``problem`` are as in the journal; ``output`` is the end of what it wrote.
    """

    step: str
    command: str
    exit_code: int | None
    problem: str
    seconds: float
    output: str


class Warned(Event, frozen=True, tag="warning"):
    """Something a person should know; nothing stopped."""

    message: str


class Stopping(Event, frozen=True, tag="stopping"):
    """A signal arrived: nothing new is started, what is in flight is drained."""

    signal: Literal["SIGINT", "SIGTERM"]


class RunFinished(Event, frozen=True, tag="run-finished"):
    """The process leaves the run. Counts are of the whole run, all sessions together.

    ``verbs`` says what was done of each verb, ``done`` is the sum of its items. ``bytes`` were
    moved over the network in this session, which took ``seconds``.
    """

    run: str
    outcome: RunOutcome
    exit_code: int
    done: int
    failed: int
    drifted: int
    skipped: int
    kept: int
    bytes: int
    seconds: float
    message: str
    next_step: str | None
    failed_names: tuple[str, ...] = ()
    verbs: dict[str, Totals] = {}


AnyEvent = (
    Scanning
    | RunBegan
    | RunnerReady
    | HandedOver
    | StepBegan
    | ItemBegan
    | Progressed
    | UnderWay
    | ItemProblem
    | TreeProblem
    | UrlProblem
    | ArchiveProblem
    | StepFinished
    | GateReached
    | Waiting
    | CommandEnded
    | Warned
    | Stopping
    | RunFinished
)
