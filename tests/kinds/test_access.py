"""BucketAccess, planned from data: what a manifest makes of the documents that are there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from s3plan.errors import ManifestError, ProblemsError
from s3plan.kinds import load, plan_all
from s3plan.model.capabilities import CAPABILITIES_FORMAT, Capabilities, Capability
from s3plan.model.steps import Configure, Step
from s3plan.rules.policies.making import ALLOW_ONLY
from s3plan.tables import Database
from tests.kinds.planned import manifest, observe, plan

ACCOUNT = "123456789012"
USER = f"arn:aws:iam::{ACCOUNT}:user/alice"
ROOT = f"arn:aws:iam::{ACCOUNT}:root"
SESSION = f"arn:aws:sts::{ACCOUNT}:assumed-role/admin/laptop"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/team/admin"

ONLY_ME = "buckets: {include: [secret]}\nallowOnly: {principals: [current]}"

THEIRS = {
    "Sid": "Theirs",
    "Effect": "Allow",
    "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:role/reader"},
    "Action": "s3:GetObject",
    "Resource": "arn:aws:s3:::secret/*",
}


def policy(*statements: dict[str, Any]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def bucket(**configuration: Any) -> dict[str, Any]:
    return {"configuration": {name.replace("_", "-"): one for name, one in configuration.items()}}


def steps(tmp_path: Path, spec: str, *, caller: str = USER, **inventory: Any) -> list[Step]:
    """The steps of one manifest; by default for a bucket without any document."""
    looked = {"buckets": {"secret": bucket()}, "caller": caller} | inventory
    return list(plan(tmp_path, manifest(tmp_path, spec, "BucketAccess"), looked).file.steps)


def refused(tmp_path: Path, spec: str, **inventory: Any) -> str:
    """Everything that keeps the manifest from being planned, as one text."""
    with pytest.raises(ProblemsError) as caught:
        steps(tmp_path, spec, **inventory)
    return "\n".join(str(problem) for problem in caught.value.problems)


def action(step: Step) -> Configure:
    assert isinstance(step.action, Configure)
    return step.action


def spared(step: Step) -> list[str]:
    """Whom the statement of allowOnly spares."""
    (statement,) = [s for s in action(step).after["Statement"] if s["Sid"] == ALLOW_ONLY]
    return list(statement["Condition"]["ArnNotEquals"]["aws:PrincipalArn"])


def test_only_me(tmp_path: Path) -> None:
    """Rows A57 and A59: current is resolved when planning, and the plan shows the ARN."""
    (step,) = steps(tmp_path, ONLY_ME)
    assert step.subject == "secret"
    assert (action(step).document, action(step).before) == ("policy", None)
    assert action(step).probe == ("list", "get", "document")
    assert spared(step) == sorted([USER, ROOT])
    assert step.meaning == (
        f"loses access: everybody else in account {ACCOUNT} (list, read, write, delete)",
        "public before: no; after: no",
    )
    assert step.reversibility == "free"


@pytest.mark.parametrize(
    ("caller", "role", "arns"),
    [
        (USER, None, [USER]),
        (ROOT, None, []),
        (SESSION, ROLE, [ROLE]),
        (
            SESSION,
            None,
            [f"arn:aws:iam::{ACCOUNT}:role/admin", f"arn:aws:iam::{ACCOUNT}:role/*/admin"],
        ),
    ],
    ids=["user", "root", "assumed-role", "assumed-role-of-unknown-path"],
)
def test_current_is_whoever_plans(
    tmp_path: Path, caller: str, role: str | None, arns: list[str]
) -> None:
    """E22: by sts, and a session counts as its role."""
    (step,) = steps(tmp_path, ONLY_ME, caller=caller, role=role)
    assert spared(step) == sorted({ROOT, *arns})
    about_paths = any("iam:GetRole was not answered" in warning for warning in step.warnings)
    assert about_paths is (caller == SESSION and role is None)


def test_principals_in_every_form(tmp_path: Path) -> None:
    """Names of this account, ARNs, sessions, and people for emergencies."""
    spec = (
        "buckets: {include: [secret]}\nallowOnly:\n"
        f"  principals: [current, user/bob, role/backup, '{SESSION}']\n"
        "  breakGlass: ['arn:aws:iam::999999999999:role/rescue']"
    )
    (step,) = steps(tmp_path, spec)
    assert set(spared(step)) == {
        ROOT,
        USER,
        f"arn:aws:iam::{ACCOUNT}:user/bob",
        f"arn:aws:iam::{ACCOUNT}:role/backup",
        f"arn:aws:iam::{ACCOUNT}:role/admin",
        f"arn:aws:iam::{ACCOUNT}:role/*/admin",
        "arn:aws:iam::999999999999:role/rescue",
    }


def test_who_is_of_another_account_needs_an_allow_besides(tmp_path: Path) -> None:
    """Across accounts sparing somebody grants nothing."""
    stranger = "arn:aws:iam::999999999999:role/partner"
    spec = f"buckets: {{include: [secret]}}\nallowOnly: {{principals: [current, '{stranger}']}}"
    (step,) = steps(tmp_path, spec)
    assert [warning for warning in step.warnings if stranger in warning]
    assert not [warning for warning in step.warnings if USER in warning]


@pytest.mark.parametrize(
    "name", ["group/devs", "alice", f"arn:aws:iam::{ACCOUNT}:group/devs", ACCOUNT]
)
def test_what_is_no_principal_is_refused(tmp_path: Path, name: str) -> None:
    """A name that would never match anybody would deny them."""
    spec = f"buckets: {{include: [secret]}}\nallowOnly: {{principals: [current, '{name}']}}"
    assert f"{name} is no user, role or session" in refused(tmp_path, spec)


def test_planned_again_it_is_no_change(tmp_path: Path) -> None:
    """Equal documents are No changes, whatever the order S3 gives them back in."""
    (step,) = steps(tmp_path, ONLY_ME)
    (statement,) = action(step).after["Statement"]
    arns = statement["Condition"]["ArnNotEquals"]["aws:PrincipalArn"]
    back = statement | {
        "Principal": {"AWS": "*"},
        "NotAction": statement["NotAction"][::-1],
        "Condition": statement["Condition"] | {"ArnNotEquals": {"aws:PrincipalArn": arns[::-1]}},
    }
    there = {"secret": bucket(policy=policy(back))}
    assert steps(tmp_path, ONLY_ME, buckets=there) == []


def test_others_statements_stay(tmp_path: Path) -> None:
    """E21: the old policy is in the plan, and what others put there stays unless it is to go."""
    there = {"secret": bucket(policy=policy(THEIRS))}
    (kept,) = steps(tmp_path, ONLY_ME, buckets=there)
    assert action(kept).before == policy(THEIRS)
    assert [one["Sid"] for one in action(kept).after["Statement"]] == ["Theirs", ALLOW_ONLY]
    (alone,) = steps(tmp_path, f"{ONLY_ME}\nmerge: replace", buckets=there)
    assert [one["Sid"] for one in action(alone).after["Statement"]] == [ALLOW_ONLY]


def test_tls_only_comes_and_goes(tmp_path: Path) -> None:
    """``tlsOnly: false`` removes the statement again, and the policy when nothing is left."""
    spec = "buckets: {include: [secret]}\ntlsOnly: true"
    (step,) = steps(tmp_path, spec)
    there = {"secret": bucket(policy=action(step).after)}
    assert steps(tmp_path, spec, buckets=there) == []
    (gone,) = steps(tmp_path, spec.replace("true", "false"), buckets=there)
    assert action(gone).after is None
    assert "lock you out" in refused(tmp_path, spec, secure=False)


@pytest.mark.parametrize("caller", [USER, SESSION], ids=["user", "assumed-role"])
def test_locking_oneself_out_is_refused(tmp_path: Path, caller: str) -> None:
    """Hazard 21: a plan that denies its own caller is none, unless that is said."""
    spec = "buckets: {include: [secret]}\nallowOnly: {principals: [user/bob]}"
    text = refused(tmp_path, spec, caller=caller)
    assert "the policy would lock you out" in text
    assert "allowLockout: you" in text
    (step,) = steps(tmp_path, f"{spec}\nallowLockout: you", caller=caller)
    assert action(step).probe == ("document",)
    assert any(warning.startswith("You lose s3:ListBucket") for warning in step.warnings)


def test_root_is_never_locked_out(tmp_path: Path) -> None:
    """The account's root user may plan what denies everybody else."""
    spec = "buckets: {include: [secret]}\nallowOnly: {principals: [user/bob]}"
    (step,) = steps(tmp_path, spec, caller=ROOT)
    assert step.warnings == ()


