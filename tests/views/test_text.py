"""Nothing that comes from S3 or a file name acts on a terminal."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from s3plan.views.text import shorten, visible
from tests.views.samples import HOSTILE_KEYS


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain/key.jpg", "plain/key.jpg"),
        ("été/写真/🐟.jpg", "été/写真/🐟.jpg"),
        ("\x1b[2J", r"\x1b[2J"),
        ("a\nb\rc\td\x00e\x7f", r"a\nb\rc\td\x00e\x7f"),
        ("photo\u202egpj.exe", r"photo\u202egpj.exe"),
        ("\u2066\u200b\ufeff", r"\u2066\u200b\ufeff"),
        ("\u2028\u2029\x85\x9b", r"\u2028\u2029\x85\x9b"),
        ("\U000e0041", r"\U000e0041"),
        ("\udcff", r"\udcff"),
        ("[red]markup[/red] :smile:", "[red]markup[/red] :smile:"),
        (r"C:\photos", r"C:\photos"),
    ],
)
def test_characters_that_are_not_plainly_visible_are_written_as_escapes(
    text: str, shown: str
) -> None:
    assert visible(text) == shown


@given(st.text())
def test_no_control_or_format_character_is_left(text: str) -> None:
    categories = {unicodedata.category(char) for char in visible(text)}
    assert not categories & {"Cc", "Cf", "Cs", "Zl", "Zp"}


@given(st.text(max_size=80), st.integers(min_value=3, max_value=60))
def test_a_shortened_text_fits(text: str, width: int) -> None:
    assert cell_len(shorten(text, width)) <= width


def test_shortening_keeps_both_ends() -> None:
    assert shorten("2024/holidays/raw/img_0001.cr2", 15) == "2024/ho…001.cr2"


@pytest.mark.parametrize("key", HOSTILE_KEYS)
def test_hostile_keys_are_one_line(key: str) -> None:
    assert len(visible(key).splitlines()) == 1
