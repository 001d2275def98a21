"""Hostile keys through list, plan, download, verify, delete and rollback, by the real command.

What must hold: every key has a file of its own inside the destination, with its bytes, under the
path that the plan said and the catalogue keeps; and the bucket that comes back is the bucket.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from s3plan import api
from s3plan.model.steps import Item
from s3plan.rules.naming import fold
from tests.engine.scene import WHOLE, Scene, approval_in
from tests.hostile.keys import body_of, kept_by

SERVERS = ("rgw", "moto_server", "seaweed")


def _fill(scene: Scene, keys: tuple[str, ...]) -> None:
    for number, key in enumerate(keys):
        options = {"Tagging": f"number={number}"} if number % 5 == 0 else {}
        scene.put(
            key,
            body_of(key),
            ContentType="application/x-hostile",
            Metadata={"number": str(number)},
            **options,
        )


def _items(scene: Scene, path: str = "plan.json") -> dict[str, Item]:
    plan = api.show(scene.directory / path)
    (download,) = (step for step in plan.steps if step.verb == "download")
    return {item.key: item for item in plan.items(download.id)}


def _everything_below(folder: Path) -> set[str]:
    """Names of all there is, links not followed, as the file system gives them."""
    return {
        os.path.relpath(Path(parent) / name, folder)
        for parent, directories, files in os.walk(folder)
        for name in (*directories, *files)
    }


@pytest.mark.long
@pytest.mark.parametrize(
    ("server", "layout"),
    # Keys at the top of the destination, beside `.s3plan`: where the server keeps most of them.
    [
        *((server, "{bucket}/{key}") for server in SERVERS),
        ("rgw", "{key}"),
        ("moto_server", "{key}"),
    ],
)
@pytest.mark.timeout(300)
def test_the_whole_way_and_back(scene: Scene, server: str, layout: str) -> None:
    keys = kept_by(server)
    _fill(scene, keys)
    before = scene.objects()
    assert {key: stored.body for key, stored in before.items()} == {k: body_of(k) for k in keys}
    scene.manifest(WHOLE)
    text = (scene.directory / "manifest.yaml").read_text()
    (scene.directory / "manifest.yaml").write_text(
        text.replace("{path: ./here}", f"{{path: ./here, layout: '{layout}'}}")
    )
    sentinel = scene.directory / "sentinel"
    sentinel.write_text("untouched")
    outside = _everything_below(scene.directory.parent)

    # Decided in the plan: one path per key, none like another's, and the same when planned again.
    planned = scene.s3plan("plan", "manifest.yaml")
    assert planned.code == 0, planned.err
    assert not any(c in planned.out for c in "\x1b\x07\x9b\u202e\u2066"), "terminal escapes"
    items = _items(scene)
    assert set(items) == set(keys)
    assert len({fold(item.path.rstrip("/")) for item in items.values()}) == len(keys)
    again = scene.s3plan("plan", "manifest.yaml", "--out", "again.json")
    assert again.code == 0, again.err
    assert _items(scene, "again.json") == items
    assert api.show(Path("again.json")).digest == api.show(Path("plan.json")).digest

    held = scene.s3plan("apply", "--approve")
    assert held.code == 4, held.out + held.err
    assert not any(c in held.out + held.err for c in "\x1b\x07\x9b\u202e\u2066"), "escapes"

    # Every key's bytes in the file that the plan said, and no file of anything else.
    root = scene.here.resolve()
    for key, item in items.items():
        place = scene.here / item.path
        assert place.resolve().is_relative_to(root), key
        assert not place.is_symlink(), key
        if item.path.endswith("/"):
            assert place.is_dir(), key
        else:
            assert place.read_bytes() == body_of(key), key
    found = {
        str(path.relative_to(scene.here))
        for path in scene.here.rglob("*")
        if path.is_file() and path.relative_to(scene.here).parts[0] != ".s3plan"
    }
    assert found == {item.path for item in items.values() if not item.path.endswith("/")}
    assert {key: row.path for key, (row, _) in scene.catalogue().items()} == {
        key: item.path for key, item in items.items()
    }
    new = _everything_below(scene.directory.parent) - outside
    ours = ("work/here", "work/plan.json", "work/again.json", "work/journal.json", "work/.s3plan")
    assert [name for name in new if not name.startswith((*ours, "home/state"))] == []

    done = scene.s3plan("apply", "--approve", "--approve-delete", approval_in(held.out + held.err))
    assert done.code == 0, done.out + done.err
    assert not scene.bucket_exists()
    nothing = scene.s3plan("plan", "manifest.yaml")
    assert (nothing.code, nothing.out) == (0, "No changes.\n")

    back = scene.s3plan("rollback", "journal.json", "--approve")
    assert back.code == 0, back.out + back.err
    assert scene.objects() == before
    assert sentinel.read_text() == "untouched"
    assert not any(path.is_file() for path in scene.copies.rglob("*"))


@pytest.mark.long
@pytest.mark.parametrize("server", SERVERS)
def test_paths_stay_when_rivals_arrive_later(scene: Scene, server: str) -> None:
    """A key that was downloaded keeps its file; a twin that comes later gets another name."""
    first = ("Photo.jpg", "café", "dir", "%2e%2e")
    later = ("photo.jpg", "cafe\u0301", "PHOTO.JPG", "%252e%2e", "DIR")
    for key in first:
        scene.put(key, body_of(key))
    scene.plan("  delete: never\n")
    assert scene.apply().exit_code == 0
    paths = {key: row.path for key, (row, _) in scene.catalogue().items()}
    for key in later:
        scene.put(key, body_of(key))
    scene.plan()
    assert set(_items(scene)) == set(later), "what is there already is not downloaded again"
    assert scene.apply().exit_code == 0
    after = {key: row.path for key, (row, _) in scene.catalogue().items()}
    assert {key: after[key] for key in first} == paths
    assert len({fold(path) for path in after.values()}) == len(first) + len(later)
    for key, path in after.items():
        assert (scene.here / path).read_bytes() == body_of(key)
    assert scene.plan().plan is None, "No changes"
