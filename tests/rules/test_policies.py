"""Policies compared, made, merged, checked, and told to people."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from s3plan.errors import PlanningError
from s3plan.rules.policies.checks import MAX_BYTES, faults
from s3plan.rules.policies.difference import policy_changes
from s3plan.rules.policies.document import read_policy, same_policy
from s3plan.rules.policies.exposure import is_public
from s3plan.rules.policies.known import known_actions
from s3plan.rules.policies.making import (
    ALLOW_ONLY,
    POLICY_ACTIONS,
    allow_only,
    merged,
    resources,
    tls_only,
)
from s3plan.rules.policies.meaning import Caller, access_changes, answer_for, lockout, sentences
from s3plan.rules.policies.principals import policy_arns, read_principal

ACCOUNT = "123456789012"
USER = read_principal(f"arn:aws:iam::{ACCOUNT}:user/alice")
ROOT = read_principal(f"arn:aws:iam::{ACCOUNT}:root")
ROLE = read_principal(f"arn:aws:iam::{ACCOUNT}:role/admin")
SESSION = read_principal(f"arn:aws:sts::{ACCOUNT}:assumed-role/admin/laptop")


def document(*statements: dict[str, Any]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def restricted(*arns: str, deny_policy_actions: bool = False, services: bool = True) -> Any:
    return document(
        allow_only("secret", arns, USER, services=services, deny_policy_actions=deny_policy_actions)
    )


def locked(before: Any, after: Any, caller: Caller) -> tuple[str, tuple[str, ...]]:
    found = lockout(
        before and read_policy(before, "x"), after and read_policy(after, "x"), "secret", caller
    )
    return found.who, found.denied


ALLOW = {
    "Sid": "AllowOnlyMeFullAccess",
    "Effect": "Allow",
    "Principal": {"AWS": USER.arn},
    "Action": "s3:*",
    "Resource": ["arn:aws:s3:::secret", "arn:aws:s3:::secret/*"],
}


@pytest.mark.parametrize(
    "variant",
    [
        {"Action": ["s3:*"]},
        {"Action": "S3:*"},
        {"Resource": ["arn:aws:s3:::secret/*", "arn:aws:s3:::secret"]},
        {"Principal": {"AWS": [USER.arn]}},
    ],
)
def test_what_iam_reads_alike_is_equal(variant: dict[str, Any]) -> None:
    """Equal documents are No changes: single values and lists, order, case of actions."""
    assert same_policy(document(ALLOW), document(ALLOW | variant))
    assert policy_changes(document(ALLOW), document(ALLOW | variant)) == ()


@pytest.mark.parametrize(
    "variant",
    [
        {"Action": "s3:Get*"},
        {"Effect": "Deny"},
        {"Resource": "arn:aws:s3:::secret"},
        {"Condition": {"Bool": {"aws:SecureTransport": True}}},
        {"Sid": "Other"},
    ],
)
def test_what_iam_reads_otherwise_is_not_equal(variant: dict[str, Any]) -> None:
    """A difference that matters is never taken for none."""
    assert not same_policy(document(ALLOW), document(ALLOW | variant))
    assert policy_changes(document(ALLOW), document(ALLOW | variant))


def test_more_that_iam_reads_alike() -> None:
    """Order of statements, account numbers, booleans, case of condition keys, everybody."""
    other = ALLOW | {"Sid": "B"}
    assert same_policy(document(ALLOW, other), document(other, ALLOW))
    assert same_policy(document(ALLOW), {"Version": "2012-10-17", "Statement": ALLOW})
    assert same_policy(
        document(ALLOW | {"Principal": {"AWS": ACCOUNT}}),
        document(ALLOW | {"Principal": {"AWS": ROOT.arn}}),
    )
    assert same_policy(
        document(ALLOW | {"Principal": "*"}), document(ALLOW | {"Principal": {"AWS": "*"}})
    )
    assert same_policy(
        document(ALLOW | {"Condition": {"Bool": {"aws:SecureTransport": True}}}),
        document(ALLOW | {"Condition": {"Bool": {"AWS:SecureTransport": ["true"]}}}),
    )
    assert not same_policy(None, document(ALLOW))
    assert same_policy(None, None)


_TEXTS = st.lists(st.sampled_from(["s3:GetObject", "s3:PutObject", "s3:List*"]), min_size=1)


@given(actions=_TEXTS, data=st.data())
def test_order_and_repetition_never_count(actions: list[str], data: st.DataObject) -> None:
    """Any order of any list, and an entry twice, is the same policy with no difference."""
    shuffled = data.draw(st.permutations([*actions, actions[0]]))
    one, other = document(ALLOW | {"Action": actions}), document(ALLOW | {"Action": shuffled})
    assert same_policy(one, other)
    assert policy_changes(one, other) == ()


@pytest.mark.parametrize(
    "wrong",
    [
        [],
        {"Statement": []},
        document({"Effect": "allow"}),
        document(ALLOW | {"NotAction": "s3:*"}),
        document(ALLOW | {"Principal": "alice"}),
        document(ALLOW | {"Condition": []}),
        document(ALLOW | {"Action": [["s3:*"]]}),
        document("Allow"),  # type: ignore[arg-type]
    ],
)
def test_what_is_no_policy_is_refused_with_its_place(wrong: Any) -> None:
    """Nothing is read into a document that IAM would refuse."""
    with pytest.raises(PlanningError) as caught:
        read_policy(wrong, "secret_policy.json")
    assert (caught.value.address or "").startswith("secret_policy.json")


def test_the_difference_names_what_changes_in_a_statement() -> None:
    """Old against new, per statement, values that moved and nothing else."""
    old = document(ALLOW | {"Action": ["s3:GetObject", "s3:PutObject"]}, ALLOW | {"Sid": "Gone"})
    new = document(
        ALLOW
        | {
            "Action": ["s3:PutObject", "s3:DeleteObject"],
            "Condition": {"Bool": {"aws:SecureTransport": "true"}},
        },
        ALLOW | {"Sid": "New", "Effect": "Deny"},
    )
    changed, gone, made = policy_changes(old, new)
    assert (changed.name, changed.change) == ("AllowOnlyMeFullAccess", "changed")
    assert set(changed.lines) == {
        "- Action: s3:GetObject",
        "+ Action: s3:DeleteObject",
        "+ Condition Bool aws:securetransport: true",
    }
    assert (gone.name, gone.change) == ("Gone", "removed")
    assert (made.name, made.change) == ("New", "added")
    assert "+ Effect: Deny" in made.lines


def test_others_statements_are_kept_by_their_sid() -> None:
    """E21, row A59: what others put there stays, in its place; ours are replaced, or removed."""
    theirs, nameless = ALLOW | {"Sid": "Theirs"}, {k: v for k, v in ALLOW.items() if k != "Sid"}
    ours = allow_only("secret", [ROLE.arn], USER, services=True, deny_policy_actions=False)
    before = document(theirs, ours, nameless) | {"Id": "kept"}
    wanted = allow_only("secret", [USER.arn], USER, services=True, deny_policy_actions=False)
    after = merged(before, [wanted], keep_others=True)
    assert after == document(theirs, nameless, wanted) | {"Id": "kept"}
    assert merged(before, [wanted], keep_others=False) == document(wanted)
    assert merged(document(ours), [], keep_others=True) is None
    assert merged(None, [wanted], keep_others=True) == document(wanted)


def test_only_the_named_ones_are_not_denied() -> None:
    """Row A59 and E20: the compiled statement denies, it does not merely allow."""
    statement = restricted(USER.arn)["Statement"][0]
    assert statement["Effect"] == "Deny"
    assert statement["Condition"]["ArnNotEquals"]["aws:PrincipalArn"] == sorted(
        [USER.arn, ROOT.arn]
    )
    assert statement["NotAction"] == list(POLICY_ACTIONS)
    assert (
        list(faults(read_policy(restricted(USER.arn), "x"), restricted(USER.arn), "secret")) == []
    )
    told = list(
        sentences(
            access_changes(None, read_policy(restricted(USER.arn), "x"), "secret", Caller(USER))
        )
    )
    assert told == [
        f"loses access: everybody else in account {ACCOUNT} (list, read, write, delete)"
    ]


def test_services_lose_access_unless_they_are_spared() -> None:
    """``services: true`` keeps log delivery and replication going (s3-facts, f)."""
    without = read_policy(restricted(USER.arn, services=False), "x")
    told = " ".join(sentences(access_changes(None, without, "secret", Caller(USER))))
    assert "AWS services" in told


def test_who_gains_is_told() -> None:
    """A policy that goes away gives back what it denied; a public one lets strangers in."""
    open_to_all = document(ALLOW | {"Sid": "Public", "Principal": "*", "Action": "s3:GetObject"})
    told = list(
        sentences(
            access_changes(
                read_policy(restricted(USER.arn), "x"),
                read_policy(open_to_all, "x"),
                "secret",
                Caller(USER),
            )
        )
    )
    assert f"gains access: everybody else in account {ACCOUNT} (list, read, write, delete)" in told
    assert "gains access: everybody in other accounts (read)" in told
    assert "gains access: anonymous callers (read)" in told


@pytest.mark.parametrize("caller", [USER, ROLE, SESSION], ids=["user", "role", "assumed-role"])
def test_locking_oneself_out_is_seen(caller: Any) -> None:
    """Hazard 21: a policy that denies the caller is a lock-out, whoever the caller is."""
    others = f"arn:aws:iam::{ACCOUNT}:user/bob"
    who, denied = locked(None, restricted(others), Caller(caller))
    assert who == "caller"
    assert denied == ("s3:ListBucket", "s3:GetObject", "s3:PutObject", "s3:DeleteObject")
    assert locked(None, restricted(*policy_arns(caller)), Caller(caller))[0] == "nobody"


def test_root_is_never_locked_out_by_allow_only() -> None:
    """The account's root is always exempt."""
    assert locked(None, restricted(USER.arn, deny_policy_actions=True), Caller(ROOT))[0] == "nobody"


