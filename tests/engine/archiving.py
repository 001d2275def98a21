"""Sessions on disk, and plans that archive them, for the tests of the verb."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from s3plan.localfs.tree import Tree
from s3plan.model.archivesteps import Tag
from s3plan.model.connection import Connection, Limits
from s3plan.model.plan import PLAN_FORMAT, PlanHeader, Target
from s3plan.model.steps import Archive, Extract
from s3plan.plan import StepDraft
from s3plan.plan.reading import PlanFile
from s3plan.plan.seal import seal
from s3plan.rules.archiveindex import read_index
from s3plan.rules.filetimes import modified_of
from s3plan.rules.tarlayout import tar_size
from s3plan.tables import ITEMS, Database
from tests.engine.scene import Scene

TIME = 1_767_225_600_123_456_789


def session(scene: Scene, name: str, files: Mapping[str, bytes]) -> Path:
    """A directory of the library with these files, all of one time."""
    folder = scene.directory / "library" / name
    for path, data in files.items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
        os.utime(file, ns=(TIME, TIME))
    return folder


def members(scene: Scene, name: str) -> list[tuple[str, str, int, str]]:
    """Member name, path in the library, size and time of each file, in order."""
    with Tree.open(scene.directory / "library", create=False) as tree:
        found = [
            (f"{name}/{file.path.removeprefix(f'{name}/')}", file.path, file.stat.size,
             modified_of(file.stat.mtime_ns))
            for file in tree.scan(name)
        ]  # fmt: skip
    return sorted(found, key=lambda entry: entry[0].encode())


def draft_of(scene: Scene, name: str, **parameters: Any) -> StepDraft:
    """An archive step of a session; ``parameters`` are the action's."""
    files = members(scene, name)
    size = tar_size(name, [(member, size) for member, _, size, _ in files])
    given: dict[str, Any] = {
        "source": str(scene.directory / "library"),
        "key": f"raw/{name}.tar",
        "index": f"raw/{name}.tar.index.jsonl",
        "name": name,
        "tar": size,
    } | parameters
    draft = StepDraft(
        Archive(**given),
        scene.bucket,
        reversibility="free",
        undo="The archive is removed.",
        reason="The test says so.",
    )
    return msgspec.structs.replace(draft, worklist=draft.id)


def plan_archives(
    scene: Scene,
    names: Sequence[str],
    *,
    keywords: Mapping[str, Mapping[str, str]] = {},
    limits: Limits | None = None,
    **parameters: Any,
) -> PlanFile:
    """Write plan.json with an archive step for each session; ``keywords`` by member."""
    drafts = [draft_of(scene, name, **parameters) for name in names]
    (scene.directory / "scratch").mkdir(exist_ok=True)
    with Database(scene.directory / "scratch") as database:
        for name, draft in zip(names, drafts, strict=True):
            files = members(scene, name)
            told = [keywords.get(member) for member, *_ in files]
            database.append(
                ITEMS,
                {
                    "n": list(range(len(files))),
                    "key": [member for member, *_ in files],
                    "path": [path for _, path, *_ in files],
                    "size": [size for *_, size, _ in files],
                    "etag": [""] * len(files),
                    "modified": [modified for *_, modified in files],
                    "storage_class": ["STANDARD"] * len(files),
                    "keywords": [
                        msgspec.json.encode(words).decode() if words else None for words in told
                    ],
                },
                {"step": draft.id},
            )
        return seal(
            drafts, database, _header(scene, limits or Limits()), scene.directory / "plan.json"
        )


def plan_extracts(scene: Scene, keys: Sequence[str], **changes: Any) -> PlanFile:
    """Write plan.json with an extract step for each archive, into ``here``; all its members.

    ``changes`` are made to each item's columns.
    """
    with Database(scene.directory / "scratch") as database:
        drafts = []
        for key in keys:
            body = scene.s3.get_object(Bucket=scene.bucket, Key=f"{key}.index.jsonl")["Body"].read()
            index = read_index(body)
            action = Extract(
                destination=str(scene.here),
                key=key,
                etag=index.header.etag,
                size=index.header.size,
                index=f"{key}.index.jsonl",
                digest=index.digest,
            )
            draft = StepDraft(
                action, scene.bucket, "free", "The files are removed.", "The test says so."
            )
            drafts.append(msgspec.structs.replace(draft, worklist=draft.id))
            found = index.members[:-1]
            columns: dict[str, list[Any]] = {
                "n": list(range(len(found))),
                "key": [member.name for member in found],
                "path": [member.name for member in found],
                "size": [member.size for member in found],
                "etag": [""] * len(found),
                "modified": [member.modified for member in found],
                "storage_class": ["STANDARD"] * len(found),
            }
            database.append(ITEMS, columns | changes, {"step": draft.id})
        return seal(drafts, database, _header(scene, Limits()), scene.directory / "plan.json")


def plan_tags(scene: Scene, before: dict[str, str], after: dict[str, str]) -> PlanFile:
    """Write plan.json with one step that gives every object of the bucket other tags."""
    listed = scene.s3.list_objects_v2(Bucket=scene.bucket)["Contents"]
    draft = StepDraft(
        Tag(before, after), scene.bucket, "free", "The tags are put back.", "The test says so."
    )
    draft = msgspec.structs.replace(draft, worklist=draft.id)
    (scene.directory / "scratch").mkdir(exist_ok=True)
    with Database(scene.directory / "scratch") as database:
        columns = {
            "n": list(range(len(listed))),
            "key": [one["Key"] for one in listed],
            "path": [""] * len(listed),
            "size": [one["Size"] for one in listed],
            "etag": [one["ETag"].strip('"') for one in listed],
            "modified": [f"{one['LastModified']:%Y-%m-%dT%H:%M:%S}.000Z" for one in listed],
            "storage_class": ["STANDARD"] * len(listed),
        }
        database.append(ITEMS, columns, {"step": draft.id})
        return seal([draft], database, _header(scene, Limits()), scene.directory / "plan.json")


def _header(scene: Scene, limits: Limits) -> PlanHeader:
    server = scene.server
    return PlanHeader(
        format=PLAN_FORMAT,
        tool="test",
        created="2026-11-20T04:00:00.000Z",
        host=os.uname().nodename,
        target=Target(server.endpoint, server.region),
        connection=Connection(endpoint=server.endpoint, region=server.region, limits=limits),
    )
