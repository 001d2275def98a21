"""The step graph as text: every step and edge, and subjects that stay text."""

from __future__ import annotations

import dataclasses
import re

import msgspec
import pytest

from s3plan.model.steps import Need
from s3plan.views.graph import dot, mermaid
from tests.hostile.keys import KEYS
from tests.views import samples


def test_mermaid_has_a_node_a_step_and_an_edge_a_need() -> None:
    text = mermaid(samples.evacuation().steps)
    assert text.startswith("flowchart TD\n")
    assert 's0["#43; download<br/>1,204 objects, 18#46;2 GiB"]:::adds' in text
    assert "  s0 --> s1\n  s1 ==>|gate| s2\n" in text


def test_dot_has_a_node_a_step_and_an_edge_a_need() -> None:
    text = dot(samples.evacuation().steps)
    assert 's0 [label="+ download\\n1,204 objects, 18.2 GiB"' in text
    assert "  s0 -> s1;\n" in text
    assert '  s1 -> s2 [style=bold, label="gate"];\n' in text


def test_items_that_follow_each_other_are_told_from_barriers() -> None:
    first, second, *_ = samples.evacuation().steps
    steps = (first, msgspec.structs.replace(second, needs=(Need(first.id, "each"),)))
    assert "s0 -.->|each| s1" in mermaid(steps)
    assert 's0 -> s1 [style=dashed, label="each"]' in dot(steps)


@pytest.mark.parametrize("key", [*samples.HOSTILE_KEYS, '"]; evil["', "#59;", 'a\\"', *KEYS])
def test_no_subject_makes_structure(key: str) -> None:
    plan = samples.evacuation(subject=key)
    named = dataclasses.replace(plan, digest=samples.DIGEST)
    usual = mermaid(samples.evacuation().steps)
    found = mermaid(named.steps)
    assert len(found.splitlines()) == len(usual.splitlines())
    assert found.count('"') == usual.count('"')
    label = re.search(r'subgraph g0\["(.*)"\]$', found, re.MULTILINE)
    assert label
    assert re.fullmatch(r"([A-Za-z0-9 ,/]|#\d+;)*", label[1])
    drawn = dot(named.steps)
    assert len(drawn.splitlines()) == len(dot(samples.evacuation().steps).splitlines())
    quoted = re.search(r"^    label=(.*);$", drawn, re.MULTILINE)
    assert quoted
    assert re.fullmatch(r'"([^"\\]|\\.)*"', quoted[1])
