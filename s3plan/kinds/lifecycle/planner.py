"""The kind as the rest of s3plan sees it: what to look at, and bucket by bucket the document."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from s3plan.errors import ManifestError, PlanningError, ProblemsError, S3PlanError
from s3plan.kinds.buckets import configured_step, missing_bucket, readable
from s3plan.kinds.kind import Manifest, Observed, Rendered, Scope
from s3plan.kinds.lifecycle.desired import Wanted
from s3plan.kinds.lifecycle.manifest import LifecycleDocument, LifecycleSpec, RulesSourceFields
from s3plan.kinds.lifecycle.matching import Inventory
from s3plan.kinds.lifecycle.telling import (
    nothing_matched,
    rule_sentences,
    shadow_sentence,
    small_objects,
)
from s3plan.kinds.making import new_bucket_steps, versioning_steps
from s3plan.model.buckets import BucketFacts
from s3plan.model.steps import AnyAction, Configure, CreateBucket
from s3plan.plan import StepDraft
from s3plan.rules.lifecycle.document import merged, minimum_of, read_rules, same_lifecycle
from s3plan.rules.lifecycle.evaluation import shadowed


class Lifecycle:
    """``kind: BucketLifecycle``; see kind.Kind."""

    document = LifecycleDocument

    def connection(self, manifest: Manifest) -> str | None:
        """The name of the connection that the manifest asks for."""
        return _spec(manifest).connection

    def scope(self, manifest: Manifest) -> Scope:
        """The buckets and their listings, which tell what rules will match."""
        spec = _spec(manifest)
        return Scope(
            include=spec.buckets.include,
            exclude=spec.buckets.exclude,
            documents=("lifecycle",),
            tag_sample=spec.tag_sample if _goes_by_tags(spec) else 0,
            bodies=False,
            filters=manifest.filters,
        )

    def uses(self, manifest: Manifest) -> Iterator[tuple[str, AnyAction]]:
        """The lifecycle configuration, and what is said of the buckets themselves."""
        spec = _spec(manifest)
        actions: list[AnyAction] = [Configure("lifecycle")]
        if spec.bucket is not None and spec.bucket.create:
            actions += [CreateBucket("", ""), Configure("public-access-block")]
        if spec.bucket is not None and spec.bucket.versioning is not None:
            actions.append(Configure("versioning"))
        yield from ((bucket, action) for bucket in spec.buckets.include for action in actions)

    def render(self, manifest: Manifest, observed: Observed) -> list[Rendered]:
        """The whole configuration of every bucket, others' rules included."""
        spec, scope = _spec(manifest), self.scope(manifest)
        wanted = Wanted(spec, manifest.directory, manifest.address)
        found: list[Rendered] = []
        for bucket in scope.buckets(observed.facts):
            document = _desired(spec, wanted, readable(observed.facts[bucket], "lifecycle"))
            if document is not None:
                found.append(Rendered(bucket, f"{bucket}_lifecycle.json", document))
        return found

    def plan(self, manifest: Manifest, observed: Observed) -> list[StepDraft]:
        """Buckets in byte order; every problem of every bucket together."""
        spec, scope = _spec(manifest), self.scope(manifest)
        try:
            wanted = Wanted(spec, manifest.directory, manifest.address)
        except ManifestError as error:
            raise ProblemsError("the lifecycle rules cannot be read", [error]) from error
        problems: list[S3PlanError] = []
        drafts: list[StepDraft] = []
        for bucket in scope.buckets({*observed.facts, *scope.literals}):
            facts = observed.facts.get(bucket)
            try:
                if facts is not None:
                    drafts += _bucket_steps(spec, wanted, facts, observed)
                elif spec.bucket is not None and spec.bucket.create:
                    drafts += new_bucket_steps(
                        spec.bucket, bucket, observed, _desired(spec, wanted, None)
                    )
                else:
                    problems.append(missing_bucket(bucket, observed.target))
            except PlanningError as error:
                problems.append(error)
        if problems:
            raise ProblemsError(f"{manifest.kind} {manifest.name} cannot be planned", problems)
        return drafts


def _bucket_steps(
    spec: LifecycleSpec, wanted: Wanted, facts: BucketFacts, observed: Observed
) -> Iterator[StepDraft]:
    if spec.bucket is not None and spec.bucket.versioning == "enabled":
        yield from versioning_steps(facts)
    before = readable(facts, "lifecycle")
    after = _desired(spec, wanted, before)
    if same_lifecycle(before, after):
        return
    minimum, rules = minimum_of(after), read_rules(after)
    inventory = Inventory(observed.database, facts.name, observed.tags.get(facts.name))
    prices = observed.prices
    versioned = facts.versioning != "never"
    meaning: list[str] = [*_others(before, after, wanted)]
    warnings: list[str] = [*wanted.warnings]
    for rule in wanted.rules:
        if rule.enabled:
            meaning += rule_sentences(rule, inventory, minimum, prices)
        for warning in (nothing_matched(rule, inventory), small_objects(rule, inventory, minimum)):
            warnings += [warning] if warning is not None else []
        if (rule.noncurrent_transitions or rule.noncurrent_expiration) and not versioned:
            warnings.append(f"rule {rule.id}: the bucket never had versions, so none is noncurrent")
    warnings += [shadow_sentence(one) for one in shadowed(rules, minimum, versioned=versioned)]
    deletes = sorted(
        rule.id
        for rule in wanted.rules
        if rule.enabled and (rule.noncurrent_expiration or _expires(rule.expiration))
    )
    yield configured_step(
        facts.name,
        "lifecycle",
        before,
        after,
        "The bucket's lifecycle says something else than the manifest.",
        meaning=tuple(meaning),
        warnings=tuple(warnings),
        reversibility="until" if deletes else "free",
        undo=f"The old rules are put back; what {', '.join(deletes)} has deleted by then is gone."
        if deletes
        else "The old rules are put back; what was moved by then stays where it is.",
    )


def _goes_by_tags(spec: LifecycleSpec) -> bool:
    """Whether any rule may ask for tags; of rules in a file nobody knows yet."""
    return isinstance(spec.rules, RulesSourceFields) or any(rule.filter.tag for rule in spec.rules)


def _desired(spec: LifecycleSpec, wanted: Wanted, before: Any) -> Any:
    """The whole document that S3 shall have instead of ``before``."""
    return merged(
        _without(before, spec.absent),
        wanted.rules,
        keep_foreign=spec.foreign == "keep",
        minimum=wanted.minimum,
    )


def _expires(expiration: object) -> bool:
    return expiration is not None and not getattr(expiration, "markers", False)


def _without(before: Any, absent: tuple[str, ...]) -> Any:
    if before is None or not absent:
        return before
    return {**before, "Rules": [one for one in before["Rules"] if one.get("ID") not in absent]}


def _others(before: Any, after: Any, wanted: Wanted) -> Iterator[str]:
    """What becomes of rules that the manifest does not name: S3's PUT replaces the whole."""
    ours = {rule.id for rule in wanted.rules}
    was = [rule.id or "without an id" for rule in read_rules(before)]
    stays = {rule.id or "without an id" for rule in read_rules(after)}
    kept = [name for name in was if name in stays and name not in ours]
    gone = [name for name in was if name not in stays]
    if kept:
        yield f"rules of others that stay as they are: {', '.join(kept)}"
    if gone:
        yield f"rules that are removed: {', '.join(gone)}"


def _spec(manifest: Manifest) -> LifecycleSpec:
    assert isinstance(manifest.document, LifecycleDocument)
    return manifest.document.spec
