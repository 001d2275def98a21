"""Pages of the repository: every file that one names is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

_PLACES = ("*.md", "docs/**/*.md", "s3plan/**/*.md", "examples/**/*.md", "benchmarks/**/*.md")
PAGES = sorted({page for place in _PLACES for page in ROOT.glob(place)})

_LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_a_page_names_files_that_are_there(page: Path) -> None:
    links = [link for link in _LINK.findall(page.read_text()) if "://" not in link]
    missing = [link for link in links if not (page.parent / link).exists()]
    assert missing == []
