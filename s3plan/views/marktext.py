"""Untrusted text in Markdown: nothing a key, a bucket or a path holds can act there.

Names stand in ``<code>`` with every character that Markdown, HTML, GitHub or GitLab could act on as
an entity. CommonMark 0.31, "Entity and numeric character references": an entity never makes
structure. GitHub and GitLab look for mentions and references (``@name``, ``#12``) in the rendered
text, but not in code; in prose a zero-width space keeps them from being found.
"""

from __future__ import annotations

import re

from s3plan.views.text import visible

_ACTIVE = re.compile(r"[^A-Za-z0-9 ,;/=+%\u00a1-\U0010ffff.-]")
_WWW = re.compile(r"(?i)\bwww\.")
_MENTION = re.compile(r"([@#!~$%&])(?=\S)")
_LINE_START = re.compile(r"^(\d+)([.)])")

_ELLIPSIS = "…"


def code(text: str, longest: int = 200) -> str:
    """``text`` as code, on one line, its middle left out where it is longer."""
    return f"<code>{_entities(middle_out(visible(text), longest))}</code>"


def prose(text: str, longest: int = 600) -> str:
    """A sentence of the plan: it may name what others named."""
    shown = middle_out(visible(text), longest)
    shown = _MENTION.sub("\\1\u200b", shown)
    return _LINE_START.sub("\\1&#8203;\\2", _entities(shown))


def fenced(text: str, language: str = "") -> str:
    """A block of code that is copied as it is; its fence is longer than any in ``text``."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    lines = "\n".join(visible(line) for line in text.split("\n"))
    return f"{fence}{language}\n{lines}\n{fence}"


def comment(text: str) -> str:
    """A comment that is not shown; what could end it is escaped as in JSON."""
    inside = text.replace("<", "\\u003c").replace(">", "\\u003e").replace("--", "-\\u002d")
    return f"<!-- {inside} -->"


def middle_out(text: str, longest: int) -> str:
    """At most ``longest`` characters; both ends stay, since keys differ at the end."""
    if len(text) <= longest:
        return text
    tail = (longest - 1) // 2
    return text[: longest - 1 - tail] + _ELLIPSIS + text[len(text) - tail :]


def _entities(text: str) -> str:
    text = _ACTIVE.sub(lambda found: f"&#{ord(found[0])};", text)
    # A scheme cannot be recognised, its colon is an entity; www. is a link without one.
    return _WWW.sub(lambda found: found[0][:-1] + "&#46;", text)
