"""XML answers: the pattern for flat documents and the parser read alike, whatever comes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3plan.store import documents

DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>'
NAMESPACE = ' xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'
COPIED = (
    f"{DECLARATION}\n<CopyObjectResult{NAMESPACE}><LastModified>2026-11-20T04:23:11.000Z"
    "</LastModified><ETag>&quot;0123456789abcdef&quot;</ETag></CopyObjectResult>"
)

# Pieces that make documents of every shape when put together, most of them no documents.
PIECES = st.sampled_from(
    [
        DECLARATION, "<a>", "</a>", "<b>", "</b>", f"<a{NAMESPACE}>", "<a:b>", "</a:b>", "<1>",
        "</1>", "<b/>", "<b x='1'>", "&quot;", "&#34;", "&amp;", "&x;", "&", "]]>", "<!-- -->",
        "<![CDATA[x]]>", "<!DOCTYPE a>", "text", " ", "\n", "\t", "\x0b", "\x00", "é", "\x7f",
        '"', "'", "<?x y?>",
    ]
)  # fmt: skip


def told(document: bytes) -> tuple[str, dict[str, str]] | None:
    """What the parser reads; None where it refuses."""
    try:
        root = documents.parse(document)
    except documents.DocumentError:
        return None
    return documents.local_name(root.tag), documents.fields(root)


def read(document: bytes) -> tuple[str, dict[str, str]] | None:
    try:
        return documents.read_flat(document)
    except documents.DocumentError:
        return None


@pytest.mark.parametrize(
    "document",
    [
        COPIED,
        COPIED.replace("&quot;", "&#34;"),
        COPIED.replace(DECLARATION, ""),
        COPIED.replace(NAMESPACE, ""),
        COPIED.replace("><", ">\n  <"),
        COPIED.replace("ETag", "s3:ETag"),
        COPIED.replace("0123", "&amp;é"),
        COPIED.replace("<ETag>", "<ETag><deeper/>"),
        COPIED.replace("</ETag>", "</ETag><ETag>second</ETag>"),
        COPIED.replace("</ETag>", "</Etag>"),
        COPIED + "more",
        " " + COPIED,
        f"{DECLARATION}<Error><Code>SlowDown</Code><Message></Message></Error>",
        "<a></a>",
        "<a/>",
        "",
    ],
)
def test_a_flat_document_is_read_as_the_parser_reads_it(document: str) -> None:
    assert read(document.encode()) == told(document.encode())


@given(st.lists(PIECES, max_size=9), st.booleans())
def test_so_is_whatever_else_comes(pieces: list[str], in_a_root: bool) -> None:
    text = "".join(pieces)
    document = (f"<r>{text}</r>" if in_a_root else text).encode()
    assert read(document) == told(document)
