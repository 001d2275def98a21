"""Layouts put each bucket in a directory of its own and are refused where they could not."""

from __future__ import annotations

import pytest

from s3plan.errors import ManifestError
from s3plan.rules.layout import DEFAULT_LAYOUT, check_layout, root_of


@pytest.mark.parametrize(
    ("layout", "root"),
    [
        (DEFAULT_LAYOUT, "photos"),
        ("{key}", ""),
        ("s3/{bucket}-copy/{key}", "s3/photos-copy"),
        ("all/{key}", "all"),
    ],
)
def test_the_root_of_a_bucket(layout: str, root: str) -> None:
    assert root_of(layout, "photos") == root


def test_a_bucket_name_that_no_directory_may_have_is_encoded() -> None:
    assert root_of(DEFAULT_LAYOUT, "con") == "%63on"


@pytest.mark.parametrize(
    "layout",
    [
        "", "{bucket}", "{key}/{bucket}", "{bucket}{key}", "{bucket}/{key}.bin", "{name}/{key}",
        "/{bucket}/{key}", "../{key}", "a//{key}", ".s3plan/{key}", "{bucket}/{bucket}/{key}",
        "{key}/{key}", "{/{key}", "con/{key}", "a\\b/{key}", "{bucket}/{key}/",
    ],
)  # fmt: skip
def test_other_layouts_are_refused_with_the_place_and_a_way_out(layout: str) -> None:
    with pytest.raises(ManifestError) as caught:
        check_layout(layout, address="m.yaml:7:13")
    assert caught.value.address == "m.yaml:7:13"
    assert caught.value.found == repr(layout)
    assert DEFAULT_LAYOUT in (caught.value.next_step or "")