def test_denying_the_policy_actions_locks_out_harder() -> None:
    """With the policy's own actions denied the caller could not even take it back."""
    other = f"arn:aws:iam::{ACCOUNT}:user/bob"
    who, denied = locked(None, restricted(other, deny_policy_actions=True), Caller(USER))
    assert who == "caller"
    assert set(POLICY_ACTIONS) <= set(denied)


def test_nobody_left_to_change_the_policy_is_the_worst() -> None:
    """Hazard 21: a Deny on s3:PutBucketPolicy to everybody leaves only the root user."""
    nobody = document(ALLOW | {"Effect": "Deny", "Principal": "*", "Action": list(POLICY_ACTIONS)})
    assert locked(None, nobody, Caller(USER)) == ("everyone", ("s3:PutBucketPolicy", *_other_two()))
    only_root = restricted(deny_policy_actions=True)
    assert locked(None, only_root, Caller(USER))[0] == "everyone"


_NAMES = st.from_regex(r"(user|role)/[a-z]{1,8}", fullmatch=True)


@given(
    spared=st.lists(_NAMES, min_size=1, max_size=4, unique=True),
    other=_NAMES,
    use=st.sampled_from(["s3:GetObject", "s3:ListBucket", "s3:PutObject", "s3:PutBucketPolicy"]),
    deny_policy_actions=st.booleans(),
)
def test_allow_only_denies_exactly_the_others(
    spared: list[str], other: str, use: str, deny_policy_actions: bool
) -> None:
    """Who is named never is denied; who is not always is, but for the policy's own actions."""
    arns = [f"arn:aws:iam::{ACCOUNT}:{name}" for name in spared]
    after = read_policy(restricted(*arns, deny_policy_actions=deny_policy_actions), "x")
    objects = use.endswith("Object")
    for name in [*spared, other]:
        who = Caller(read_principal(f"arn:aws:iam::{ACCOUNT}:{name}"))
        answer = answer_for(after, who, "secret", use, objects=objects)
        named = name in spared or (use in POLICY_ACTIONS and not deny_policy_actions)
        assert answer == ("nothing" if named else "denied")


