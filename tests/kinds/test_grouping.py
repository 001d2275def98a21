"""ObjectGrouping: which key each object gets, and everything that keeps it from getting one."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from s3plan.errors import ProblemsError
from s3plan.kinds import Filters, load, plan_all
from s3plan.kinds.grouping.catalog import Table, table_obstacles
from s3plan.kinds.grouping.manifest import CatalogFields, GroupingDocument
from s3plan.kinds.grouping.mapping import Mapping, map_sources, place_copies
from s3plan.kinds.grouping.obstacles import key_obstacles, source_obstacles
from s3plan.model.steps import Copy
from s3plan.tables import LISTING, Database
from tests.kinds.planned import ETAG, Planned, append, manifest, observe, plan

Keys = Sequence[str | dict[str, Any]]
MULTIPART = "0" * 32 + "-3"
EXAMPLE = "472/Kaioxys_DarkMacro/youtube_69XL3TrD6mE.mp3"
COPIED = "audio/472_Kaioxys_DarkMacro_youtube_69XL3TrD6mE.mp3"


def _plan(
    tmp_path: Path,
    keys: Keys,
    spec: str = "",
    *,
    other: Keys | None = None,
    **bucket: Any,
) -> Planned:
    text = spec if "source:" in spec else f"source: {{bucket: people}}\n{spec}"
    path = manifest(tmp_path, text)
    path.write_text(path.read_text().replace("BucketEvacuation", "ObjectGrouping"))
    buckets = {"people": {"objects": [_row(key) for key in keys]} | bucket}
    if other is not None:
        buckets["other"] = {"objects": [_row(key) for key in other]}
    return plan(tmp_path, path, {"buckets": buckets})


def _row(key: str | dict[str, Any]) -> dict[str, Any]:
    return {"key": key} if isinstance(key, str) else key


def _problems(tmp_path: Path, *values: Any, **named: Any) -> list[str]:
    with pytest.raises(ProblemsError) as caught:
        _plan(tmp_path, *values, **named)
    return [f"{problem.what}: {problem.found}" for problem in caught.value.problems]


def test_the_example_comes_out_exactly(tmp_path: Path) -> None:
    """B11, B15, B25, B26."""
    assert _plan(tmp_path, [EXAMPLE]).paths("copy") == {EXAMPLE: COPIED}


@pytest.mark.parametrize(
    ("file", "kind"),
    [
        ("a.mp3", "audio"), ("a.M4A", "audio"), ("a.mp4", "video"), ("a.webm", "video"),
        ("a.PDF", "documents"), ("a.doc", "documents"), ("a.docx", "documents"),
        ("a.srt", "transcripts"), ("a.vtt", "transcripts"), ("a.jpg", "images"),
        ("a.PNG", "images"), ("a.mkv", "_unknown"), ("a", "_unknown"), ("a.mp3.txt", "_unknown"),
        (".mp3", "_unknown"),
    ],
)  # fmt: skip
def test_types_of_the_preset(tmp_path: Path, file: str, kind: str) -> None:
    """B24, B19, E36: case-insensitive; what nobody thought of is _unknown."""
    assert _plan(tmp_path, [f"7/Ann/{file}"]).paths("copy") == {
        f"7/Ann/{file}": f"{kind}/7_Ann_{file}"
    }


def test_rules_of_ones_own_and_the_first_that_fits_wins(tmp_path: Path) -> None:
    spec = """
rules:
  - {glob: ["cover.*"], type: covers}
  - {ext: [.JPG], minSize: 10, type: photos}
  - {regex: "[0-9]{4}-.*", type: dated}
