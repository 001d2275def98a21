"""The steps of a change of layout: staged, verified and swapped, object by object."""

from __future__ import annotations

from s3plan.kinds.kind import Observed
from s3plan.kinds.layout.eligible import WORDS, Chooser, Found
from s3plan.kinds.layout.manifest import LayoutSpec
from s3plan.model.layout import Recipe
from s3plan.model.steps import Need, Reencrypt, Stage, Swap, Totals, VerifyStaged
from s3plan.plan import StepDraft
from s3plan.plan.estimate import transfer_seconds
from s3plan.rules.endpoints import is_aws

WINDOW = (
    "cutover.window: accept - where no conditional write holds at this endpoint, what somebody"
    " writes between the last look at an object and its swap is overwritten."
)
SAME_ETAG = (
    "A condition compares ETags: a writer who sends the very same bytes at the moment of the swap"
    " is not told from the old form, and what else he changed is not kept."
)
NEVER_BACK = (
    "Not by a rollback: S3's own encryption comes back by a copy alone, so plan an ObjectLayout"
    " with encryption: AES256."
)
ACLS = "Access control lists of single objects are not carried along."
AMBIGUOUS = (
    "in the listing more than once: which object is meant cannot be said, so they fail as"
    " ambiguous, and nothing is done to them"
)
ANNOTATIONS = "Annotations of objects are not carried along."


def actions(
    spec: LayoutSpec, recipe: Recipe, bucket: str, *, keeps_old: bool
) -> tuple[Stage, VerifyStaged, Swap]:
    """What is done to each object of the bucket, in this order."""
    window = spec.cutover.window == "accept"
    largest = spec.cutover.largest_put
    stage = Stage(recipe, keeps_old, window, largest)
    staged = _draft(stage, bucket).id
    verify = VerifyStaged(staged, recipe, keeps_old)
    verified = _draft(verify, bucket).id
    return stage, verify, Swap(staged, verified, recipe, keeps_old, window, largest)


def steps_of(
    spec: LayoutSpec, recipe: Recipe, observed: Observed, bucket: str, *, of_worklist: bool
) -> tuple[list[StepDraft], Found]:
    """The steps for one bucket, their worklist in ``items``; none where nothing is to change."""
    if is_key_only(recipe) and is_aws(observed.target.endpoint):
        return _in_place(spec, recipe, observed, bucket, of_worklist=of_worklist)
    facts = observed.facts[bucket]
    keeps_old = facts.versioning != "enabled"
    stage, verify, swap = actions(spec, recipe, bucket, keeps_old=keeps_old)
    worklist = _draft(stage, bucket).id
    found = Chooser(spec, recipe, observed, bucket, of_worklist=of_worklist).fill(worklist)
    if not found.items:
        return [], found
    (size,) = observed.database.row(
        "SELECT CAST(coalesce(sum(size), 0) AS BIGINT) FROM items WHERE step = ?", [worklist]
    )
    seconds = transfer_seconds(Totals(found.items, size))
    staging = StepDraft(
        stage,
        bucket,
        reversibility="free",
        undo="What is staged stays until a LayoutCleanup; readers never see it.",
        reason=_reason(found),
        worklist=worklist,
        seconds=seconds,
        warnings=_warnings(found, str(facts.configuration.get("ownership", "")), observed),
    )
    verifying = StepDraft(
        verify,
        bucket,
        reversibility="free",
        undo="Nothing to undo: it only reads.",
        reason="Every staged form is compared with its object before it takes its place.",
        needs=(Need(staging.id, "each"),),
        worklist=worklist,
        seconds=transfer_seconds(Totals(found.items)),
    )
    swapping = StepDraft(
        swap,
        bucket,
        reversibility="until",
        undo="The old form takes its place again, where the new one is as it was left, until"
        + (
            " a LayoutCleanup removes it."
            if keeps_old
            else " its noncurrent version is removed, by a lifecycle rule or by hand."
        ),
        reason="The new form becomes the object, if that is still as it was planned.",
        needs=(Need(verifying.id, "each"),),
        worklist=worklist,
        seconds=seconds,
        warnings=(WINDOW, SAME_ETAG) if swap.window else (SAME_ETAG,),
    )
    return [staging, verifying, swapping], found


def is_key_only(recipe: Recipe) -> bool:
    """Whether nothing but the KMS key is to change, and is named as AWS wants it: by its ARN."""
    key = recipe.kms_key or ""
    return key.startswith("arn:") and recipe == Recipe(encryption="aws:kms", kms_key=key)


def _in_place(
    spec: LayoutSpec, recipe: Recipe, observed: Observed, bucket: str, *, of_worklist: bool
) -> tuple[list[StepDraft], Found]:
    """A step for each key that objects have today. Archived ones need no restore for it."""
    wanted = recipe.kms_key or ""
    chooser = Chooser(spec, recipe, observed, bucket, of_worklist=of_worklist, in_place=True)
    worklists, rest = chooser.fill_by_key(lambda key: _draft(Reencrypt(wanted, key), bucket).id)
    warnings = (*_ambiguous(rest), *_left_out(rest))
    drafts: list[StepDraft] = []
    for before, found in sorted(worklists.items(), key=lambda entry: entry[0] or ""):
        action = Reencrypt(wanted, before)
        count = f"{found.items:,} objects have" if found.items > 1 else "1 object has"
        drafts.append(
            StepDraft(
                action,
                bucket,
                reversibility="never" if before is None else "free",
                undo=NEVER_BACK if before is None else "The key that they had is set again.",
                reason=f"{count} another key.",
                worklist=_draft(action, bucket).id,
                seconds=transfer_seconds(Totals(found.items)),
                warnings=() if drafts else warnings,
            )
        )
    return drafts, Found()


def _draft(action: Stage | VerifyStaged | Reencrypt, bucket: str) -> StepDraft:
    return StepDraft(action, bucket, "free", "", "")


def _reason(found: Found) -> str:
    differs = ", ".join(f"{name} of {count:,}" for name, count in found.differs.most_common())
    objects = "1 object is" if found.items == 1 else f"{found.items:,} objects are"
    return f"{objects} not as the manifest says: {differs}."


def _warnings(found: Found, ownership: str, observed: Observed) -> tuple[str, ...]:
    warnings: list[str] = []
    if "BucketOwnerEnforced" not in ownership:
        warnings.append(ACLS)
    if is_aws(observed.target.endpoint):
        warnings.append(ANNOTATIONS)
    return (*warnings, *_ambiguous(found), *_left_out(found))


def _left_out(found: Found) -> tuple[str, ...]:
    return tuple(
        f"{found.counts[why]:,} {WORDS[why]}: {_named(names, found.counts[why])}."
        for why, names in sorted(found.left_out.items())
    )


def _ambiguous(found: Found) -> tuple[str, ...]:
    if not found.ambiguous_count:
        return ()
    names = _named(found.ambiguous, found.ambiguous_count)
    return (f"{found.ambiguous_count:,} {AMBIGUOUS}: {names}.",)


def _named(names: list[str], count: int) -> str:
    return ", ".join(names) + (f", and {count - len(names):,} more" if count > len(names) else "")