def _other_two() -> tuple[str, ...]:
    return tuple(action for action in POLICY_ACTIONS if action != "s3:PutBucketPolicy")


def test_a_lockout_that_cannot_be_told_counts_where_nothing_could_be_put_back() -> None:
    """A Deny by network address: reading is only uncertain, changing the policy is refused."""
    away = {"NotIpAddress": {"aws:SourceIp": "203.0.113.0/24"}}
    everything = document(ALLOW | {"Effect": "Deny", "Principal": "*", "Condition": away})
    assert locked(None, everything, Caller(USER))[0] != "nobody"
    reading = document(
        ALLOW | {"Effect": "Deny", "Principal": "*", "Condition": away, "Action": "s3:GetObject"}
    )
    found = lockout(None, read_policy(reading, "x"), "secret", Caller(USER))
    assert (found.who, found.perhaps) == ("nobody", ("s3:GetObject",))


def test_what_was_denied_before_is_not_the_change_s_doing() -> None:
    """Whoever never could read loses nothing; but the policy's own actions always count."""
    others = f"arn:aws:iam::{ACCOUNT}:user/bob"
    before = restricted(others)
    assert locked(before, restricted(others, f"{others}2"), Caller(USER))[0] == "nobody"


def test_a_role_s_path_that_nobody_told_is_not_guessed() -> None:
    """A policy that names the role with a path may or may not mean the caller's."""
    after = restricted(f"arn:aws:iam::{ACCOUNT}:role/team/admin", deny_policy_actions=True)
    assert locked(None, after, Caller(SESSION))[0] != "nobody"
    known = Caller(SESSION, role_arn=f"arn:aws:iam::{ACCOUNT}:role/team/admin")
    assert locked(None, after, known)[0] == "nobody"