def test_leaving_nobody_to_mend_it_needs_more_than_that(tmp_path: Path) -> None:
    """Hazard 21: a Deny on s3:PutBucketPolicy to everybody can only be undone by root."""
    denied = THEIRS | {"Effect": "Deny", "Principal": "*", "Action": "s3:*"}
    (tmp_path / "p.json").write_text(
        json.dumps(policy(denied | {"Resource": ["arn:aws:s3:::secret", "arn:aws:s3:::secret/*"]}))
    )
    spec = "buckets: {include: [secret]}\npolicy: {from: p.json}"
    assert "nobody but the account's root user" in refused(tmp_path, spec)
    assert "nobody but the account's root user" in refused(tmp_path, f"{spec}\nallowLockout: you")
    (step,) = steps(tmp_path, f"{spec}\nallowLockout: everyone")
    assert step.reversibility == "never"
    assert action(step).probe == ()


def test_conditions_that_nobody_enforces_are_not_relied_upon(tmp_path: Path) -> None:
    """Where the probe saw that ArnNotEquals denies nobody, or everybody, allowOnly is refused."""
    found = Capability("policy-condition", "ignored", "a Deny with ArnNotEquals denies nobody")
    known = Capabilities(CAPABILITIES_FORMAT, "e", "r", "s3://s/p", "t", "0", (found,))
    text = refused(tmp_path, ONLY_ME, capabilities=known)
    assert "does not enforce conditions" in text
    assert "denies nobody" in text


