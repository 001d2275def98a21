"""ObjectGrouping where a listing is not enough: content types, tags, digests, stored checksums."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import pytest

from s3plan.errors import ProblemsError, UsageError
from s3plan.kinds import load, plan_all
from s3plan.kinds.grouping import resolving
from s3plan.kinds.grouping.asking import inquiry_of
from s3plan.kinds.grouping.manifest import GroupingDocument, GroupingSpec
from s3plan.model.steps import Copy
from s3plan.rules.effects import effect_of
from s3plan.rules.grouping import type_of
from s3plan.tables import Database
from s3plan.views.wording import words_of
from tests.kinds.planned import Planned, manifest, observe, plan

Objects = Sequence[dict[str, Any]]
SHA = hashlib.sha256(b"x").hexdigest()
FLAT = 'target: {key: "files/{sha256}{ext}"}'
HEARD = """
rules:
  - {ext: [.mp3], type: audio}
  - {contentType: [audio/*, application/ogg], type: audio}
  - {glob: ["*.bin"], contentType: [Video/MP4], type: video}
"""


def _manifest(tmp_path: Path, spec: str) -> Path:
    path = manifest(tmp_path, f"source: {{bucket: people}}\n{spec}")
    path.write_text(path.read_text().replace("BucketEvacuation", "ObjectGrouping"))
    return path


def _plan(tmp_path: Path, objects: Objects, spec: str, **more: Objects) -> Planned:
    buckets = {"people": objects, **more}
    inventory = {"buckets": {name: {"objects": rows} for name, rows in buckets.items()}}
    return plan(tmp_path, _manifest(tmp_path, spec), inventory)


def _problems(tmp_path: Path, objects: Objects, spec: str) -> list[str]:
    with pytest.raises(ProblemsError) as caught:
        _plan(tmp_path, objects, spec)
    return [f"{problem.what}: {problem.found}" for problem in caught.value.problems]


def _spec(spec: str, tmp_path: Path) -> GroupingSpec:
    (loaded,) = load([_manifest(tmp_path, spec)], variables={}, environ={}).manifests
    assert isinstance(loaded.document, GroupingDocument)
    return loaded.document.spec


def _questions(tmp_path: Path, objects: Objects, spec: str) -> list[tuple[str, list[str]]]:
    """What would be asked of which objects, where nobody answers."""
    path = _manifest(tmp_path, spec)
    with Database(tmp_path / "asked") as database:
        loaded = load([path], variables={}, environ={})
        observe(loaded, database, {"buckets": {"people": {"objects": objects}}})
        inquiry = inquiry_of(_spec(spec, tmp_path))
        asked = [
            (one.about, [row[0] for row in database.rows(one.query, dict(one.values))])
            for one in inquiry.questions(database)
        ]
        assert {about for about, _ in asked} <= {*inquiry.about}
        return [one for one in asked if one[1]]


def test_a_content_type_is_asked_for_only_where_the_first_fitting_rule_is_about_it(
    tmp_path: Path,
) -> None:
    """B24: a request for each object that a rule about the content type may decide, and no more."""
    keys = [{"key": f"1/A/{name}"} for name in ("a.mp3", "b.bin", "c")]
    assert _questions(tmp_path, keys, HEARD) == [("heads", ["1/A/b.bin", "1/A/c"])]
    assert _questions(tmp_path, keys, "") == []


def test_rules_may_be_about_the_content_type(tmp_path: Path) -> None:
    """B24, E36: a .webm that is audio, a .bin that is a film; the first rule that fits wins."""
    objects = [
        {"key": "1/A/a.mp3"},
        {"key": "1/A/b.bin", "content_type": "video/mp4"},
        {"key": "1/A/c", "content_type": "AUDIO/mpeg; rate=1"},
        {"key": "1/A/d", "content_type": "text/plain"},
        {"key": "1/A/e"},
    ]
    planned = _plan(tmp_path, objects, HEARD)
    assert list(planned.paths("copy").values()) == [
        "audio/1_A_a.mp3", "video/1_A_b.bin", "audio/1_A_c", "_unknown/1_A_d", "_unknown/1_A_e",
    ]  # fmt: skip
    (copying, _) = planned.file.steps
    labels = [item.label for item in planned.file.items(copying.id)]
    assert labels == ["audio", "video", "audio", "_unknown", "_unknown"]


def test_the_functions_say_of_content_types_what_the_query_says(tmp_path: Path) -> None:
    rules = tuple(one.rule() for one in _spec(HEARD, tmp_path).rules)  # type: ignore[union-attr]
    told = {"a.mp3": None, "b.bin": "video/mp4", "c": "AUDIO/mpeg; rate=1", "d": "text/plain"}
    assert {name: type_of(rules, "rest", name, 1, kind) for name, kind in told.items()} == {
        "a.mp3": "audio", "b.bin": "video", "c": "audio", "d": "rest",
    }  # fmt: skip


def test_what_a_plan_asked_stands_in_its_notes(tmp_path: Path) -> None:
    path = _manifest(tmp_path, HEARD)
    with Database(tmp_path / "noted") as database:
        loaded = load([path], variables={}, environ={})
        objects = [{"key": "1/A/c", "content_type": "audio/mpeg"}]
        observed = observe(loaded, database, {"buckets": {"people": {"objects": objects}}})
        plan_all(loaded, observed)
        assert observed.notes == [
            "A listing does not tell content type, checksums and encryption of 1 object: each was"
            " asked."
        ]


def test_tags_of_only_what_is_to_be_copied_are_asked_for(tmp_path: Path) -> None:
    objects = [
        {"key": "1/A/a.mp3"},
        {"key": "audio/1_A_a.mp3"},
        {"key": "1/A/b.mp3"},
    ]
    spec = "target: {tags: {by: s3plan}}"
    assert _questions(tmp_path, objects, spec) == [("tags", ["1/A/b.mp3"])]


def test_more_than_ten_tags_are_a_problem_of_the_plan(tmp_path: Path) -> None:
    """B61: those of the source and those of the manifest together; a tag of both counts once."""
    nine = {f"t{number}": "" for number in range(9)}
    objects = [
        {"key": "1/A/a.mp3", "tags": nine},
        {"key": "1/A/b.mp3", "tags": {**nine, "from": "x"}},
        {"key": "1/A/c.mp3", "tags": {}},
    ]
    spec = 'target: {tags: {from: "{source}", "migration-date": "{date}"}}'
    (problem,) = _problems(tmp_path, objects, spec)
    assert problem == (
        "2 copies would have too many tags, their sources' and those of target.tags:"
        " 1/A/a.mp3 (11), 1/A/b.mp3 (11)"
    )


def test_tags_are_templates_where_they_have_braces(tmp_path: Path) -> None:
    """B61: migration-date, source-structure; filled in when it is copied."""
    spec = 'target: {tags: {by: s3plan, "migration-date": "{date}", from: "{source}"}}'
    (copying, _) = _plan(tmp_path, [{"key": "1/A/a.mp3"}], spec).file.steps
    assert isinstance(copying.action, Copy)
    assert copying.action.tags == {"by": "s3plan"}
    assert copying.action.tag_templates == {"migration-date": "{date}", "from": "{source}"}


def test_a_value_that_would_be_too_long_is_a_problem_of_the_plan(tmp_path: Path) -> None:
    objects = [{"key": f"1/{'é' * 250}/a.mp3"}, {"key": f"1/{'é' * 255}/a.mp3"}]
    (problem,) = _problems(tmp_path, objects, 'target: {tags: {from: "{source}"}}')
    assert problem == f"1 values of the tag from would be too long: 1/{'é' * 255}/a.mp3"


def test_flat_keys_by_digest_and_equal_content_is_there_once(tmp_path: Path) -> None:
    """A second ready layout: nobody's name is in a key."""
    objects = [
        {"key": "1/A/a.MP3", "sha256": SHA},
        {"key": "2/B/b.mp3", "sha256": SHA},
        {"key": "2/B/c.txt", "sha256": "0" * 64},
    ]
    planned = _plan(tmp_path, objects, FLAT)
    copying, proof, sharing, _ = planned.file.steps
    assert {item.key: item.path for item in planned.file.items(copying.id)} == {
        "1/A/a.MP3": f"files/{SHA}.mp3",
        "2/B/c.txt": f"files/{'0' * 64}.txt",
    }
    assert [item.key for item in planned.file.items(sharing.id)] == ["2/B/b.mp3"]
    assert [need.step for need in sharing.needs] == [proof.id]
    assert effect_of(sharing.action) == "reads", "nothing is written there"
    assert words_of(sharing.action).infinitive == "to compare"
    told = " ".join(planned.file.steps[0].warnings)
    assert f"1 sources have the content of another one and share its copy; headers, metadata and" \
        f" tags of their own stay behind: 2/B/b.mp3 -> files/{SHA}.mp3" in told  # fmt: skip


def test_a_digest_is_read_off_a_copy_that_is_there(tmp_path: Path) -> None:
    """Nothing is read twice: planning again says No changes."""
    etag = "1" * 32
    objects = [
        {"key": "1/A/a.mp3", "etag": etag},
        {"key": f"files/{SHA}.mp3", "etag": etag},
    ]
    assert _questions(tmp_path, objects, FLAT) == []
    assert _plan(tmp_path, objects, FLAT).verbs == []


def test_digests_that_nobody_knows_block_or_are_computed(tmp_path: Path) -> None:
    objects = [{"key": "1/A/a.mp3"}, {"key": "1/A/b.mp3", "storage_class": "GLACIER"}]
    assert _questions(tmp_path, objects, FLAT) == [("stored-digests", ["1/A/a.mp3"])]
    assert _questions(tmp_path, objects, f"{FLAT}\nchecksums: compute") == [
        ("stored-digests", ["1/A/a.mp3"]),
        ("digests", ["1/A/a.mp3"]),
    ]
    archived, unknown = _problems(tmp_path, objects, FLAT)
    assert archived.endswith("1/A/b.mp3 (GLACIER)")
    assert unknown == (
        "1 sources have no SHA-256 in S3, of which their new keys are to be made: 1/A/a.mp3"
    )


def test_flat_keys_by_where_the_object_was(tmp_path: Path) -> None:
    """RFC 9562: the same UUID whenever it is planned, another for every key."""
    keys = ["1/A/a.mp3", "2/Björn & Co/film.MP4"]
    spec = 'target: {key: "files/{uuid}{ext}"}'
    planned = _plan(tmp_path, [{"key": key} for key in keys], spec)
    assert planned.paths("copy") == {
        key: f"files/{uuid5(NAMESPACE_URL, f's3://people/{key}')}{key[-4:].lower()}" for key in keys
    }
    (loaded,) = load([tmp_path / "manifest.yaml"], variables={}, environ={}).manifests
    parts = {"row_id": "1", "name": "A"}
    assert resolving.missing_parts(loaded, {"row_id": "1"}) == ("name",)
    found = resolving.upload_key(loaded, parts, "a.mp3", None)
    assert found.new_key == planned.paths("copy")["1/A/a.mp3"]


def test_the_key_of_an_upload_takes_what_it_depends_on(tmp_path: Path) -> None:
    """B51."""
    (flat,) = load([_manifest(tmp_path, FLAT)], variables={}, environ={}).manifests
    with pytest.raises(UsageError, match="SHA-256"):
        resolving.upload_key(flat, {"row_id": "1"}, "a.mp3", None)
    found = resolving.upload_key(flat, {"row_id": "1", "sha256": SHA}, "a.mp3", None)
    assert found.new_key == f"files/{SHA}.mp3"
    (heard,) = load([_manifest(tmp_path, HEARD)], variables={}, environ={}).manifests
    parts = {"row_id": "1", "name": "A"}
    with pytest.raises(UsageError, match="content type"):
        resolving.upload_key(heard, parts, "talk", None)
    assert resolving.upload_key(heard, parts, "talk", "audio/ogg").new_key == "audio/1_A_talk"
    assert resolving.upload_key(heard, parts, "talk.mp3", None).type == "audio"


MULTIPART = "0" * 32 + "-3"
COPY: dict[str, Any] = {"key": "audio/1_A_a.mp3", "etag": "2" * 32}


@pytest.mark.parametrize(
    ("source", "copy", "ends"),
    [
        ({"CRC64NVME": "x"}, {"CRC64NVME": "x"}, "nothing to do"),
        ({"CRC64NVME": "x"}, {"CRC64NVME": "y"}, "new keys hold other objects"),
        ({"CRC64NVME": "x", "SHA1": "z"}, {"CRC64NVME": "x", "SHA1": "y"}, "new keys hold other"),
        ({"SHA1": "x"}, {"CRC64NVME": "x"}, "taken for copies"),
    ],
)
def test_copies_of_multipart_uploads_are_known_by_what_s3_stored(
    tmp_path: Path, source: dict[str, str], copy: dict[str, str], ends: str
) -> None:
    """E31: their ETags differ; checksums of the whole tell, where both have one of a kind."""
    objects = [
        {"key": "1/A/a.mp3", "etag": MULTIPART, "checksums": source},
        {**COPY, "checksums": copy},
        {"key": "1/A/b.mp3"},
    ]
    assert _questions(tmp_path, [{"key": "1/A/a.mp3", "etag": MULTIPART}, COPY], "") == [
        ("heads", ["1/A/a.mp3"]),
        ("heads", ["audio/1_A_a.mp3"]),
    ]
    if ends.startswith("new keys"):
        assert ends in _problems(tmp_path, objects, "")[0]
        return
    planned = _plan(tmp_path, objects, "")
    assert planned.keys("copy") == ["1/A/b.mp3"]
    told = " ".join(planned.file.steps[0].warnings)
    assert ("taken for copies" in told) == (ends == "taken for copies")


def test_what_kms_encrypted_is_no_conflict_for_its_etag(tmp_path: Path) -> None:
    """B12: an ETag of what KMS encrypted is no MD5, and differs from that of its source."""
    objects = [{"key": "1/A/a.mp3", "etag": "1" * 32, "encryption": "", "checksums": {}}, COPY]
    assert "new keys hold other objects" in _problems(tmp_path, objects, "")[0]
    kept = [*objects[:1], {**COPY, "encryption": "aws:kms", "checksums": {}}, {"key": "1/A/b.mp3"}]
    assert _plan(tmp_path, kept, "").keys("copy") == ["1/A/b.mp3"]


def test_a_backup_is_known_by_the_same_evidence(tmp_path: Path) -> None:
    """B1."""
    objects = [{"key": "1/A/a.mp3", "etag": MULTIPART, "checksums": {"CRC64NVME": "x"}}]
    saved = {"key": "1/A/a.mp3", "etag": "2" * 32, "checksums": {"CRC64NVME": "x"}}
    spec = "backup: {bucket: other}"
    assert _plan(tmp_path, objects, spec, other=[saved]).verbs == ["copy", "verify-copies"]
    with pytest.raises(ProblemsError, match="cannot be planned") as caught:
        _plan(tmp_path, objects, spec, other=[{**saved, "checksums": {"CRC64NVME": "y"}}])
    assert "keys of the backup hold other objects" in caught.value.problems[0].what
