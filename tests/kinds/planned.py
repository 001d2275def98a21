"""Planning from data: an inventory written down as JSON becomes tables, and a manifest a plan."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from s3plan.inventory.annotations import Annotated
from s3plan.inventory.catalogue import CatalogueState
from s3plan.inventory.forms import Asked
from s3plan.inventory.worklist import observe_worklist
from s3plan.kinds import Observed, load, plan_all
from s3plan.kinds.loading import Loaded
from s3plan.model.buckets import BucketFacts
from s3plan.model.capabilities import UNPROBED
from s3plan.model.local import CATALOGUE_FORMAT, CatalogueHeader
from s3plan.model.objects import ObjectAttributes, ObjectHead
from s3plan.model.plan import PLAN_FORMAT, PlanHeader, Target
from s3plan.model.worklist import Entry
from s3plan.plan import PlanFile, asked
from s3plan.plan.seal import seal
from s3plan.rules.policies.meaning import Caller
from s3plan.rules.policies.principals import read_principal
from s3plan.rules.pricelist import shipped
from s3plan.rules.shadow import is_shadow
from s3plan.tables import (
    ARCHIVE_TIERS,
    CATALOGUE,
    DIGESTS,
    FORMS,
    HEADS,
    LISTING,
    OBJECT_TAGS,
    SHADOWS,
    TABLES,
    TREE,
    Database,
)

DESTINATION = "/archive"
ETAG = "d41d8cd98f00b204e9800998ecf8427e"
TIME = "2026-11-01T00:00:00.000Z"
NOW = "2026-11-20T04:23:11+00:00"
ENFORCED = {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
"""The ownership of every bucket since April 2023: there are no ACLs."""
TARGET = Target("http://s3.example:8333", "eu-central-1")


@dataclass(frozen=True)
class Planned:
    """A sealed plan, and what its steps are about."""

    file: PlanFile

    @property
    def verbs(self) -> list[str]:
        return [step.verb for step in self.file.steps]

    def keys(self, verb: str) -> list[str]:
        (step,) = (step for step in self.file.steps if step.verb == verb)
        return [item.key for item in self.file.items(step.id)]

    def paths(self, verb: str) -> dict[str, str]:
        (step,) = (step for step in self.file.steps if step.verb == verb)
        return {item.key: item.path for item in self.file.items(step.id)}


def manifest(tmp_path: Path, spec: str, kind: str = "BucketEvacuation") -> Path:
    path = tmp_path / "manifest.yaml"
    path.write_text(
        f"apiVersion: s3plan/v1\nkind: {kind}\nmetadata: {{name: test}}\nspec:\n"
        + "".join(f"  {line}\n" for line in spec.strip().splitlines())
    )
    return path


def plan(
    tmp_path: Path,
    path: Path,
    inventory: Mapping[str, Any],
    items: Sequence[Entry] | None = None,
) -> Planned:
    """Plan the manifest at ``path`` from an inventory, for ``items`` alone where they are given.

    ``buckets``: name to ``{objects: [{key, size, ...}], versioning, ...}``, an object's ``archive``
    being its archive tier in INTELLIGENT_TIERING, version_id, newer and marker as a listing of
    versions tells them, and content_type, checksums, encryption, sha256 and tags what is asked of
    it alone, ``head`` all of that; ``tree``: path to ``[size, mtime_ns]``; ``catalogues``: bucket
    to ``{state, rows: [{key, path, ...}]}``; ``tags``: bucket to key to tags; ``caller``: an ARN,
    with ``secure`` and ``role``; ``tables``: the rows of any other table by its name.
    """
    loaded = load([path], variables={}, environ={})
    if items is not None:
        loaded = loaded.for_items(frozenset(entry.bucket for entry in items))
    with Database(tmp_path / "scratch") as database:
        observed = observe(loaded, database, inventory)
        observe_worklist(items or (), database)
        asked.note_missing(database, observed.facts)
        drafts = plan_all(loaded, observed)
        asked.settle(drafts, database)
        header = PlanHeader(
            format=PLAN_FORMAT,
            tool="0",
            created=TIME,
            host="host",
            target=observed.target,
            connection=loaded.connection,
        )
        return Planned(seal(drafts, database, header, tmp_path / "plan.json"))


def observe(loaded: Loaded, database: Database, inventory: Mapping[str, Any]) -> Observed:
    """The tables and facts that looking at such an inventory would give."""
    target = Target(**inventory["target"]) if "target" in inventory else TARGET
    facts = {}
    for name, bucket in inventory.get("buckets", {}).items():
        described = {key: value for key, value in bucket.items() if key != "objects"}
        usual = {
            "name": name,
            "region": "eu-central-1",
            "versioning": "never",
            "configuration": {"ownership": ENFORCED},
        }
        facts[name] = BucketFacts(**usual | described)
        rows = [
            {"size": 1, "etag": ETAG, "modified": TIME, "storage_class": "STANDARD"}
            | row
            | ({"history": row["version_id"]} if row.get("newer") or row.get("marker") else {})
            for row in bucket.get("objects", [])
        ]
        tiers = [
            {"key": row["key"], "tier": row.pop("archive")} for row in rows if "archive" in row
        ]
        asked = [
            {"key": row["key"]} | {one: row.pop(one) for one in _ASKED & row.keys()} for row in rows
        ]
        forms = [{"key": row["key"], "asked": _form(row)} for row in rows]
        append(database, FORMS, forms, bucket=name)
        append(database, LISTING, [row for row in rows if not is_shadow(row["key"])], bucket=name)
        append(database, SHADOWS, [row for row in rows if is_shadow(row["key"])], bucket=name)
        for table, about in ((HEADS, _HEADS), (DIGESTS, {"sha256"}), (OBJECT_TAGS, {"tags"})):
            known = [{"key": row["key"]} | _of(row, about) for row in asked if _of(row, about)]
            append(database, table, known, bucket=name)
        append(database, ARCHIVE_TIERS, tiers, bucket=name)
    files = [
        {"path": path, "size": size, "mtime_ns": mtime_ns, "inode": 1, "device": 1}
        for path, (size, mtime_ns) in inventory.get("tree", {}).items()
    ]
    append(database, TREE, files, destination=DESTINATION)
    for table in TABLES:
        append(database, table, inventory.get("tables", {}).get(table.name, []))
    catalogues = {}
    for name, catalogue in inventory.get("catalogues", {}).items():
        rows = [
            {
                "size": 1,
                "etag": ETAG,
                "modified": TIME,
                "mtime_ns": 7,
                "verdict": "verified",
                "algorithm": "MD5",
                "value": ETAG,
            }
            | row
            for row in catalogue.get("rows", [])
        ]
        append(database, CATALOGUE, rows, destination=DESTINATION, bucket=name)
        whose = Target(**catalogue["target"]) if "target" in catalogue else target
        header = CatalogueHeader(
            CATALOGUE_FORMAT, whose.endpoint, whose.region, whose.account, name, TIME
        )
        catalogues[name] = CatalogueState(header, catalogue.get("state"))
    return Observed(
        database=database,
        target=target,
        connection=loaded.connection,
        facts=facts,
        catalogues={DESTINATION: catalogues},
        now=datetime.fromisoformat(inventory.get("now", NOW)),
        sealed={name: tuple(keys) for name, keys in inventory.get("sealed", {}).items()},
        annotated={
            name: Annotated(**sample) for name, sample in inventory.get("annotated", {}).items()
        },
        prices=shipped().region(target.endpoint, target.region),
        tags=inventory.get("tags", {}),
        caller=_caller(inventory),
        capabilities=inventory.get("capabilities", UNPROBED),
    )


_HEADS = {"content_type", "checksums", "encryption"}
_ASKED = _HEADS | {"sha256", "tags"}


def _of(row: dict[str, Any], about: set[str]) -> dict[str, Any]:
    """What a request about these would have told of an object; lists and mappings as JSON."""
    told = {name: row[name] for name in about & row.keys()}
    return {
        name: json.dumps(value) if isinstance(value, dict) else value
        for name, value in told.items()
    }


def _form(row: dict[str, Any]) -> str:
    """What HEAD of the object answers; takes ``head`` out of the row."""
    told = row.pop("head", {})
    attributes = ObjectAttributes(storage_class=row["storage_class"], **told.pop("attributes", {}))
    first = told.pop("first_part", None)
    if told.pop("sealed", False):
        return msgspec.json.encode(Asked(None)).decode()
    known = {"size": row["size"], "etag": row["etag"], "modified": row["modified"]} | told
    head = ObjectHead(key=row["key"], attributes=attributes, **known)
    return msgspec.json.encode(Asked(head, first)).decode()


def _caller(inventory: Mapping[str, Any]) -> Caller | None:
    if "caller" not in inventory:
        return None
    principal = read_principal(inventory["caller"])
    return Caller(principal, inventory.get("role"), secure=inventory.get("secure", True))


def append(database: Database, table: Any, rows: list[dict[str, Any]], **constants: str) -> None:
    names = sorted({name for row in rows for name in row})
    if rows:
        database.append(table, {name: [row.get(name) for row in rows] for name in names}, constants)


def read(path: Path) -> Any:
    return json.loads(path.read_text())
