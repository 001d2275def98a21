"""The view for people: results on standard output, all else on standard error."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from rich.text import Text

from s3plan.errors import S3PlanError
from s3plan.model.cost import PlanCost
from s3plan.model.diagnosis import Diagnosis
from s3plan.model.discovery import SeenPolicy, Whoami
from s3plan.model.events import RunFinished
from s3plan.model.handover import Exported, Looked
from s3plan.model.plan import ManifestRef
from s3plan.model.recheck import Drift, PlanRecheck
from s3plan.model.status import RunStatus
from s3plan.model.steps import Item, Step
from s3plan.model.verification import ArchivesVerified, TreeVerified, UrlsVerified
from s3plan.plan.comparison import PlanChanges
from s3plan.rules.prices import RegionPrices
from s3plan.views.archives import archive_parts
from s3plan.views.bill import bill, class_prices
from s3plan.views.changes import change_lines
from s3plan.views.diagnosis import diagnosis_parts
from s3plan.views.discovery import policy_parts, whoami_parts
from s3plan.views.drift import drift_lines, recheck_lines
from s3plan.views.failures import error_lines
from s3plan.views.handover import exported_lines, looked_lines
from s3plan.views.items import item_lines
from s3plan.views.names import IN_A_FILE, ON_A_TERMINAL
from s3plan.views.progress import Mode, Output, progress_for
from s3plan.views.prompt import can_ask, confirmed
from s3plan.views.review import PlanDocument, review, totals_line
from s3plan.views.running import Watch, summary
from s3plan.views.standing import standing
from s3plan.views.terminal import Screen
from s3plan.views.text import visible
from s3plan.views.tree import tree_parts
from s3plan.views.urls import url_parts
from s3plan.views.view import Remarks

Pager = Callable[[Iterable[str]], None]


class HumanView:
    """Shows everything as text. See ``views.view.View``."""

    def __init__(
        self,
        out: Screen,
        err: Screen,
        progress: Mode,
        pager: Pager,
        *,
        output: Output = "stderr",
    ) -> None:
        """``pager`` takes lines with their ends; it is used where standard output is a terminal.

        ``output`` is where progress is shown, and all that happens meanwhile.
        """
        self._out = out
        self._err = err
        self._watched = out if output == "stdout" else err
        self._mode = progress
        self._pager = pager

    @property
    def _most_names(self) -> int:
        return ON_A_TERMINAL if self._out.interactive else IN_A_FILE

    def watch(self) -> Watch:
        """Show progress and events, on standard error unless standard output was asked for."""
        screen = self._watched
        return Watch(screen, progress_for(self._mode, screen), can_ask=can_ask(screen))

    def look(self) -> Watch:
        """Show how far the scan is."""
        return self.watch()

    def plan_made(
        self, plan: PlanDocument | None, name: str, next_command: str, remarks: Remarks
    ) -> None:
        """Print the review of a new plan, or exactly ``No changes.``; remarks go to stderr."""
        for note in remarks.notes:
            # The plan's own notes are part of its review.
            if plan is None or note not in plan.header.notes:
                self._err.say(f"note: {visible(note)}")
        if plan is None:
            self._out.say("No changes.")
        else:
            self.plan(plan, name, next_command)
        if remarks.unfinished:
            self._err.say(Text(_unfinished(remarks.unfinished), style="yellow"))

    def plan(self, plan: PlanDocument, name: str | None, next_command: str) -> None:
        """Print the review of a plan and the next command."""
        self._review(self._out, plan, name)
        self._out.say()
        self._out.say(f"To run exactly this plan: {visible(next_command)}")

    def document(self, text: str) -> None:
        """Print it as it is: it is for another program, or for a file."""
        self._out.file.write(text)

    def items(self, step: Step, items: Iterable[Item]) -> None:
        """Print the items of a step, through a pager on a terminal."""
        self.lines(f"{line}\n" for line in item_lines(items))

    def lines(self, lines: Iterable[str]) -> None:
        """Print lines, through a pager on a terminal."""
        if self._out.interactive:
            self._pager(lines)
            return
        for line in lines:
            # Not through rich, which would take a millisecond a line.
            self._out.file.write(line)

    def confirm_plan(self, plan: PlanDocument, name: str) -> bool | None:
        """Show a plan where the question is asked, and ask."""
        if not can_ask(self._err):
            return None
        self._review(self._err, plan, name)
        self._err.say()
        return self.confirm("Apply this plan? Deletions ask again. (yes/no)")

    def confirm(self, question: str) -> bool | None:
        """Ask on standard error."""
        return confirmed(self._err, question) if can_ask(self._err) else None

    def rechecked(self, recheck: PlanRecheck) -> None:
        """Print a line a step, and whether the plan still holds."""
        for line in recheck_lines(recheck, self._out.columns):
            self._out.say(line)

    def drift(self, drift: Drift) -> None:
        """Print what drifted."""
        for line in drift_lines(drift, self._out.columns):
            self._out.say(line)

    def changes(self, changes: PlanChanges) -> None:
        """Print the steps and items that differ."""
        for line in change_lines(changes, self._out.columns):
            self._out.say(line)

    def bill(self, cost: PlanCost | None, months: int) -> None:
        """Print the charges and the months."""
        for part in bill(cost, months):
            self._out.show(part)

    def class_prices(self, region: str, prices: RegionPrices) -> None:
        """Print a line for each class and each retrieval option."""
        for part in class_prices(prices):
            self._out.show(part)

    def status(self, status: RunStatus) -> None:
        """Print the table of buckets and what stands in their way."""
        for part in standing(status, self._most_names):
            self._out.say(part) if isinstance(part, Text) else self._out.show(part)

    def tree_verified(self, verified: TreeVerified) -> None:
        """Print the figures of each bucket, then the first problems."""
        for part in tree_parts(verified):
            self._out.say(part) if isinstance(part, Text) else self._out.show(part)

    def urls_verified(self, verified: UrlsVerified) -> None:
        """Print the counts, then the first problems."""
        for part in url_parts(verified):
            self._out.say(part) if isinstance(part, Text) else self._out.show(part)

    def archives_verified(self, verified: ArchivesVerified) -> None:
        """Print the counts, then the first problems."""
        for part in archive_parts(verified):
            self._out.say(part) if isinstance(part, Text) else self._out.show(part)

    def valid(self, manifests: Sequence[ManifestRef]) -> None:
        """Print a line for each manifest."""
        for manifest in manifests:
            place = f"{manifest.path}: {manifest.kind} {manifest.name}"
            self._out.say(f"valid: {visible(place)}")

    def diagnosis(self, diagnosis: Diagnosis) -> None:
        """Print the findings and the table of capabilities."""
        for part in diagnosis_parts(diagnosis):
            self._out.say(part) if isinstance(part, Text) else self._out.show(part)

    def whoami(self, found: Whoami) -> None:
        """Print the caller, and the table of buckets."""
        for part in whoami_parts(found):
            self._out.say(part) if isinstance(part, Text) else self._out.show(part)

    def policies(self, found: Sequence[SeenPolicy]) -> None:
        """Print the table of buckets and files with policies."""
        for part in policy_parts(found):
            self._out.say(part) if isinstance(part, Text) else self._out.show(part)

    def names(self, what: str, names: Sequence[str]) -> None:
        """Print a line for each."""
        for name in names:
            self._out.say(Text(visible(name)))
        if not names:
            self._err.say(f"There is no {what}.")

    def exported(self, exported: Exported) -> None:
        """Print the worklists and the commands."""
        for line in exported_lines(exported):
            self._out.say(line)

    def looked(self, looked: Looked) -> None:
        """Print the counts and the next command."""
        for line in looked_lines(looked):
            self._out.say(line)

    def told(self, sentence: str, record: Mapping[str, object]) -> None:
        """Print the sentence."""
        self._out.say(sentence)

    def finished(self, finished: RunFinished) -> None:
        """Print the closing summary."""
        for line in summary(finished, self._most_names):
            self._out.say(line)

    def error(self, error: S3PlanError) -> None:
        """Print an error on standard error."""
        for line in error_lines(error):
            self._err.say(line)

    def _review(self, screen: Screen, plan: PlanDocument, name: str | None) -> None:
        for part in review(plan, name, screen.columns):
            screen.show(part)
        screen.say(Text(totals_line(plan), style="bold"))


def _unfinished(run: str) -> str:
    return (
        f"warning: run {visible(run)} is not finished; applying its plan again goes on with it, "
        "applying a new plan closes it"
    )
