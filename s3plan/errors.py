"""Every error s3plan raises on purpose: one tree, each class with a stable code and an exit code.

An error says what went wrong at which address, what was expected, what was found and what to type
next. Foreign exceptions are mapped to this tree once, at the layer that met them; the cause is kept
with ``raise ... from``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar


class S3PlanError(Exception):
    """Something went wrong; nothing was changed."""

    code: ClassVar[str] = "error"
    exit_code: ClassVar[int] = 1

    def __init__(
        self,
        what: str,
        *,
        address: str | None = None,
        expected: str | None = None,
        found: str | None = None,
        next_step: str | None = None,
    ) -> None:
        """Keep the parts of the message apart so that views and ``--json`` can render each.

        ``what`` is one sentence without a full stop. ``address`` names the place: a file with
        line and column, ``s3://bucket/key``, a step id or a path. ``next_step`` is a command or an
        action the reader can take.
        """
        super().__init__(what)
        self.what = what
        self.address = address
        self.expected = expected
        self.found = found
        self.next_step = next_step

    def __str__(self) -> str:
        """One line with every part, for logs; views lay the parts out."""
        parts = [f"{self.address}: {self.what}" if self.address else self.what]
        if self.expected:
            parts.append(f"expected {self.expected}")
        if self.found:
            parts.append(f"found {self.found}")
        if self.next_step:
            parts.append(f"next: {self.next_step}")
        return "; ".join(parts)


class UsageError(S3PlanError):
    """The command line is wrong."""

    code = "usage"
    exit_code = 64


class ProblemsError(S3PlanError):
    """Several problems of one input, reported together."""

    code = "problems"

    def __init__(
        self, what: str, problems: Sequence[S3PlanError], *, next_step: str | None = None
    ) -> None:
        """``problems`` holds every single one, in the order of the input."""
        super().__init__(what, next_step=next_step)
        self.problems = tuple(problems)


class ManifestError(S3PlanError):
    """A manifest cannot be read or says something impossible."""

    code = "manifest"


class WorklistError(S3PlanError):
    """A worklist of the user's, or an entry of it, cannot be read."""

    code = "worklist"


class PlanningError(S3PlanError):
    """The manifest is fine but reality cannot be planned for."""

    code = "planning"


class PlanFileError(S3PlanError):
    """A plan file is damaged, edited, or of an unknown format."""

    code = "plan-file"


class JournalError(S3PlanError):
    """A journal is damaged, of an unknown format, or belongs to another plan."""

    code = "journal"


class CatalogueError(S3PlanError):
    """The catalogue in the destination is damaged or belongs to another endpoint or account."""

    code = "catalogue"


class ArchiveIndexError(S3PlanError):
    """The index beside an archive is damaged, or is another archive's."""

    code = "archive-index"


class DestinationError(S3PlanError):
    """The destination cannot be used: missing, read-only, full, or unplugged."""

    code = "destination"


class StaleError(S3PlanError):
    """The plan is not the approved one, is consumed, or is for another account or endpoint."""

    code = "stale"
    exit_code = 5


class LockedError(S3PlanError):
    """Another run holds the lock."""

    code = "locked"
    exit_code = 6


class LockLostError(S3PlanError):
    """A lock or lease of this run was lost or broken in the middle; nothing more was sent."""

    code = "lock-lost"
    exit_code = 3


class IncompleteError(S3PlanError):
    """A run stopped in the middle; what it did is in its journal."""

    code = "incomplete"
    exit_code = 3


class HeldError(S3PlanError):
    """A gate holds the run: verification failed, or approval is missing."""

    code = "held"
    exit_code = 4


class LimitError(S3PlanError):
    """The plan goes beyond a limit of its manifest or of the project file."""

    code = "limit"


class RunnerError(S3PlanError):
    """What was to send the requests of a step cannot be reached, or does not do it."""

    code = "runner"


class ApprovalError(S3PlanError):
    """The approvals that the project file asks for are not there."""

    code = "approval"
    exit_code = 4


class CodecError(S3PlanError):
    """What an object holds cannot be encoded, or be had back from its bytes."""

    code = "codec"
    exit_code = 1


class StoreError(S3PlanError):
    """S3 refused or failed a request."""

    code = "store"

    def __init__(
        self,
        what: str,
        *,
        address: str | None = None,
        expected: str | None = None,
        found: str | None = None,
        next_step: str | None = None,
        status: int | None = None,
        s3_code: str | None = None,
        request_id: str | None = None,
    ) -> None:
        """``s3_code`` is the Code element of the error document; ``request_id`` is for support."""
        super().__init__(what, address=address, expected=expected, found=found, next_step=next_step)
        self.status = status
        self.s3_code = s3_code
        self.request_id = request_id


class AccessDeniedError(StoreError):
    """The caller may not do this."""

    code = "access-denied"


class CredentialsError(StoreError):
    """No credentials, or S3 does not accept them."""

    code = "credentials"


class NoSuchBucketError(StoreError):
    """The bucket does not exist at this endpoint."""

    code = "no-such-bucket"


class NameTakenError(StoreError):
    """The bucket's name belongs to another account by now."""

    code = "name-taken"


class NoSuchKeyError(StoreError):
    """The object does not exist."""

    code = "no-such-key"


class PreconditionFailedError(StoreError):
    """The object is not the one that was expected (412): the race is lost, nothing was written."""

    code = "precondition-failed"


class ArchivedObjectError(StoreError):
    """The object is archived and must be restored before it can be read."""

    code = "archived-object"


class EndpointError(StoreError):
    """The endpoint cannot be reached, or does not answer in time."""

    code = "endpoint"


class ObjectTimeoutError(EndpointError):
    """One object took longer than limits.objectTimeout."""

    code = "object-timeout"


class ThrottledError(StoreError):
    """The endpoint asked to slow down more often than the retries allow."""

    code = "throttled"


class ListingError(StoreError):
    """A listing is not trustworthy: a page failed, repeated or came out of order."""

    code = "listing"


class OutcomeUnknownError(StoreError):
    """The request was sent and its answer was lost; only looking can tell what happened."""

    code = "outcome-unknown"


class NotSupportedError(StoreError):
    """The endpoint does not implement this."""

    code = "not-supported"
