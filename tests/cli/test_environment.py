"""C30: what containers and cron say through the environment, and what is refused."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from s3plan.cli import main
from s3plan.cli.environment import Unattended, unattended
from s3plan.errors import UsageError
from s3plan.model.worklist import Entry
from tests.cli.fake_api import FakeApi


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeApi:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("getpass.getuser", lambda: "ann")
    fake = FakeApi()
    monkeypatch.setitem(sys.modules, "s3plan.api", fake.module())
    monkeypatch.setattr("s3plan.api", fake.module(), raising=False)
    return fake


def _planned(api: FakeApi, *given: str) -> dict[str, Any]:
    assert main(["plan", "m.yaml", *given]) == 0
    name, values = api.calls.pop()
    assert name == "plan"
    return values


@pytest.mark.parametrize("prefix", ["S3PLAN", "MIGRATE"])
def test_both_names_of_each_variable(prefix: str) -> None:
    given = {
        f"{prefix}_BUCKET": "data",
        f"{prefix}_KEY": "o/a",
        f"{prefix}_DRY_RUN": "true",
        f"{prefix}_CONCURRENCY": "8",
    }
    said = unattended(given)
    assert (said.bucket, said.key, said.is_dry, said.objects) == ("data", "o/a", True, 8)
    assert said.notes == ("S3PLAN_BUCKET and S3PLAN_KEY name one object: s3://data/o/a",)


def test_empty_is_not_set() -> None:
    names = ("BUCKET", "KEY", "DRY_RUN", "CONCURRENCY")
    assert unattended({f"S3PLAN_{name}": "" for name in names}) == Unattended()
    assert unattended({}) == Unattended()
    both = {"S3PLAN_BUCKET": "data", "MIGRATE_BUCKET": "data", "MIGRATE_DRY_RUN": "false"}
    assert unattended(both).bucket == "data"


@pytest.mark.parametrize(
    ("given", "what"),
    [
        ({"S3PLAN_KEY": "a"}, "a key alone names no object"),
        ({"S3PLAN_BUCKET": "a", "MIGRATE_BUCKET": "b"}, "say different things"),
        ({"S3PLAN_DRY_RUN": "ture"}, "true or false"),
        ({"MIGRATE_CONCURRENCY": "0"}, "a number of objects"),
        ({"MIGRATE_CONCURRENCY": "many"}, "a number of objects"),
        ({"MIGRATE_CONCURRENCY": "²"}, "a number of objects"),
    ],
)
def test_what_says_nothing_sensible_is_refused(given: dict[str, str], what: str) -> None:
    """A word that is misspelt must not change anything."""
    with pytest.raises(UsageError) as caught:
        unattended(given)
    assert what in str(caught.value)


def test_plan_is_for_what_is_named(api: FakeApi, monkeypatch: pytest.MonkeyPatch) -> None:
    """C12, C13: a bucket, or one object; what is typed comes first."""
    monkeypatch.setenv("S3PLAN_BUCKET", "data")
    monkeypatch.setenv("S3PLAN_CONCURRENCY", "2")
    planned = _planned(api)
    assert (planned["only"], planned["worklist"], planned["objects"]) == (("bucket=data",), None, 2)
    assert _planned(api, "--only", "bucket=x")["only"] == ("bucket=x",)
    monkeypatch.setenv("S3PLAN_KEY", "o/a")
    planned = _planned(api)
    assert (planned["only"], planned["worklist"]) == (
        (),
        ["s3://data/o/a", Entry("data", "o/a")],
    )
    Path("items").write_text("b|k\n")
    assert _planned(api, "--items", "items")["worklist"] == ["items", Entry("b", "k")]


def test_a_dry_run_shows_and_changes_nothing(
    api: FakeApi, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """C22: whatever was approved."""
    monkeypatch.setenv("S3PLAN_DRY_RUN", "true")
    assert main(["apply", "--approve"]) == 0
    assert [name for name, _ in api.calls] == ["show"]
    out = capsys.readouterr().out
    assert "Plan: " in out
    assert "Dry run (S3PLAN_DRY_RUN): nothing was changed." in out
    assert main(["rollback", "journal.json", "--approve"]) == 0
    assert [name for name, _ in api.calls] == ["show", "rollback_plan"]
    assert "nothing was changed" in capsys.readouterr().out
    monkeypatch.setenv("S3PLAN_DRY_RUN", "perhaps")
    assert main(["apply", "--approve"]) == 64
    assert [name for name, _ in api.calls] == ["show", "rollback_plan"]
