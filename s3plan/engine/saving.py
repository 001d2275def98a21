"""The bucket's own configuration, saved before the bucket is deleted.

It is read at the verification, goes into the catalogue, and is part of the evidence that a person
approves. Right before the bucket's deletion it must still be what was saved.
"""

from __future__ import annotations

import asyncio
import hashlib

import msgspec

from s3plan.engine.context import Context
from s3plan.engine.handlers.configure import OURS
from s3plan.errors import HeldError
from s3plan.model.buckets import BucketFacts, Document, DocumentName
from s3plan.model.journal import GateRecord
from s3plan.model.local import CatalogueConfiguration
from s3plan.model.steps import Configure, DeleteBucket, Step
from s3plan.rules.bucketdocuments import normal, same
from s3plan.rules.freezing import thawed


def takes_the_bucket(context: Context, verifying: Step) -> bool:
    """Whether the evidence of this step opens the deletion of the bucket itself."""
    return any(
        isinstance(step.action, DeleteBucket)
        and step.gate is not None
        and step.gate.evidence == verifying.id
        for step in context.plan.steps
    )


async def save_configuration(context: Context, step: Step, path: str) -> str:
    """Read the bucket's configuration into the catalogue of the destination ``path``; its digest.

    Durable at the next sync point.
    """
    facts = await _facts(context, step.subject)
    destination = context.destination(path)
    await context.catalogue(destination, step.subject)
    record = CatalogueConfiguration(
        region=facts.region,
        documents=facts.configuration,
        absent=facts.absent,
        unreadable=facts.unreadable,
        run=context.run.id,
        time=context.now(),
    )
    await context.in_thread(destination.record, step.subject, [record])
    return _digest(facts)


async def is_as_saved(context: Context, gate: GateRecord) -> bool:
    """Whether the bucket's configuration still is what this gate's evidence is about.

    True where nothing was saved: the bucket stays, or a version before this one made the evidence.
    """
    return not gate.configuration or gate.configuration == _digest(
        await _facts(context, gate.subject)
    )


async def check_as_saved(context: Context, step: Step) -> None:
    """Raise HeldError where what would be deleted is not what was saved and approved."""
    assert step.gate is not None
    if not await is_as_saved(context, context.state.gates[step.gate.evidence]):
        raise HeldError(
            "the configuration of the bucket was changed after it was saved",
            address=f"s3://{step.subject}",
            expected="the configuration that was approved with the evidence",
            found="another one",
            next_step="s3plan plan again: it is saved anew, and approved anew",
        )


async def _facts(context: Context, bucket: str) -> BucketFacts:
    """What the bucket has, and where this run changed it, what it had before."""
    facts = await asyncio.to_thread(context.store.control.facts, bucket)
    documents = dict(facts.configuration)
    for step in reversed(context.plan.steps):
        action = step.action
        if step.subject != bucket or not isinstance(action, Configure):
            continue
        ours = context.state.step(step.id).of(0) in OURS
        if ours and same(action.document, documents.get(action.document), action.after):
            _set(documents, action.document, action.before)
    # Of an earlier run that nobody finished: the bucket itself never wanted to be frozen.
    _set(documents, "policy", thawed(documents.get("policy")))
    absent = [name for name in (*facts.configuration, *facts.absent) if name not in documents]
    return msgspec.structs.replace(facts, configuration=documents, absent=tuple(sorted(absent)))


def _set(documents: dict[DocumentName, Document], name: DocumentName, document: Document) -> None:
    if document is None:
        documents.pop(name, None)
    else:
        documents[name] = document


def _digest(facts: BucketFacts) -> str:
    """Of what is said, not of how: S3 may list the same in another order."""
    said = {
        name: meaning
        for name, found in facts.configuration.items()
        if (meaning := normal(name, found)) is not None
    }
    content = msgspec.json.encode([facts.region, said, sorted(facts.unreadable)], order="sorted")
    return hashlib.sha256(content).hexdigest()
