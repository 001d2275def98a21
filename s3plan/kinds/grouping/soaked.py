"""After the copies: the deletion of their sources once the soak is over, and what it leaves.

It is a plan of its own, made by the same manifest when nothing else is left to do. What was deleted
so is no source any more, and its copy still belongs to the table.
"""

from __future__ import annotations

from s3plan.kinds.grouping.mapping import Mapping
from s3plan.kinds.kind import Observed
from s3plan.model.buckets import BucketFacts
from s3plan.model.soak import Checked, EarlierRun, SoakTerms
from s3plan.model.steps import DeleteSource, Gate, Need, Totals, VerifyCopies
from s3plan.plan import StepDraft
from s3plan.plan.digest import step_id
from s3plan.plan.estimate import verify_seconds
from s3plan.rules.soak import moment, obstacles, over, spelled

SHOWN = 5
"""Keys that a note names; it counts all."""

WINDOW = (
    "Where the endpoint does not honour conditional deletions, what is written over a source"
    " between the look and its deletion is lost."
)

# A source that is gone, and whose copy is there: an earlier run deleted it, or somebody did.
_CLEANED = """
    INSERT INTO grouping_copies BY NAME
    SELECT c.key, c.size, c.etag, c.modified, c.storage_class, c.row_id, c.type,
        c.path AS new_key, 'mapped' AS state, 'cleaned' AS standing
    FROM copied c
    JOIN listing t ON t.bucket = c.target AND t.key = c.path
        AND t.size = c.size AND t.etag = c.copy_etag
    WHERE c.source = $source AND c.target = $target
        AND NOT EXISTS (SELECT 1 FROM listing s WHERE s.bucket = $source AND s.key = c.key)"""

# Every source that is there, and whether what was copied of it lets it go.
_SOURCES = """
    CREATE OR REPLACE TABLE grouping_soaked AS
    SELECT s.key, c.path, s.size, s.etag, s.modified, s.storage_class, s.checksum, c.run, CASE
        WHEN c.key IS NULL THEN 'unknown'
        WHEN NOT list_contains($over, c.run || ' ' || c.step) THEN 'soaking'
        WHEN (s.size, s.etag, s.modified) IS DISTINCT FROM (c.size, c.etag, c.modified)
            OR c.path <> s.new_key THEN 'changed'
        WHEN t.key IS NULL OR t.size <> c.size OR t.etag <> c.copy_etag THEN 'copy_changed'
        ELSE 'ready' END AS standing
    FROM grouping_copies s
    LEFT JOIN copied c ON c.source = $source AND c.target = $target AND c.key = s.key
    LEFT JOIN listing t ON t.bucket = $target AND t.key = c.path
    WHERE s.state = 'mapped' AND s.standing IN ('here', 'unproven')"""

# row_number() over nothing counts rows as the subquery orders them; see kinds.evacuation.steps.
_ITEMS = """
    INSERT INTO items (step, n, key, path, size, etag, modified, storage_class, checksum)
    SELECT $step, row_number() OVER () - 1, * FROM (
        SELECT key, path, size, etag, modified, storage_class, checksum FROM grouping_soaked
        WHERE standing = 'ready' ORDER BY key
    )"""

_STAYING = (
    ("unknown", "sources stay: no run of this directory that finished made their copies"),
    ("changed", "sources stay: they are not as they were copied"),
    ("copy_changed", "sources stay: their copies are not as they were made"),
)


def add_cleaned(work: Mapping) -> None:
    """Add to ``grouping_copies`` what earlier runs copied and deleted, where the copy is there."""
    work.execute(_CLEANED)


def after_soak(work: Mapping, observed: Observed) -> list[StepDraft]:
    """The deletion of the sources whose soak is over, behind its gates; notes on the others."""
    spec = work.spec
    terms = spec.terms
    if spec.sources != "deleteAfterSoak" or terms is None:
        return []
    mine = [
        run
        for run in observed.earlier
        if (run.source, run.target) == (spec.source.bucket, spec.target_bucket)
    ]
    ended = [run for run in mine if over(terms, moment(run.soak.began)) <= observed.now]
    names = [f"{run.copies.run} {run.copies.step}" for run in ended]
    work.execute(_SOURCES, over=names)
    _note_soaks(work, observed, mine, ended, terms)
    totals = _totals(work)
    if not totals.items:
        return []
    query = "SELECT DISTINCT run FROM grouping_soaked WHERE standing = 'ready'"
    used = {run for (run,) in work.rows(query)}
    earlier = [run for run in ended if run.copies.run in used]
    return _drafts(work, observed, earlier, terms, totals)


