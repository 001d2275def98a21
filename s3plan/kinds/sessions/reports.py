"""Sessions as tables: how much there is by year, which are archived, and in which class."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import groupby

from s3plan.model.sessions import SeenSession, SessionState
from s3plan.model.tabular import Column, Report, Section

_HOUR = 3600.0

_IN_WORDS: dict[SessionState, str] = {
    "new": "no",
    "waiting": "no, still written",
    "same": "yes",
    "changed": "yes, changed since",
    "retained": "yes, gone from disk",
    "adopted": "adopted, unverified",
    "other": "replaced by others",
    "unindexed": "gone, index left",
}


def session_list(sessions: Iterable[SeenSession]) -> Section:
    """A row for each session, as ``s3plan list sessions`` shows it."""
    columns = (
        Column("session"),
        Column("date"),
        Column("camera"),
        Column("telescope"),
        Column("files"),
        Column("bytes", "bytes"),
        Column("archive"),
        Column("class"),
        Column("bucket"),
    )
    rows = (
        (
            one.session,
            one.date,
            one.camera,
            one.telescope,
            one.files,
            one.bytes,
            _IN_WORDS[one.state],
            one.storage_class,
            one.bucket,
        )
        for one in sessions
    )
    return Section("sessions", "Sessions", columns, rows)


def by_year(sessions: Sequence[SeenSession], megabits: float) -> Report:
    """How much there is to archive, year by year; ``megabits`` a second is the way to S3."""
    first = sessions[0].bucket if sessions else ""
    here = sorted(
        (one for one in sessions if one.bucket == first and one.state != "retained"),
        key=lambda one: one.year or "",
    )
    rows: list[tuple[object, ...]] = []
    for year, group in groupby(here, key=lambda one: one.year or "unknown"):
        rows.append((year, *_sums(list(group), megabits)))
    rows.append(("all", *_sums(here, megabits)))
    columns = (
        Column("year"),
        Column("sessions"),
        Column("archived"),
        Column("files"),
        Column("bytes", "bytes"),
        Column("average", "bytes"),
        Column("left", "bytes"),
        Column("upload_hours"),
    )
    return Report(
        "sessions",
        "Sessions by year",
        (("megabits a second", megabits),),
        (
            Section(
                "years",
                "Years",
                columns,
                rows,
                note="`left` is what has no archive yet; `upload_hours` is the time for it.",
            ),
        ),
    )


def _sums(group: Sequence[SeenSession], megabits: float) -> tuple[object, ...]:
    size = sum(one.bytes for one in group)
    left = sum(one.bytes for one in group if not one.is_archived)
    return (
        len(group),
        sum(one.is_archived for one in group),
        sum(one.files for one in group),
        size,
        size // len(group) if group else 0,
        left,
        round(left * 8 / (megabits * 1_000_000) / _HOUR, 1),
    )


def standing_of(sessions: Sequence[SeenSession]) -> Report:
    """How far archiving is, bucket by bucket: shares, classes expected and real, each archive."""
    buckets = list(dict.fromkeys(one.bucket for one in sessions))
    facts: list[tuple[str, object]] = []
    for bucket in buckets:
        here = [one for one in sessions if one.bucket == bucket and one.state != "retained"]
        done = sum(one.is_archived for one in here)
        share = round(100 * done / len(here), 1) if here else 0.0
        facts.append((f"{bucket}: sessions", len(here)))
        facts.append((f"{bucket}: archived", f"{done} ({share} %)"))
        facts.append((f"{bucket}: files", sum(one.files for one in here)))
    return Report(
        "sessions", "Archived sessions", tuple(facts), (_states(sessions), _classes(sessions),
        _archives(sessions))
    )  # fmt: skip


def _states(sessions: Sequence[SeenSession]) -> Section:
    columns = (Column("bucket"), Column("state"), Column("sessions"), Column("bytes", "bytes"))
    ordered = sorted(sessions, key=lambda one: (one.bucket, one.state))
    rows = []
    for (bucket, state), found in groupby(ordered, key=lambda one: (one.bucket, one.state)):
        group = list(found)
        rows.append((bucket, state, len(group), sum(one.bytes for one in group)))
    return Section("states", "States", columns, rows)


def _classes(sessions: Sequence[SeenSession]) -> Section:
    columns = (
        Column("bucket"),
        Column("class"),
        Column("expected"),
        Column("archives"),
        Column("bytes", "bytes"),
    )

    def key(one: SeenSession) -> tuple[str, str, str]:
        return one.bucket, one.storage_class or "", one.expected_class or ""

    ordered = sorted((one for one in sessions if one.is_archived), key=key)
    rows = []
    for (bucket, real, expected), found in groupby(ordered, key=key):
        group = list(found)
        rows.append((bucket, real, expected, len(group), sum(one.size or 0 for one in group)))
    return Section(
        "classes",
        "Storage classes",
        columns,
        rows,
        note="S3 moves objects once a day and may take a day or two; what stays in another class "
        "than expected has other tags, or another rule.",
    )


def _archives(sessions: Sequence[SeenSession]) -> Section:
    columns = (
        Column("session"),
        Column("state"),
        Column("class"),
        Column("expected"),
        Column("transition"),
        Column("restore"),
        Column("archived"),
        Column("bytes", "bytes"),
        Column("bucket"),
        Column("key"),
    )
    rows = [
        (
            one.session,
            one.state,
            one.storage_class,
            one.expected_class,
            one.transition,
            one.restore,
            one.archived,
            one.size,
            one.bucket,
            one.key,
        )
        for one in sessions
        if one.is_archived
    ]
    return Section("archives", "Archives", columns, rows, lengthy=True)
