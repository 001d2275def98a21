"""What regrouping means: which part of a key is what, of which type an object is, its new key.

The same rules exist twice, as functions here and as queries in ``kinds.grouping``, for one key at a
time and for a million; a test holds them together.
"""

from s3plan.model.grouping import TypeRule
from s3plan.rules.grouping.filetypes import (
    FILETYPE_BASIC,
    INCOMPLETE,
    UNKNOWN,
    asks_for_content_type,
    type_of,
)
from s3plan.rules.grouping.keys import KeyPattern, KeyTemplate, sanitized
from s3plan.rules.grouping.mapping import Regrouping

__all__ = [
    "FILETYPE_BASIC",
    "INCOMPLETE",
    "UNKNOWN",
    "KeyPattern",
    "KeyTemplate",
    "Regrouping",
    "TypeRule",
    "asks_for_content_type",
    "sanitized",
    "type_of",
]
