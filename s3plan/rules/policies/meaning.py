"""What a new policy means for people: who loses access, who gains it, who is locked out.

Told by evaluating both policies for everybody who is named in either, for the caller, and for those
who are not named: others in the account, other accounts, AWS's services, anonymous callers. Only
the bucket policy counts here; identity policies can take away more, never give back what it denies.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, Literal

from msgspec import Struct

from s3plan.rules.policies.conditions import Context
from s3plan.rules.policies.document import Policy
from s3plan.rules.policies.evaluation import Answer, Request, context_of, judge
from s3plan.rules.policies.making import POLICY_ACTIONS
from s3plan.rules.policies.principals import Principal, read_principal

USES: Final[tuple[tuple[str, str, bool], ...]] = (
    ("list", "s3:ListBucket", False),
    ("read", "s3:GetObject", True),
    ("write", "s3:PutObject", True),
    ("delete", "s3:DeleteObject", True),
    ("change the policy", "s3:PutBucketPolicy", False),
)
"""What people do with a bucket: a word, an action that stands for it, whether it is on objects."""

_OBJECT: Final = "any/object"
_STRANGER: Final = "000000000000"

Standing = Literal["inside", "outside", "service"]
"""``inside`` the bucket's account identity policies can allow what the bucket policy does not
deny; ``outside`` it nothing is allowed that the bucket policy does not allow as well. ``service``
is an AWS service that S3 lets in by itself."""


class Subject(Struct, frozen=True):
    """Somebody whose access is looked at, and what the requests of theirs look like."""

    label: str
    principal: Principal
    context: Context
    standing: Standing


class AccessChange(Struct, frozen=True):
    """What somebody loses and gains, in the words of :data:`USES`."""

    label: str
    loses: tuple[str, ...]
    gains: tuple[str, ...]


class Caller(Struct, frozen=True):
    """Whoever will apply the plan. ``role_arn`` is the role of a session, where IAM told it.

    ``secure`` is whether the endpoint speaks TLS.
    """

    principal: Principal
    role_arn: str | None = None
    secure: bool = True

    def contexts(self) -> tuple[Context, ...]:
        """What the caller's requests may look like: with each path that the role may have."""
        arns = [self.role_arn]
        if self.role_arn is None and self.principal.kind == "assumed-role":
            account = f"arn:{self.principal.partition}:iam::{self.principal.account}"
            arns = [f"{account}:role{path}/{self.principal.name}" for path in ("", "/some/path")]
        return tuple(context_of(self.principal, secure=self.secure, role_arn=arn) for arn in arns)


def answer_for(
    policy: Policy | None, caller: Caller, bucket: str, action: str, *, objects: bool
) -> Answer:
    """What the policy says to one action of the caller's.

    Where it depends on the path of the caller's role, which nobody told, it cannot be told.
    """
    arn = _resource(bucket, caller.principal.partition, objects=objects)
    answers = {
        judge(policy, Request(caller.principal, action, arn, context))
        for context in caller.contexts()
    }
    if len(answers) == 1:
        return answers.pop()
    return "perhaps-denied" if answers & {"denied", "perhaps-denied"} else "nothing"


def access_changes(
    before: Policy | None, after: Policy | None, bucket: str, caller: Caller
) -> tuple[AccessChange, ...]:
    """Everybody whose access changes, the caller first."""
    found = []
    for subject in _subjects((before, after), caller):
        was = set(_uses(before, bucket, subject))
        becomes = set(_uses(after, bucket, subject))
        if was != becomes:
            found.append(
                AccessChange(subject.label, _in_order(was - becomes), _in_order(becomes - was))
            )
    return tuple(found)


LockedOut = Literal["nobody", "caller", "everyone"]


class Lockout(Struct, frozen=True):
    """Whom a policy locks out: ``caller`` or, but for the account's root user, ``everyone``.

    ``denied`` are the caller's actions that it denies and the old one did not; ``perhaps`` those
    that depend on what cannot be told here.
    """

    who: LockedOut
    denied: tuple[str, ...] = ()
    perhaps: tuple[str, ...] = ()


