"""ObjectLayout planning: which objects are to change, why the others are left out, and refusals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from s3plan.errors import ProblemsError
from s3plan.model.capabilities import CAPABILITIES_FORMAT, Capabilities, Capability, Race
from s3plan.model.layout import Recipe
from s3plan.model.objects import Checksum, ObjectAttributes, ObjectHead
from s3plan.model.steps import Stage, Swap
from s3plan.model.worklist import Entry
from s3plan.rules.cutover import CONDITIONS, way_of
from s3plan.rules.recipes import attributes_after, differences, layout_version
from s3plan.rules.shadow import parse
from tests.kinds.planned import Planned, manifest, plan

MIB = 1024**2
MULTIPART = "0123456789abcdef0123456789abcdef-2"
CONNECTION = """---
apiVersion: s3plan/v1
kind: Connection
metadata: {name: default}
spec: {endpoint: "http://s3.example:8333", region: eu-central-1, scratch: "s3://probes/p"}
"""
VERSION_2 = "select: {bucket: b, prefix: o/}\ntarget: {layoutVersion: 2}"


def known(*held: str) -> Capabilities:
    """What an endpoint was seen to hold to; the other conditions were lost by races."""
    found = tuple(
        Capability(name, "honoured", races=(Race("a and b", 60, int(verb not in held)),))
        for verb, name in CONDITIONS.items()
    )
    return Capabilities(CAPABILITIES_FORMAT, "e", "r", "s", "2026-11-01T00:00:00.000Z", "0", found)


def row(key: str, **told: Any) -> dict[str, Any]:
    """An object; ``attributes``, ``first_part``, ``sealed`` ... are what HEAD tells."""
    names: tuple[str, ...] = ("size", "etag", "storage_class")
    listed = {name: told.pop(name) for name in names if name in told}
    return {"key": key, **listed, "head": told}


def planned(
    tmp_path: Path,
    objects: list[dict[str, Any]],
    spec: str = VERSION_2,
    *,
    items: list[Entry] | None = None,
    scratch: bool = True,
    **inventory: Any,
) -> Planned:
    path = manifest(tmp_path, spec, "ObjectLayout")
    if scratch:
        path.write_text(path.read_text() + CONNECTION)
    bucket = {"objects": objects} | inventory.pop("bucket", {})
    return plan(tmp_path, path, {"buckets": {"b": bucket}, **inventory}, items)


def chosen(result: Planned) -> list[str]:
    return result.keys("stage") if "stage" in result.verbs else []


def warnings(result: Planned) -> str:
    return " ".join(warning for step in result.file.steps for warning in step.warnings)


def refused(tmp_path: Path, *values: Any, **named: Any) -> str:
    with pytest.raises(ProblemsError) as caught:
        planned(tmp_path, *values, **named)
    assert all(problem.next_step for problem in caught.value.problems)
    return " ".join(map(str, caught.value.problems))


def version(number: object) -> dict[str, Any]:
    return {"metadata": {"layout-version": str(number)}}


def test_a_form_that_does_not_fit_into_memory_is_refused(tmp_path: Path) -> None:
    """C38: what is sent again by PUT is held as a whole."""
    more = f"{VERSION_2}\ncutover: {{largestPut: 5GiB}}"
    assert "does not fit into limits.memory" in refused(tmp_path, [row("o/a")], more)
    assert chosen(planned(tmp_path, [row("o/a")], more.replace("5GiB", "256MiB"))) == ["o/a"]


def test_objects_below_the_version_are_moved(tmp_path: Path) -> None:
    """C1, C50: metadata or tag; absent counts as 0; a later version is not taken back."""
    result = planned(
        tmp_path,
        [
            row("o/absent"),
            row("o/one", attributes=version(1)),
            row("o/tagged", attributes={"tags": {"layout-version": "1"}}),
            row("o/there", attributes=version(2)),
            row("o/later", attributes=version(3)),
            row("elsewhere"),
        ],
    )
    assert result.verbs == ["stage", "verify-staged", "swap"]
    assert chosen(result) == ["o/absent", "o/one", "o/tagged"]
    for key, path in result.paths("stage").items():
        shadow = parse(path)
        assert shadow is not None
        assert (shadow.prefix, shadow.role, shadow.key) == ("", "new", key)
    assert planned(tmp_path, [row("o/there", attributes=version(2))]).verbs == []


@pytest.mark.parametrize(
    ("where", "keys"),
    [
        ("layoutVersion: {below: 2}", ["o/cold", "o/kms", "o/parts", "o/plain"]),
        ("storageClass: STANDARD_IA", ["o/cold"]),
        ("encryption: 'aws:kms'", ["o/kms"]),
        ("encryption: none", ["o/cold", "o/parts", "o/plain", "o/v2"]),
        ("checksumAlgorithm: CRC32C", ["o/plain"]),
        ("checksumAlgorithm: none", ["o/cold", "o/kms", "o/parts", "o/v2"]),
        ("partSize: 8MiB", ["o/parts"]),
        ("minSize: 2", ["o/parts"]),
        ("maxSize: 1, storageClass: STANDARD", ["o/kms", "o/plain", "o/v2"]),
        ("olderThan: 1d", ["o/cold", "o/kms", "o/parts", "o/plain", "o/v2"]),
        ("newerThan: 1d", []),
    ],
)
def test_what_is_asked_for_is_selected(tmp_path: Path, where: str, keys: list[str]) -> None:
    """C1: by what a listing tells, and by what only the objects tell."""
    objects = [
        row("o/cold", storage_class="STANDARD_IA"),
        row("o/kms", attributes={"encryption": "aws:kms", "kms_key": "k"}),
        row("o/parts", size=9 * MIB, etag=MULTIPART, first_part=8 * MIB),
        row("o/plain", checksums=[{"algorithm": "CRC32C", "value": "AAAAAA=="}]),
        row("o/v2", attributes=version(2)),
    ]
    spec = f"select: {{bucket: b, where: {{{where}}}}}\ntarget: {{metadata: {{moved: 'yes'}}}}"
    assert chosen(planned(tmp_path, objects, spec)) == keys


def test_what_cannot_be_moved_is_left_out_and_said(tmp_path: Path) -> None:
    """C45, C51: and what is said names each, with its reason."""
    long = "o/" + "x" * 1000
    result = planned(
        tmp_path,
        [
            row("o/archived", storage_class="GLACIER"),
            row("o/locked", legal_hold=True),
            row("o/moved"),
            row("o/sealed", sealed=True),
            row("o/words", attributes=version("two")),
            row(long),
        ],
    )
    assert chosen(result) == ["o/moved"]
    said = warnings(result)
    for words in (
        "1 not eligible, archived: restore them first: o/archived.",
        "which only the old form would have: o/locked.",
        "customer's own (SSE-C): o/sealed.",
        "with a layout-version that is no number: o/words.",
        f"at most 1024 bytes: {long}.",
    ):
        assert words in said


def test_keys_by_name_need_a_bucket_by_name(tmp_path: Path) -> None:
    """C13, C44, C45: duplicates and what is not there are skipped and said."""
    spec = "select: {bucket: b, key: [o/b, o/a, o/b, o/none]}\ntarget: {layoutVersion: 2}"
    result = planned(tmp_path, [row("o/a"), row("o/b"), row("o/c")], spec)
    assert chosen(result) == ["o/a", "o/b"]
    assert "1 skipped as duplicate, named more than once: o/b." in warnings(result)
    assert "1 skipped as not found in the bucket: o/none." in warnings(result)
    one = "select: {bucket: b, key: o/c}\ntarget: {layoutVersion: 2}"
    assert chosen(planned(tmp_path, [row("o/b"), row("o/c")], one)) == ["o/c"]
    with pytest.raises(ProblemsError, match="manifest") as caught:
        planned(tmp_path, [], "select: {bucket: 'b*', key: o/c}\ntarget: {layoutVersion: 2}")
    assert "key needs a bucket by its name" in str(caught.value.problems[0])


def test_a_worklist_narrows_it(tmp_path: Path) -> None:
    """C14, C43: plan --items."""
    entries = [Entry("b", "o/b"), Entry("b", "elsewhere"), Entry("b", "o/none")]
    result = planned(tmp_path, [row("o/a"), row("o/b"), row("elsewhere")], items=entries)
    assert chosen(result) == ["o/b"]


@pytest.mark.parametrize(
    ("versioning", "keeps_old"), [("never", True), ("enabled", False), ("suspended", True)]
)
def test_the_old_form_is_kept_where_no_version_is(
    tmp_path: Path, versioning: str, keeps_old: bool
) -> None:
    """C2: suspended versioning keeps none of what is overwritten from now on."""
    objects = [row("o/a", version_id="v1")]
    result = planned(tmp_path, objects, bucket={"versioning": versioning})
    stage, _, swap = (step.action for step in result.file.steps)
    assert isinstance(stage, Stage)
    assert isinstance(swap, Swap)
    assert stage.keeps_old is swap.keeps_old is keeps_old
    (item,) = result.file.items(result.file.steps[0].id)
    assert item.version_id == (None if keeps_old else "v1")
    assert result.file.steps[2].reversibility == "until"


def test_no_swap_is_planned_that_nothing_holds(tmp_path: Path) -> None:
    """The issue's item 5: refused by default; accepted, the window is said."""
    large = row("o/large", size=9 * MIB)
    parts = row("o/parts", size=9 * MIB, etag=MULTIPART, first_part=8 * MIB)
    small = row("o/small")
    assert "o/large, o/parts" in refused(tmp_path, [large, parts, small], capabilities=known("put"))
    assert "o/parts" in refused(tmp_path, [large, parts], capabilities=known("put", "copy"))
    fine = planned(tmp_path, [large, parts, small], capabilities=known("complete"))
    assert chosen(fine) == ["o/large", "o/parts", "o/small"]
    more = "\ncutover: {largestPut: 16MiB}"
    assert chosen(planned(tmp_path, [large], VERSION_2 + more, capabilities=known("put")))
    assert "scratch in the Connection" in refused(tmp_path, [small], scratch=False)
    accepted = VERSION_2 + "\ncutover: {window: accept}"
    result = planned(tmp_path, [large], accepted, scratch=False)
    assert "what somebody writes between the last look" in warnings(result)


