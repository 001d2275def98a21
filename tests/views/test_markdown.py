"""Markdown of a plan: what it says, within which budget, and that no name in it can act.

After a wanted change write the pages again with ``S3PLAN_WRITE_GOLDEN=1`` and read the difference.
"""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from s3plan.kinds.registry import FOLDERS
from s3plan.model.steps import DeleteBucket, Reversibility, Step
from s3plan.plan import PlanFile
from s3plan.views.markdown import SMALLEST_BUDGET, markdown
from s3plan.views.marktext import code, comment, fenced, prose
from s3plan.views.text import visible
from tests.hostile.keys import KEYS
from tests.views import samples

GOLDEN = Path(__file__).parent / "golden"
CASES = Path(__file__).parents[1] / "golden"

HOSTILE = (
    *samples.HOSTILE_KEYS,
    "a|b|c",
    "`code` ``x``",
    "@everyone/@org/team",
    "<script>alert(1)</script>",
    "</code></summary></details><img src=x onerror=alert(1)>",
    "--> <b>out</b> <!--",
    "[link](https://evil.example)",
    "![image](https://evil.example/x.png)",
    "https://evil.example/www.evil.example",
    "www.evil.example",
    "*bold* _it_ ~~gone~~ # heading",
    "&lt;b&gt;&amp;",
    "$x^2$ $`y`$",
    ":smile: #12 GH-12 !7 %3",
    "\\| \\` \\",
    "x" * 1024,
)