def lockout(before: Policy | None, after: Policy | None, bucket: str, caller: Caller) -> Lockout:
    """Whom the change to ``after`` locks out.

    The root user of the account can always read, replace and delete the policy
    (https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketPolicy.html), but a person who
    must find it is locked out all the same. A Deny on the policy's own actions that cannot be told
    counts: nothing could be put back.
    """
    denied: list[str] = []
    perhaps: list[str] = []
    for action, objects in (
        *((action, objects) for _, action, objects in USES),
        *((action, False) for action in POLICY_ACTIONS if action != "s3:PutBucketPolicy"),
    ):
        was = answer_for(before, caller, bucket, action, objects=objects)
        becomes = answer_for(after, caller, bucket, action, objects=objects)
        on_policy = action in POLICY_ACTIONS
        if becomes == "denied" and (on_policy or was != "denied"):
            denied.append(action)
        elif becomes == "perhaps-denied" and was not in {"denied", "perhaps-denied"}:
            (denied if on_policy else perhaps).append(action)
    if not denied:
        return Lockout("nobody", perhaps=tuple(perhaps))
    who: LockedOut = "caller" if _somebody_can_mend(after, bucket, caller) else "everyone"
    return Lockout(who, tuple(denied), tuple(perhaps))


def _somebody_can_mend(policy: Policy | None, bucket: str, caller: Caller) -> bool:
    """Whether anybody inside the account but its root may still change the policy."""
    for subject in _subjects((policy,), caller):
        if subject.standing != "inside" or subject.principal.kind == "root":
            continue
        answer = _answer(policy, bucket, subject, "s3:PutBucketPolicy", objects=False)
        if answer not in {"denied", "perhaps-denied"}:
            return True
    return False


def _uses(policy: Policy | None, bucket: str, subject: Subject) -> Iterator[str]:
    for word, action, objects in USES:
        answer = _answer(policy, bucket, subject, action, objects=objects)
        if answer in {"denied", "perhaps-denied"}:
            continue
        if subject.standing != "outside" or answer == "allowed":
            yield word


def _answer(
    policy: Policy | None, bucket: str, subject: Subject, action: str, *, objects: bool
) -> Answer:
    arn = _resource(bucket, subject.principal.partition, objects=objects)
    return judge(policy, Request(subject.principal, action, arn, subject.context))


def _resource(bucket: str, partition: str, *, objects: bool) -> str:
    arn = f"arn:{partition}:s3:::{bucket}"
    return f"{arn}/{_OBJECT}" if objects else arn


def _subjects(policies: Iterable[Policy | None], caller: Caller) -> Iterator[Subject]:
    own = caller.principal
    yield Subject(f"you ({own.arn})", own, caller.contexts()[0], "inside")
    for arn in sorted(_named(policies)):
        principal = read_principal(arn)
        if principal.kind != "unknown" and principal.arn != own.arn:
            inside = principal.account == own.account
            yield Subject(
                f"the root user of account {principal.account}"
                if principal.kind == "root"
                else arn,
                principal,
                context_of(principal, secure=True),
                "inside" if inside else "outside",
            )
    other = read_principal(f"arn:{own.partition}:iam::{own.account}:user/somebody-else")
    place = f"account {own.account}" if own.account else "the account"
    yield Subject(f"everybody else in {place}", other, context_of(other, secure=True), "inside")
    stranger = read_principal(f"arn:{own.partition}:iam::{_STRANGER}:user/somebody")
    yield Subject(
        "everybody in other accounts", stranger, context_of(stranger, secure=True), "outside"
    )
    nobody = Principal("", "unknown", own.partition, "", "")
    without = dict.fromkeys(("aws:principalarn", "aws:principalaccount", "aws:userid"), ())
    yield Subject(
        "AWS services such as log delivery and replication",
        nobody,
        context_of(nobody, secure=True) | without | {"aws:principalisawsservice": ("true",)},
        "service",
    )
    yield Subject(
        "anonymous callers",
        nobody,
        context_of(nobody, secure=True) | without | {"aws:principalisawsservice": ()},
        "outside",
    )


def _named(policies: Iterable[Policy | None]) -> set[str]:
    """Every ARN that statements name as principal, or in a condition on aws:PrincipalArn."""
    found: set[str] = set()
    for policy in policies:
        for statement in policy.statements if policy else ():
            if statement.principals is not None:
                found |= {v.partition(":")[2] for v in statement.principals.values}
            for condition in statement.conditions:
                if condition.key == "aws:principalarn":
                    found |= condition.values
    return {arn for arn in found if not set("*?$") & set(arn)}


def _in_order(words: set[str]) -> tuple[str, ...]:
    return tuple(word for word, _, _ in USES if word in words)


def sentences(found: Iterable[AccessChange]) -> Iterator[str]:
    """Changes as lines for a person."""
    for change in found:
        if change.loses:
            yield f"loses access: {change.label} ({', '.join(change.loses)})"
        if change.gains:
            yield f"gains access: {change.label} ({', '.join(change.gains)})"