def _drafts(
    work: Mapping,
    observed: Observed,
    earlier: list[EarlierRun],
    terms: SoakTerms,
    totals: Totals,
) -> list[StepDraft]:
    spec = work.spec
    source = spec.source.bucket
    copies = tuple(run.copies for run in earlier)
    verify = VerifyCopies(source=source, copied="", earlier=copies, content=True)
    name = step_id(verify, spec.target_bucket)
    verifying = StepDraft(
        verify,
        spec.target_bucket,
        reversibility="free",
        undo="Nothing to undo: it only reads.",
        reason="Every copy is compared with its source once more, by content.",
        worklist=name,
        seconds=verify_seconds(totals, read_back=False),
    )
    work.execute(_ITEMS, step=name)
    closed = [one for run in earlier for one in obstacles(run.soak, terms, observed.now)]
    return [
        verifying,
        StepDraft(
            DeleteSource(spec.target_bucket, copies, terms),
            source,
            reversibility="costs",
            undo="The sources are copied back from their copies, without the tags that target.tags"
            " gave them; headers of target.headers stay.",
            reason=f"{_counted(totals.items)} in the old layout whose copies were watched for"
            f" {terms.days:,} days.",
            needs=(Need(name),),
            gate=Gate("approve-delete", source, name),
            worklist=name,
            warnings=(
                WINDOW,
                *_versions(observed.facts[source], earlier),
                *(f"The gate is closed as long as {one}." for one in dict.fromkeys(closed)),
            ),
        ),
    ]


def _versions(facts: BucketFacts, earlier: list[EarlierRun]) -> list[str]:
    """What a deletion frees in a bucket that keeps versions: nothing, and how much that is."""
    if facts.versioning == "never":
        return []
    checks = [run.soak.last for run in earlier if run.soak.last is not None]
    seen = max(checks, key=_time, default=None)
    held = (
        f" When last checked it held {seen.figures['old_versions']:,} versions in the old layout,"
        f" {seen.figures['old_version_bytes']:,} bytes."
        if seen is not None and "old_versions" in seen.figures
        else ""
    )
    return [
        f"The bucket has versioning {facts.versioning}: a deletion adds a delete marker, every"
        f" version stays and is billed until a lifecycle rule or you remove it.{held}"
    ]


def _time(check: Checked) -> str:
    return check.time


def _note_soaks(
    work: Mapping,
    observed: Observed,
    mine: list[EarlierRun],
    ended: list[EarlierRun],
    terms: SoakTerms,
) -> None:
    """Say why sources stay, so that nobody takes "No changes" for the end."""
    for run in mine:
        if run in ended:
            continue
        until = spelled(over(terms, moment(run.soak.began)))
        observed.notes.append(
            f"the sources of run {run.copies.run} stay until its soak is over, at {until}"
        )
    for standing, words in _STAYING:
        query = "SELECT key FROM grouping_soaked WHERE standing = $standing ORDER BY key"
        ((count,),) = work.rows(f"SELECT count(*) FROM ({query})", standing=standing)  # noqa: S608 - ours
        if count:
            keys = [key for (key,) in work.rows(f"{query} LIMIT {SHOWN}", standing=standing)]
            more = f", and {count - SHOWN:,} more" if count > SHOWN else ""
            observed.notes.append(f"{count:,} {words}: {', '.join(keys)}{more}")


def _totals(work: Mapping) -> Totals:
    query = (
        "SELECT count(*), CAST(coalesce(sum(size), 0) AS BIGINT) FROM grouping_soaked"
        " WHERE standing = 'ready'"
    )
    ((items, size),) = work.rows(query)
    return Totals(items, size)


def _counted(count: int) -> str:
    return "1 object" if count == 1 else f"{count:,} objects"
