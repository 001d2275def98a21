"""Write samples of the file formats by a real run: ``python -m tests.samples.make v2``.

``python -m tests.samples.make plan2`` writes that of a plan whose worklist stands in files.
Only for a format that has landed with another number: samples of earlier ones are never rewritten,
they are what people have on their disks. Needs a directory /srv/archive that may be made.
"""

from __future__ import annotations

import getpass
import json
import os
import shutil
import socket
import sys
import tempfile
from pathlib import Path
from unittest import mock

import msgspec

from s3plan import api
from s3plan.engine.runs import Run
from s3plan.model.steps import Item
from s3plan.plan import seal as sealing
from s3plan.plan.reading import PlanFile
from s3plan.tables import Database
from tests.engine.scene import WHOLE, Scene, open_scene
from tests.plan.worklists import ETAG, HEADER, TIME, drafts, fill
from tests.servers import moto

ARCHIVE = Path("/srv/archive")
MORE = ("control\x1f\x7f", 'quote"\\back', "slash/", "\u2028", "plain")
KEYS = ("a b.txt", "2019/été.jpg", "nul", "..", "x/", "tab\there", "wide \U0001f600")


def main(version: str) -> None:
    """Make a run that meets everything a journal can tell, and keep its files."""
    target = Path(__file__).parent / version
    target.mkdir()
    with (
        tempfile.TemporaryDirectory() as temporary,
        mock.patch.object(socket, "gethostname", return_value="archive-host"),
        mock.patch.object(getpass, "getuser", return_value="curator"),
    ):
        folder = Path(temporary)
        (folder / "moto").mkdir()
        with moto(folder / "moto") as server, open_scene(server, folder) as scene:
            os.chdir(scene.directory)
            os.environ.update(scene.environ)
            _run(scene)
            run = scene.run()
            _keep(run, scene.bucket, target)
    shutil.rmtree(ARCHIVE)


def _run(scene: Scene) -> None:
    for number, key in enumerate(KEYS):
        body = b"" if key.endswith("/") else f"content {number}".encode()
        scene.put(key, body, Metadata={"n": str(number)}, Tagging="color=blue&n=1")
    manifest = scene.manifest(WHOLE)
    manifest.write_text(manifest.read_text().replace("./here", str(ARCHIVE)))
    api.plan([Path("manifest.yaml")])
    in_the_way = ARCHIVE / scene.bucket / "a b.txt"
    in_the_way.parent.mkdir(parents=True)
    in_the_way.write_text("something else")
    assert scene.apply().outcome != "done"
    in_the_way.unlink()
    assert scene.apply(ask=lambda _: False).outcome == "held"
    evidence = scene.gate().evidence
    finished = scene.apply(delete=evidence)
    assert finished.outcome == "done", finished
    rolled = scene.rollback()
    assert rolled is not None
    assert rolled.outcome in {"done", "kept"}, rolled


def _keep(run: Run, bucket: str, target: Path) -> None:
    for source in (run.plan, run.journal, run.rollback_plan, run.rollback_journal):
        shutil.copy(source, target / source.name)
    shutil.copy(ARCHIVE / ".s3plan" / "catalogue" / f"{bucket}.jsonl", target / "catalogue.jsonl")
    expected = {
        "run": run.id,
        "bucket": bucket,
        "digest": PlanFile.open(run.plan).digest,
        "rollback_digest": PlanFile.open(run.rollback_plan).digest,
    }
    (target / "expected.json").write_text(json.dumps(expected, indent=2) + "\n")


def parted(target: Path) -> PlanFile:
    """A plan whose worklist stands in files of three items, every column of which says something
    somewhere; its items as lines beside it.
    """
    items = [
        Item(drafts()[0].id, n, key, f"b/{n}", 2**40 + n, ETAG, TIME)
        for n, key in enumerate(sorted((*KEYS, *MORE), key=str.encode))
    ]
    replace = msgspec.structs.replace
    items[4] = replace(items[4], storage_class="GLACIER", checksum="CRC64NVME/FULL_OBJECT")
    items[5] = replace(items[5], version_id="v\\1", newer=2, marker=True, beneath=1)
    items[7] = replace(items[7], upload_id="u", label="kept")
    items[8] = replace(items[8], keywords={"OBJECT": "M 31", 'a"b': "\x1f"}, ambiguous=True)
    columns = {name: [getattr(item, name) for item in items] for name in Item.__struct_fields__[1:]}
    columns["keywords"] = [
        msgspec.json.encode(item.keywords).decode() if item.keywords else None for item in items
    ]
    with (
        tempfile.TemporaryDirectory() as scratch,
        Database(Path(scratch)) as database,
        mock.patch.object(sealing, "_FEWEST", 1),
        mock.patch.object(sealing, "_MOST", 3),
    ):
        fill(database, columns["key"], **columns)
        plan = sealing.seal(drafts(), database, HEADER, target / "plan.json", parted_from=1)
    lines = (msgspec.json.encode(item) + b"\n" for item in items)
    (target / "items.jsonl").write_bytes(b"".join(lines))
    return plan


if __name__ == "__main__":
    if sys.argv[1] == "plan2":
        (Path(__file__).parent / "plan2").mkdir()
        parted(Path(__file__).parent / "plan2")
    else:
        main(sys.argv[1])
