"""The HTML page in Chromium: it renders, filters, sorts, prints, and nothing in it acts or leaves.

``make test-browser`` runs these; ``S3PLAN_SCREENSHOTS=DIR`` keeps pictures of what was seen.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from s3plan.plan import PlanFile
from s3plan.views.html import write_html
from s3plan.views.text import visible
from tests.browser.webdriver import Browser, browser
from tests.hostile.keys import KEYS
from tests.kinds.planned import manifest, plan
from tests.views.test_markdown import HOSTILE
from tests.views.test_markdown_large import large_plan

pytestmark = pytest.mark.browser

SPEC = """
buckets: {include: ["*"]}
destination: {path: /archive}
delete: afterVerification
deleteBucket: true
"""


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser() as opened:
        yield opened


def shown(chromium: Browser, made: PlanFile, tmp_path: Path) -> Path:
    page = tmp_path / "page.html"
    with page.open("wb") as file:
        write_html(made, "plan.json", file)
    chromium.complaints()
    chromium.requested()
    chromium.open(page)
    return page


def keep(chromium: Browser, name: str) -> None:
    folder = os.environ.get("S3PLAN_SCREENSHOTS")
    picture = chromium.screenshot()
    assert picture.startswith(b"\x89PNG")
    if folder:
        Path(folder, f"{name}.png").write_bytes(picture)


def open_first(chromium: Browser) -> None:
    chromium.run("document.querySelector('details.step').open = true")
    chromium.until("document.querySelector('.list[data-ready=yes] .view .row')")


def filter_by(chromium: Browser, text: str) -> float:
    """Type it; milliseconds until the rows are drawn."""
    return float(
        chromium.run(
            "document.querySelector('input[type=search]').value = arguments[0];"
            "const list = lists.get(document.querySelector('.list'));"
            "const began = performance.now(); list.filter(); return performance.now() - began",
            text,
        )
    )


def rows(chromium: Browser) -> list[str]:
    found = chromium.run(
        "return [...document.querySelectorAll('.view .row')]"
        ".map(row => row.children[0].textContent)"
    )
    assert isinstance(found, list)
    return found


def count(chromium: Browser) -> str:
    return str(chromium.run("return document.querySelector('.count').textContent"))


def test_a_page_of_200_000_items(chromium: Browser, tmp_path: Path) -> None:
    made = PlanFile.open(large_plan(tmp_path, 200_000))
    began = time.monotonic()
    shown(chromium, made, tmp_path)
    assert chromium.run("return document.querySelectorAll('svg .node').length") == 3
    assert chromium.run("return document.querySelectorAll('svg .bar').length") >= 4
    keep(chromium, "overview")
    open_first(chromium)
    assert time.monotonic() - began < 15
    assert count(chromium).startswith("200,000 of 200,000 items, ")
    assert len(rows(chromium)) < 100, "only what can be seen is in the document"

    assert filter_by(chromium, "2019/08/img_0") < 500
    found = rows(chromium)
    assert found
    assert all("2019/08/IMG_0" in key for key in found)
    assert not count(chromium).startswith("200,000 of")
    filter_by(chromium, "")

    took = chromium.run(
        "const began = performance.now();"
        "document.querySelector('.head button[data-by=size]').click();"
        "return performance.now() - began"
    )
    assert took < 2_000
    largest = max(item.size for item in made.items(made.steps[0].id))
    first = rows(chromium)[0]
    assert next(i for i in made.items(made.steps[0].id) if i.key == first).size == largest
    chromium.run("document.querySelector('.list').scrollIntoView()")
    keep(chromium, "worklist")

    chromium.run("document.querySelector('.head button[data-by=key]').click()")
    chromium.run("document.querySelector('.view').scrollTop = 1e9")
    chromium.until("document.querySelectorAll('.view .row').length > 10")
    last = next(made.items(made.steps[0].id, 199_999)).key
    chromium.until(
        f"[...document.querySelectorAll('.view .row code')].at(-1).textContent === '{last}'"
    )
    assert chromium.complaints() == []


def test_classes_are_chosen(chromium: Browser, tmp_path: Path) -> None:
    shown(chromium, PlanFile.open(large_plan(tmp_path, 3_000)), tmp_path)
    open_first(chromium)
    chromium.run(
        "const select = document.querySelector('select'); select.value = 'STANDARD_IA';"
        "select.dispatchEvent(new Event('change'))"
    )
    chromium.until("document.querySelector('.count').textContent.startsWith('1,000 of 3,000')")


def test_hostile_keys_stay_text_and_nothing_leaves_the_page(
    chromium: Browser, tmp_path: Path
) -> None:
    keys = sorted({key for key in (*HOSTILE, *KEYS) if len(key.encode()) <= 1024}, key=str.encode)
    hostile = [{"key": key, "storage_class": key[:20]} for key in keys]
    inventory = {
        "buckets": {
            "photos": {"objects": hostile},
            "<img src=x onerror=alert(1)>": {"objects": [{"key": "a"}]},
        }
    }
    path = manifest(tmp_path, SPEC.replace("delete: afterVerification\ndeleteBucket: true\n", ""))
    page = shown(chromium, plan(tmp_path, path, inventory).file, tmp_path)
    for number in range(chromium.run("return document.querySelectorAll('details.step').length")):
        chromium.run(f"document.querySelectorAll('details.step')[{number}].open = true")
    chromium.until("document.querySelectorAll('.list[data-ready=yes]').length === 2")
    chromium.run("for (const list of lists.values()) list.draw(10000)")
    found = " \u2192 ".join(rows(chromium))
    for key in keys:
        assert visible(key) in found
    assert (
        chromium.run(
            "return document.querySelectorAll('img, iframe, a, object, form, link').length"
        )
        == 0
    )
    assert chromium.run("return document.scripts.length") == 3, "its own, and two lists of data"
    assert chromium.complaints() == []
    asked = [url for url in chromium.requested() if not url.startswith("data:")]
    assert asked == [page.absolute().as_uri()]
    keep(chromium, "hostile")


def test_the_policy_of_the_page_refuses_other_scripts(chromium: Browser, tmp_path: Path) -> None:
    shown(chromium, PlanFile.open(large_plan(tmp_path, 10)), tmp_path)
    chromium.run(
        "const script = document.createElement('script'); script.textContent = 'window.acted = 1';"
        "document.body.append(script); document.body.insertAdjacentHTML('beforeend',"
        '\'<img src="https://example.invalid/x.png" onerror="window.acted = 1">\')'
    )
    time.sleep(0.2)
    assert chromium.run("return window.acted === undefined")
    assert any("Content Security Policy" in each for each in chromium.complaints())


def test_it_prints_with_its_worklists(chromium: Browser, tmp_path: Path) -> None:
    shown(chromium, PlanFile.open(large_plan(tmp_path, 2_000)), tmp_path)
    open_first(chromium)
    chromium.run("dispatchEvent(new Event('beforeprint'))")
    assert len(rows(chromium)) == 300
    printed = chromium.print_pdf()
    assert printed.startswith(b"%PDF")
    assert printed.count(b"/Type /Page\n") + printed.count(b"/Type /Page ") > 2
    folder = os.environ.get("S3PLAN_SCREENSHOTS")
    if folder:
        Path(folder, "printed.pdf").write_bytes(printed)


def test_many_buckets_are_drawn_in_lanes(chromium: Browser, tmp_path: Path) -> None:
    buckets = {f"bucket-{n:03}": {"objects": [{"key": "a/b", "size": n}]} for n in range(80)}
    made = plan(tmp_path, manifest(tmp_path, SPEC), {"buckets": buckets}).file
    shown(chromium, made, tmp_path)
    assert chromium.run("return document.querySelectorAll('svg .lane').length") == 60
    assert "20 subjects more" in chromium.run("return document.body.textContent")
    assert chromium.run("return document.querySelectorAll('.warn.until li').length") == 1
    assert chromium.run("return document.querySelectorAll('.warn.until code').length") == 80
    keep(chromium, "lanes")
