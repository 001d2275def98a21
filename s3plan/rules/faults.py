"""One thing that is wrong with a document, said before S3 is asked."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct


class Fault(Struct, frozen=True):
    """``error``: S3 refuses it, or it means nothing; ``warning``: it may not be what is wanted.

    ``what`` is a sentence without a full stop; ``next_step`` says how to mend it.
    """

    severity: Literal["error", "warning"]
    what: str
    next_step: str
