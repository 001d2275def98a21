"""What makes two plans the same plan: the digest of a plan, and step ids made from content.

Covered: which S3 it is for; the limits of its manifests; the commands that are told of a run; of
each step its id, action, subject, needs, gate, worklist and totals; every item, byte by byte, or by
the digests of the parts that they stand in; and so what was asked for. Not covered, so that the
same reality and the same manifests always give the same digest: the tool's version, wording,
estimates, host and times, and in which bytes a file of a part has its items.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from s3plan.model.actions import Action
from s3plan.model.commands import CommandRef
from s3plan.model.limits import Limits
from s3plan.model.plan import PlanPart, Target
from s3plan.model.steps import verb_of

DIGEST_PREFIX = "sha256:"


_COVERED = ("id", "subject", "action", "needs", "gate", "worklist", "totals")


def step_id(action: Action, subject: str) -> str:
    """The id of a step: its verb and 8 hex digits over verb, subject and parameters.

    The same step has the same id in every plan.
    """
    return step_id_of(verb_of(action), msgspec.to_builtins(action), subject)


def step_id_of(verb: str, action: Mapping[str, Any], subject: str) -> str:
    """The id of a step whose action stands as ``action`` in a plan file."""
    content = msgspec.json.encode([subject, action], order="sorted")
    return f"{verb}-{hashlib.sha256(content).hexdigest()[:8]}"


class PlanDigest:
    """Adds up the digest of a plan; feed it in the order of the file."""

    def __init__(
        self,
        target: Target,
        limits: Sequence[Limits] = (),
        notify: Sequence[CommandRef] = (),
    ) -> None:
        """Start with the identity of the S3 that the plan is for, and with what it carries: limits,
        and commands that are told of its runs.
        """
        self._hash = hashlib.sha256()
        self._add(["target", target])
        if limits:
            self._add(["limits", *limits])
        if notify:
            self._add(["notify", *notify])

    def step(self, step: Mapping[str, Any]) -> None:
        """Add the next step, as it stands in the file."""
        self._add(["step", *(step.get(name) for name in _COVERED)])

    def items(self, lines: bytes) -> None:
        """Add complete lines of items, or of what was asked for, newlines included."""
        self._hash.update(lines)

    def part(self, part: PlanPart) -> None:
        """Add the next items of a step by their digest, whatever file they stand in."""
        self._add(["part", part.step, part.first, part.items, part.digest])

    def value(self) -> str:
        """The digest as people write it: ``sha256:`` and 64 hex digits."""
        return DIGEST_PREFIX + self._hash.hexdigest()

    def _add(self, record: list[object]) -> None:
        self._hash.update(msgspec.json.encode(record, order="sorted") + b"\n")
