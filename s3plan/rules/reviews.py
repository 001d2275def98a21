"""Reviews of a pull request, as GitHub and GitLab tell them, as approvals of one plan.

Only an approval that still stands counts: the last word of each reviewer, on the commit whose plan
it was where the service says so.
"""

from __future__ import annotations

from collections.abc import Iterator

from s3plan.errors import UsageError
from s3plan.model.approvals import PlanApproval

_WORDS = {"APPROVED", "CHANGES_REQUESTED", "DISMISSED"}
"""States that replace what the same person said before; a comment does not.
https://docs.github.com/en/rest/pulls/reviews"""


def approvals_in(reviews: object, digest: str, commit: str | None) -> tuple[PlanApproval, ...]:
    """The approvals of the plan ``digest`` in the answer of a service.

    GitHub's is the list of a pull request's reviews (pages may follow each other in one list) and
    needs ``commit``, the head whose plan it is. GitLab's is the merge request's approvals, which
    the project must be set to remove when commits are added. Raises UsageError for anything else.
    """
    if isinstance(reviews, list) and commit is not None:
        return tuple(_of_github(reviews, digest, commit))
    if isinstance(reviews, dict) and isinstance(reviews.get("approved_by"), list):
        return tuple(_of_gitlab(reviews, digest))
    raise UsageError(
        "these are no reviews that s3plan knows",
        expected="the reviews of a pull request on GitHub, with --commit, or the approvals of a "
        "merge request on GitLab",
        next_step="docs/review.md says which addresses give them",
    )


def _of_github(reviews: list[object], digest: str, commit: str) -> Iterator[PlanApproval]:
    last: dict[str, dict[str, object]] = {}
    for review in reviews:
        if not isinstance(review, dict) or review.get("state") not in _WORDS:
            continue
        user = review.get("user")
        name = user.get("login") if isinstance(user, dict) else None
        if isinstance(name, str) and name:
            last[name] = review
    for name, review in last.items():
        if review["state"] == "APPROVED" and review.get("commit_id") == commit:
            time, note = review.get("submitted_at"), review.get("html_url")
            yield PlanApproval(name, digest, str(time), str(note or ""))


def _of_gitlab(approvals: dict[str, object], digest: str) -> Iterator[PlanApproval]:
    listed = approvals["approved_by"]
    assert isinstance(listed, list)
    for entry in listed:
        user = entry.get("user") if isinstance(entry, dict) else None
        if not isinstance(user, dict) or not user.get("username"):
            continue
        time = entry.get("approved_at") or approvals.get("updated_at")
        note = str(user.get("web_url") or "")
        yield PlanApproval(str(user["username"]), digest, str(time), note)
