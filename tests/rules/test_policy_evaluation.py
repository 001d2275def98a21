"""Bucket policies evaluated: AWS's documented cases, and what cannot be told here."""

from __future__ import annotations

from typing import Any

import pytest

from s3plan.rules.policies.conditions import holds
from s3plan.rules.policies.document import Condition, read_policy
from s3plan.rules.policies.evaluation import Request, context_of, judge
from s3plan.rules.policies.principals import Principal, policy_arns, read_principal

USER = "arn:aws:iam::123456789012:user/alice"
ROLE = "arn:aws:iam::123456789012:role/admin"
SESSION = "arn:aws:sts::123456789012:assumed-role/admin/alice@example.com"
ROOT = "arn:aws:iam::123456789012:root"


def policy(*statements: dict[str, Any]) -> Any:
    return read_policy({"Version": "2012-10-17", "Statement": list(statements)}, "test")


def statement(effect: str = "Deny", **fields: Any) -> dict[str, Any]:
    return {"Effect": effect, "Principal": "*", "Action": "s3:*", "Resource": "*"} | fields


def ask(document: Any, arn: str, action: str = "s3:GetObject", **more: tuple[str, ...]) -> str:
    principal = read_principal(arn)
    context = context_of(principal, secure=True) | {
        key.replace("__", ":"): value for key, value in more.items()
    }
    return judge(document, Request(principal, action, "arn:aws:s3:::b/key", context))


def only(*arns: str) -> dict[str, Any]:
    return statement(Condition={"ArnNotEquals": {"aws:PrincipalArn": list(arns)}})


@pytest.mark.parametrize(
    ("arn", "expected"),
    [
        (USER, "nothing"),
        ("arn:aws:iam::123456789012:user/bob", "denied"),
        (ROOT, "nothing"),
        (SESSION, "denied"),
        ("arn:aws:iam::999999999999:user/alice", "denied"),
    ],
)
def test_a_deny_on_everybody_but_some(arn: str, expected: str) -> None:
    """Row A59: an explicit Deny with ArnNotEquals on aws:PrincipalArn hits all it does not name."""
    assert ask(policy(only(USER, ROOT)), arn) == expected


def test_a_session_is_compared_by_its_role() -> None:
    """E22: aws:PrincipalArn of a session is the role's ARN, never the session's."""
    assert ask(policy(only(ROLE)), SESSION) == "nothing"
    assert ask(policy(only(SESSION)), SESSION) == "denied"


def test_a_role_with_a_path_is_meant_by_its_name() -> None:
    """The session's ARN has no path: without iam:GetRole any path must do (SSO roles have one)."""
    session = read_principal(SESSION)
    document = policy(only(*policy_arns(session)))
    for path in ("", "/aws-reserved/sso.amazonaws.com/eu-west-1", "/a"):
        role = f"arn:aws:iam::123456789012:role{path}/admin"
        context = context_of(session, secure=True, role_arn=role)
        request = Request(session, "s3:GetObject", "arn:aws:s3:::b/key", context)
        assert judge(document, request) == "nothing", role
    other = "arn:aws:iam::123456789012:role/a/not-admin"
    context = context_of(session, secure=True, role_arn=other)
    request = Request(session, "s3:GetObject", "arn:aws:s3:::b/key", context)
    assert judge(document, request) == "denied"


@pytest.mark.parametrize(
    ("arn", "kind", "name"),
    [
        (USER, "user", "alice"),
        ("arn:aws:iam::123456789012:user/division/team/alice", "user", "alice"),
        (ROLE, "role", "admin"),
        (SESSION, "assumed-role", "admin"),
        (ROOT, "root", "root"),
        ("arn:aws:sts::123456789012:federated-user/carol", "federated-user", "carol"),
        ("arn:aws-cn:iam::123456789012:user/alice", "user", "alice"),
        ("arn:aws:iam:::user/tester", "user", "tester"),
        ("AIDACKCEVSQ6C2EXAMPLE", "unknown", "AIDACKCEVSQ6C2EXAMPLE"),
    ],
)
def test_arns_of_callers(arn: str, kind: str, name: str) -> None:
    """Row A57: what sts:GetCallerIdentity answers for users, roles, sessions and root."""
    principal = read_principal(arn)
    assert (principal.kind, principal.name) == (kind, name)


def test_an_allow_takes_nothing_from_anybody() -> None:
    """E20: with one Allow for alice, bob is not denied; identity policies decide as before."""
    document = policy(statement("Allow", Principal={"AWS": USER}))
    assert ask(document, USER) == "allowed"
    assert ask(document, "arn:aws:iam::123456789012:user/bob") == "nothing"


def test_an_explicit_deny_beats_an_allow() -> None:
    """AWS, policy evaluation logic: "An explicit deny overrides an explicit allow"."""
    document = policy(statement("Allow"), statement("Deny", Action="s3:GetObject"))
    assert ask(document, USER) == "denied"
    assert ask(document, USER, "s3:PutObject") == "allowed"


def test_the_account_in_a_principal_means_everybody_in_it() -> None:
    """AWS, Principal element: an account number and its root's ARN are the same."""
    for named in ("123456789012", ROOT):
        document = policy(statement("Deny", Principal={"AWS": named}))
        assert ask(document, USER) == "denied"
        assert ask(document, "arn:aws:iam::999999999999:user/x") == "nothing"


def test_not_action_and_not_resource() -> None:
    """NotAction with Deny leaves only the named actions (AWS, NotAction element)."""
    fields = statement()
    del fields["Action"]
    document = policy(fields | {"NotAction": ["s3:PutBucketPolicy"]})
    assert ask(document, USER, "s3:putbucketpolicy") == "nothing"
    assert ask(document, USER, "s3:GetObject") == "denied"
    fields = statement()
    del fields["Resource"]
    document = policy(fields | {"NotResource": "arn:aws:s3:::b/key"})
    assert ask(document, USER) == "nothing"


