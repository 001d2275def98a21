"""Evacuation planning: from what was seen, exactly the steps that are missing, or why not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from s3plan.errors import ProblemsError
from s3plan.kinds import load, plan_all
from s3plan.model.steps import Delete, DeleteBucket, Gate, Need, Totals, Verify
from s3plan.rules.naming import fold
from s3plan.tables import Database
from tests.kinds.planned import DESTINATION, ETAG, Planned, manifest, observe, plan

COPY = "buckets: {include: [b]}\ndestination: {path: /archive}"
EMPTY_OUT = COPY + "\ndelete: afterVerification"
REMOVE = EMPTY_OUT + "\ndeleteBucket: true"
OTHER_ETAG = "0" * 32


def bucket(*keys: str, **facts: Any) -> dict[str, Any]:
    return {"b": {"objects": [{"key": key} for key in keys], **facts}}


def row(key: str, **columns: Any) -> dict[str, Any]:
    return {"key": key, "path": f"b/{key}", **columns}


def here(*keys: str) -> dict[str, Any]:
    """Catalogue and tree that have these keys."""
    return {
        "catalogues": {"b": {"rows": [row(key) for key in keys]}},
        "tree": {f"b/{key}": [1, 7] for key in keys},
    }


def planned(tmp_path: Path, spec: str, **inventory: Any) -> Planned:
    return plan(tmp_path, manifest(tmp_path, spec), inventory)


def refused(tmp_path: Path, spec: str, **inventory: Any) -> list[str]:
    with pytest.raises(ProblemsError) as caught:
        planned(tmp_path, spec, **inventory)
    assert all(problem.next_step for problem in caught.value.problems)
    return [str(problem) for problem in caught.value.problems]


def test_a_fresh_bucket_is_downloaded_verified_deleted_and_removed(tmp_path: Path) -> None:
    result = planned(tmp_path, REMOVE, buckets=bucket("b", "a", "c/d"))
    assert result.verbs == ["download", "verify", "delete", "delete-bucket"]
    download, verify, delete, delete_bucket = result.file.steps
    assert result.paths("download") == {"a": "b/a", "b": "b/b", "c/d": "b/c/d"}
    assert result.keys("download") == ["a", "b", "c/d"]
    assert download.totals == Totals(3, 3)
    assert isinstance(verify.action, Verify)
    assert verify.action.read_back
    assert verify.needs == (Need(download.id),)
    assert verify.worklist == delete.worklist == download.id
    gate = Gate("approve-delete", "b", verify.id)
    assert (delete.gate, delete_bucket.gate) == (gate, gate)
    assert isinstance(delete.action, Delete)
    assert isinstance(delete_bucket.action, DeleteBucket)
    assert [step.reversibility for step in result.file.steps] == ["free", "free", "costs", "until"]
    assert all(step.undo.endswith(".") and step.reason.endswith(".") for step in result.file.steps)


def test_without_deletion_nothing_is_read_back(tmp_path: Path) -> None:
    result = planned(tmp_path, COPY, buckets=bucket("a"))
    assert result.verbs == ["download", "verify"]
    assert isinstance(result.file.steps[1].action, Verify)
    assert not result.file.steps[1].action.read_back


def test_what_is_here_is_not_downloaded_but_verified(tmp_path: Path) -> None:
    result = planned(tmp_path, EMPTY_OUT, buckets=bucket("a", "b"), **here("a"))
    assert result.verbs == ["download", "verify", "delete"]
    assert result.keys("download") == ["b"]
    assert result.keys("verify") == result.keys("delete") == ["a", "b"]
    assert result.file.steps[2].worklist == result.file.steps[1].id


@pytest.mark.parametrize(
    ("spec", "inventory"),
    [
        (COPY, {"buckets": bucket("a", "b"), **here("a", "b")}),
        (COPY, {"buckets": bucket(), **here("a")}),
        (COPY, {"buckets": bucket()}),
        (EMPTY_OUT, {"buckets": bucket(), **here("a")}),
        (
            REMOVE,
            {
                "catalogues": {"b": {"state": "deleted", "rows": [row("a")]}},
                "tree": {"b/a": [1, 7]},
            },
        ),
        (COPY.replace("[b]", "['x*']"), {"buckets": bucket("a")}),
        (COPY + "\nselect: {prefix: p/}", {"buckets": bucket("a")}),
    ],
)
def test_what_is_done_stays_done(tmp_path: Path, spec: str, inventory: dict[str, Any]) -> None:
    assert planned(tmp_path, spec, **inventory).verbs == []


def test_objects_that_are_here_are_still_deleted_if_asked(tmp_path: Path) -> None:
    result = planned(tmp_path, REMOVE, buckets=bucket("a"), **here("a"))
    assert result.verbs == ["verify", "delete", "delete-bucket"]


def test_an_empty_bucket_is_removed_behind_a_gate(tmp_path: Path) -> None:
    facts = {"configuration": {"policy": {}, "cors": [{}]}, "unreadable": ["logging"]}
    result = planned(tmp_path, REMOVE, buckets=bucket(**facts), **here("a"))
    assert result.verbs == ["verify", "delete-bucket"]
    verify, remove = result.file.steps
    assert verify.totals == Totals()
    assert remove.gate == Gate("approve-delete", "b", verify.id)
    assert isinstance(remove.action, DeleteBucket)
    assert remove.action.saved == ("cors", "policy")
    assert remove.action.unsaved == ("logging (unreadable)",)


def test_a_file_that_vanished_is_downloaded_again_to_its_path(tmp_path: Path) -> None:
    catalogue = {"b": {"rows": [row("a", path="b/a%~x")]}}
    result = planned(tmp_path, COPY, buckets=bucket("a"), catalogues=catalogue)
    assert result.paths("download") == {"a": "b/a%~x"}


@pytest.mark.parametrize(
    "inventory",
    [
        {"tree": {"b/a": [1, 99]}},
        {"tree": {"b/a": [1, 99]}, "catalogues": here("a")["catalogues"]},
        {"tree": {"b/a": [1, 7]}, "catalogues": {"b": {"rows": [row("a", verdict="mismatched")]}}},
        {"tree": {"b/a": [1, 7]}, "catalogues": {"b": {"rows": [row("a", modified="2020")]}}},
    ],
    ids=["no row", "touched", "mismatched", "same content written again"],
)
def test_a_file_of_the_right_size_is_for_the_download_to_compare(
    tmp_path: Path, inventory: dict[str, Any]
) -> None:
    assert planned(tmp_path, COPY, buckets=bucket("a"), **inventory).keys("download") == ["a"]


def test_an_unverifiable_copy_is_not_downloaded_again(tmp_path: Path) -> None:
    catalogue = {"b": {"rows": [row("a", verdict="unverifiable")]}}
    inventory = {"buckets": bucket("a"), "catalogues": catalogue, "tree": {"b/a": [1, 7]}}
    assert planned(tmp_path, COPY, **inventory).verbs == []
    assert planned(tmp_path, EMPTY_OUT, **inventory).verbs == ["verify", "delete"]


def test_other_files_in_the_way_are_problems(tmp_path: Path) -> None:
    keys = ("a", "d/x", "e", "link")
    tree = {"b/a": [5, 7], "b/d": [1, 7], "b/e/inside": [1, 7], "b/link": [-1, 7]}
    found = refused(tmp_path, COPY, buckets=bucket(*keys), tree=tree)
    assert len(found) == 3
    assert "2 other files stand where objects are to go" in found[0]
    assert "a (1 bytes) at b/a (5 bytes), link (1 bytes) at b/link (a link or" in found[0]
    assert "files stand where directories must be" in found[1]
    assert "b/d" in found[1]
    assert "directories stand where files must be" in found[2]
    assert "b/e" in found[2]


def test_changed_objects_whose_file_is_there_are_problems(tmp_path: Path) -> None:
    inventory: dict[str, Any] = here("a")
    inventory["catalogues"]["b"]["rows"][0]["etag"] = OTHER_ETAG
    (found,) = refused(tmp_path, COPY, buckets=bucket("a"), **inventory)
    assert "changed since they were evacuated" in found
    assert "move their files" in found
    del inventory["tree"]
    assert planned(tmp_path, COPY, buckets=bucket("a"), **inventory).keys("download") == ["a"]


@pytest.mark.parametrize("tree", [{}, {"b/a": [2, 7]}, {"b/a": [1, 8]}])
def test_files_of_objects_that_are_gone_must_be_as_they_were(
    tmp_path: Path, tree: dict[str, Any]
) -> None:
    catalogues = here("a")["catalogues"]
    (found,) = refused(tmp_path, COPY, buckets=bucket(), catalogues=catalogues, tree=tree)
    assert "missing or changed, and their objects are gone" in found
    catalogues["b"]["state"] = "deleted"
    (found,) = refused(tmp_path, COPY, catalogues=catalogues, tree=tree)
    assert "missing or changed" in found


def test_keys_outside_the_selection_are_nobodys(tmp_path: Path) -> None:
    select = COPY + "\nselect: {prefix: p/, keys: ['*.jpg']}"
    inventory = here("q/gone.jpg", "p/kept.txt")
    del inventory["tree"]
    result = planned(
        tmp_path, select, buckets=bucket("p/a.jpg", "p/b/c.jpg", "p/kept.txt"), **inventory
    )
    assert result.keys("download") == ["p/a.jpg", "p/b/c.jpg"]
    assert isinstance(result.file.steps[1].action, Verify)
    assert result.file.steps[1].action.select is not None


def test_selection_by_age_and_size(tmp_path: Path) -> None:
    objects: list[dict[str, Any]] = [
        {"key": "old", "modified": "2026-10-01T00:00:00.000Z", "size": 10},
        {"key": "edge", "modified": "2026-10-21T00:00:00.000Z", "size": 10},
        {"key": "small", "modified": "2026-10-01T00:00:00.000Z", "size": 9},
    ]
    select = COPY + "\nselect: {olderThan: 30d, minSize: 10}"
    result = planned(tmp_path, select, buckets={"b": {"objects": objects}})
    assert result.keys("download") == ["old"]


def test_what_cannot_be_served_is_said_for_all_buckets_together(tmp_path: Path) -> None:
    buckets = {
        "express--use1-az4--x-s3": {},
        "paying": {"requester_pays": True},
        "sealed": {"objects": [{"key": "a"}]},
        "versioned": {
            "versioning": "suspended",
            "objects": [
                {"key": "a", "version_id": "2", "newer": 0, "marker": False},
                {"key": "a", "version_id": "1", "newer": 1, "marker": False},
                {"key": "b", "version_id": "m", "newer": 0, "marker": True},
            ],
        },
    }
    spec = EMPTY_OUT.replace("[b]", "['*', missing]")
    found = refused(tmp_path, spec, buckets=buckets, sealed={"sealed": ["a"]})
    assert [text.split(":", 2)[1] for text in found] == [
        "//express--use1-az4--x-s3",
        "//missing",
        "//paying",
        "//sealed",
        "//versioned",
    ]
    assert "check its name, the region and the credentials" in found[1]
    assert "requesterPays" in found[2]
    assert "SSE-C" in found[3]
    assert "versions" in found[4]


def test_a_bucket_with_staging_of_a_migration_is_not_deleted(tmp_path: Path) -> None:
    """C3: it is in no listing, so the plan has to say that it is there."""
    shadow = ".s3plan/layout/old/a~0123456789abcdef"
    buckets = bucket("a", shadow)
    (problem,) = refused(tmp_path, REMOVE, buckets=buckets)
    assert shadow in problem
    assert "LayoutCleanup" in problem
    assert planned(tmp_path, COPY, buckets=buckets).keys("download") == ["a"]


def test_a_problem_counts_all_its_objects_and_names_the_first(tmp_path: Path) -> None:
    keys = [f"k{n:02}" for n in range(12)]
    inventory: dict[str, Any] = here(*keys)
    for row in inventory["catalogues"]["b"]["rows"]:
        row["etag"] = OTHER_ETAG
    (found,) = refused(tmp_path, COPY, buckets=bucket(*keys), **inventory)
    assert "12 objects changed" in found
    assert "k00" in found
    assert "k10" not in found
    assert "and 2 more" in found


def test_an_object_over_the_size_of_one_put_is_deleted_all_the_same(tmp_path: Path) -> None:
    objects = [{"key": "huge", "size": 5 * 1024**3 + 1}]
    result = planned(tmp_path, EMPTY_OUT, buckets={"b": {"objects": objects}})
    assert result.keys("delete") == ["huge"]


def test_versions_are_a_warning_where_nothing_is_deleted(tmp_path: Path) -> None:
    result = planned(tmp_path, COPY, buckets=bucket("a", versioning="enabled"))
    assert "only current versions" in result.file.steps[0].warnings[0]


def test_a_bucket_that_somebody_else_deleted_is_a_problem(tmp_path: Path) -> None:
    (found,) = refused(tmp_path, COPY, **here("a"))
    assert "there is no such bucket" in found


def test_a_catalogue_of_another_s3_is_not_ours(tmp_path: Path) -> None:
    inventory: dict[str, Any] = here("a")
    inventory["catalogues"]["b"]["target"] = {"endpoint": "http://other", "region": "x"}
    inventory["catalogues"]["b"]["state"] = "deleted"
    (found,) = refused(tmp_path, COPY, buckets=bucket("a"), **inventory)
    assert "from another S3" in found
    assert "from another S3" in refused(tmp_path, COPY, **inventory)[0]
    glob = COPY.replace("[b]", "['*']")
    assert planned(tmp_path, glob, **inventory).verbs == []


def test_buckets_come_in_byte_order_and_keep_to_their_directories(tmp_path: Path) -> None:
    buckets = {name: {"objects": [{"key": "a"}]} for name in ("c", "a", "b", "not-this")}
    spec = COPY.replace("[b]", "['*'], exclude: ['not-*']")
    result = planned(tmp_path, spec, buckets=buckets)
    assert [step.subject for step in result.file.steps] == ["a", "a", "b", "b", "c", "c"]
    shared = spec.replace("/archive", "/archive, layout: 'x/{key}'")
    found = refused(tmp_path, shared, buckets=buckets)
    assert all("would share a directory" in text for text in found)
    assert len(found) == 2


def test_manifests_do_not_share_directories_either(tmp_path: Path) -> None:
    first = manifest(tmp_path, COPY.replace("/archive", "/archive, layout: '{key}'"))
    second = tmp_path / "second.yaml"
    second.write_text(
        first.read_text()
        .replace("name: test", "name: second")
        .replace("[b]", "[c]")
        .replace("path: /archive", "path: /archive/below")
    )
    loaded = load([first, second], variables={}, environ={})
    with Database(tmp_path / "scratch") as database:
        buckets: dict[str, Any] = {"b": {"objects": []}, "c": {"objects": []}}
        with pytest.raises(ProblemsError) as caught:
            plan_all(loaded, observe(loaded, database, {"buckets": buckets}))
    (problem,) = caught.value.problems
    assert "the buckets b and c would share a directory" in str(problem)


def test_another_layout_than_the_first_is_a_problem(tmp_path: Path) -> None:
    spec = COPY.replace("/archive", "/archive, layout: 'new/{bucket}/{key}'")
    (found,) = refused(tmp_path, spec, buckets=bucket("a"), **here("a"))
    assert "keep the layout" in found


def test_a_bucket_belongs_to_one_manifest(tmp_path: Path) -> None:
    first = manifest(tmp_path, COPY)
    second = tmp_path / "second.yaml"
    second.write_text(first.read_text().replace("name: test", "name: second"))
    loaded = load([first, second], variables={}, environ={})
    with Database(tmp_path / "scratch") as database:
        observed = observe(loaded, database, {"buckets": bucket("a")})
        with pytest.raises(ProblemsError) as caught:
            plan_all(loaded, observed)
    assert "two manifests claim the bucket b" in str(caught.value.problems[0])


def test_folder_markers_are_directories(tmp_path: Path) -> None:
    objects = [{"key": "d/", "size": 0}, {"key": "e/", "size": 3}, {"key": "d/x"}]
    buckets = {"b": {"objects": objects}}
    result = planned(tmp_path, COPY, buckets=buckets)
    assert result.paths("download") == {"d/": "b/d/", "d/x": "b/d/x", "e/": "b/e/%2F"}
    rows = [row("d/", size=0), row("d/x"), row("e/", path="b/e/%2F", size=3)]
    done: dict[str, Any] = {
        "catalogues": {"b": {"rows": rows}},
        "tree": {"b/d/x": [1, 7], "b/e/%2F": [3, 7]},
    }
    assert planned(tmp_path, COPY, buckets=buckets, **done).verbs == []
    del done["tree"]["b/d/x"]
    assert planned(tmp_path, COPY, buckets=buckets, **done).keys("download") == ["d/", "d/x"]


def test_paths_from_the_catalogue_never_move(tmp_path: Path) -> None:
    inventory = here("b", "photos/x")
    result = planned(tmp_path, COPY, buckets=bucket("b", "B", "PHOTOS/y", "photos"), **inventory)
    paths = result.paths("download")
    assert set(paths) == {"B", "PHOTOS/y", "photos"}
    assert all("%~" in path for path in paths.values())


def test_paths_of_files_that_are_kept_are_taken(tmp_path: Path) -> None:
    result = planned(tmp_path, COPY, buckets=bucket("A"), **here("a"))
    assert "%~" in result.paths("download")["A"]


PARTS = st.sampled_from(
    ["a", "A", "ß", "ss", "e\u0301", "é", "..", "", "b", ".s3plan", "con", "%41"]
)
KEYS = st.lists(PARTS, min_size=1, max_size=3).map("/".join).filter(bool)


@pytest.mark.long
@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    new=st.dictionaries(KEYS, st.integers(0, 1), max_size=12),
    known=st.dictionaries(KEYS, st.integers(0, 1), max_size=4),
)
def test_no_two_keys_share_a_path(
    tmp_path: Path, new: dict[str, int], known: dict[str, int]
) -> None:
    first = planned(tmp_path, COPY, buckets={"b": {"objects": objects_of(known)}})
    before = first.paths("download") if first.verbs else {}
    catalogue = {"b": {"rows": [row(key, path=before[key], size=known[key]) for key in before]}}
    everything = known | new
    result = planned(
        tmp_path,
        COPY,
        buckets={"b": {"objects": objects_of({**everything, **known})}},
        catalogues=catalogue,
    )
    paths = result.paths("download") if result.verbs else {}
    assert set(paths) == set(everything)
    assert {key: paths[key] for key in before} == before
    files = {fold(path) for path in paths.values() if not path.endswith("/")}
    directories = {
        fold(path[: at + 1])
        for path in paths.values()
        for at, character in enumerate(path)
        if character == "/"
    }
    assert len({fold(path) for path in paths.values()}) == len(paths)
    assert not {path + "/" for path in files} & directories
    assert all(path.startswith("b/") and "/../" not in path for path in paths.values())


def objects_of(sizes: dict[str, int]) -> list[dict[str, Any]]:
    return [{"key": key, "size": size, "etag": ETAG} for key, size in sizes.items()]


def test_worklists_are_in_byte_order_whatever_the_size(tmp_path: Path) -> None:
    loaded = load([manifest(tmp_path, COPY)], variables={}, environ={})
    with Database(tmp_path / "scratch") as database:
        observed = observe(loaded, database, {"buckets": bucket()})
        database.execute(
            "INSERT INTO listing BY NAME SELECT 'b' AS bucket, md5(n::VARCHAR) AS key, 1 AS size,"
            " 'e' AS etag, 't' AS modified, 'STANDARD' AS storage_class"
            " FROM range(300000) AS numbers(n)"
        )
        (download, _) = plan_all(loaded, observed)
        wrong = database.row(
            "SELECT count(*), count(*) FILTER (n <> place) FROM ("
            "SELECT n, row_number() OVER (ORDER BY key) - 1 AS place FROM items WHERE step = $id)",
            {"id": download.id},
        )
    assert wrong == (300_000, 0)


def test_the_digest_is_of_the_difference_alone(tmp_path: Path) -> None:
    one = planned(tmp_path, REMOVE, buckets=bucket("a", "b"))
    other = planned(tmp_path, REMOVE, buckets=bucket("b", "a"), now="2027-01-01T00:00:00+00:00")
    assert one.file.digest == other.file.digest
    assert one.file.digest != planned(tmp_path, REMOVE, buckets=bucket("a")).file.digest
    assert DESTINATION in str(one.file.steps[0].action)