default: rest
"""
    keys: Keys = [
        "1/A/cover.jpg",
        {"key": "1/A/b.jpg", "size": 10},
        "1/A/c.jpg",
        "1/A/2020-x",
        "1/A/y",
    ]
    assert sorted(_plan(tmp_path, keys, spec).paths("copy").values()) == [
        "covers/1_A_cover.jpg", "dated/1_A_2020-x", "photos/1_A_b.jpg", "rest/1_A_c.jpg",
        "rest/1_A_y",
    ]  # fmt: skip


def test_a_pattern_of_one_directory_a_person(tmp_path: Path) -> None:
    """B11: names may contain underscores."""
    spec = 'source: {bucket: people, prefix: raw/, pattern: "{row_id}_{name}/{file}"}'
    planned = _plan(tmp_path, ["raw/472_Kaioxys_DarkMacro/a.mp3"], spec)
    assert planned.paths("copy") == {
        "raw/472_Kaioxys_DarkMacro/a.mp3": "audio/472_Kaioxys_DarkMacro_a.mp3"
    }


def test_folder_markers_are_no_objects_to_copy(tmp_path: Path) -> None:
    """E33."""
    keys: Keys = [
        {"key": "472/", "size": 0},
        {"key": "472/Ann/", "size": 0},
        "472/Ann/a.mp3",
    ]
    assert _plan(tmp_path, keys).keys("copy") == ["472/Ann/a.mp3"]


def test_orphans_and_unfinished_downloads_block_with_their_names(tmp_path: Path) -> None:
    """B17, E36: and every problem is told at once."""
    keys = [EXAMPLE, "readme.txt", "x/y/z.mp3", "1/Ann/film.webm.part", "1/Ann/b.CRDOWNLOAD"]
    first, second = _problems(tmp_path, keys)
    assert first == "2 keys are not of the pattern: readme.txt, x/y/z.mp3"
    assert second == ("2 files are unfinished downloads: 1/Ann/b.CRDOWNLOAD, 1/Ann/film.webm.part")


def test_orphans_may_be_listed_or_copied_as_unknown(tmp_path: Path) -> None:
    """B17."""
    keys: Keys = [EXAMPLE, "notes/readme.txt", "1/A/a.part"]
    listed = _plan(tmp_path, keys, "orphans: list\nincomplete: list")
    assert listed.keys("copy") == [EXAMPLE]
    told = " ".join(listed.file.steps[0].warnings)
    assert "1 keys are not of the pattern and stay where they are: notes/readme.txt" in told
    assert "1/A/a.part" in told
    unknown = _plan(tmp_path, keys, "orphans: unknown\nincomplete: list")
    assert unknown.paths("copy")["notes/readme.txt"] == "_unknown/notes/readme.txt"


def test_two_sources_for_one_new_key_are_a_problem_with_all_keys(tmp_path: Path) -> None:
    """B27."""
    keys: Keys = [
        "1/A_b/c.mp3",
        "1/A/b_c.mp3",
        "1/Ünï/x.mp3",
        "1/_n_/x.mp3",
    ]
    (problem,) = _problems(tmp_path, keys, "target: {sanitize: safe}")
    assert problem == (
        "2 new keys would be that of several sources: "
        "1/A/b_c.mp3 and 1/A_b/c.mp3 -> audio/1_A_b_c.mp3, "
        "1/_n_/x.mp3 and 1/Ünï/x.mp3 -> audio/1__n__x.mp3"
    )


def test_a_new_key_with_another_object_blocks_or_is_skipped(tmp_path: Path) -> None:
    keys: Keys = [EXAMPLE, {"key": COPIED, "size": 2}, "1/A/b.mp3"]
    (problem,) = _problems(tmp_path, keys)
    assert problem == (
        f"1 new keys hold other objects already: {EXAMPLE} (1 bytes) -> {COPIED} (2 bytes)"
    )
    skipped = _plan(tmp_path, keys, "onConflict: skip")
    assert skipped.keys("copy") == ["1/A/b.mp3"]
    assert COPIED in " ".join(skipped.file.steps[0].warnings)


def test_what_is_copied_already_is_not_planned_again(tmp_path: Path) -> None:
    """Convergence: planning after a successful apply says No changes."""
    assert _plan(tmp_path, [EXAMPLE, COPIED]).verbs == []


def test_a_copy_of_a_multipart_upload_is_taken_for_one_and_said(tmp_path: Path) -> None:
    """E31: its ETag is another, and a listing tells no more."""
    keys: Keys = [
        {"key": EXAMPLE, "etag": MULTIPART},
        COPIED,
        "1/A/b.mp3",
    ]
    planned = _plan(tmp_path, keys)
    assert planned.keys("copy") == ["1/A/b.mp3"]
    assert "taken for copies" in " ".join(planned.file.steps[0].warnings)


def test_copies_that_the_next_plan_would_take_for_sources_are_refused(tmp_path: Path) -> None:
    """Overlapping prefixes."""
    spec = 'source: {bucket: people, pattern: "{name}/{file}"}\ntarget: {key: "{type}/{file}"}'
    problems = _problems(tmp_path, ["ann/a.mp3"], spec)
    assert problems == [
        "1 copies would be taken for sources by the next plan: ann/a.mp3 -> audio/a.mp3"
    ]
    elsewhere = spec.replace('{key: "', '{bucket: other, key: "')
    assert _plan(tmp_path, ["ann/a.mp3"], elsewhere, other=[]).verbs == ["copy", "verify-copies"]


def test_a_new_key_that_is_the_old_one_is_refused(tmp_path: Path) -> None:
    spec = 'source: {bucket: people, pattern: "{name}/{file}"}\ntarget: {key: "{name}/{file}"}'
    assert "1 new keys are those of the sources themselves: a/b.mp3" in _problems(
        tmp_path, ["a/b.mp3"], spec
    )


def test_keys_that_are_too_long_or_have_odd_components_are_refused(tmp_path: Path) -> None:
    long = f"1/{'é' * 500}/{'x' * 40}.mp3"
    spec = 'source: {bucket: people, pattern: "{row_id}/{name}/{file}"}\n'
    spec += 'target: {key: "{type}/{name}/{file}"}'
    first, second = _problems(tmp_path, [long, "1/../b.mp3"], spec)
    assert "new keys are longer than 1024 bytes" in first
    assert second == (
        "1 new keys have components that are empty, . or ..: 1/../b.mp3 -> audio/../b.mp3"
    )


def test_archived_sources_are_named_as_needing_a_restore(tmp_path: Path) -> None:
    (problem,) = _problems(tmp_path, [{"key": EXAMPLE, "storage_class": "GLACIER"}])
    assert problem == (
        f"1 sources are archived and need a restore before they can be copied: {EXAMPLE} (GLACIER)"
    )


def test_a_pilot_is_of_whole_groups(tmp_path: Path) -> None:
    """B33: one person first, then the rest, person by person."""
    keys: Keys = ["1/A/a.mp3", "1/A/b.mp4", "2/B/a.mp3", "3/C/a.mp3"]
    path = tmp_path / "manifest.yaml"
    _plan(tmp_path, keys)
    loaded = load([path], variables={}, environ={}).narrowed(Filters(groups=1))
    with Database(tmp_path / "more") as database:
        inventory = {"buckets": {"people": {"objects": [_row(key) for key in keys]}}}
        drafts = plan_all(loaded, observe(loaded, database, inventory))
        rows = database.rows("SELECT key FROM items WHERE step = ? ORDER BY n", [drafts[0].id])
        assert [key for (key,) in rows] == ["1/A/a.mp3", "1/A/b.mp4"]
    assert "2 more groups follow" in drafts[0].reason


def test_the_backup_comes_first_and_is_verified_before_anything_else(tmp_path: Path) -> None:
    """B1, E39: to another bucket, in a cold class."""
    spec = "backup: {bucket: other, prefix: saved/}"
    planned = _plan(tmp_path, [EXAMPLE], spec, other=[])
    assert planned.verbs == ["copy", "verify-copies", "copy", "verify-copies"]
    backup, proof, copying, _ = planned.file.steps
    assert isinstance(backup.action, Copy)
    assert (backup.subject, backup.action.storage_class) == ("other", "DEEP_ARCHIVE")
    assert [need.step for need in copying.needs] == [proof.id]
    (item,) = planned.file.items(backup.id)
    assert item.path == f"saved/{EXAMPLE}"


def test_a_backup_among_the_sources_is_refused(tmp_path: Path) -> None:
    """E39."""
    spec = 'source: {bucket: people, pattern: "{path}"}\nbackup: {bucket: people, prefix: saved/}\n'
    spec += 'target: {bucket: other, key: "{type}/{path}"}'
    problems = _problems(tmp_path, [EXAMPLE], spec, other=[])
    assert any("keys of the backup would be taken for sources" in text for text in problems)


def test_versions_and_lists_of_access_that_stay_behind_are_said(tmp_path: Path) -> None:
    """B22, E37, invariant 9."""
    planned = _plan(tmp_path, [EXAMPLE], versioning="enabled", configuration={})
    told = " ".join(planned.file.steps[0].warnings)
    assert "only current versions are copied" in told
    assert "Access control lists of single objects are not carried along" in told


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        ('source: {bucket: people, pattern: "{row_id}/{name}"}', "ends in {file} or {path}"),
        ('source: {bucket: people, pattern: "{a}{file}"}', "something must stand between"),
        ('target: {key: "{type}/{who}"}', "there is no part {who}"),
        ('target: {key: "/{file}"}', "neither begins nor ends with /"),
        ('target: {key: "{type}"}', "would be that of many objects"),
        ('rules: [{type: a, regex: "(?=x)"}]', "a regular expression of RE2"),
        ("rules: [{type: a}]", "a rule with ext, glob, regex, contentType, minSize or maxSize"),
        ("rules: [{type: a, contentType: [audio]}]", "contentType"),
        ('target: {tags: {from: "{nobody}"}}', "there is no part {nobody}"),
        ('source: {bucket: people, pattern: "{uuid}/{file}"}', "follow from the object"),
        ("target: {kmsKey: k}", "kmsKey only with encryption: aws:kms"),
        ("sources: delete", "'keep'"),
        ("artifacts: {bucket: people}", "artifacts in another bucket"),
        ("monitor: {days: -1}", "monitor.days"),
    ],
)
def test_manifests_that_say_something_impossible_are_refused(
    tmp_path: Path, spec: str, told: str
) -> None:
    with pytest.raises(ProblemsError) as caught:
        _plan(tmp_path, [], spec)
    assert told in " ".join(str(problem) for problem in caught.value.problems)


_names = st.text(st.sampled_from("ab1_. -é/?*\n&'(🎵"), min_size=1, max_size=8)
_PATTERNS = ("{row_id}/{name}/{file}", "{row_id}_{name}/{file}", "{name}-{path}")


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    keys=st.lists(
        st.builds("{}/{}{}".format, _names, _names, st.sampled_from(["", ".MP3", ".part"])),
        max_size=8,
    ),
    pattern=st.sampled_from(_PATTERNS),
    sanitize=st.sampled_from(["keep", "safe"]),
)
def test_the_query_and_the_functions_say_the_same(
    tmp_path: Path, keys: list[str], pattern: str, sanitize: str
) -> None:
    """A million keys go through the query, one goes through the functions (`s3plan resolve`)."""
    spec = GroupingDocument.model_validate(
        {
            "apiVersion": "s3plan/v1",
            "kind": "ObjectGrouping",
            "metadata": {"name": "x"},
            "spec": {
                "source": {"bucket": "people", "pattern": pattern},
                "target": {
                    "bucket": "other",
                    "sanitize": sanitize,
                    "key": "{type}/{name}_{stem}{ext}",
                },
            },
        }
    ).spec
    with Database(tmp_path / "scratch") as database:
        rows = [{"key": key, "size": 1, "etag": ETAG} for key in set(keys)]
        append(database, LISTING, rows, bucket="people")
        work = Mapping(database, spec)
        map_sources(work)
        found = dict(
            database.rows(
                "SELECT key, CASE WHEN state = 'mapped' THEN new_key END FROM grouping_sources"
            )
        )
    for key, new in found.items():
        if not key.lower().endswith(".part"):
            assert new == work.rules.new_key(key, 1), key


def test_a_million_objects_are_mapped_in_seconds(tmp_path: Path) -> None:
    """The mapping and all its checks are queries (200,000 here, to stay quick)."""
    spec = GroupingDocument.model_validate(
        {
            "apiVersion": "s3plan/v1",
            "kind": "ObjectGrouping",
            "metadata": {"name": "x"},
            "spec": {"source": {"bucket": "people"}},
        }
    ).spec
    with Database(tmp_path / "scratch") as database:
        database.execute(
            "INSERT INTO listing (bucket, key, size, etag, modified, storage_class)"
            " SELECT 'people', (i // 4) || '/Name_' || (i // 4) || '/file_' || i || '.mp3', i,"
            " md5(i::VARCHAR), '2026-11-01T00:00:00.000Z', 'STANDARD' FROM range(200000) t(i)"
        )
        began = time.monotonic()
        work = Mapping(database, spec)
        map_sources(work)
        place_copies(work)
        assert [*source_obstacles(work), *key_obstacles(work)] == []
        assert time.monotonic() - began < 10


def test_a_backup_that_no_single_request_can_carry_is_refused_while_planning() -> None:
    """B6: said before anything is copied, and what to do instead."""

    def told(**backup: object) -> list[str]:
        fields = CatalogFields.model_validate(
            {"file": "all.csv", "columns": {"url": {}}, "backup": backup}
        )
        return [one.what for one in table_obstacles(Table("/all.csv", fields, "ab", size=6 << 30))]

    upload = "s3://backups/tables/"
    assert told(upload=upload, gzip=False) == [
        "the backup of the table is too large for one upload"
    ]
    assert told(upload=upload) == told(gzip=False) == []
