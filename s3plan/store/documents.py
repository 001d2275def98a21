"""XML as S3 speaks it: safe reading of answers, exact writing of keys into requests.

Answers come from whatever answered at the endpoint. A document type declaration is refused, so
there are no entities to expand or fetch; nothing S3 sends has one.
"""

from __future__ import annotations

import re
from xml.etree.ElementTree import Element, ParseError, XMLParser

_FORBIDDEN = re.compile(rb"<!(?:DOCTYPE|ENTITY)", re.IGNORECASE)
_UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\ufffe\uffff]")
_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\r": "&#13;"})


class DocumentError(Exception):
    """The bytes are not an XML document that S3 would send; the message says why."""


def parse(document: bytes) -> Element:
    """The root element, its tags without namespaces left as they are. Raises `DocumentError`."""
    # NUL catches UTF-16 and UTF-32, in which the declaration would be spelled differently.
    if b"\0" in document or (b"<!" in document and _FORBIDDEN.search(document)):
        raise DocumentError("it holds a document type declaration or NUL bytes")
    parser = XMLParser()  # noqa: S314 (what makes XML dangerous was refused above)
    try:
        parser.feed(document)
        root = parser.close()
    except (ParseError, ValueError, LookupError) as error:
        raise DocumentError(str(error)) from error
    assert isinstance(root, Element)
    return root


# One level of elements, plain ASCII, of the entities only the quotation mark that ETags stand in.
_FLAT = re.compile(
    rb"""(?:<\?xml\ version="1\.0"(?:\ encoding="(?:UTF|utf)-8")?\ ?\?>)?[ \t\r\n]*
    <(?P<root>[A-Za-z]\w*)(?:\ xmlns="http://s3\.amazonaws\.com/doc/2006-03-01/")?>
    (?P<children>(?:[ \t\r\n]*
        <([A-Za-z]\w*)>(?:[^<>&\x00-\x1f\x7f-\xff]|&quot;|&\#34;)*</\3>)*)[ \t\r\n]*
    </(?P=root)>[ \t\r\n]*""",
    re.VERBOSE,
)
_CHILD = re.compile(r"<(\w+)>([^<]*)")


def read_flat(document: bytes) -> tuple[str, dict[str, str]]:
    """The root's local name and its children's texts (as :func:`fields`). Raises `DocumentError`.

    An answer to a copy is such a document: a pattern that takes only what any parser would read
    alike reads it in a tenth of a parser's time; all else is left to the parser.
    """
    match = _FLAT.fullmatch(document)
    if match is None:
        root = parse(document)
        return local_name(root.tag), fields(root)
    found = dict(_CHILD.findall(match["children"].decode("ascii")))
    for name, text in found.items():
        if "&" in text:
            found[name] = text.replace("&quot;", '"').replace("&#34;", '"')
    return match["root"].decode("ascii"), found


def local_name(tag: str) -> str:
    """The tag without its namespace; S3's clones differ in which they use."""
    return tag.rpartition("}")[2]


def fields(element: Element) -> dict[str, str]:
    """Child elements' texts by local name; of a repeated element the last."""
    return {local_name(child.tag): child.text or "" for child in element}


def is_writable(text: str) -> bool:
    """Whether XML 1.0 brings the text to the other side and back for sure.

    Most control characters it cannot spell; a carriage return it can, but servers forget to.
    """
    return _UNSAFE.search(text) is None


def escape(text: str) -> str:
    """Text for element content. A carriage return is escaped, else parsers turn it into LF.

    AWS, "Naming Amazon S3 objects", XML related object key constraints.
    """
    return text.translate(_ESCAPES)
