"""The HTML page as text; what a browser makes of it is in tests/browser."""

from __future__ import annotations

import base64
import gzip
import io
import json
import re
from pathlib import Path

import msgspec
import pytest

from s3plan.cli import main
from s3plan.plan import PlanFile
from s3plan.views import html
from tests.hostile.keys import KEYS
from tests.views import samples
from tests.views.test_markdown import HOSTILE

FRESH = Path(__file__).parents[1] / "golden" / "fresh" / "plan.json"


def page(plan: samples.SamplePlan | PlanFile) -> str:
    out = io.BytesIO()
    html.write_html(plan, "plan.json", out)
    return out.getvalue().decode()


def test_the_same_plan_gives_the_same_bytes() -> None:
    assert page(samples.evacuation()) == page(samples.evacuation())


def test_it_loads_nothing() -> None:
    text = page(samples.evacuation())
    assert "default-src 'none'" in text
    assert not re.search(r"<(link|img|iframe|object|embed|base|form)\b", text)
    assert not re.search(r"\b(src|href)=", text)


def test_every_item_is_in_it() -> None:
    made = PlanFile.open(FRESH)
    packed = re.findall(r'id="items-\d+">([A-Za-z0-9+/=]+)</script>', page(made))
    (data,) = (json.loads(gzip.decompress(base64.b64decode(each))) for each in packed)
    items = list(made.items(made.steps[0].id))
    assert data["keys"] == [item.key for item in items]
    assert data["sizes"] == [item.size for item in items]
    assert [data["classes"][n] for n in data["class"]] == [item.storage_class for item in items]


def test_older_versions_and_delete_markers_are_named() -> None:
    newest, older, marker = (samples.item(n, "a") for n in range(3))
    older = msgspec.structs.replace(older, version_id="v1", newer=1)
    marker = msgspec.structs.replace(marker, version_id="v2", marker=True, path="")
    packed = re.findall(
        r'id="items-\d+">([A-Za-z0-9+/=]+)</script>',
        page(samples.evacuation((newest, older, marker))),
    )
    data = json.loads(gzip.decompress(base64.b64decode(packed[0])))
    assert data["notes"] == {"1": "older version v1", "2": "delete marker"}
    assert data["paths"] == {}


def test_what_does_not_fit_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(html, "MOST_ITEMS", 2)
    assert "1 of 3 items are not on this page" in page(PlanFile.open(FRESH))


@pytest.mark.parametrize("key", [*HOSTILE, *KEYS, "</script><script>alert(1)</script>", "]]>"])
def test_no_key_makes_markup(key: str) -> None:
    usual = page(samples.evacuation())
    found = page(samples.evacuation((samples.item(0, key),), subject=key))
    tags = re.compile(r"<(/?[a-z]+)")
    own = sorted(set(tags.findall(usual)))
    assert set(tags.findall(found)) <= set(own)
    assert found.count("<script") == usual.count("<script")
    assert found.count("<svg") == usual.count("<svg")


def test_a_page_replaces_a_page_and_nothing_else(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "page.html"
    assert main(["show", str(FRESH), "--html", str(out)]) == 0
    assert main(["show", str(FRESH), "--html", str(out)]) == 0
    out.write_text("mine")
    assert main(["show", str(FRESH), "--html", str(out)]) == 64
    assert out.read_text() == "mine"
    assert main(["show", str(FRESH), "--html", str(out), "--markdown"]) == 64
    assert "is no page of s3plan" in capsys.readouterr().err