def test_an_endpoint_that_does_not_tell_who_asks(tmp_path: Path) -> None:
    """Without sts there is no current, and no root to spare."""
    looked: dict[str, Any] = {"buckets": {"secret": bucket()}}
    with pytest.raises(ProblemsError) as caught:
        plan(tmp_path, manifest(tmp_path, ONLY_ME, "BucketAccess"), looked)
    assert "does not tell who you are" in str(caught.value.problems[0])


def test_what_may_not_be_read_is_not_replaced(tmp_path: Path) -> None:
    """Row D40: the action that is missing is named, and the command that prints the policy."""
    there = {"secret": bucket() | {"unreadable": ("policy",)}}
    text = refused(tmp_path, ONLY_ME, buckets=there)
    assert "s3:GetBucketPolicy" in text
    assert "s3plan iam" in text


def test_a_bucket_that_is_not_there(tmp_path: Path) -> None:
    """Row D39: name, region and credentials are the three things to check."""
    text = refused(tmp_path, ONLY_ME, buckets={})
    assert "there is no such bucket" in text
    assert "its name, the region and the credentials" in text


def test_all_buckets_in_one_plan(tmp_path: Path) -> None:
    """Rows A54 and A55: by name, by glob, all of them; each is a step of its own."""
    there = {name: bucket() for name in ("a", "b", "logs")}
    spec = "buckets: {include: ['*'], exclude: [logs]}\nallowOnly: {principals: [current]}"
    assert [step.subject for step in steps(tmp_path, spec, buckets=there)] == ["a", "b"]


def test_what_protects_comes_before_the_policy(tmp_path: Path) -> None:
    """Everything that is said, in the order in which nothing is open in between."""
    spec = (
        f"{ONLY_ME}\npublicAccess: blocked\nownership: enforced\n"
        "encryption: {algorithm: 'aws:kms', kmsKey: alias/mine, bucketKey: true}"
    )
    found = steps(tmp_path, spec)
    assert [action(step).document for step in found] == [
        "public-access-block",
        "ownership",
        "encryption",
        "policy",
    ]
    there = {
        "secret": bucket(**{action(step).document: action(step).after for step in found}),
    }
    assert steps(tmp_path, spec, buckets=there) == []


def test_defaults_are_no_changes(tmp_path: Path) -> None:
    """S3 encrypts with AES256 anyway; saying so changes nothing."""
    spec = "buckets: {include: [secret]}\nencryption: {algorithm: AES256}"
    assert steps(tmp_path, spec) == []


def test_a_public_policy_behind_a_block_is_refused(tmp_path: Path) -> None:
    """S3 would refuse it at apply; a plan says so, and which statement."""
    there = {"secret": bucket(policy=policy(THEIRS | {"Principal": "*"}))}
    text = refused(tmp_path, f"{ONLY_ME}\npublicAccess: blocked", buckets=there)
    assert "blocks public policies" in text
    assert "Theirs" in text


