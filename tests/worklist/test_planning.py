"""What a plan for a worklist is about, and what becomes of every entry."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from s3plan.errors import PlanFileError, UsageError
from s3plan.kinds import load
from s3plan.model.worklist import Asked, Entry
from s3plan.plan.reading import PlanFile
from tests.kinds.planned import DESTINATION, Planned, manifest, plan

EXAMPLES = Path(__file__).parents[2] / "examples" / "plans"
EVACUATION = f"""
buckets: {{include: ["photos*"]}}
destination: {{path: {DESTINATION}}}
"""
BUCKETS = {
    "photos": {"objects": [{"key": key} for key in ("a", "b", "c")]},
    "photos-2": {"objects": [{"key": "a"}]},
}
GROUPING = """
source: {bucket: people}
backup: {bucket: safe, prefix: b/, storageClass: STANDARD}
"""
PEOPLE = {
    "people": {"objects": [{"key": f"{n}/Ann/f.mp3"} for n in (1, 2, 3)]},
    "safe": {"objects": []},
}


def _asked(planned: Planned) -> list[Asked]:
    return list(planned.file.asked())


def _evacuate(tmp_path: Path, *items: Entry, spec: str = "") -> Planned:
    path = manifest(tmp_path, EVACUATION + spec)
    return plan(tmp_path, path, {"buckets": BUCKETS}, items)


def test_an_evacuation_of_what_is_named(tmp_path: Path) -> None:
    """C14, C43-C45: keys that are named, and every entry with its reason."""
    planned = _evacuate(
        tmp_path,
        Entry("photos", "c", '{"object_id":1.10}'),
        Entry("photos", "a"),
        Entry("photos", "c", '{"again":true}'),
        Entry("photos", "missing"),
        Entry("elsewhere", "a"),
    )
    assert planned.keys("download") == ["a", "c"]
    assert planned.keys("verify") == ["a", "c"]
    assert {step.subject for step in planned.file.steps} == {"photos"}
    assert _asked(planned) == [
        Asked(0, "photos", "c", None, {"object_id": msgspec.Raw(b"1.10")}),
        Asked(1, "photos", "a"),
        Asked(2, "photos", "c", "duplicate", {"again": msgspec.Raw(b"true")}),
        Asked(3, "photos", "missing", "not-found"),
        Asked(4, "elsewhere", "a", "not-eligible"),
    ]


def test_what_a_manifest_does_not_select_is_not_eligible(tmp_path: Path) -> None:
    """C45, C51: a worklist narrows a manifest and never widens it."""
    items = Entry("photos", "a"), Entry("photos", "b")
    planned = _evacuate(tmp_path, *items, spec="select: {keys: [b]}\n")
    assert planned.keys("download") == ["b"]
    assert [entry.reason for entry in _asked(planned)] == ["not-eligible", None]


def test_a_delete_marker_is_no_object(tmp_path: Path) -> None:
    """C51: what a key held before is not found under it."""
    bucket = {
        "versioning": "enabled",
        "objects": [
            {"key": "a", "version_id": "2", "newer": 0, "marker": True},
            {"key": "a", "version_id": "1", "newer": 1},
            {"key": "b", "version_id": "3", "newer": 0},
        ],
    }
    path = manifest(tmp_path, EVACUATION + "delete: afterVerification\nversions: all\n")
    items = [Entry("photos", "a"), Entry("photos", "b")]
    planned = plan(tmp_path, path, {"buckets": {"photos": bucket}}, items)
    assert [entry.reason for entry in _asked(planned)][1] is None
    assert _asked(planned)[0].reason == "not-found"


def test_a_worklist_leaves_the_bucket(tmp_path: Path) -> None:
    """DeleteBucket is for whole buckets: a part of one is deleted, and the bucket stays."""
    spec = "delete: afterVerification\ndeleteBucket: true\n"
    planned = _evacuate(tmp_path, Entry("photos", "a"), spec=spec)
    assert planned.verbs == ["download", "verify", "delete"]
    assert planned.keys("delete") == ["a"]


def test_a_grouping_of_what_is_named(tmp_path: Path) -> None:
    """C14: the backup and the copies are of the named sources, the table waits for the rest."""
    path = manifest(tmp_path, GROUPING, "ObjectGrouping")
    items = [Entry("people", "2/Ann/f.mp3"), Entry("safe", "x")]
    planned = plan(tmp_path, path, {"buckets": PEOPLE}, items)
    copies = [step for step in planned.file.steps if step.verb == "copy"]
    assert [[i.key for i in planned.file.items(s.id)] for s in copies] == [["2/Ann/f.mp3"]] * 2
    # Nothing is done for objects of the backup's bucket, but it was looked at: no such object.
    assert [entry.reason for entry in _asked(planned)] == [None, "not-found"]


def test_a_kind_without_objects_takes_no_worklist() -> None:
    loaded = load([EXAMPLES / "bucket-access.yaml"], variables={}, environ={})
    with pytest.raises(UsageError, match="not about single objects"):
        loaded.for_items(frozenset({"secret"}))


def test_the_same_worklist_gives_the_same_digest_and_another_one_another(tmp_path: Path) -> None:
    one = _evacuate(tmp_path, Entry("photos", "a"))
    assert _evacuate(tmp_path, Entry("photos", "a")).file.digest == one.file.digest
    other = _evacuate(tmp_path, Entry("photos", "a"), Entry("photos", "a"))
    assert other.file.digest != one.file.digest


def test_an_entry_that_was_edited_is_noticed(tmp_path: Path) -> None:
    """What was asked for is under the digest, and stands where it belongs."""
    path = _evacuate(tmp_path, Entry("photos", "a"), Entry("photos", "x")).file.path
    text = path.read_text()
    path.write_text(text.replace('"reason":"not-found"', '"reason":"duplicate"'))
    with pytest.raises(PlanFileError, match="another digest"):
        PlanFile.open(path)
    lines = text.splitlines(keepends=True)
    moved = [line for line in lines if '"asked"' not in line]
    path.write_text("".join([moved[0], *(set(lines) - set(moved)), *moved[1:]]))
    with pytest.raises(PlanFileError, match="among what was asked for"):
        PlanFile.open(path)


def test_ten_thousand_entries_do_not_take_long(tmp_path: Path) -> None:
    """C40: entries are rows of a table, read and written in batches."""
    keys = [f"k{n:05}" for n in range(10_000)]
    buckets = {"photos": {"objects": [{"key": key} for key in keys]}}
    path = manifest(tmp_path, EVACUATION)
    items = [Entry("photos", key) for key in keys[::2]]
    planned = plan(tmp_path, path, {"buckets": buckets}, items)
    assert sum(1 for _ in planned.file.asked()) == 5_000
    assert planned.file.step(planned.file.steps[0].id).totals.items == 5_000
