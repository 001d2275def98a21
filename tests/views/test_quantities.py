"""The same figure reads the same everywhere."""

from __future__ import annotations

import pytest

from s3plan.views.quantities import counted, duration, elapsed, size


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (1024 * 1024 - 1, "1.0 MiB"),
        (19_542_101_196, "18.2 GiB"),
        (5 * 2**60, "5.0 EiB"),
        (9999 * 2**60, "9999.0 EiB"),
    ],
)
def test_bytes_use_iec_units(value: int, text: str) -> None:
    assert size(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.2, "under 1 s"),
        (1, "1 s"),
        (89, "89 s"),
        (90, "2 min"),
        (3600, "60 min"),
        (7500, "2 h 5 min"),
        (7200, "2 h"),
        (3 * 86400 + 4 * 3600, "3 d 4 h"),
    ],
)
def test_times_are_as_exact_as_a_person_plans(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_measured_times_keep_their_tenths_below_a_minute() -> None:
    assert elapsed(12.34) == "12.3 s"
    assert elapsed(600) == "10 min"


def test_a_count_agrees_with_its_noun() -> None:
    assert counted(1, "object") == "1 object"
    assert counted(1204, "object") == "1,204 objects"
