"""Untrusted text inside other formats: spreadsheets and Markdown read some of it as commands.

Each is for text that :func:`s3plan.views.text.visible` has been through.
"""

from __future__ import annotations

import re

# What a spreadsheet takes for the start of a formula (OWASP, "CSV Injection"); full-width forms
# are taken for the same by some.
_FORMULA = re.compile(r"[=+\-@\t\r\uff1d\uff0b\uff0d\uff20]")

# CommonMark's ASCII punctuation that can start a construct inside a paragraph or a table cell.
_MARKDOWN = re.compile(r"([\\`*_{}\[\]<>()#+.!|~$:@^-])")


def csv_cell(text: str) -> str:
    """A cell that no spreadsheet takes for a formula: such text begins with an apostrophe.

    Quoting is the writer's business. https://owasp.org/www-community/attacks/CSV_Injection
    """
    return f"'{text}" if _FORMULA.match(text) else text


def markdown_text(text: str) -> str:
    """Text that Markdown (CommonMark 0.31, GitHub's tables) shows as it is, on one line.

    Every character that could open emphasis, a link, an address, HTML or a cell is escaped.
    """
    return _MARKDOWN.sub(r"\\\1", text.replace("&", "&amp;"))
