"""What is promised of a case: ratios to the best peer, seconds, memory, and other figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import msgspec

if TYPE_CHECKING:
    from benchmarks.case import Series

MIB = 1024 * 1024
OURS = "s3plan"


class Finding(msgspec.Struct, frozen=True):
    """What was promised, and what was found: ``found`` may be at most ``limit``."""

    text: str
    found: float
    limit: float

    @property
    def met(self) -> bool:
        """Whether the promise holds here and now."""
        return self.found <= self.limit


class Goal(Protocol):
    """Something that a series of runs shows, or does not."""

    def finding(self, title: str, every: Sequence[Series]) -> Finding:
        """How far it is met."""


@dataclass(frozen=True)
class Ratio:
    """s3plan's median is at most ``limit`` times that of the quickest of ``peers``."""

    limit: float
    peers: tuple[str, ...]

    def finding(self, title: str, every: Sequence[Series]) -> Finding:
        """The ratio of medians."""
        best = min((one for one in every if one.name in self.peers), key=lambda one: one.median)
        text = f"{title}: time, as a share of {best.name}'s"
        return Finding(text, _ours(every).median / best.median, self.limit)


@dataclass(frozen=True)
class Seconds:
    """s3plan's median is at most ``limit`` seconds; of its CPUs' time if so."""

    limit: float
    cpu: bool = False

    def finding(self, title: str, every: Sequence[Series]) -> Finding:
        """The median."""
        ours = _ours(every)
        found = ours.cpu_seconds if self.cpu else ours.median
        return Finding(f"{title}: seconds{' of CPU' if self.cpu else ''}", found, self.limit)


@dataclass(frozen=True)
class Peak:
    """s3plan takes at most ``mib`` MiB of memory."""

    mib: float

    def finding(self, title: str, every: Sequence[Series]) -> Finding:
        """The largest of all runs."""
        return Finding(f"{title}: MiB of memory", _ours(every).peak_bytes / MIB, self.mib)


@dataclass(frozen=True)
class Figure:
    """A further figure of s3plan's runs is at most ``limit``."""

    name: str
    limit: float

    def finding(self, title: str, every: Sequence[Series]) -> Finding:
        """Its median."""
        return Finding(f"{title}: {self.name}", _ours(every).figures[self.name], self.limit)


@dataclass(frozen=True)
class Growth:
    """s3plan's memory is at most ``limit`` times that of another of its series, with less to do."""

    limit: float
    smaller: str

    def finding(self, title: str, every: Sequence[Series]) -> Finding:
        """The ratio of peaks."""
        small = next(one for one in every if one.name == self.smaller)
        text = f"{title}: memory, as a share of that of{self.smaller.removeprefix(OURS)}"
        return Finding(text, _ours(every).peak_bytes / small.peak_bytes, self.limit)


def _ours(every: Sequence[Series]) -> Series:
    return next(one for one in every if one.name == OURS)
