"""Objects moved to another layout: staged, verified, swapped, and taken back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from s3plan import api
from s3plan.engine.handlers.swap import Swapper
from s3plan.engine.layout.exchange import Exchange
from s3plan.engine.layout.facts import Found
from s3plan.errors import OutcomeUnknownError, ProblemsError
from s3plan.model.capabilities import CapabilityName
from tests.engine.scene import Scene, Stored
from tests.layout.moving import fill, knows, look, plan

EXAMPLE = Path(__file__).parents[2] / "examples" / "plans" / "object-layout.yaml"

MIB = 1024**2
PARTS = (b"a" * (5 * MIB), b"b" * (6 * MIB + 1), b"c" * 1024)
"""An object in uneven parts."""


@pytest.fixture(params=["scene", pytest.param("versioned", marks=pytest.mark.long)])
def any_scene(request: pytest.FixtureRequest) -> Scene:
    """A bucket that keeps no versions, and one that does."""
    scene = request.getfixturevalue(request.param)
    assert isinstance(scene, Scene)
    return scene


def moved(objects: dict[str, Stored]) -> dict[str, Stored]:
    """The objects as they must be afterwards."""
    return {
        key: Stored(
            stored.body,
            stored.content_type,
            {**stored.metadata, "layout-version": "2"},
            stored.tags,
            stored.cache_control,
        )
        for key, stored in objects.items()
    }


def apply(scene: Scene) -> None:
    finished = scene.apply()
    assert finished.exit_code == 0, (finished, scene.problems())


def reasons(scene: Scene) -> dict[str, str]:
    return {problem.key: problem.reason for problem in scene.problems()}


def part_sizes(scene: Scene, key: str) -> list[int]:
    head = scene.s3.head_object(Bucket=scene.bucket, Key=key, PartNumber=1)
    count = head.get("PartsCount", 1)
    return [
        scene.s3.head_object(Bucket=scene.bucket, Key=key, PartNumber=n)["ContentLength"]
        for n in range(1, count + 1)
    ]


def test_objects_are_moved_and_taken_back(any_scene: Scene) -> None:
    """C1, C2, C5, C8, C9, C52: the old form stays, as a version or under a shadow key."""
    scene = any_scene
    fill(scene, 6)
    scene.put("o/nothing", b"")
    scene.put("elsewhere", b"not selected")
    before = look(scene)
    knows(scene, "put-if-match")
    made = plan(scene).plan
    assert made is not None
    assert [step.verb for step in made.steps] == ["stage", "verify-staged", "swap"]
    assert look(scene) == before, "a plan is the dry run"
    apply(scene)
    after = look(scene)
    assert after.objects == moved(before.objects)
    assert plan(scene).plan is None, "planning again says No changes"
    rolled = scene.rollback()
    assert rolled is not None
    assert rolled.exit_code == 0, (rolled, scene.problems())
    assert look(scene).objects == before.objects
    assert look(scene).shadows == after.shadows, "only a LayoutCleanup removes what was staged"


@pytest.mark.parametrize("verb", ["put-if-match", "copy-if-match", "complete-if-match"])
def test_the_swap_is_the_first_write_that_holds(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, verb: CapabilityName
) -> None:
    """C8, C33, E47: PUT leaves an ETag that is an MD5; completing an upload is the last resort."""
    scene.put("o/a", b"small", Metadata={"owner": "ann"}, Tagging="number=1")
    before = look(scene)
    knows(scene, verb)
    ways = []
    way = Exchange.way

    def watched(self: Exchange, form: Any) -> Any:
        ways.append(way(self, form))
        return ways[-1]

    monkeypatch.setattr(Exchange, "way", watched)
    plan(scene)
    apply(scene)
    assert [(one.verb, one.held) for one in ways] == [(verb.partition("-")[0], True)]
    assert look(scene).objects == moved(before.objects)
    etag = scene.s3.head_object(Bucket=scene.bucket, Key="o/a")["ETag"].strip('"')
    assert ("-" in etag) == (verb == "complete-if-match")
    rolled = scene.rollback()
    assert rolled is not None
    assert rolled.exit_code == 0
    assert look(scene).objects == before.objects


def test_an_object_in_uneven_parts_keeps_them(any_scene: Scene) -> None:
    """C6: part boundaries are read, and kept; also those of the old form that is put back."""
    scene = any_scene
    scene.put_in_parts("o/parts", PARTS, Metadata={"owner": "ann"}, ContentType="image/fits")
    before = look(scene)
    knows(scene, "complete-if-match")
    plan(scene)
    apply(scene)
    assert look(scene).objects == moved(before.objects)
    assert part_sizes(scene, "o/parts") == [len(part) for part in PARTS]
    rolled = scene.rollback()
    assert rolled is not None
    assert rolled.exit_code == 0, scene.problems()
    assert look(scene).objects == before.objects
    assert part_sizes(scene, "o/parts") == [len(part) for part in PARTS]


def test_an_object_is_cut_anew(scene: Scene) -> None:
    """C1, C6: another part size, for what was in parts and for what was in one piece."""
    scene.put_in_parts("o/parts", PARTS)
    scene.put("o/whole", b"w" * (6 * MIB + 1))
    scene.put("o/small", b"s")
    before = look(scene)
    knows(scene, "complete-if-match")
    made = plan(scene, "{partSize: 6MiB}").plan
    assert made is not None
    assert [item.key for item in made.items(made.steps[0].id)] == ["o/parts", "o/whole"]
    apply(scene)
    assert look(scene).objects == before.objects
    assert part_sizes(scene, "o/parts") == [6 * MIB, 5 * MIB + 1025]
    assert part_sizes(scene, "o/whole") == [6 * MIB, 1]
    assert plan(scene, "{partSize: 6MiB}").plan is None


def test_what_changed_since_the_plan_fails_alone(any_scene: Scene) -> None:
    """C7, C31, E43: source-changed, also where the very same bytes were written again."""
    scene = any_scene
    fill(scene, 4)
    knows(scene, "put-if-match")
    plan(scene)
    scene.put("o/d0/object-0000.txt", b"another")
    scene.delete("o/d1/object-0001.txt")
    finished = scene.apply()
    assert finished.exit_code == 3, finished
    assert reasons(scene) == {
        "o/d0/object-0000.txt": "source-changed",
        "o/d1/object-0001.txt": "source-gone",
    }
    now = look(scene).objects
    assert now["o/d0/object-0000.txt"].body == b"another"
    assert "o/d1/object-0001.txt" not in now
    assert now["o/d2/object-0002.txt"].metadata["layout-version"] == "2", "the others went on"


@pytest.mark.parametrize("when", ["verified", "swapped"])
def test_what_changes_after_it_was_staged_is_not_swapped(
    any_scene: Scene, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    """C7, C8, E43: until the write itself, whose condition fails."""
    scene = any_scene
    fill(scene, 3)
    knows(scene, "put-if-match")
    plan(scene)
    late = "o/d0/object-0000.txt"
    if when == "verified":
        take = Found.take

        async def taking(self: Any, n: int, database: Any) -> Any:
            if n == 0:
                scene.put(late, b"a writer's")
            return await take(self, n, database)

        monkeypatch.setattr(Found, "take", taking)
    else:
        write = Exchange.write

        async def writing(self: Exchange, form: Any, expected: Any, place: Any) -> Any:
            if place.key == late:
                scene.put(late, b"a writer's")
            return await write(self, form, expected, place)

        monkeypatch.setattr(Exchange, "write", writing)
    finished = scene.apply()
    assert finished.exit_code == 3
    assert reasons(scene) == {late: "source-changed"}
    now = look(scene)
    assert now.objects[late].body == b"a writer's"
    assert sum("layout-version" in stored.metadata for stored in now.objects.values()) == 2
    assert any(late in key for key in now.shadows), "its staging is left for a cleanup"


def test_what_was_staged_is_looked_at_again_before_it_is_swapped(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """E41, E48: the swap rests on the very form that was verified, and it must still be there."""
    fill(scene, 3)
    knows(scene, "put-if-match")
    made = plan(scene).plan
    assert made is not None
    before = look(scene).objects
    paths = [item.path for item in made.items(made.steps[0].id)]
    take = Found.take

    async def taking(self: Any, n: int, database: Any) -> Any:
        if n == 0:
            scene.delete(paths[0])
        if n == 1:
            scene.put(paths[1], b"not what was verified")
        return await take(self, n, database)

    monkeypatch.setattr(Found, "take", taking)
    finished = scene.apply()
    assert finished.exit_code == 3
    assert set(reasons(scene).values()) == {"staged-differs"}
    now = look(scene).objects
    changed_keys = {key for key in before if now[key] != before[key]}
    assert len(changed_keys) == 1


def test_the_way_back_is_looked_at_before_there_is_no_other(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Invariant 5: the old form that is kept must be the verified one, not one as long."""
    fill(scene, 3)
    before = look(scene).objects
    knows(scene, "put-if-match")
    made = plan(scene).plan
    assert made is not None
    paths = [item.path.replace("/new/", "/old/") for item in made.items(made.steps[0].id)]
    check = Swapper._check_old

    async def checking(self: Any, item: Any) -> None:
        if item.n == 0:
            scene.delete(paths[0])
        if item.n == 1:
            scene.put(paths[1], b"x" * item.size)
        await check(self, item)

    monkeypatch.setattr(Swapper, "_check_old", checking)
    assert scene.apply().exit_code == 3
    assert set(reasons(scene).values()) == {"staged-differs"}
    now = look(scene).objects
    assert len([key for key in before if now[key] != before[key]]) == 1


