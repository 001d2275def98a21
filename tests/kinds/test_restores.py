"""What a plan says of archived objects: which, how, for how long, and for how much."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from s3plan.errors import ProblemsError
from s3plan.model.steps import Download, Need, Restore
from tests.kinds.planned import manifest, plan
from tests.kinds.test_evacuation import COPY, planned, refused

AWS = {"endpoint": "https://s3.us-east-1.amazonaws.com", "region": "us-east-1"}
GB = 1024**3


def _objects(*classes: str, size: int = 1, **more: Any) -> list[dict[str, Any]]:
    return [
        {"key": f"k{n:02}-{name}", "storage_class": name, "size": size} | more
        for n, name in enumerate(classes)
    ]


def test_archives_are_restored_and_everything_else_is_downloaded_at_once(tmp_path: Path) -> None:
    """A19, A49, A50, A69: what has no class in the listing is STANDARD."""
    classes = ["DEEP_ARCHIVE", "GLACIER", "GLACIER_IR", "INTELLIGENT_TIERING", "STANDARD_IA"]
    objects = _objects(*classes, "STANDARD", "ONEZONE_IA")
    objects.append({"key": "tiered", "storage_class": "INTELLIGENT_TIERING"})
    objects[-1]["archive"] = "ARCHIVE_ACCESS"
    result = planned(tmp_path, COPY, buckets={"b": {"objects": objects}})
    restore, readable, restored, verify = result.file.steps
    assert isinstance(restore.action, Restore)
    assert restore.action.tiers == {
        "DEEP_ARCHIVE": "Bulk",
        "GLACIER": "Standard",
        "INTELLIGENT_TIERING": "Standard",
    }
    assert (restore.action.days, restore.action.poll) == (7, 300)
    frozen = [item.key for item in result.file.items(restore.id)]
    assert frozen == ["k00-DEEP_ARCHIVE", "k01-GLACIER", "tiered"]
    assert [item.key for item in result.file.items(restored.id)] == frozen
    assert len(list(result.file.items(readable.id))) == 5
    assert restored.needs == (Need(restore.id, "each"),)
    assert restored.action == Download("/archive", restored=True)
    assert readable.action == Download("/archive")
    assert verify.needs == (Need(readable.id), Need(restored.id))
    assert verify.totals.items == 8


def test_hours_and_reversibility_are_shown(tmp_path: Path) -> None:
    """A40."""
    objects = _objects("GLACIER", "GLACIER", "DEEP_ARCHIVE")
    restore = planned(tmp_path, COPY, buckets={"b": {"objects": objects}}).file.steps[0]
    assert restore.seconds == 48 * 3600
    assert "1 in DEEP_ARCHIVE (Bulk, up to 48 h), 2 in GLACIER (Standard, up to 5 h)" in (
        restore.reason
    )
    assert restore.reversibility == "costs"


def test_only_archived_objects_share_one_worklist(tmp_path: Path) -> None:
    result = planned(tmp_path, COPY, buckets={"b": {"objects": _objects("GLACIER", "GLACIER")}})
    assert result.verbs == ["restore", "download", "verify"]
    assert {step.worklist for step in result.file.steps} == {result.file.steps[0].id}


@pytest.mark.parametrize(
    ("tier", "classes"),
    [
        ("Bulk", {"GLACIER": "Bulk", "DEEP_ARCHIVE": "Bulk"}),
        ("Standard", {"GLACIER": "Standard", "DEEP_ARCHIVE": "Standard"}),
    ],
)
def test_a_tier_that_is_told_is_for_every_class(
    tmp_path: Path, tier: str, classes: dict[str, str]
) -> None:
    """A13."""
    spec = f"{COPY}\nrestore: {{tier: {tier}}}"
    restore = planned(tmp_path, spec, buckets={"b": {"objects": _objects(*classes)}}).file.steps[0]
    assert isinstance(restore.action, Restore)
    assert restore.action.tiers == classes


@pytest.mark.parametrize(
    "objects",
    [
        _objects("DEEP_ARCHIVE"),
        _objects("INTELLIGENT_TIERING", archive="DEEP_ARCHIVE_ACCESS"),
    ],
)
def test_expedited_is_refused_where_s3_does_not_offer_it(
    tmp_path: Path, objects: list[dict[str, Any]]
) -> None:
    """A13."""
    spec = f"{COPY}\nrestore: {{tier: Expedited}}"
    (found,) = refused(tmp_path, spec, buckets={"b": {"objects": objects}})
    assert "does not offer Expedited restores from DEEP_ARCHIVE" in found
    fine = _objects("GLACIER", "INTELLIGENT_TIERING", archive="ARCHIVE_ACCESS")
    del fine[0]["archive"]
    assert planned(tmp_path, spec, buckets={"b": {"objects": fine}}).verbs[0] == "restore"


def test_days_must_outlast_the_restore_and_the_download(tmp_path: Path) -> None:
    """A12 (E25): 48 h of Bulk, and 50 TB at 100 MB a second, 10 MB with a limit."""
    deep = {"b": {"objects": _objects("DEEP_ARCHIVE")}}
    (found,) = refused(tmp_path, f"{COPY}\nrestore: {{days: 2}}", buckets=deep)
    assert "restore.days of 3 or more: up to 48 h until copies are there" in found
    assert planned(tmp_path, f"{COPY}\nrestore: {{days: 3}}", buckets=deep).verbs[0] == "restore"

    large = {"b": {"objects": _objects("GLACIER", "STANDARD", size=25_000 * 10**9)}}
    (found,) = refused(tmp_path, f"{COPY}\nrestore: {{days: 5}}", buckets=large)
    assert "restore.days of 6 or more" in found
    assert "about 139 h to download" in found


def test_estimates_keep_to_the_limits_of_the_connection(tmp_path: Path) -> None:
    """A42: a download that may take 1 MB a second takes a hundred times as long."""
    objects = {"b": {"objects": _objects("GLACIER", "STANDARD", size=100 * 10**9)}}
    path = manifest(tmp_path, f"{COPY}\nrestore: {{days: 7}}")
    fast = plan(tmp_path, path, {"buckets": objects}).file
    assert [step.seconds for step in fast.steps[1:3]] == [1000.0, 1000.0]
    connection = (
        "---\napiVersion: s3plan/v1\nkind: Connection\nmetadata: {name: default}\n"
        "spec: {limits: {bandwidth: 1MB}}\n"
    )
    path.write_text(path.read_text() + connection)
    slow = plan(tmp_path, path, {"buckets": objects}).file
    assert [step.seconds for step in slow.steps[1:3]] == [100_000.0, 100_000.0]
    path.write_text(path.read_text().replace("days: 7", "days: 2"))
    with pytest.raises(ProblemsError, match="cannot be planned") as caught:
        plan(tmp_path, path, {"buckets": objects})
    assert "restore.days of 3 or more" in str(caught.value.problems[0])


def test_copies_of_intelligent_tiering_do_not_expire(tmp_path: Path) -> None:
    """E26."""
    objects = _objects("INTELLIGENT_TIERING", archive="DEEP_ARCHIVE_ACCESS")
    spec = f"{COPY}\nrestore: {{days: 1, tier: Bulk}}"
    assert planned(tmp_path, spec, buckets={"b": {"objects": objects}}).verbs[0] == "restore"


def test_a_restore_that_costs_too_much_is_refused(tmp_path: Path) -> None:
    """A40: retrieval, requests and temporary copies of 1 TiB, by AWS's prices."""
    buckets = {"b": {"objects": _objects(*["GLACIER"] * 16, size=64 * GB)}}
    (found,) = refused(tmp_path, f"{COPY}\nrestore: {{maxCost: 5}}", buckets=buckets, target=AWS)
    assert "the restore costs more than restore.maxCost" in found
    assert "expected at most $5.00; found up to $1" in found
    cheap = planned(tmp_path, f"{COPY}\nrestore: {{maxCost: 20}}", buckets=buckets, target=AWS)
    assert cheap.verbs[0] == "restore"


def test_a_ceiling_without_prices_is_refused(tmp_path: Path) -> None:
    """What nobody knows is not below a ceiling."""
    buckets = {"b": {"objects": _objects("GLACIER")}}
    (found,) = refused(tmp_path, f"{COPY}\nrestore: {{maxCost: 5}}", buckets=buckets)
    assert "what the restore costs is not known" in found
    assert "no prices for http://s3.example:8333" in found
    assert "--prices" in found


def test_what_is_here_is_not_restored(tmp_path: Path) -> None:
    objects = _objects("GLACIER", "GLACIER")
    catalogue = {"rows": [{"key": "k00-GLACIER", "path": "b/k00-GLACIER"}]}
    result = planned(
        tmp_path,
        COPY,
        buckets={"b": {"objects": objects}},
        catalogues={"b": catalogue},
        tree={"b/k00-GLACIER": [1, 7]},
    )
    assert result.keys("restore") == ["k01-GLACIER"]
