"""The view for programs: JSON documents and JSON Lines on standard output, straight from the model.

``plan``, ``show`` and ``status`` print one object; ``show --step`` prints the step's items, and
``apply`` and ``rollback`` the events of the run, one object a line, the last one ``run-finished``;
``verify`` does the same and ends with ``tree-verified``.
An error is an object with ``"type":"error"``. Progress is shown only where asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from types import TracebackType
from typing import BinaryIO, Self

import msgspec
from msgspec.structs import asdict, replace

from s3plan.errors import ProblemsError, S3PlanError, StoreError
from s3plan.model.cost import PlanCost
from s3plan.model.diagnosis import Diagnosis
from s3plan.model.discovery import SeenPolicy, Whoami
from s3plan.model.events import AnyEvent, ItemBegan, Progressed, RunFinished
from s3plan.model.handover import Exported, Looked
from s3plan.model.plan import ManifestRef
from s3plan.model.recheck import Drift, PlanRecheck
from s3plan.model.status import RunStatus
from s3plan.model.steps import Item, Step
from s3plan.model.verification import ArchivesVerified, TreeVerified, UrlsVerified
from s3plan.plan.comparison import PlanChanges
from s3plan.rules.characters import harmless_json
from s3plan.rules.prices import RegionPrices
from s3plan.views.bill import months as by_month
from s3plan.views.progress import Progress
from s3plan.views.review import PlanDocument
from s3plan.views.view import Remarks

_ENCODER = msgspec.json.Encoder()


class EventLines:
    """The observer of a run that writes each event as a line."""

    ask = None  # a program answers with --approve-delete

    def __init__(self, stream: BinaryIO, progress: Progress) -> None:
        """``progress`` is handed every event as well."""
        self._stream = stream
        self._progress = progress
        self._unheard = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._progress.close()

    def __call__(self, event: AnyEvent) -> None:
        """Write the event, flushed. A reader that is gone never stops a run."""
        # The view writes the end of a run, so that it is the last line in every case.
        if self._unheard or isinstance(event, RunFinished):
            return
        try:
            self._progress.handle(event)
            if not isinstance(event, ItemBegan):
                _write(self._stream, _brief(event))
        except OSError:
            self._unheard = True


def _brief(event: AnyEvent) -> AnyEvent:
    """An event without the names of single items that went well: ``--log-file`` has these."""
    return replace(event, keys=()) if isinstance(event, Progressed) else event


class Looking:
    """The observer of planning: its events only move the progress."""

    ask = None

    def __init__(self, progress: Progress) -> None:
        """``progress`` is handed every event."""
        self._progress = progress

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._progress.close()

    def __call__(self, event: AnyEvent) -> None:
        """Show how far it is."""
        with suppress(OSError):
            self._progress.handle(event)


class JsonView:
    """Shows everything as JSON. See ``views.view.View``."""

    def __init__(self, stream: BinaryIO, progress: Progress) -> None:
        """``stream`` is standard output as bytes."""
        self._stream = stream
        self._progress = progress

    def watch(self) -> EventLines:
        """Write the events of a run."""
        return EventLines(self._stream, self._progress)

    def look(self) -> Looking:
        """Show only progress: what planning prints is one document."""
        return Looking(self._progress)

    def plan_made(
        self, plan: PlanDocument | None, name: str, next_command: str, remarks: Remarks
    ) -> None:
        """Write a new plan; one without steps has no header and no digest."""
        said = {"notes": remarks.notes, "unfinished": remarks.unfinished}
        if plan is None:
            _write(self._stream, {"type": "plan", "changes": False, "steps": [], **said})
        else:
            _write(self._stream, _plan_record(plan, name, next_command) | said)

    def plan(self, plan: PlanDocument, name: str | None, next_command: str) -> None:
        """Write a plan file's header, digest and steps."""
        _write(self._stream, _plan_record(plan, name, next_command))

    def document(self, text: str) -> None:
        """Write it as one record."""
        _write(self._stream, {"type": "document", "text": text})

    def items(self, step: Step, items: Iterable[Item]) -> None:
        """Write the items of a step."""
        for item in items:
            self._stream.write(_line(item))

    def confirm_plan(self, plan: PlanDocument, name: str) -> bool | None:
        """Nobody answers: a program approves with ``--approve``."""
        return None

    def confirm(self, question: str) -> bool | None:
        """Nobody answers: a program approves with ``--approve``."""
        return None

    def rechecked(self, recheck: PlanRecheck) -> None:
        """Write how every step stands."""
        _write(self._stream, {"type": "recheck", "holds": recheck.holds} | asdict(recheck))

    def drift(self, drift: Drift) -> None:
        """Write what drifted."""
        _write(self._stream, {"type": "drift", "drifted": bool(drift.lines)} | asdict(drift))

    def changes(self, changes: PlanChanges) -> None:
        """Write the comparison, with every item that is named."""
        record = {"type": "diff", "same": changes.same, "summary": changes.sentence()}
        _write(self._stream, record | asdict(changes))

    def bill(self, cost: PlanCost | None, months: int) -> None:
        """Write the cost and the months, null where prices are not known."""
        counted = [
            {"month": month, "difference": here, "total": total}
            for month, here, total in (by_month(cost, months) if cost is not None else ())
        ]
        _write(self._stream, {"type": "cost", "cost": cost, "months": counted})

    def class_prices(self, region: str, prices: RegionPrices) -> None:
        """Write the prices as they stand in a price list."""
        _write(self._stream, {"type": "prices", "region": region, "prices": prices})

    def status(self, status: RunStatus) -> None:
        """Write the standing of a run."""
        _write(self._stream, status)

    def tree_verified(self, verified: TreeVerified) -> None:
        """Write the last line of a verification; each problem was a line of its own."""
        _write(self._stream, verified)

    def urls_verified(self, verified: UrlsVerified) -> None:
        """Write the last line; each problem was a line of its own."""
        _write(self._stream, verified)

    def archives_verified(self, verified: ArchivesVerified) -> None:
        """Write the last line; each problem was a line of its own."""
        _write(self._stream, verified)

    def valid(self, manifests: Sequence[ManifestRef]) -> None:
        """Write the manifests that are valid."""
        _write(self._stream, {"type": "valid", "manifests": manifests})

    def diagnosis(self, diagnosis: Diagnosis) -> None:
        """Write the findings and the capabilities."""
        record = {"type": "diagnosis", "healthy": diagnosis.healthy}
        _write(self._stream, record | asdict(diagnosis))

    def lines(self, lines: Iterable[str]) -> None:
        """Write lines that are JSON already."""
        for line in lines:
            self._stream.write(line.encode())

    def whoami(self, found: Whoami) -> None:
        """Write the caller."""
        _write(self._stream, {"type": "whoami", **asdict(found)})

    def policies(self, found: Sequence[SeenPolicy]) -> None:
        """Write the policies of buckets and of files."""
        _write(self._stream, {"type": "policies", "policies": found})

    def names(self, what: str, names: Sequence[str]) -> None:
        """Write all names."""
        _write(self._stream, {"type": f"{what}s", "names": names})

    def exported(self, exported: Exported) -> None:
        """Write what is given, what is not, and the commands."""
        _write(self._stream, {"type": "exported"} | asdict(exported))

    def looked(self, looked: Looked) -> None:
        """Write the counts."""
        _write(self._stream, {"type": "looked"} | asdict(looked))

    def told(self, sentence: str, record: Mapping[str, object]) -> None:
        """Write the record."""
        _write(self._stream, record)

    def finished(self, finished: RunFinished) -> None:
        """Write the last line of a run."""
        _write(self._stream, finished)

    def error(self, error: S3PlanError) -> None:
        """Write an error, with every problem it holds."""
        _write(self._stream, error_record(error))