@pytest.mark.parametrize(
    ("target", "problem"),
    [
        ("{}", "a target that says something"),
        ("{metadata: {layout-version: '2'}}", "layoutVersion, not metadata"),
        ("{kmsKey: k}", "kmsKey only with encryption"),
        ("{partSize: 1MiB}", "5242880"),
        ("{codec: zstd, checksumAlgorithm: SHA256}", "SHA checksums are not kept"),
        ("{clientEncryption: none}", "clientEncryption and identityFile go together"),
        ("{clientEncryption: {recipients: [me]}, identityFile: k}", "age1"),
    ],
)
def test_a_target_that_means_nothing_is_refused(tmp_path: Path, target: str, problem: str) -> None:
    spec = f"select: {{bucket: b}}\ntarget: {target}"
    assert problem in refused(tmp_path, [], spec)


def test_another_recipe_is_another_shadow(tmp_path: Path) -> None:
    """C4, C7: what one migration staged is not taken for another's."""
    other = "select: {bucket: b, prefix: o/}\ntarget: {layoutVersion: 3}"
    paths = [planned(tmp_path, [row("o/a")], s).paths("stage") for s in (VERSION_2, other)]
    paths.append(planned(tmp_path, [row("o/a", size=2)]).paths("stage"))
    assert len({path["o/a"] for path in paths}) == 3
    prefixed = VERSION_2 + "\nstaging: {prefix: tmp/}"
    (path,) = planned(tmp_path, [row("o/a")], prefixed).paths("stage").values()
    assert path.startswith("tmp/.s3plan/layout/new/o/a~")


