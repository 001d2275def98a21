"""Small batches everywhere, so that a few dozen objects pass through as many intents, sync points
and requests as millions do.
"""

from __future__ import annotations

import importlib

from s3plan.store import Bucket

_KEYS_A_PAGE = 12
"""Of a listing, and so of a deletion."""

ITEMS_A_PART = 5
"""Of a worklist that stands in files."""

_SIZES: dict[str, dict[str, float]] = {
    "context": {"SYNC_INTERVAL": 0.1},
    "journal": {"MOST_PENDING": 1},
    "holding": {"LINGER": 0.25},  # thousands of kills
    "archiving.sending": {"PART": 5 << 20},
    "handlers.extract": {"RANGE": 2},
    "handlers.copy": {"RANGE": 8, "BATCH": 3},
    "handlers.remove_copy": {"BATCH": 8},
    "handlers.delete": {"IN_FLIGHT": 2},
    "handlers.delete_source": {"BATCH": 4},
    "handlers.download": {"INTENT_RANGE": 20, "BATCH": 5},
    "handlers.ranged": {"RANGED_FROM": 2 << 20, "RANGE": 1 << 20},
    "handlers.remove_file": {"BATCH": 12},
    "handlers.restore": {"CHUNK": 6, "RANGE": 4},
    "handlers.sending": {"LARGEST_PUT": 2 << 20, "PART": 5 << 20, "AT_ONCE": 1},
    "layout.worklist": {"RANGE": 3},
    "handlers.purge": {"BATCH": 5},
    "handlers.put_files": {"RANGE": 5, "TRIP": 2, "BATCH": 3},
    "handlers.putting": {"RANGE": 12, "WORKERS": 4},
    "handlers.verify_replacement": {"CHUNK": 2},
    "handlers.verify": {"CHUNK_ITEMS": 15},
}


def shrink() -> None:
    """Make every batch of this process small."""
    for module, names in _SIZES.items():
        loaded = importlib.import_module(f"s3plan.engine.{module}")
        for name, value in names.items():
            assert hasattr(loaded, name), f"{module} has no {name} any more"
            setattr(loaded, name, value)
    sealing = importlib.import_module("s3plan.plan.seal")
    for name, count in (("_FEWEST", 1), ("_MOST", ITEMS_A_PART)):
        assert hasattr(sealing, name)
        setattr(sealing, name, count)
    # prefix, start_after, max_keys
    assert Bucket.pages.__defaults__ == ("", "", 1000)
    Bucket.pages.__defaults__ = ("", "", _KEYS_A_PAGE)
