"""A bucket that is frozen for its deletion: whether that counts, and when it is thawed again.

The freeze is a configure step that is ``temporary``. It stays while the deletion waits for its
approval; where the deletion is declined, fails, or its verification does not pass, the old policy
is back at the end of the session. The same command freezes the bucket again before it goes on.
"""

from __future__ import annotations

import asyncio
import secrets

from s3plan.engine.context import Context
from s3plan.engine.handlers.configure import OURS
from s3plan.engine.summary import Walk
from s3plan.errors import AccessDeniedError, StoreError
from s3plan.model.events import Warned
from s3plan.model.journal import StepEnded
from s3plan.model.steps import Configure, Step
from s3plan.rules.bucketdocuments import same
from s3plan.store import Bucket, CopyOptions

PATIENCE = 10
"""Tries, a second apart, until a policy that denies writes is in force."""

PROBE = ".s3plan-freeze-probe-"
"""What the keys of uploads begin with that are begun to see whether they are refused."""


async def freeze_standing(context: Context, step: Step) -> str:
    """Whether writes to a step's bucket are refused, as a sentence; empty where none is frozen.

    Asked before the last listing: what is written after it cannot appear in the bucket.
    """
    if not any(_freezes(other, step.subject) for other in context.plan.steps):
        return ""
    bucket = context.bucket(step)
    for _ in range(PATIENCE):
        try:
            refused = await _is_refused(bucket)
        except StoreError as error:
            return f"whether the policy keeps writers off is not known: {error.what}"
        if refused:
            return "the bucket's policy denies writing, and an upload was refused just now"
        await asyncio.sleep(1)
    sentence = "the bucket's policy denies writing, and this endpoint does not enforce that"
    context.observer(Warned(f"{step.subject}: {sentence}"))
    return sentence


async def _is_refused(bucket: Bucket) -> bool:
    """Whether an upload may not even begin; one that may is aborted, and nothing of it is seen."""
    try:
        upload = await bucket.begin_upload(f"{PROBE}{secrets.token_hex(8)}", CopyOptions())
    except AccessDeniedError:
        return True
    await upload.abort()
    return False


async def thaw(context: Context, walk: Walk) -> None:
    """Put the old policy back where the deletion that it was changed for will not happen now."""
    for step in context.plan.steps:
        if not _freezes(step, step.subject):
            continue
        if context.state.step(step.id).of(0) not in OURS or not context.state.step(step.id).done:
            continue
        why = _why(context, walk, step)
        if why is not None:
            await _thaw(context, walk, step, why)
        elif _waits(context, walk, step):
            context.observer(
                Warned(
                    f"{step.subject} stays frozen until its deletion is approved or declined; "
                    f"a rollback thaws it"
                )
            )


def _freezes(step: Step, bucket: str) -> bool:
    return step.subject == bucket and isinstance(step.action, Configure) and step.action.temporary


def _behind(context: Context, freezing: Step) -> list[Step]:
    """The steps for which the bucket is frozen: what verifies it, and what deletes."""
    gated = [s for s in context.plan.steps if s.subject == freezing.subject and s.gate is not None]
    verifying = {step.gate.evidence for step in gated if step.gate is not None}
    return [step for step in context.plan.steps if step in gated or step.id in verifying]


def _why(context: Context, walk: Walk, freezing: Step) -> str | None:
    """Why the deletion will not happen in this session's way; None while it may."""
    if walk.interrupted:
        return None
    if any(subject == freezing.subject for subject, _ in context.state.declined):
        return "the deletion was declined"
    for step in _behind(context, freezing):
        gate = context.state.gates.get(step.id)
        if gate is not None and not gate.passes:
            return "the verification did not pass"
        ended = walk.outcomes.get(step.id)
        if ended is not None and ended[0] == "incomplete":
            return f"{step.verb} did not come to its end"
    return None


def _waits(context: Context, walk: Walk, freezing: Step) -> bool:
    ended = [walk.outcomes.get(step.id) for step in _behind(context, freezing)]
    return any(one is None or one[0] != "done" for one in ended)


async def _thaw(context: Context, walk: Walk, step: Step, why: str) -> None:
    action = step.action
    assert isinstance(action, Configure)
    control = context.store.control
    try:
        context.check_held()
        live = await asyncio.to_thread(control.document, step.subject, action.document)
        if not same(action.document, live, action.after):
            context.observer(
                Warned(f"{step.subject}: {why}; its policy was changed meanwhile and left alone")
            )
            return
        await context.intend(step, 0, 0)
        await asyncio.to_thread(control.put_document, step.subject, action.document, action.before)
    except StoreError as error:
        context.observer(
            Warned(
                f"{step.subject}: {why}, and its old policy could not be put back, so nobody can "
                f"write to it: {error}; next: s3plan rollback"
            )
        )
        walk.errors.append(error)
        return
    reason = f"thawed: {why}"
    record = StepEnded(step=step.id, outcome="skipped", reason=reason, time=context.now())
    await context.journal.commit(record)
    context.state.apply(context.journal.seq, record)
    context.observer(Warned(f"{step.subject}: {why}, so its old policy is back"))
