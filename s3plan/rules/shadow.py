"""Shadow keys: where the forms of an object stand that its readers must not see.

While an object moves to another layout its new form is built beside it, and in a bucket that keeps
no versions its old form is kept. Both stand below ``.s3plan/layout/`` of the same bucket::

    PREFIX .s3plan/layout/ ROLE / KEY ~ TOKEN

``ROLE`` is ``new`` or ``old``, ``KEY`` the object's own key, ``TOKEN`` says of which source and to
which target, so that no two migrations share a name. The shape alone tells a shadow key: it is left
out of every listing without any configuration.
"""

from __future__ import annotations

import hashlib
import json
import re
from typing import Literal

from msgspec import Struct

FOLDER = ".s3plan/layout/"
"""Below the prefix that a manifest may put before it; every shadow key has it."""

TOKEN_DIGITS = 16
"""64 bits of a SHA-256, in hex."""

Role = Literal["new", "old"]
"""``new``: the form that was built; ``old``: the form that was there before."""

_SHAPE = re.compile(
    rf"(?P<prefix>(?:.*?/)??){re.escape(FOLDER)}(?P<role>new|old)/"
    rf"(?P<key>.+)~(?P<token>[0-9a-f]{{{TOKEN_DIGITS}}})",
    re.DOTALL,
)


class Shadow(Struct, frozen=True):
    """What a shadow key says. ``prefix`` is empty or ends in a slash."""

    prefix: str
    role: Role
    key: str
    token: str

    @property
    def name(self) -> str:
        """The shadow key."""
        return f"{self.prefix}{FOLDER}{self.role}/{self.key}~{self.token}"


def parse(key: str) -> Shadow | None:
    """What a shadow key says; None for every other key.

    >>> parse(".s3plan/layout/new/a/b.jpg~0123456789abcdef").key
    'a/b.jpg'
    >>> parse("a/b.jpg") is None
    True
    """
    if FOLDER not in key:
        return None
    found = _SHAPE.fullmatch(key)
    if found is None:
        return None
    role: Role = "new" if found["role"] == "new" else "old"
    return Shadow(found["prefix"], role, found["key"], found["token"])


def is_shadow(key: str) -> bool:
    """Whether the key is a shadow key."""
    return FOLDER in key and _SHAPE.fullmatch(key) is not None


def token_of(etag: str, size: int, modified: str, version: str | None, recipe: object) -> str:
    """The token for this form of an object and what shall become of it (a value of JSON)."""
    text = json.dumps([etag, size, modified, version, recipe], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:TOKEN_DIGITS]
