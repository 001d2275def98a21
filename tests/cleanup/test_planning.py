"""Given forms beside objects, expect which of them go (C26, C27, C34, C53, E41, E45)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from s3plan.kinds import load, plan_all
from s3plan.model.steps import Purge
from s3plan.model.worklist import Entry
from s3plan.rules.shadow import Role, Shadow
from s3plan.tables import LAYOUT_NEEDED, LOCKS, SWAPPED_VERSIONS, UPLOADS, Database
from tests.kinds.planned import append, manifest, observe, plan

TOKEN = "0" * 16
NOW = "2026-11-20T12:00:30+00:00"
EARLIER, STAGED, LATER = (
    f"2026-11-20T{time}.000Z" for time in ("09:00:00", "10:00:00", "11:00:00")
)
YOUNG = "2026-11-20T11:45:00.000Z"
OTHER = "f" * 32


def new(key: str) -> str:
    return _shadow("new", key)


def old(key: str) -> str:
    return _shadow("old", key)


def _shadow(role: Role, key: str) -> str:
    return Shadow("", role, key, TOKEN).name


def row(key: str, modified: str = STAGED, **more: Any) -> dict[str, Any]:
    return {"key": key, "modified": modified, **more}


class Planned:
    """The keys that go, by the verb, and what the plan and its notes say besides."""

    def __init__(
        self,
        tmp_path: Path,
        rows: list[dict[str, Any]],
        spec: str = "",
        *,
        versioning: str = "never",
        tables: tuple[tuple[Any, list[dict[str, Any]]], ...] = (),
    ) -> None:
        text = spec if "select:" in spec else f"select: {{bucket: data}}\n{spec}"
        path = manifest(tmp_path, text, "LayoutCleanup")
        loaded = load([path], variables={}, environ={})
        with Database(tmp_path / "scratch") as database:
            bucket = {"objects": rows, "versioning": versioning}
            observed = observe(loaded, database, {"buckets": {"data": bucket}, "now": NOW})
            for table, entries in tables:
                append(database, table, entries, bucket="data")
            drafts = plan_all(loaded, observed)
            self.drafts = {draft.id.rpartition("-")[0]: draft for draft in drafts}
            self.rows = {
                draft.id.rpartition("-")[0]: list(
                    database.rows(
                        "SELECT key, path, version_id FROM items WHERE step = ? ORDER BY n",
                        [draft.worklist],
                    )
                )
                for draft in drafts
            }
            self.said = [*observed.notes, *(w for draft in drafts for w in draft.warnings)]

    @property
    def goes(self) -> list[str]:
        return [key for key, _, _ in self.rows.get("purge", [])]


SWAPPED = [row("a", LATER), row(new("a")), row(old("a"), etag=OTHER)]
NEVER_SWAPPED = [row("b", EARLIER, etag=OTHER), row(new("b")), row(old("b"), etag=OTHER)]
WRITTEN_BY_SOMEBODY = [row("c", LATER, etag=OTHER, size=9), row(new("c")), row(old("c"))]


@pytest.mark.parametrize(
    ("what", "expected"),
    [
        ("superseded", {new("a"), old("a"), old("c")}),
        ("stale", {new("b"), old("b"), new("c")}),
        ("both", {f(key) for f in (new, old) for key in "abc"}),
    ],
)
def test_what_is_superseded_and_what_is_stale(
    tmp_path: Path, what: str, expected: set[str]
) -> None:
    """C53: old forms of what was written since, and staged forms that took their place or not."""
    rows = [*SWAPPED, *NEVER_SWAPPED, *WRITTEN_BY_SOMEBODY]
    planned = Planned(tmp_path, rows, f"what: {what}\n")
    assert set(planned.goes) == expected
    assert planned.drafts["purge"].reversibility == "never"
    assert planned.rows["purge"][0][1] in "abc", "the path of a form is its object's key"


def test_no_object_is_ever_among_them(tmp_path: Path) -> None:
    """C3, C34: only shadow keys, and versions that a run superseded."""
    planned = Planned(tmp_path, [row("a", LATER), row(".s3plan/layout/new/a"), row("old/a~1")])
    assert planned.drafts == {}


def test_what_is_younger_stays(tmp_path: Path) -> None:
    """C26, E41: 30 minutes unless the manifest says otherwise."""
    rows = [row("a", LATER), row(old("a"), YOUNG, etag=OTHER), row("b", LATER), row(old("b"))]
    assert Planned(tmp_path, rows).goes == [old("b")]
    assert Planned(tmp_path, rows, "olderThan: 5m\n").goes == [old("a"), old("b")]
    assert Planned(tmp_path, rows, "olderThan: 2h\n").goes == []


def test_what_may_be_a_last_copy_stays_and_is_said(tmp_path: Path) -> None:
    """Invariant 5: where the object is gone nobody knows what its forms are worth."""
    planned = Planned(tmp_path, [row(old("gone")), row(new("gone")), *SWAPPED])
    assert set(planned.goes) == {new("a"), old("a")}
    (said,) = planned.said
    assert "Left in place: 2 forms, since the object itself is gone" in said
    assert old("gone") in said
    alone = Planned(tmp_path, [row(old("gone"))])
    assert alone.drafts == {}
    assert "the object itself is gone" in alone.said[0], "also where there is nothing to plan"


def test_what_an_unfinished_run_needs_stays_and_the_run_is_named(tmp_path: Path) -> None:
    """C27: referenced by a journal."""
    needed = [{"key": key, "run": "20261120T100000Z-00000000"} for key in (new("b"), old("b"))]
    planned = Planned(tmp_path, [*SWAPPED, *NEVER_SWAPPED], tables=((LAYOUT_NEEDED, needed),))
    assert set(planned.goes) == {new("a"), old("a")}
    assert "2 forms, since run 20261120T100000Z-00000000 is not finished" in planned.said[0]
    assert "s3plan runs abandon 20261120T100000Z-00000000" in planned.said[0]


def test_the_oldest_first_up_to_the_limit(tmp_path: Path) -> None:
    """C26, C40: what is left is said, and comes with the next plan."""
    rows = [row(f"{n}", LATER) for n in range(4)]
    rows += [row(old(f"{n}"), f"2026-11-20T0{4 - n}:00:00.000Z", etag=OTHER) for n in range(4)]
    planned = Planned(tmp_path, rows, "limit: 2\n")
    assert planned.goes == [old("2"), old("3")]
    assert "2 more follow with the next plan" in planned.drafts["purge"].reason


@pytest.mark.parametrize(
    ("select", "expected"),
    [
        ("{bucket: data, prefix: a}", {new("a"), old("a")}),
        ("{bucket: data, key: c}", {new("c"), old("c")}),
        ("{bucket: 'd*'}", {f(key) for f in (new, old) for key in "abc"}),
    ],
)
def test_objects_are_chosen_by_their_own_keys(
    tmp_path: Path, select: str, expected: set[str]
) -> None:
    """C26: bucket and key."""
    rows = [*SWAPPED, *NEVER_SWAPPED, *WRITTEN_BY_SOMEBODY]
    assert set(Planned(tmp_path, rows, f"select: {select}\n").goes) == expected


def test_versions_that_runs_superseded_go_and_no_others(tmp_path: Path) -> None:
    """C29, C53: noncurrent, swapped by a finished run, and superseded long enough ago."""

    def version(key: str, number: str, newer: int, modified: str) -> dict[str, Any]:
        return row(key, modified, version_id=number, newer=newer)

    rows = [
        version("a", "3", 0, LATER),
        version("a", "2", 1, EARLIER),  # swapped
        version("a", "1", 2, EARLIER),  # somebody's own
        version("b", "2", 0, YOUNG),  # swapped a moment ago
        version("b", "1", 1, EARLIER),
        version("c", "1", 0, LATER),  # swapped back: it is what the key holds
        {**version("d", "3", 0, LATER), "marker": True},  # deleted since
        version("d", "2", 1, STAGED),
        version("d", "1", 2, EARLIER),
        version(new("a"), "9", 0, STAGED),
        {**version(old("x"), "8", 0, STAGED), "marker": True},
    ]
    swapped = [
        {"key": key, "version_id": number}
        for key, number in (("a", "2"), ("b", "1"), ("c", "1"), ("d", "1"))
    ]
    planned = Planned(tmp_path, rows, versioning="enabled", tables=((SWAPPED_VERSIONS, swapped),))
    assert planned.rows["purge"] == [
        (new("a"), "a", "9"),
        (old("x"), "x", "8"),
        ("a", "a", "2"),
    ]
    action = planned.drafts["purge"].action
    assert isinstance(action, Purge)
    assert action.versions is True
    assert any("d" in said and "last copy" in said for said in planned.said)
    locks = [{"key": "a", "version_id": "2", "lock": "legal hold"}]
    held = Planned(
        tmp_path,
        rows,
        "what: superseded\n",
        versioning="enabled",
        tables=((SWAPPED_VERSIONS, swapped), (LOCKS, locks)),
    )
    assert held.goes == [new("a")]
    assert any("Object Lock keeps them: a." in said for said in held.said)


def test_uploads_to_shadow_keys_are_stale_and_others_nobodys(tmp_path: Path) -> None:
    """C29: uploads that a staging left unfinished are aborted; a user's own are not."""
    uploads = [
        {"key": key, "upload_id": "u", "initiated": EARLIER, "latest": latest, "size": 5}
        for key, latest in (
            (new("a"), EARLIER), (new("b"), YOUNG), ("video.mp4", EARLIER), (new("c"), EARLIER),
        )
    ]  # fmt: skip
    needed = [{"key": new("c"), "run": "20261120T100000Z-00000000"}]
    tables = ((UPLOADS, uploads), (LAYOUT_NEEDED, needed))
    planned = Planned(tmp_path, [row("a", LATER)], tables=tables)
    assert planned.rows == {"abort-uploads": [(new("a"), "", None)]}
    assert Planned(tmp_path, [row("a")], "what: superseded\n", tables=tables).drafts == {}


def test_a_worklist_names_objects(tmp_path: Path) -> None:
    """C14, C26: entries are objects' own keys; their forms are what goes."""
    text = "select: {bucket: data}\n"
    path = manifest(tmp_path, text, "LayoutCleanup")
    buckets = {"data": {"objects": [*SWAPPED, *NEVER_SWAPPED]}}
    items = [Entry("data", "a"), Entry("data", "nowhere"), Entry("other", "a")]
    planned = plan(tmp_path, path, {"buckets": buckets, "now": NOW}, items)
    assert planned.keys("purge") == [new("a"), old("a")]
    reasons = [entry.reason for entry in planned.file.asked()]
    assert reasons == [None, "not-found", "not-eligible"]


def test_nothing_to_do_is_no_changes(tmp_path: Path) -> None:
    """C52."""
    assert Planned(tmp_path, []).drafts == {}
    assert Planned(tmp_path, [row("a")]).drafts == {}