class _Text(HTMLParser):
    """Tags with their attributes, and the text inside ``<code>``."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str | None]] = []
        self.codes: list[str] = []
        self.outside = ""
        self._depth = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += attrs
        if tag == "code":
            self._depth += 1
            self.codes.append("")

    def handle_endtag(self, tag: str) -> None:
        if tag == "code":
            self._depth -= 1

    def handle_data(self, data: str) -> None:
        if self._depth:
            self.codes[-1] += data
        else:
            self.outside += data


def rendered(page: str) -> _Text:
    found = _Text()
    found.feed(MarkdownIt("commonmark").enable(["table", "strikethrough"]).render(page))
    found.close()
    return found


_OWN_TAGS = {
    *("h3", "h4", "p", "strong", "blockquote", "code", "pre", "ul", "li", "details", "summary"),
    *("table", "thead", "tbody", "tr", "th", "td"),
}


def kinds() -> dict[str, Path]:
    """For each kind the first golden plan of it."""
    found: dict[str, Path] = {}
    for case in sorted(CASES.glob("*/plan.json")):
        text = (case.parent / "manifest.yaml").read_text()
        kind = re.search(r"^kind: *(\w+)", text, re.MULTILINE)
        if kind and kind[1] in FOLDERS:
            found.setdefault(kind[1], case)
    return found


@pytest.mark.parametrize("kind", sorted(kinds()))
def test_the_page_of_each_kind(kind: str) -> None:
    page = markdown(PlanFile.open(kinds()[kind]), "plan.json")
    path = GOLDEN / f"markdown-{kind}.md"
    if os.environ.get("S3PLAN_WRITE_GOLDEN"):
        path.write_text(page, encoding="utf-8")
    assert page == path.read_text(encoding="utf-8")
    assert rendered(page).tags <= _OWN_TAGS


def test_every_kind_has_a_page() -> None:
    assert set(kinds()) == set(FOLDERS), "add a golden plan of the kind to tests/golden"


def test_the_same_plan_gives_the_same_page() -> None:
    plan = samples.evacuation()
    assert markdown(plan, "plan.json") == markdown(plan, "plan.json")


def test_the_hidden_header_names_digest_manifest_and_commit() -> None:
    page = markdown(samples.evacuation(), "plan.json", commit="0123abcd")
    first = page.splitlines()[0]
    said = msgspec.json.decode(first.removeprefix("<!-- s3plan ").removesuffix(" -->"))
    assert said["digest"] == samples.DIGEST
    assert said["commit"] == "0123abcd"
    assert said["manifests"][0]["path"] == "manifest.yaml"
    assert page.rstrip().endswith(f"s3plan apply --approve {samples.DIGEST[:19]}\n```")


def test_what_cannot_be_undone_comes_before_the_table() -> None:
    page = markdown(_with_buckets(3, "never"), "plan.json")
    assert page.index("#### Cannot be undone") < page.index("| verb |")
    assert page.count("- **delete-bucket**") == 3
    assert "**3 steps cannot be undone**" in page
    assert "Needs full review" not in page


@pytest.mark.parametrize("level", ["never", "until"])
@pytest.mark.parametrize("count", [100, 1_000, 20_000])
@pytest.mark.parametrize("budget", [SMALLEST_BUDGET, 20_000, 60_000])
def test_what_cannot_be_undone_is_never_left_out(
    count: int, budget: int, level: Reversibility
) -> None:
    """Either every step stands there, or they are counted and the page asks for a full review."""
    page = markdown(_with_buckets(count, level), "plan.json", budget=budget)
    assert len(page.encode()) <= budget
    listed = page.count("- **delete-bucket** <code>")
    if listed != count:
        assert f"**delete-bucket** of {count:,} subjects" in page
        assert "**Needs full review:**" in page
    assert samples.DIGEST[:19] in page.rsplit("```", 2)[1]


def test_what_is_left_out_is_counted() -> None:
    plan = _with_buckets(500, "free")
    page = markdown(plan, "plan.json", budget=8_000)
    assert len(page.encode()) <= 8_000
    lines = re.search(r"^([\d,]+) more lines are in the plan\.$", page, re.MULTILINE)
    steps = re.search(r"^([\d,]+) steps more: ", page, re.MULTILINE)
    assert lines
    assert steps
    shown = page.count("\n| `-` | delete-bucket |")
    assert shown + int(lines[1].replace(",", "")) == 500
    assert page.count("<details>") + int(steps[1].replace(",", "")) == 500


@pytest.mark.parametrize("key", [*HOSTILE, *KEYS])
def test_no_key_breaks_out(key: str) -> None:
    """Pipes, backticks, mentions, HTML, links, formulas and control characters stay text."""
    plan = samples.evacuation((samples.item(0, key), samples.item(1, "zzz")), subject=key)
    page = markdown(plan, "plan.json")
    found = rendered(page)
    assert found.tags <= _OWN_TAGS
    assert not [value for name, value in found.attributes if name != "style"]
    widths = {line.count("|") for line in page.splitlines() if line.startswith("|")}
    assert len(widths) == 1
    if len(visible(key)) <= 80:
        assert visible(key) in found.codes
        assert "@" not in found.outside.replace("@\u200b", "")


@settings(max_examples=200, deadline=None)
@given(st.text(min_size=1, max_size=60))
def test_any_text_is_shown_as_it_is(text: str) -> None:
    page = f"- {code(text)}\n\n| a |\n| --- |\n| {code(text)} |\n"
    found = rendered(page)
    assert found.tags <= {"ul", "li", "code", "table", "thead", "tbody", "tr", "th", "td"}
    assert [" ".join(each.split()) for each in found.codes] == [" ".join(visible(text).split())] * 2


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=60))
def test_prose_makes_nothing_but_text(text: str) -> None:
    found = rendered(f"x {prose(text)}\n")
    assert found.tags <= {"p"}
    assert not re.search(r"[@#]\S", found.outside.replace("@\u200b", "").replace("#\u200b", ""))


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=60))
def test_a_comment_is_not_left(text: str) -> None:
    assert comment(text).count("-->") == 1
    assert "<" not in comment(text)[4:]


def test_a_fence_is_longer_than_what_is_in_it() -> None:
    assert fenced("a ``` b").startswith("````\n")


def _with_buckets(count: int, level: Reversibility) -> samples.SamplePlan:
    plan = samples.evacuation()
    step = next(step for step in plan.steps if isinstance(step.action, DeleteBucket))
    steps: Sequence[Step] = [
        msgspec.structs.replace(
            step,
            id=f"delete-bucket-{number:08x}",
            subject=f"bucket-{number:05}",
            reversibility=level,
            needs=(),
        )
        for number in range(count)
    ]
    return dataclasses.replace(plan, steps=tuple(steps))
