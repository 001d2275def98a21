"""The rules that a manifest wants, as values; every problem of them together."""

from __future__ import annotations

from pathlib import Path

from s3plan.errors import ManifestError, ProblemsError
from s3plan.kinds.lifecycle.manifest import (
    HOUSEKEEPING,
    HousekeepingFields,
    LifecycleSpec,
    RulesSourceFields,
)
from s3plan.kinds.sources import read_json
from s3plan.rules.faults import Fault
from s3plan.rules.lifecycle.checks import all_faults
from s3plan.rules.lifecycle.document import (
    Expiration,
    MinimumSize,
    Noncurrent,
    Rule,
    minimum_of,
    read_rules,
    rule_document,
)


class Wanted:
    """What the manifest says: rules, what is odd about them, and the size of small objects."""

    def __init__(self, spec: LifecycleSpec, directory: Path, address: str) -> None:
        """Reads the file of ``rules.from``. Raises ProblemsError with all that is wrong."""
        self.minimum: MinimumSize | None = spec.minimum_size
        place = address
        rules: list[Rule] = []
        if isinstance(spec.rules, RulesSourceFields):
            path = directory / spec.rules.source
            place = str(path)
            document = read_json(path)
            _refuse(list(all_faults(document)), place)
            rules += read_rules(document)
            if self.minimum is None and "TransitionDefaultMinimumObjectSize" in document:
                self.minimum = minimum_of(document)
        else:
            rules += [one.rule() for one in spec.rules]
        if spec.housekeeping is not None:
            rules.append(_housekeeping(spec.housekeeping))
        found = list(all_faults({"Rules": [rule_document(rule) for rule in rules]}))
        _refuse(found, place)
        both = sorted({rule.id for rule in rules} & set(spec.absent))
        if both:
            _refuse(
                [Fault("error", f"{', '.join(both)} is wanted and absent", "decide for one")], place
            )
        self.rules = tuple(rules)
        self.warnings = tuple(
            f"{fault.what}: {fault.next_step}" for fault in found if fault.severity == "warning"
        )


def _refuse(found: list[Fault], address: str) -> None:
    errors = [
        ManifestError(fault.what, address=address, next_step=fault.next_step)
        for fault in found
        if fault.severity == "error"
    ]
    if errors:
        raise ProblemsError("the lifecycle rules are not right", errors)


def _housekeeping(fields: HousekeepingFields) -> Rule:
    return Rule(
        id=HOUSEKEEPING,
        enabled=True,
        expiration=Expiration(markers=True) if fields.delete_markers else None,
        noncurrent_expiration=None
        if fields.noncurrent_days is None
        else Noncurrent(None, fields.noncurrent_days, fields.noncurrent_keep),
        abort_days=fields.abort_uploads,
    )
