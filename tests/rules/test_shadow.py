"""Shadow keys: each tells whose it is, and nothing else is taken for one."""

from __future__ import annotations

from typing import get_args

import pytest

from s3plan.rules.shadow import FOLDER, Role, Shadow, is_shadow, parse, token_of

TOKEN = "0123456789abcdef"


@pytest.mark.parametrize("role", get_args(Role))
@pytest.mark.parametrize("prefix", ["", "tmp/", "a/b/"])
@pytest.mark.parametrize(
    "key",
    ["a", "a/b.jpg", "dir/", "/lead", "a//b", "..", "new\nline", "a~b", f"a~{TOKEN}", "ü"],
)
def test_a_shadow_key_tells_whose_it_is(prefix: str, role: Role, key: str) -> None:
    """C3: internal forms are not visible, and can be told without any configuration."""
    shadow = Shadow(prefix, role, key, TOKEN)
    assert parse(shadow.name) == shadow
    assert is_shadow(shadow.name)


def test_a_shadow_of_a_shadow_is_one() -> None:
    inner = Shadow("", "new", "a", TOKEN).name
    assert parse(Shadow("p/", "old", inner, TOKEN).name) == Shadow("p/", "old", inner, TOKEN)


@pytest.mark.parametrize(
    "key",
    [
        "a",
        FOLDER,
        f"{FOLDER}new/a",
        f"{FOLDER}new/~{TOKEN}",
        f"{FOLDER}mid/a~{TOKEN}",
        f"{FOLDER}new/a~{TOKEN[1:]}",
        f"{FOLDER}new/a~{TOKEN.upper()}",
        f"x{FOLDER}new/a~{TOKEN}",
        f"new/a~{TOKEN}",
    ],
)
def test_other_keys_are_not_shadows(key: str) -> None:
    assert parse(key) is None
    assert not is_shadow(key)


def test_the_token_is_of_this_form_and_this_target() -> None:
    """C7: what was staged of another form of the object is never taken for this one's."""
    forms = {
        token_of("e", 1, "t", None, {"class": "STANDARD"}),
        token_of("f", 1, "t", None, {"class": "STANDARD"}),
        token_of("e", 2, "t", None, {"class": "STANDARD"}),
        token_of("e", 1, "u", None, {"class": "STANDARD"}),
        token_of("e", 1, "t", "v", {"class": "STANDARD"}),
        token_of("e", 1, "t", None, {"class": "STANDARD_IA"}),
    }
    assert len(forms) == 6
    same = token_of("e", 1, "t", None, {"b": 1, "a": 2})
    assert same == token_of("e", 1, "t", None, {"a": 2, "b": 1})
