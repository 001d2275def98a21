"""Tags of archives that are there already: lifecycle rules go by them, so they follow the manifest.

An archive that was made under another policy, or by another program, has other tags, and S3 moves
it by other rules or not at all. What its tags become: those of the manifest, without those by which
any known policy goes, and with whatever else it has.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence

from msgspec import Struct
from msgspec.structs import replace

from s3plan.errors import PlanningError
from s3plan.inventory.questions import Inquiry, Question
from s3plan.kinds.kind import Manifest, Observed
from s3plan.kinds.obstacles import found
from s3plan.kinds.sessions.manifest import MOST_TAGS, ArchiveSpec, TargetFields
from s3plan.model.archivesteps import Tag
from s3plan.model.steps import Need
from s3plan.plan import StepDraft
from s3plan.rules.counting import counted
from s3plan.rules.sessions.policies import POLICY_TAGS
from s3plan.tables import ITEMS, Database

_ASKED = """
    SELECT key, etag, size FROM listing
    WHERE bucket = $bucket AND history IS NULL AND regexp_full_match(key, $keys, 's')
    ORDER BY key"""

_TAGGED = """
    SELECT l.key, l.size, l.etag, l.modified, l.storage_class, t.tags
    FROM object_tags t JOIN listing l ON l.bucket = t.bucket AND l.key = t.key
        AND l.history IS NULL
    WHERE t.bucket = ? AND l.key NOT IN (SELECT unnest(?::VARCHAR[])) ORDER BY l.key"""


class _Tagged(Struct, frozen=True):
    """An archive with other tags than it should have."""

    key: str
    size: int
    etag: str
    modified: str
    storage_class: str


def tag_inquiry(spec: ArchiveSpec) -> Inquiry | None:
    """What the tags of every archive are; None where no rule goes by them."""
    if spec.lifecycle is None or spec.other_tags == "ignore":
        return None

    def questions(_: Database) -> Iterator[Question]:
        for target in spec.targets():
            values = {"bucket": target.bucket, "keys": spec.key.regex}
            words = f"the tags of the archives in {target.bucket}"
            yield Question(target.bucket, "tags", _ASKED, values, words)

    return Inquiry(("tags",), questions)


def tag_steps(
    spec: ArchiveSpec,
    manifest: Manifest,
    target: TargetFields,
    replaced: Sequence[str],
    first: Sequence[StepDraft],
    observed: Observed,
) -> tuple[list[StepDraft], list[PlanningError]]:
    """A step for each set of tags that archives have and should not; and those that cannot have
    theirs. ``replaced`` are keys that get new archives anyway. What is left is in the notes.
    """
    wanted = {**spec.tags(), **target.tags}
    groups: dict[tuple[tuple[str, str], ...], list[_Tagged]] = {}
    for key, size, etag, modified, storage_class, text in observed.database.rows(
        _TAGGED, [target.bucket, list(replaced)]
    ):
        named = re.fullmatch(spec.key.regex, key, re.DOTALL)
        parts = named.groupdict() if named is not None else {}
        before = json.loads(text)
        if manifest.filters.sessions.keeps(parts["session"], parts.get("year")) and (
            before != _after(before, wanted)
        ):
            one = _Tagged(key, size, etag, modified, storage_class)
            groups.setdefault(tuple(sorted(before.items())), []).append(one)
    if not groups:
        return [], []
    if spec.other_tags == "list":
        count = sum(map(len, groups.values()))
        have = "has" if count == 1 else "have"
        observed.notes.append(
            f"s3://{target.bucket}: {counted(count, 'archive')} {have} other tags than the"
            " lifecycle policy goes by, and are left: otherTags: replace would change them"
        )
        return [], []
    many = [
        (one.key,)
        for before, some in groups.items()
        if len(_after(dict(before), wanted)) > MOST_TAGS
        for one in some
    ]
    problems = found(
        many,
        what="archives cannot have the tags of the lifecycle policy",
        address=f"s3://{target.bucket}",
        expected=f"{MOST_TAGS} tags at most, with those that they have",
        next_step="remove tags of yours, or set otherTags: list",
    )
    needs = tuple(Need(one.id) for one in first)
    drafts = [
        _draft(dict(before), wanted, some, target, needs, observed.database)
        for before, some in groups.items()
    ]
    return drafts, list(problems)


def _after(before: dict[str, str], wanted: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in before.items() if name not in POLICY_TAGS} | wanted


def _draft(
    before: dict[str, str],
    wanted: dict[str, str],
    tagged: Sequence[_Tagged],
    target: TargetFields,
    needs: tuple[Need, ...],
    database: Database,
) -> StepDraft:
    draft = StepDraft(
        Tag(before, _after(before, wanted)),
        target.bucket,
        reversibility="free",
        undo="The tags that they had are put again, where they are as the run left them.",
        reason="These archives have other tags than the lifecycle policy of the manifest goes by.",
        needs=needs,
        meaning=(
            "S3 moves them by the rules that match the new tags; days count from their upload",
        ),
    )
    database.append(
        ITEMS,
        {
            "n": list(range(len(tagged))),
            "key": [one.key for one in tagged],
            "size": [one.size for one in tagged],
            "etag": [one.etag for one in tagged],
            "modified": [one.modified for one in tagged],
            "storage_class": [one.storage_class for one in tagged],
        },
        {"step": draft.id, "path": ""},
    )
    return replace(draft, worklist=draft.id)
