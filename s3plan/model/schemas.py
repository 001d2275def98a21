"""JSON Schemas of the records in plan, journal and catalogue files, for readers in any language."""

from __future__ import annotations

from typing import Any

import msgspec

from s3plan.model.archives import IndexEnd, IndexFrame, IndexHeader, IndexMember
from s3plan.model.journal import JournalRecord
from s3plan.model.local import CatalogueRecord
from s3plan.model.plan import PlanRecord
from s3plan.model.soak import AnySoakRecord

_RECORDS: dict[str, tuple[str, Any]] = {
    "plan-record": ("One line of a plan file (s3plan.plan/1).", PlanRecord),
    "journal-record": (
        "One line of a journal (s3plan.journal/1), without its seq and crc.",
        JournalRecord,
    ),
    "catalogue-record": (
        "One line of a catalogue (s3plan.catalogue/1), without its seq and crc.",
        CatalogueRecord,
    ),
    "soak-record": (
        "One line of the record of a soak (s3plan.soak/1), without its seq and crc.",
        AnySoakRecord,
    ),
    "index-record": (
        "One line of the index beside an archive (s3plan.index/1).",
        IndexHeader | IndexFrame | IndexMember | IndexEnd,
    ),
}


def schemas() -> dict[str, dict[str, Any]]:
    """Each schema by its file name."""
    return {
        f"{name}.schema.json": {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "title": name,
            "description": description,
            **msgspec.json.schema(record),
        }
        for name, (description, record) in _RECORDS.items()
    }