@pytest.mark.parametrize(
    ("operator", "key", "values", "found", "expected"),
    [
        ("StringEquals", "k", ["a", "b"], ("b",), True),
        ("StringEquals", "k", ["A"], ("a",), False),
        ("StringEqualsIgnoreCase", "k", ["A"], ("a",), True),
        ("StringNotEquals", "k", ["a", "b"], ("c",), True),
        ("StringNotEquals", "k", ["a", "b"], ("b",), False),
        ("StringLike", "k", ["dep*"], ("department",), True),
        ("StringNotLike", "k", ["dep?"], ("dept",), False),
        ("ArnLike", "k", ["arn:aws:iam::*:role/a*"], ("arn:aws:iam::1:role/abc",), True),
        ("ArnEquals", "k", ["arn:aws:iam::*:role/a*"], ("arn:aws:iam::1:role/abc",), True),
        # Each part by itself: a star does not cross a colon.
        ("ArnLike", "k", ["arn:aws:*:role/a"], ("arn:aws:iam::1:role/a",), False),
        ("Bool", "k", ["true"], ("true",), True),
        ("Bool", "k", ["true"], ("false",), False),
        ("IpAddress", "k", ["203.0.113.0/24"], ("203.0.113.9",), True),
        ("NotIpAddress", "k", ["203.0.113.0/24"], ("203.0.113.9",), False),
        ("IpAddress", "k", ["2001:db8::/32"], ("2001:db8::1",), True),
        ("NumericLessThanEquals", "k", ["10"], ("10",), True),
        ("NumericGreaterThan", "k", ["10"], ("10",), False),
        ("DateGreaterThan", "k", ["2026-01-01T00:00:00Z"], ("2026-06-01T00:00:00Z",), True),
        ("DateLessThan", "k", ["1767225600"], ("2025-12-31T00:00:00Z",), True),
        ("Null", "k", ["true"], (), True),
        ("Null", "k", ["false"], (), False),
        ("Null", "k", ["false"], ("x",), True),
        # "If the key is not present, the condition is false", true for negated operators.
        ("StringEquals", "k", ["a"], (), False),
        ("StringNotEquals", "k", ["a"], (), True),
        ("ArnNotEquals", "k", ["arn:aws:iam::1:root"], (), True),
        ("Bool", "k", ["false"], (), False),
        ("BoolIfExists", "k", ["false"], (), True),
        ("StringEqualsIfExists", "k", ["a"], ("b",), False),
        # "ForAllValues also returns true if there are no keys"; ForAnyValue returns false.
        ("ForAllValues:StringEquals", "k", ["a", "b"], ("a",), True),
        ("ForAllValues:StringEquals", "k", ["a", "b"], ("a", "c"), False),
        ("ForAllValues:StringEquals", "k", ["a"], (), True),
        ("ForAnyValue:StringEquals", "k", ["a"], ("a", "c"), True),
        ("ForAnyValue:StringEquals", "k", ["a"], (), False),
        ("ForAllValues:StringNotEquals", "k", ["a"], ("a", "b"), False),
        # What is not known is not guessed.
        ("StringEquals", "other", ["a"], ("a",), None),
        ("StringSortOf", "k", ["a"], ("a",), None),
    ],
)
def test_operators_do_what_the_user_guide_says(
    operator: str, key: str, values: list[str], found: tuple[str, ...], expected: bool | None
) -> None:
    """IAM user guide, "Condition operators" and "Single-valued vs. multivalued context keys"."""
    assert holds(Condition(operator, key, frozenset(values)), {"k": found}) is expected


def test_a_deny_that_depends_on_the_network_cannot_be_told() -> None:
    """An unknown key gives neither yes nor no."""
    away = statement(Condition={"NotIpAddress": {"aws:SourceIp": "203.0.113.0/24"}})
    assert ask(policy(away), USER) == "perhaps-denied"
    assert ask(policy(away), USER, aws__sourceip=("203.0.113.7",)) == "nothing"
    assert ask(policy(away), USER, aws__sourceip=("198.51.100.7",)) == "denied"
    # Every condition of a statement must hold: one that does not settles it.
    both = {"NotIpAddress": {"aws:SourceIp": "203.0.113.0/24"}} | {
        "ArnNotEquals": {"aws:PrincipalArn": USER}
    }
    assert ask(policy(statement(Condition=both)), USER) == "nothing"


def test_policy_variables() -> None:
    """IAM user guide, "Variables and tags": a user's own folder."""
    home = statement(
        "Allow", Resource="*", Condition={"StringLike": {"s3:prefix": "${aws:username}/*"}}
    )
    assert ask(policy(home), USER, s3__prefix=("alice/x",)) == "allowed"
    assert ask(policy(home), USER, s3__prefix=("bob/x",)) == "nothing"


def test_services_are_told_apart() -> None:
    """BoolIfExists on aws:PrincipalIsAWSService spares services, and nobody else."""
    spared = only(USER)
    spared["Condition"]["BoolIfExists"] = {"aws:PrincipalIsAWSService": "false"}
    nobody = Principal("", "unknown", "aws", "", "")
    base = context_of(nobody, secure=True) | {"aws:principalarn": ()}
    request = Request(nobody, "s3:PutObject", "arn:aws:s3:::b/key", base)
    service = Request(
        nobody,
        "s3:PutObject",
        "arn:aws:s3:::b/key",
        base | {"aws:principalisawsservice": ("true",)},
    )
    assert judge(policy(spared), request) == "denied"
    assert judge(policy(spared), service) == "nothing"
    assert judge(policy(only(USER)), service) == "denied"