def test_policy_files_by_their_names(tmp_path: Path) -> None:
    """Rows A61, A63 and A64: every file to its bucket; what is left over is listed."""
    folder = tmp_path / "policies"
    folder.mkdir()
    for name in ("secret", "gone"):
        text = json.dumps(policy(THEIRS)).replace("secret", name)
        (folder / f"{name}_policy.json").write_text(text)
    (folder / "notes.json").write_text("{}")
    path = manifest(
        tmp_path, "buckets: {include: ['*']}\npolicy: {from: policies/*.json}", "BucketAccess"
    )
    loaded = load([path], variables={}, environ={})
    looked = {"buckets": {"secret": bucket(), "other": bucket()}, "caller": USER}
    with Database(tmp_path / "scratch") as database:
        observed = observe(loaded, database, looked)
        (draft,) = plan_all(loaded, observed)
    assert draft.subject == "secret"
    assert isinstance(draft.action, Configure)
    assert draft.action.after == policy(THEIRS)
    assert observed.notes == [
        "gone_policy.json is not used: no bucket gone is planned for",
        "notes.json is not used: its name is not BUCKET_policy.json",
        "bucket other stays as it is: there is no other_policy.json",
    ]
    named = "buckets: {include: [other]}\npolicy: {from: policies/*.json}"
    assert "has no policy file" in refused(tmp_path, named, buckets={"other": bucket()})


def test_a_policy_file_is_taken_as_it_is(tmp_path: Path) -> None:
    """``replace`` is usual with policy.from; keepOthers keeps what others put there."""
    (tmp_path / "p.json").write_text(json.dumps(policy(THEIRS | {"Sid": "Mine"}) | {"Id": "x"}))
    spec = "buckets: {include: [secret]}\npolicy: {from: p.json}"
    there = {"secret": bucket(policy=policy(THEIRS))}
    (whole,) = steps(tmp_path, spec, buckets=there)
    assert action(whole).after == policy(THEIRS | {"Sid": "Mine"}) | {"Id": "x"}
    (both,) = steps(tmp_path, f"{spec}\nmerge: keepOthers", buckets=there)
    assert [one["Sid"] for one in action(both).after["Statement"]] == ["Theirs", "Mine"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "is not JSON"),
        ("[]", "a policy is a JSON object"),
        (None, "cannot be read"),
        (json.dumps(policy(THEIRS | {"Action": "s3:HeadObject"})), "HeadObject needs s3:GetObject"),
        (json.dumps(policy(THEIRS | {"Resource": "arn:aws:s3:::other/*"})), "not in this bucket"),
        (
            json.dumps(policy(THEIRS | {"Resource": ["arn:aws:s3:::secret/" + "x" * 21_000]})),
            "20,480",
        ),
    ],
)
def test_a_policy_file_that_is_not_right(tmp_path: Path, text: str | None, words: str) -> None:
    """Everything is said before anything is written, with the file's name where it is the file."""
    if text is not None:
        (tmp_path / "p.json").write_text(text)
    assert words in refused(tmp_path, "buckets: {include: [secret]}\npolicy: {from: p.json}")


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("buckets: {include: [secret]}", "say at least one of"),
        (f"{ONLY_ME}\npolicy: {{from: x}}", "it excludes allowOnly and tlsOnly"),
        (
            "buckets: {include: [s]}\nencryption: {algorithm: AES256, bucketKey: true}",
            "for aws:kms",
        ),
        ("buckets: {include: [s]}\nallowOnly: {principals: []}", "at least one entry"),
        ("buckets: {include: [s]}\npolicy: {form: x}", "there is no field spec.policy.form"),
    ],
)
def test_manifests_that_contradict_themselves(tmp_path: Path, spec: str, words: str) -> None:
    """Said at their place in the file, before S3 is asked."""
    with pytest.raises(ProblemsError) as caught:
        load([manifest(tmp_path, spec, "BucketAccess")], variables={}, environ={})
    problems = caught.value.problems
    assert any(words in f"{problem.what} {problem.expected}" for problem in problems)
    for problem in problems:
        assert isinstance(problem, ManifestError)
        assert (problem.address or "").startswith(str(tmp_path / "manifest.yaml:"))
