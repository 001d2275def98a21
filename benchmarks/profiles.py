"""Where s3plan's time goes in a case: one more run of it, sampled by py-spy.

A sample is of every thread that is not waiting, so shares are of processor time. What C does is
counted for the function that called it.
"""

from __future__ import annotations

import datetime as dt
import re
from collections import Counter
from pathlib import Path

import msgspec

from benchmarks.case import ROOT, Case, Place, Say
from benchmarks.server import tool

RATE = 250
"""Samples a second."""

TOP = 14


class Profile(msgspec.Struct, frozen=True):
    """Functions and their shares of all samples: by themselves, and with all that they call."""

    title: str
    samples: int
    own: list[tuple[str, float]]
    total: list[tuple[str, float]]
    when: dt.datetime

    def markdown(self) -> str:
        """Both lists side by side."""
        rows = ["| itself | share | with what it calls | share |", "|---|--:|---|--:|"]
        for (one, own), (other, total) in zip(self.own, self.total, strict=True):
            rows.append(f"| `{one}` | {own:.0%} | `{other}` | {total:.0%} |")
        told = f"{self.samples:,} samples, {RATE} a second, {self.when:%Y-%m-%d %H:%M} UTC."
        return "\n\n".join([f"## {self.title}", "\n".join(rows), told])


def profile(case: Case, place: Place, say: Say) -> Profile:
    """Of one run of s3plan."""
    stacks = place.scratch / "stacks"
    sampled = [str(tool("py-spy")), "record", "--rate", str(RATE), "--format", "raw"]
    sampled += ["--function", "--nonblocking", "--output", str(stacks), "--"]
    case.once(place, lambda command: [*sampled, *command])
    say(f"  {case.name}  profiled")
    return _read(case.title, stacks)


def _read(title: str, stacks: Path) -> Profile:
    own: Counter[str] = Counter()
    total: Counter[str] = Counter()
    for line in stacks.read_text().splitlines():
        text, _, count = line.rpartition(" ")
        frames = [_short(frame) for frame in text.split(";")]
        own[frames[-1]] += int(count)
        total.update(dict.fromkeys(frames, int(count)))
    samples = own.total()
    return Profile(
        title,
        samples,
        [(name, count / samples) for name, count in own.most_common(TOP)],
        [(name, count / samples) for name, count in _ours(total)],
        dt.datetime.now(dt.UTC),
    )


def _ours(total: Counter[str]) -> list[tuple[str, int]]:
    """Of s3plan itself, without what everything is called from."""
    known = [(name, count) for name, count in total.most_common() if name.startswith("s3plan/")]
    inner = [entry for entry in known if not re.match(r"s3plan/(cli|api|__main__)", entry[0])]
    return inner[:TOP]


def _short(frame: str) -> str:
    """``s3plan/store/wire.py send`` rather than a path of this machine."""
    function, _, file = frame.rpartition(" (")
    file = file.rstrip(")").removeprefix(f"{ROOT}/")
    file = re.sub(r".*/(?:site-packages|python3\.\d+)/", "", file)
    return f"{file} {function}" if function else frame
