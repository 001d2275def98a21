"""The records of a soak (``s3plan.soak/1``): what was looked at after a run, and who signed.

They stand beside the journal of the finished run, framed with ``seq`` and ``crc`` as its lines are.
Each holds in ``chain`` the SHA-256 of itself and of the chain before it, so that a line that is
taken out, or put in, breaks all that follow: who wrote down the last one vouches for all of them.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

SOAK_FORMAT = "s3plan.soak/1"

Days = Annotated[int, Meta(ge=0, le=3650)]


class SoakTerms(Struct, frozen=True, omit_defaults=True):
    """How long copies are watched, in days of 24 hours from the end of the run.

    Until the day ``daily`` a check is due every day, until ``weekly`` every seven days; then one
    that compares content as well. With ``days`` 0 only that last one is due, at once.
    """

    days: Days = 30
    daily: Days = 7
    weekly: Days = 21


CheckKind = Literal["daily", "weekly", "full"]
"""``full`` compares the content of every copy besides; the others differ in when they are due."""

NoteKind = Literal["errors", "access", "performance", "feedback"]
"""What people see and s3plan cannot: error logs, access patterns, performance, feedback."""


class SoakRecord(Struct, frozen=True, tag_field="type"):
    """One record. The variants below are all there are."""


class SoakBegan(SoakRecord, frozen=True, tag="soak"):
    """First record: which run is watched, by its plan's digest, since when and how long."""

    format: str
    run: str
    digest: str
    began: str
    terms: SoakTerms
    time: str
    tool: str
    chain: str = ""


class Checked(SoakRecord, frozen=True, tag="checked"):
    """A check of every copy. It passes where nothing was found; ``problems`` are sentences.

    ``figures`` count copies by what was found of them, and ``old_objects``, ``old_bytes``,
    ``old_versions`` and ``old_version_bytes`` what the old layout holds now: those without
    ``version`` are what its keys hold, the others every version of them besides.
    """

    kind: CheckKind
    passes: bool
    figures: dict[str, int]
    problems: tuple[str, ...]
    by: str
    host: str
    time: str
    chain: str = ""


class Noted(SoakRecord, frozen=True, tag="noted"):
    """What a person saw."""

    kind: NoteKind
    text: str
    by: str
    time: str
    chain: str = ""


class SignedOff(SoakRecord, frozen=True, tag="signed-off"):
    """Somebody signed for the run: ``journal`` is the SHA-256 of its journal then, in hex."""

    name: str
    role: str
    note: str
    journal: str
    by: str
    time: str
    chain: str = ""


AnySoakRecord = SoakBegan | Checked | Noted | SignedOff


class EarlierCopy(Struct, frozen=True):
    """A copy step of an earlier run: its id in the plan of that run."""

    run: str
    step: str


class SoakStanding(Struct, frozen=True):
    """How far the soak of a run is. ``began`` is the end of the run; times are RFC 3339."""

    run: str
    journal: str
    began: str
    terms: SoakTerms
    checks: tuple[Checked, ...] = ()
    notes: tuple[Noted, ...] = ()
    signatures: tuple[SignedOff, ...] = ()
    chain: str = ""

    @property
    def last(self) -> Checked | None:
        """The latest check."""
        return self.checks[-1] if self.checks else None


class RunFile(Struct, frozen=True):
    """A file of a run's folder: its path below the folder of all runs, its bytes and its time."""

    path: str
    size: int
    modified: str


class EarlierRun(Struct, frozen=True):
    """Copies of an earlier run that finished and was not taken back.

    ``files`` are those of the run and of the runs that deleted its sources, below ``folder``, which
    is absolute.
    """

    copies: EarlierCopy
    source: str
    target: str
    soak: SoakStanding
    folder: str = ""
    files: tuple[RunFile, ...] = ()


class MonitorResult(Struct, frozen=True):
    """What ``s3plan monitor`` came to. ``check`` is None where none was due.

    ``next_due`` is when the next one is, None where no other follows; ``obstacles`` say what keeps
    the sources from being deleted. ``deleted`` counts those that were.
    """

    soak: SoakStanding
    check: Checked | None
    next_due: str | None
    obstacles: tuple[str, ...] = ()
    deleted: int = 0