def head(**told: Any) -> ObjectHead:
    base: dict[str, Any] = {
        "size": 1,
        "etag": "e",
        "modified": "m",
        "attributes": ObjectAttributes(),
    }
    return ObjectHead(key="k", **(base | told))


@pytest.mark.parametrize(
    ("recipe", "told", "differs"),
    [
        (Recipe(storage_class="GLACIER"), {}, ["storageClass"]),
        (Recipe(storage_class="STANDARD"), {}, []),
        (Recipe(encryption="AES256"), {}, ["encryption"]),
        (
            Recipe(encryption="aws:kms", kms_key="key/1"),
            {"attributes": ObjectAttributes(encryption="aws:kms", kms_key="arn:aws:kms:r:1:key/1")},
            [],
        ),
        (
            Recipe(encryption="aws:kms", kms_key="key/2"),
            {"attributes": ObjectAttributes(encryption="aws:kms", kms_key="arn:aws:kms:r:1:key/1")},
            ["encryption"],
        ),
        (Recipe(checksum="CRC32C"), {}, ["checksumAlgorithm"]),
        (Recipe(checksum="CRC32C"), {"checksums": (Checksum("CRC32C", "x"),)}, []),
        (Recipe(part_size=5), {"size": 11}, ["partSize"]),
        (Recipe(part_size=5), {"size": 11, "etag": "e-3"}, []),
        (Recipe(part_size=5), {"size": 11, "etag": "e-2"}, ["partSize"]),
        (Recipe(part_size=50), {"size": 11, "etag": "e-3"}, ["partSize"]),
        (Recipe(content_type="a/b"), {}, ["contentType"]),
        (Recipe(metadata={"a": "b"}), {}, ["metadata"]),
        (Recipe(codec="zstd"), {}, ["codec"]),
        (Recipe(codec="none"), {}, []),
    ],
)
def test_what_differs(recipe: Recipe, told: dict[str, Any], differs: list[str]) -> None:
    assert list(differences(recipe, head(**told), {}, 5)) == differs


