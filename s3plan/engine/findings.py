"""What a verification finds: each problem told as it is found, the first ones kept, all of them in
a file where one is named. Every problem is a line of it, the result the last one.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Generic, TypeVar

import msgspec
from msgspec import Struct

from s3plan.localfs.newfile import whole_file
from s3plan.model.events import AnyEvent
from s3plan.rules.characters import harmless_json

Observer = Callable[[AnyEvent], None]

Problem = TypeVar("Problem", bound=AnyEvent)
Result = TypeVar("Result", bound=Struct)

_encoder = msgspec.json.Encoder()


class Findings(Generic[Problem]):
    """Problems of one type; a context manager. The file appears complete or not at all."""

    def __init__(self, report: Path | None, most: int, observer: Observer) -> None:
        """``report`` is the file for all of them, ``most`` are kept, ``observer`` is told each."""
        self.count = 0
        self.first: list[Problem] = []
        self.report = str(report) if report is not None else None
        self._opening = whole_file(report) if report is not None else nullcontext()
        self._file: BinaryIO | None = None
        self._most = most
        self._tell = observer
        self._began = time.monotonic()

    def __enter__(self) -> Findings[Problem]:
        self._file = self._opening.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._opening.__exit__(kind, error, trace)

    @property
    def seconds(self) -> float:
        """Since it was made."""
        return round(time.monotonic() - self._began, 3)

    def add(self, problem: Problem) -> None:
        """One more."""
        self.count += 1
        if len(self.first) < self._most:
            self.first.append(problem)
        self._write(problem)
        self._tell(problem)

    def end(self, result: Result) -> Result:
        """The last line of the file; ``result`` itself."""
        self._write(result)
        return result

    def _write(self, value: Struct) -> None:
        if self._file is not None:
            # People look at reports on terminals.
            self._file.write(harmless_json(_encoder.encode(value)) + b"\n")