def _plan_record(plan: PlanDocument, name: str | None, next_command: str) -> dict[str, object]:
    return {
        "type": "plan",
        "changes": True,
        "path": name,
        "digest": plan.digest,
        "header": plan.header,
        "steps": plan.steps,
        "next": next_command,
    }


def error_record(error: S3PlanError) -> dict[str, object]:
    """Return an error as it is printed: what, address, expected, found, next_step, and codes."""
    record: dict[str, object] = {
        "type": "error",
        "code": error.code,
        "exit_code": error.exit_code,
        "what": _text(error.what),
        "address": _text(error.address),
        "expected": _text(error.expected),
        "found": _text(error.found),
        "next_step": _text(error.next_step),
    }
    if isinstance(error, StoreError):
        record |= {
            "status": error.status,
            "s3_code": error.s3_code,
            "request_id": error.request_id,
        }
    if isinstance(error, ProblemsError):
        record["problems"] = [error_record(problem) for problem in error.problems]
    return record


def _text(value: str | None) -> str | None:
    """A file name that is no UTF-8 holds lone surrogates, which JSON text cannot."""
    return value and value.encode("utf-8", "backslashreplace").decode()


def _write(stream: BinaryIO, value: object) -> None:
    stream.write(_line(value))
    stream.flush()


def _line(value: object) -> bytes:
    # Standard output may be a terminal, also for JSON.
    return harmless_json(_ENCODER.encode(value)) + b"\n"
