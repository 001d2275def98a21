"""What a person should know of sessions that a plan does nothing about."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from s3plan.kinds.kind import Manifest
from s3plan.kinds.sessions.obstacles import UNKNOWN
from s3plan.kinds.sessions.standing import Session
from s3plan.kinds.sessions.steps import differences
from s3plan.model.sessions import Library
from s3plan.rules.counting import counted
from s3plan.tables import Database

NAMED = 5


def remarks(
    manifest: Manifest,
    database: Database,
    library: Library,
    found: Sequence[Session],
    chosen: Sequence[Session],
) -> Iterator[str]:
    """Sentences on one bucket: what is archived, what is left and why."""
    bucket = found[0].bucket if found else ""
    planned = {one.key for one in chosen}
    left = [one for one in found if one.key not in planned]
    done = sum(one.state == "same" for one in left)
    if not found:
        yield f"{library.path} holds no session"
        return
    yield (
        f"s3://{bucket}: of {counted(len(found), 'session')} {done:,} "
        f"{'is' if done == 1 else 'are'} archived as they are on disk, {len(chosen):,} in this plan"
    )
    changed = [one for one in left if one.state == "changed"]
    if changed:
        names = (f"{one.name} ({differences(one)})" for one in changed)
        yield f"s3://{bucket}: changed since they were archived, and left: {_named(names)}"
    adopted = [one.name for one in left if one.state == "adopted"]
    if adopted:
        yield (
            f"s3://{bucket}: {counted(len(adopted), 'archive')} without an index, adopted and"
            f" unverified: {_named(adopted)}; s3plan verify {manifest.address.partition(':')[0]}"
            " --adopted reads them, adopted: index gives them one, --replace archives them again"
        )
    other = [one.name for one in left if one.state == "other"]
    if other:
        yield (
            f"s3://{bucket}: somebody replaced archives, which their indexes do not know: "
            f"{_named(other)}"
        )
    later = [one.name for one in left if one.state == "new" and one.kept_by(manifest.filters)]
    if later:
        yield (
            f"s3://{bucket}: left for later, since they are still being written or the limit is"
            f" reached: {_named(later)}"
        )
    unknown = [name for (name,) in database.rows(UNKNOWN, [library.path])]
    if unknown:
        yield f"{counted(len(unknown), 'file')} of no session, not archived: {_named(unknown)}"


def _named(names: Sequence[str] | Iterator[str]) -> str:
    listed = list(names)
    more = f" and {len(listed) - NAMED:,} more" if len(listed) > NAMED else ""
    return ", ".join(listed[:NAMED]) + more