def test_tls_only_locks_out_who_does_not_speak_it() -> None:
    """``tlsOnly`` over a plain http endpoint denies the caller too."""
    after = document(tls_only("secret", "aws"))
    assert locked(None, after, Caller(USER, secure=False))[0] != "nobody"
    assert locked(None, after, Caller(USER, secure=True))[0] == "nobody"


BLOCKED = dict.fromkeys(
    ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets"), True
)


@pytest.mark.parametrize(
    ("condition", "public"),
    [
        (None, True),
        ({"IpAddress": {"aws:SourceIp": "203.0.113.0/24"}}, False),
        ({"IpAddress": {"aws:SourceIp": "0.0.0.0/0"}}, True),
        ({"IpAddress": {"aws:SourceIp": "0.0.0.0/1"}}, True),
        ({"StringEquals": {"aws:SourceVpc": "vpc-91237329"}}, False),
        ({"StringLike": {"aws:SourceVpc": "vpc-*"}}, True),
        ({"StringEquals": {"aws:PrincipalOrgID": "o-a1b2c3"}}, False),
        ({"ArnLike": {"aws:SourceArn": "arn:aws:s3:::*"}}, True),
        ({"StringEquals": {"aws:Referer": "https://example.com"}}, True),
        ({"StringLike": {"aws:userid": "AROAEXAMPLE:*"}}, False),
    ],
)
def test_public_as_s3_defines_it(condition: dict[str, Any] | None, public: bool) -> None:
    """S3 user guide, "The meaning of public": examples and keys from there."""
    statement = ALLOW | {"Principal": "*"} | ({"Condition": condition} if condition else {})
    assert is_public(document(statement), None) is public
    assert is_public(document(statement), BLOCKED) is False