def test_a_lost_answer_is_settled_by_looking(
    any_scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A swap that was done although nobody heard of it is done."""
    scene = any_scene
    fill(scene, 3)
    before = look(scene)
    knows(scene, "put-if-match")
    plan(scene)
    write = Exchange.write

    async def unheard(self: Exchange, form: Any, expected: Any, place: Any) -> Any:
        written = await write(self, form, expected, place)
        if place.n == 1:
            raise OutcomeUnknownError("the answer was lost")
        return written

    monkeypatch.setattr(Exchange, "write", unheard)
    apply(scene)
    assert look(scene).objects == moved(before.objects)


def test_nothing_is_staged_that_nothing_could_swap(scene: Scene) -> None:
    """The issue's item 5: refused by default; what is known of the endpoint decides."""
    fill(scene, 2)
    before = look(scene)
    plan(scene)  # nobody probed the endpoint yet
    knows(scene)
    finished = scene.apply()
    assert finished.exit_code == 3
    assert set(reasons(scene).values()) == {"no-conditional-swap"}
    assert look(scene) == before
    with pytest.raises(ProblemsError) as caught:
        plan(scene)
    assert "no conditional write was seen to hold for 2 objects" in str(caught.value.problems[0])
    with pytest.raises(ProblemsError) as caught:
        plan(scene, scratch=False)
    assert "a scratch in the Connection" in str(caught.value.problems[0])


def test_the_window_is_said_and_accepted(scene: Scene) -> None:
    """The issue's item 5: elsewhere look, swap, look."""
    fill(scene, 2)
    before = look(scene)
    knows(scene)
    made = plan(scene, more="cutover: {window: accept}").plan
    assert made is not None
    assert any("is overwritten" in warning for warning in made.steps[-1].warnings)
    apply(scene)
    assert look(scene).objects == moved(before.objects)
    rolled = scene.rollback()
    assert rolled is not None
    assert rolled.exit_code == 0
    assert look(scene).objects == before.objects


def test_a_rollback_leaves_alone_what_is_not_the_runs(any_scene: Scene) -> None:
    """Invariant 5: somebody's write stays, and so does a new form whose old one is gone."""
    scene = any_scene
    fill(scene, 3)
    knows(scene, "put-if-match")
    made = plan(scene).plan
    assert made is not None
    first, second, _ = made.items(made.steps[0].id)
    before = look(scene)
    apply(scene)
    scene.put(first.key, b"written since")
    if second.version_id is None:
        scene.delete(second.path.replace("/new/", "/old/"))
    else:
        scene.s3.delete_object(Bucket=scene.bucket, Key=second.key, VersionId=second.version_id)
    rolled = scene.rollback()
    assert rolled is not None
    assert rolled.exit_code == 7
    assert reasons(scene) == {first.key: "not-ours", second.key: "last-copy"}
    now = look(scene).objects
    assert now[first.key].body == b"written since"
    assert now[second.key] == moved(before.objects)[second.key]
    third = (now.keys() - {first.key, second.key}).pop()
    assert now[third] == before.objects[third]


def test_a_partial_cutover_is_taken_back(any_scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """The issue: rollback after a partial cutover; what was never swapped is not touched."""
    scene = any_scene
    fill(scene, 4)
    before = look(scene)
    knows(scene, "put-if-match")
    plan(scene)
    write = Exchange.write

    async def some(self: Exchange, form: Any, expected: Any, place: Any) -> Any:
        if place.n % 2:
            raise OutcomeUnknownError("the machine is on fire")
        return await write(self, form, expected, place)

    with monkeypatch.context() as patch:
        patch.setattr(Exchange, "write", some)
        assert scene.apply().exit_code == 3
    now = look(scene).objects
    assert sum("layout-version" in stored.metadata for stored in now.values()) == 2
    rolled = scene.rollback()
    assert rolled is not None
    assert rolled.exit_code == 0, scene.problems()
    assert look(scene).objects == before.objects


def test_a_run_that_failed_goes_on_with_what_was_verified(
    any_scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """C15: the same command goes on; what an earlier session verified it reads in its journal."""
    scene = any_scene
    fill(scene, 4)
    before = look(scene)
    knows(scene, "put-if-match")
    plan(scene)

    async def broken(self: Exchange, form: Any, expected: Any, place: Any) -> Any:
        raise OutcomeUnknownError("the machine is on fire")

    with monkeypatch.context() as patch:
        patch.setattr(Exchange, "write", broken)
        assert scene.apply().exit_code == 3
    apply(scene)
    assert look(scene).objects == moved(before.objects)


def test_the_example_is_planned_and_applied_as_it_stands(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What examples/plans shows."""
    names = {bucket["Name"] for bucket in scene.s3.list_buckets()["Buckets"]}
    for name in {"data", "data-scratch"} - names:
        scene.s3.create_bucket(Bucket=name)
    scene.s3.put_object(Bucket="data", Key="o/a.fits", Body=b"SIMPLE")
    monkeypatch.setenv("ENDPOINT", scene.server.endpoint)
    monkeypatch.setenv("REGION", scene.server.region)
    knows(scene, "put-if-match", place="s3://data-scratch/s3plan")
    assert api.plan([EXAMPLE]).plan is not None
    apply(scene)
    head = scene.s3.head_object(Bucket="data", Key="o/a.fits")
    assert head["Metadata"]["layout-version"] == "2"
    assert head["StorageClass"] == "STANDARD_IA"
    assert api.plan([EXAMPLE]).plan is None


@pytest.mark.rgw
def test_on_a_server_that_knows_fewer_conditions(rgw_scene: Scene) -> None:
    """RGW 16.2 holds to none (its PUT refuses an ETag in quotes, its copies ignore If-Match), and
    copies lose tags where metadata is replaced: with the window accepted the rest is moved, and
    what it does not do right is found by the verification and left alone.
    """
    scene = rgw_scene
    for number in range(4):
        scene.put(f"o/{number}", b"content", Metadata={"owner": "ann"}, CacheControl="no-store")
    scene.put("o/nothing", b"")
    scene.put("o/tagged", b"content", Tagging="number=1")
    before = look(scene).objects
    knows(scene)
    plan(scene, more="cutover: {window: accept}")
    assert scene.apply().exit_code == 3
    assert reasons(scene) == {"o/tagged": "staged-differs"}
    assert look(scene).objects == moved(before) | {"o/tagged": before["o/tagged"]}
    rolled = scene.rollback()
    assert rolled is not None
    assert rolled.exit_code == 0, scene.problems()
    assert look(scene).objects == before