def test_what_is_not_said_stays() -> None:
    before = ObjectAttributes(
        headers={"content-type": "a/b", "cache-control": "no-store"},
        metadata={"owner": "ann"},
        tags={"layout-version": "1", "x": "y"},
        encryption="aws:kms",
        kms_key="k",
    )
    after = attributes_after(Recipe(layout_version=2, metadata={"new": "1"}), before)
    assert after.headers == before.headers
    assert after.metadata == {"owner": "ann", "new": "1", "layout-version": "2"}
    assert after.tags == {"layout-version": "2", "x": "y"}
    assert (after.encryption, after.kms_key) == ("aws:kms", "k")
    assert attributes_after(Recipe(encryption="AES256"), before).kms_key is None
    assert layout_version({}, {}) == 0
    assert layout_version({"layout-version": "-1"}, {}) is None


@pytest.mark.parametrize(
    ("held", "size", "parts", "verb"),
    [
        (("put", "copy", "complete"), 8 * MIB, 0, "put"),
        (("put", "copy", "complete"), 8 * MIB + 1, 0, "copy"),
        (("put", "complete"), 8 * MIB + 1, 0, "complete"),
        (("put", "copy", "complete"), 10, 2, "complete"),
        (("copy", "complete"), 0, 0, "copy"),
        (("put", "copy", "complete"), 6 * 1024**3, 0, "complete"),
        (("complete",), 0, 0, None),
        (("put", "copy"), 10, 2, None),
        ((), 1, 0, None),
    ],
)
def test_the_first_write_that_holds(
    held: tuple[str, ...], size: int, parts: int, verb: str | None
) -> None:
    """C8: PUT of small objects, CopyObject, completion; parts are kept by the last alone."""
    way = way_of(known(*held), size=size, parts=parts, largest_put=8 * MIB)
    assert (way.verb if way.held else None) == verb
