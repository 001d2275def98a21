"""Whether what an open gate rests on is still true, right before it is relied on."""

from __future__ import annotations

from s3plan.engine.archiving.replacing import replacement_holds
from s3plan.engine.context import Context
from s3plan.engine.evidence import check_evidence
from s3plan.engine.gate import look
from s3plan.engine.handlers import still_copied
from s3plan.engine.handlers.verify import still_there
from s3plan.engine.saving import is_as_saved
from s3plan.errors import JournalError
from s3plan.model.archivesteps import VerifyReplacement
from s3plan.model.journal import GateRecord
from s3plan.model.steps import Delete, DeleteSource, Step, Verify, VerifyCopies


async def still_holds(context: Context, step: Step, gate: GateRecord) -> bool:
    """Whether everything is still as the gate of ``step`` says, so that it need not be made anew.

    Once what the gate lets through has begun, its own doing would look like a difference; from then
    on each batch is looked at by itself. Raises JournalError where a deletion has begun and nothing
    says any more what it rests on.
    """
    verifying = next(one for one in context.plan.steps if one.id == gate.step)
    if isinstance(verifying.action, VerifyReplacement):
        begun = any(context.state.step(step.id).items)
        return begun or await replacement_holds(context, verifying, verifying.action, gate)
    if has_begun(context, gate.subject):
        if not evidence_there(context, gate):
            raise JournalError(
                "the deletion has begun and its evidence is missing or was changed",
                address=str(context.run.evidence(gate.step)),
                next_step=f"s3plan rollback {context.run.journal}, then plan again",
            )
        return True
    if not evidence_there(context, gate):
        return False
    if isinstance(verifying.action, VerifyCopies):
        return await still_copied(context, verifying, verifying.action)
    assert isinstance(verifying.action, Verify)
    with context.tables() as database:
        findings = await look(context, verifying, verifying.action, database)
    return (
        findings.passes
        and await still_there(context, verifying, verifying.action, gate)
        and await is_as_saved(context, gate)
    )


def evidence_there(context: Context, gate: GateRecord) -> bool:
    """Whether the file of the gate's evidence is there, whole and of this plan."""
    return check_evidence(context.run.evidence(gate.step), context.plan.digest, gate)


def has_begun(context: Context, subject: str) -> bool:
    """Whether any deletion of the subject has been dispatched in this run."""
    return any(
        any(context.state.step(step.id).items)
        for step in context.plan.steps
        if isinstance(step.action, Delete | DeleteSource) and step.subject == subject
    )
