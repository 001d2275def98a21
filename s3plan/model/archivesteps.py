"""Verbs about archives that are in S3 already: their tags, their indexes, their replacement."""

from __future__ import annotations

from s3plan.model.actions import Action
from s3plan.model.objects import Count


class Tag(Action, frozen=True, tag="tag"):
    """Objects whose tags are ``before``, all of them, have ``after`` instead; bytes stay."""

    before: dict[str, str]
    after: dict[str, str]


class Adopt(Action, frozen=True, tag="adopt", omit_defaults=True):
    """An archive that another program made, read whole, and the index put beside it that it lacks.

    The object ``key`` (``etag``, ``size``) must be a whole tar, packed or not, with the top folder
    ``name``, and hold every file of the worklist as it is below ``source``; items are those
    of an archive step. The object itself is left as it is. ``index`` must be free.
    """

    source: str
    key: str
    index: str
    name: str
    etag: str
    size: Count
    storage_class: str = "STANDARD"
    index_class: str = "STANDARD"
    encryption: str | None = None
    kms_key: str | None = None


class VerifyReplacement(Action, frozen=True, tag="verify-replacement", omit_defaults=True):
    """Whether an archive may be replaced: it and its index are as planned, its bucket keeps
    versions, and the files below ``source`` that shall be in the new one are what they should be.
    Makes evidence; changes nothing.

    An item is a member of the old archive or of the new one, or of both: its ``label`` says
    ``same``, ``added``, ``changed`` or ``gone``; ``unknown`` where no index tells what the old one
    holds. What is the same is read, and held against the SHA-256 in the ``index``: a file whose
    bytes changed by themselves must not take the place of a good copy. ``path`` is the file below
    ``source``, empty for what is gone, and ``size`` its bytes, or those of the member.
    """

    source: str
    key: str
    etag: str
    size: Count
    index: str
    index_etag: str | None = None
