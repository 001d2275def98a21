"""Plans that were edited, cut, made for somewhere else or by another version."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import boto3
import pytest

from tests.engine.scene import COPY_ONLY
from tests.tamper.conftest import Desk
from tests.tamper.forge import Record, edit_plan, records


def _lines(path: Path, edit: Callable[[list[Record]], None]) -> None:
    """Edit with a text editor: nothing is sealed again."""
    made = records(path)
    edit(made)
    path.write_text("".join(json.dumps(record, separators=(",", ":")) + "\n" for record in made))


def _first_item(made: list[Record]) -> Record:
    return next(record for record in made if record["type"] == "item")


def _key(made: list[Record]) -> None:
    _first_item(made)["key"] = "another"


def _etag(made: list[Record]) -> None:
    _first_item(made)["etag"] = "0" * 32


def _path(made: list[Record]) -> None:
    _first_item(made)["path"] = "elsewhere"


def _gate(made: list[Record]) -> None:
    next(r for r in made if r["type"] == "step" and r["gate"])["gate"] = None


def _needs(made: list[Record]) -> None:
    next(r for r in made if r["type"] == "step" and r["needs"])["needs"] = []


def _target(made: list[Record]) -> None:
    made[0]["target"]["endpoint"] = "http://127.0.0.1:1"


def _no_item(made: list[Record]) -> None:
    made.remove(_first_item(made))


def _destination(made: list[Record]) -> None:
    made[1]["action"]["destination"] = "/srv"


@pytest.mark.parametrize(
    "edit", [_key, _etag, _path, _gate, _needs, _target, _no_item, _destination]
)
def test_an_edited_plan_is_refused_before_anything(
    desk: Desk, edit: Callable[[list[Record]], None]
) -> None:
    _lines(desk.plan, edit)
    for command in (["show"], ["apply", "--approve"]):
        said = desk.s3plan(*command)
        assert (said.code, said.out) == (1, "")
        assert "error[plan-file]" in said.err
        assert "at: plan.json:" in said.err, "the line is named"
        assert "next: " in said.err


def test_an_edited_plan_that_was_sealed_again_is_not_the_approved_one(desk: Desk) -> None:
    before = json.loads(desk.plan.read_bytes().splitlines()[-1])["digest"]
    after = edit_plan(desk.plan, _etag)
    assert after != before
    said = desk.s3plan("apply", "--approve", before)
    assert said.code == 5
    assert "error[stale]" in said.err
    assert before[:19] in said.err
    assert after in said.err


@pytest.mark.parametrize("path", ["../escaped", "/tmp/escaped", "a/../../escaped", "a\0b", "", "."])
def test_a_sealed_plan_cannot_leave_the_destination(fresh: Desk, tmp_path: Path, path: str) -> None:
    fresh.scene.put("key")
    fresh.scene.manifest(COPY_ONLY)
    assert fresh.s3plan("plan", "manifest.yaml").code == 0
    edit_plan(fresh.plan, lambda made: _first_item(made).update(path=path))
    before = set(tmp_path.rglob("*"))
    said = fresh.s3plan("apply", "--approve")
    assert said.code in {1, 3}, said
    files = [found for found in set(tmp_path.rglob("*")) - before if found.is_file()]
    own = (tmp_path / "home", fresh.directory / ".s3plan", fresh.scene.here / ".s3plan")
    assert [
        found
        for found in files
        if not any(map(found.is_relative_to, own)) and not found.is_symlink()
    ] == []
    assert not Path("/tmp/escaped").exists()


@pytest.mark.parametrize(
    ("name", "value"),
    [("AWS_ENDPOINT_URL", "http://127.0.0.1:1"), ("AWS_DEFAULT_REGION", "eu-central-1")],
)
def test_a_plan_of_another_endpoint_or_region_is_refused_before_the_first_request(
    fresh: Desk, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    fresh.scene.put("key")
    manifest = fresh.scene.manifest(COPY_ONLY)
    # Without a Connection: everything comes from the environment.
    manifest.write_text(manifest.read_text().split("---\n")[1])
    endpoint = fresh.scene.server.endpoint
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    assert fresh.s3plan("plan", "manifest.yaml").code == 0
    monkeypatch.setenv(name, value)
    said = fresh.s3plan("apply", "--approve")
    assert said.code == 5, said
    assert "error[stale]: the plan is for another account, endpoint or region" in said.err
    assert endpoint in said.err, "expected"
    assert value in said.err, "found"
    assert not (fresh.directory / ".s3plan").exists(), "no run was begun"


def test_a_plan_of_another_account_is_refused_before_the_first_request(
    fresh: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    fresh.scene.put("key")
    manifest = fresh.scene.manifest(COPY_ONLY)
    # Only where an account is expected is a custom endpoint asked for one.
    text = manifest.read_text().replace("spec:\n", 'spec:\n  expectAccount: "123456789012"\n', 1)
    manifest.write_text(text)
    planned = fresh.s3plan("plan", "manifest.yaml")
    assert planned.code == 0, planned
    assert "account 123456789012" in planned.out
    sts = boto3.client(
        "sts",
        endpoint_url=fresh.scene.server.endpoint,
        region_name="us-east-1",
        aws_access_key_id=fresh.scene.server.access_key,
        aws_secret_access_key=fresh.scene.server.secret_key,
    )
    role = "arn:aws:iam::111122223333:role/other"
    keys = sts.assume_role(RoleArn=role, RoleSessionName="other")["Credentials"]
    sts.close()
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", keys["AccessKeyId"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", keys["SecretAccessKey"])
    monkeypatch.setenv("AWS_SESSION_TOKEN", keys["SessionToken"])
    said = fresh.s3plan("apply", "--approve")
    assert said.code == 5, said
    assert "account 123456789012" in said.err, "expected"
    assert "account 111122223333" in said.err, "found"
    assert not (fresh.directory / ".s3plan").exists(), "no run was begun"


@pytest.mark.parametrize(
    ("header", "told"),
    [
        ({"format": "s3plan.plan/3", "tool": "9.1"}, "use s3plan 9.1 or newer"),
        ({"format": "s3plan.plan/999", "future": {"a": [1]}}, "s3plan.plan/999"),
        ({"format": "s3plan.plan/"}, "expected: s3plan.plan/1"),
        ({"format": "s3plan.journal/1"}, "this is not a plan file"),
        ({"format": "terraform"}, "this is not a plan file"),
    ],
)
def test_a_format_that_is_not_known_is_refused_by_name(
    desk: Desk, header: Record, told: str
) -> None:
    _lines(desk.plan, lambda made: made[0].update(header))
    for command in (["show"], ["apply", "--approve"]):
        said = desk.s3plan(*command)
        assert said.code == 1
        assert told in said.err, said.err


def test_a_cut_plan_is_refused_wherever_it_was_cut(desk: Desk) -> None:
    whole = desk.plan.read_bytes()
    for length in range(0, len(whole) - 1, 97):
        desk.plan.write_bytes(whole[:length])
        said = desk.s3plan("show")
        assert said.code == 1, length
        assert "error[plan-file]" in said.err


def test_a_damaged_compressed_plan_is_refused(desk: Desk) -> None:
    packed = gzip.compress(desk.plan.read_bytes())
    name = desk.directory / "plan.json.gz"
    for position in range(0, len(packed), 53):
        name.write_bytes(packed[:position] + bytes([packed[position] ^ 4]) + packed[position + 1 :])
        said = desk.s3plan("show", "plan.json.gz")
        # Flips in the header of gzip (its time, its name) change no content.
        assert said.code == 1 or position < 16, position


@pytest.mark.parametrize("suffix", [".zst", ".gz"])
def test_a_compressed_plan_is_applied_and_taken_back(fresh: Desk, suffix: str) -> None:
    """Its run folder holds it as plain text: the name there says nothing of compression."""
    fresh.scene.fill(3)
    fresh.scene.manifest(COPY_ONLY)
    name = f"plan.json{suffix}"
    assert fresh.s3plan("plan", "manifest.yaml", "--out", name).code == 0
    said = fresh.s3plan("apply", name, "--approve")
    assert said.code == 0, said
    assert len(fresh.scene.files()) == 3
    assert fresh.s3plan("status").code == 0
    assert fresh.s3plan("rollback", "journal.json", "--approve").code == 0
    assert fresh.scene.files() == {}
