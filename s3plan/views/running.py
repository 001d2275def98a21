"""A run as people watch it: steps as they end, items that fail, gates with their figures.

Everything here goes to standard error; the closing summary is the result and goes to standard
output.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Self, assert_never

from msgspec import UNSET
from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from s3plan.model.events import (
    AnyEvent,
    CommandEnded,
    GateReached,
    HandedOver,
    ItemBegan,
    ItemProblem,
    Progressed,
    RunBegan,
    RunFinished,
    RunnerReady,
    Scanning,
    StepBegan,
    StepFinished,
    Stopping,
    UnderWay,
    Waiting,
    Warned,
)
from s3plan.model.journal import RunOutcome, StepOutcome
from s3plan.model.verification import ArchiveProblem, TreeProblem, UrlProblem
from s3plan.rules.approvals import approvals_of
from s3plan.rules.commands import approve_options
from s3plan.views.losses import loss_parts
from s3plan.views.names import ON_A_TERMINAL, name_lines
from s3plan.views.progress import Progress
from s3plan.views.prompt import confirmed
from s3plan.views.quantities import counted, dollars, elapsed, number, size
from s3plan.views.terminal import Screen
from s3plan.views.text import visible, without_name
from s3plan.views.wording import PAST

_STEP_MARKS: dict[StepOutcome, tuple[str, str]] = {
    "done": ("✓", "green"),
    "incomplete": ("✗", "red"),
    "held": ("○", "yellow"),
    "skipped": ("○", "yellow"),
}

_RUN_STYLES: dict[RunOutcome, str] = {
    "done": "green",
    "incomplete": "red",
    "held": "yellow",
    "kept": "yellow",
    "interrupted": "yellow",
    "superseded": "yellow",
    "abandoned": "yellow",
    "rebuilt": "yellow",
    "failed": "red",
}


_FOR_REPORTS = {"size_verified_count", "checksum_verified_count", "size_only_count"}
"""Figures that say again, by names that reports know, what others say."""


OUTPUT_LINES = 20
"""Lines that are shown of what a command wrote; the journal has more."""


class Watch:
    """The observer of a run on a terminal or in a log. Call it with events; leave it when done."""

    def __init__(self, screen: Screen, progress: Progress, *, can_ask: bool) -> None:
        """``screen`` is standard error; ``can_ask`` tells whether somebody sits there."""
        self.ask = self._ask if can_ask else None
        self._screen = screen
        self._progress = progress
        self._problems = 0
        self._gates: set[tuple[str, str]] = set()
        self._unheard = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self._progress.close()
        except OSError:
            self._unheard = True

    def __call__(self, event: AnyEvent) -> None:
        """Show an event. A screen that is gone never stops a run."""
        if self._unheard:
            return
        try:
            self._progress.handle(event)
            self._show(event)
        except OSError:  # the pipe is closed, or the terminal hung up
            self._unheard = True

    def _ask(self, gate: GateReached) -> bool:
        """Show a delete gate, or what it would lose, and ask; only the word ``yes`` opens it."""
        with self._progress.paused():
            self._gate(gate)
            name = visible(gate.subject)
            match gate.asks:
                case "delete":
                    what = f"{counted(gate.totals.items, 'object')}, {size(gate.totals.bytes)}"
                    question = f"Delete these objects ({what}) of bucket {name} from S3? (yes/no)"
                case "loss":
                    for part in loss_parts(gate.losses):
                        self._screen.say(part)
                    question = f"Delete also what may be lost for good in bucket {name}? (yes/no)"
                case "replace":
                    question = f"Replace the archive {name}, of which files change or go? (yes/no)"
                case _:
                    assert_never(gate.asks)
            return confirmed(self._screen, question)

    def _show(self, event: AnyEvent) -> None:  # noqa: PLR0912 - one case an event
        match event:
            case RunBegan():
                if event.resumed:
                    done = f"{number(event.done.items)} of {number(event.totals.items)}"
                    self._say(f"run {event.run} goes on: {done} done before")
            case StepFinished():
                self._step(event)
            case ItemProblem():
                self._problem(event)
            case GateReached():
                self._gate(event)
            case CommandEnded():
                self._command(event)
            case RunnerReady():
                self._runner(event)
            case HandedOver():
                self._handed_over(event)
            case Warned():
                self._say(f"warning: {event.message}", "yellow")
            case Stopping():
                self._say(
                    f"stopping ({event.signal}): nothing new is begun, what is under way is "
                    "finished; once more leaves at once",
                    "yellow",
                )
            case Scanning() | StepBegan() | Progressed() | UnderWay() | ItemBegan() | Waiting():
                pass
            case TreeProblem() | UrlProblem() | ArchiveProblem() | RunFinished():
                pass  # the closing summary tells
            case _:
                assert_never(event)

    def _say(self, text: str, style: str = "") -> None:
        self._screen.say(Text(visible(text), style=style))

    def _step(self, event: StepFinished) -> None:
        mark, style = _STEP_MARKS[event.outcome]
        words = f"{event.verb} {event.subject}: {event.outcome} in {elapsed(event.seconds)}"
        reason = f" ({event.reason})" if event.reason else ""
        self._screen.say(Text(mark, style=style).append(f" {visible(words + reason)}", "default"))

    def _runner(self, event: RunnerReady) -> None:
        where = f" ({event.address})" if event.address else ""
        self._say(
            f"runner {event.runner}{where}: {', '.join(event.verbs) or 'no step of this plan'}"
        )
        for verb, why in event.here.items():
            how = "runs here in part" if verb in event.verbs else "runs here"
            self._say(f"  {verb} {how}: {why}")

    def _handed_over(self, event: HandedOver) -> None:
        self._say(
            f"{event.subject}: {counted(event.objects, 'object')} to S3 Batch Operations in"
            f" {counted(event.jobs, 'job')}, {dollars(event.price)} besides the requests"
        )
        for left in event.left:
            self._say(f"  here: {counted(left.totals.items, 'object')} ({left.reason})")

    def _command(self, event: CommandEnded) -> None:
        """How a command ended; what it wrote last, where it did not end well."""
        well = event.exit_code == 0 and not event.problem
        code = "not started" if event.exit_code is None else f"exit code {event.exit_code}"
        words = f"command {event.command}: {code} in {elapsed(event.seconds)}"
        self._say(words + (f" ({event.problem})" if event.problem else ""), "" if well else "red")
        if not well:
            lines = event.output.rstrip().splitlines()
            for line in lines[-OUTPUT_LINES:]:
                self._say(f"  | {line}")

    def _problem(self, event: ItemProblem) -> None:
        self._problems += 1
        if self._problems > ON_A_TERMINAL:
            if self._problems == ON_A_TERMINAL + 1:
                self._say("more items did not end well; the closing summary names them")
            return
        line = Text(event.outcome, style="red")
        said = visible(without_name(event.message, event.key))
        line.append(f": {visible(event.key)}: {said}", style="default")
        self._screen.say(line)
        if event.path:
            self._say(f"  at: {event.path}")
        if event.next_step:
            self._say(f"  next: {event.next_step}")

    def _gate(self, gate: GateReached) -> None:
        """Show the figures once, whether the library told us first or only asked."""
        if (gate.subject, gate.evidence) in self._gates:
            return
        self._gates.add((gate.subject, gate.evidence))
        for part in gate_parts(gate):
            self._screen.say(part) if isinstance(part, Text) else self._screen.show(part)


def gate_parts(gate: GateReached) -> Iterator[RenderableType]:
    """Yield a verification gate: its verdict, its figures, its evidence."""
    name = visible(gate.subject)
    yield Text()
    if gate.passes and gate.losses:
        yield Text(f"verification of {name} passed, but for a loss", style="bold yellow")
    elif gate.passes:
        yield Text(f"verification of {name} passed", style="bold green")
    else:
        deed = "deleted" if gate.takes is UNSET else "replaced"
        yield Text(f"verification of {name} did not pass: nothing is {deed}", style="bold red")
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column()
    table.add_column(justify="right")
    table.add_row("objects" if gate.takes is UNSET else "files", number(gate.totals.items))
    table.add_row("bytes", size(gate.totals.bytes))
    for figure, value in gate.figures.items():
        if figure in _FOR_REPORTS:
            continue
        words = visible(figure).replace("_", " ")
        is_bytes = "bytes" in figure or figure == "total_size"
        table.add_row(words, size(value) if is_bytes else number(value))
    yield Padding(table, (0, 0, 0, 2))
    yield from name_lines("problems", gate.problems, len(gate.problems), ON_A_TERMINAL)
    yield from loss_parts(gate.losses)
    if gate.passes and gate.guard:
        deed = "deletion" if gate.takes is UNSET else "replacement"
        yield Text(visible(f"{deed}: {gate.guard}"))
        options = approve_options(approvals_of(gate), gate.subject, gate.evidence)
        if options:
            yield Text(visible(f"approve with: {options}"))
    yield Text()


# What a run that goes on has not come to is not what it passed over.
_LEFT: Mapping[RunOutcome, str] = {"held": "still to do", "interrupted": "still to do"}


def _done(finished: RunFinished) -> list[str]:
    """What was done, verb by verb; one zero where nothing was."""
    words = [
        f"{number(totals.items)} {PAST[verb]}"
        for verb, totals in finished.verbs.items()
        if totals.items
    ]
    return words or [f"{number(finished.done)} done"]


def summary(finished: RunFinished, most_names: int) -> Iterator[Text]:
    """Yield the closing summary of a run. ``most_names`` bounds the failed names shown."""
    ended = [
        *_done(finished),
        f"{number(finished.failed)} failed",
        f"{number(finished.drifted)} drifted",
        f"{number(finished.skipped)} {_LEFT.get(finished.outcome, 'skipped')}",
    ]
    if finished.kept:
        ended.append(f"{number(finished.kept)} kept")
    # Copies within S3 and deletions move nothing over the network.
    moved = f"{size(finished.bytes)} in " if finished.bytes else ""
    volume = f"{moved}{elapsed(finished.seconds)}"
    if finished.bytes and finished.seconds > 0:
        volume += f" ({size(finished.bytes / finished.seconds)}/s)"
    style = _RUN_STYLES[finished.outcome]
    yield Text(f"Run {visible(finished.run)}: ").append(finished.outcome, style=f"bold {style}")
    yield Text(f"  {', '.join(ended)}; {volume}")
    if finished.message and finished.message != finished.outcome:
        yield Text(f"  {visible(finished.message)}")
    unwell = finished.failed + finished.drifted + finished.kept
    yield from name_lines("not done", finished.failed_names, unwell, most_names)
    if finished.next_step:
        yield Text(f"next: {visible(finished.next_step)}")