def test_more_on_what_is_public() -> None:
    """Fixed principals, denials and blocks are not; an ACL for everybody is."""
    assert is_public(document(ALLOW), None) is False
    assert is_public(document(ALLOW | {"Effect": "Deny", "Principal": "*"}), None) is False
    assert is_public(None, None) is False
    uri = "http://acs.amazonaws.com/groups/global/AllUsers"
    acl = {"Grants": [{"Grantee": {"Type": "Group", "URI": uri}, "Permission": "READ"}]}
    assert is_public(None, None, acl) is True
    assert is_public(None, BLOCKED, acl) is False


def told(statement: dict[str, Any]) -> list[str]:
    found = document(statement)
    return [
        f"{fault.what}; {fault.next_step}"
        for fault in faults(read_policy(found, "x"), found, "secret")
    ]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"Action": "s3:HeadObject"}, "HeadObject needs s3:GetObject, and s3:ListBucket"),
        ({"Action": "s3:PutBucketLifecycleConfiguration"}, "s3:PutLifecycleConfiguration"),
        ({"Action": "s3:GetObjct"}, "did you mean s3:GetObject?"),
        ({"Action": "ec2:RunInstances"}, "is no action of S3"),
        ({"Resource": "arn:aws:s3:::other/*"}, "is not in this bucket"),
        ({"Resource": "secret/*"}, "is no ARN of S3"),
        ({"Condition": {"StringEqual": {"s3:prefix": "a"}}}, "did you mean StringEquals?"),
        (
            {"Condition": {"Bool": {"aws:SecureTransprt": "true"}}},
            "did you mean aws:securetransport?",
        ),
        ({"Condition": {"StringEquals": {"s3:prefx": "a"}}}, "did you mean s3:prefix?"),
        ({"Sid": "with space"}, "a Sid is made of letters and digits"),
        ({"Principal": None}, "needs a Principal"),
    ],
)
def test_what_nobody_knows_is_said_with_the_right_name(change: dict[str, Any], words: str) -> None:
    """E6 among others: names of the API that are no IAM actions, and misspelt ones."""
    statement = {k: v for k, v in (ALLOW | change).items() if v is not None}
    assert any(words in line for line in told(statement)), told(statement)


def test_what_is_right_has_no_faults() -> None:
    """Tags in keys, wildcards, providers' keys, the bucket by a wildcard."""
    statement = ALLOW | {
        "Action": ["s3:Get*", "s3:ListBucket"],
        "Resource": ["arn:aws:s3:::secret*", "*"],
        "Condition": {
            "StringEquals": {"s3:ExistingObjectTag/kind": "x", "aws:PrincipalTag/team": "y"},
            "StringLike": {"saml:sub": "z"},
        },
    }
    assert told(statement) == []
    assert told(tls_only("secret", "aws")) == []


def test_twenty_kilobytes_are_the_limit() -> None:
    """S3 refuses more; a plan says so before."""
    assert len(known_actions()) > 100
    arns = [f"arn:aws:s3:::secret/{number:0100}" for number in range(200)]
    assert any(f"S3 takes {MAX_BYTES:,}" in line for line in told(ALLOW | {"Resource": arns}))


def test_statements_of_both_partitions() -> None:
    """China's and GovCloud's ARNs differ in their partition."""
    caller = read_principal("arn:aws-cn:iam::123456789012:user/alice")
    statement = allow_only("b", [caller.arn], caller, services=True, deny_policy_actions=False)
    assert statement["Sid"] == ALLOW_ONLY
    assert (
        statement["Resource"]
        == resources("b", "aws-cn")
        == ["arn:aws-cn:s3:::b", "arn:aws-cn:s3:::b/*"]
    )
