"""Commands: what they ask the library, what they print where, and how they end."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from s3plan.cli import main
from s3plan.engine.livefiles import Outlets
from s3plan.errors import LockedError, ManifestError, ProblemsError, StaleError
from s3plan.model.connection import Connection
from s3plan.model.cost import ChargeLine, Cost, Dollars, PlanCost
from s3plan.model.worklist import Entry
from tests.cli.fake_api import Approval, FakeApi
from tests.views import samples

DIGEST = samples.DIGEST
SHORT = DIGEST[: len("sha256:") + 12]


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeApi:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("getpass.getuser", lambda: "ann")
    fake = FakeApi()
    # Put back afterwards, whether or not the library was imported before.
    monkeypatch.setitem(sys.modules, "s3plan.api", fake.module())
    monkeypatch.setattr("s3plan.api", fake.module(), raising=False)
    return fake


def asked(api: FakeApi, name: str) -> dict[str, Any]:
    [values] = [values for called, values in api.calls if called == name]
    return values


def approval(api: FakeApi, name: str = "apply") -> Approval:
    found = asked(api, name)["approval"]
    assert isinstance(found, Approval)
    return found


# --- plan, show, validate ---------------------------------------------------------------------


def test_plan_asks_for_what_was_given(api: FakeApi) -> None:
    Path("local.yaml").write_text("BUCKET: a\nVERSION: 1.10\n")
    given = ["plan", "a.yaml", "b.yaml", "-o", "p.json.zst", "--only", "bucket=x", "--exclude"]
    given += ["key=y", "--var-file", "local.yaml", "--var", "BUCKET=b", "--var", "X=1=2"]
    assert main(given) == 0
    assert asked(api, "plan") == {
        "manifests": (Path("a.yaml"), Path("b.yaml")),
        "out": Path("p.json.zst"),
        "variables": {"BUCKET": "b", "VERSION": "1.10", "X": "1=2"},
        "only": ("bucket=x",),
        "exclude": ("key=y",),
        "limit_groups": None,
        "sessions": ((), None, False),
        "objects": None,
        "worklist": None,
    }


def test_plan_is_for_what_is_named(api: FakeApi, monkeypatch: pytest.MonkeyPatch) -> None:
    """C14, C41: a file, standard input, or what failed in an earlier run."""
    Path("items").write_text("data|o/1\n")
    assert main(["plan", "m.yaml", "--items", "items"]) == 0
    assert api.calls.pop()[1]["worklist"] == ["items", Entry("data", "o/1")]
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b'["data|o/2"]')))
    assert main(["plan", "m.yaml", "--items", "-"]) == 0
    assert api.calls.pop()[1]["worklist"] == ["standard input", Entry("data", "o/2")]
    assert main(["plan", "m.yaml", "--from-journal", "j", "--failed"]) == 0
    assert api.calls.pop()[1]["worklist"] == ["j True"]


@pytest.mark.parametrize(
    "given", [["--failed"], ["--items", "-", "--from-journal", "journal.json"]]
)
def test_plan_is_for_one_worklist(api: FakeApi, given: list[str]) -> None:
    assert main(["plan", "m.yaml", *given]) == 64
    assert not api.calls


def test_plan_ends_with_its_totals_and_the_exact_next_command(
    api: FakeApi, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["plan", "m.yaml"]) == 0
    out = capsys.readouterr().out.splitlines()
    assert sum(line.startswith("Plan: ") for line in out) == 1
    assert out[-1] == f"To run exactly this plan: s3plan apply --approve {SHORT}"


def test_no_changes_is_exactly_that(api: FakeApi, capsys: pytest.CaptureFixture[str]) -> None:
    api.changes = False
    assert main(["plan", "m.yaml", "--detailed-exitcode"]) == 0
    assert capsys.readouterr().out == "No changes.\n"


def test_detailed_exitcode_tells_changes(api: FakeApi) -> None:
    assert main(["plan", "m.yaml", "--detailed-exitcode"]) == 2


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("- a\n", "bad.yaml"),
        ("a: {b: c}\n", "bad.yaml"),
        ("a: [\n", "bad.yaml:2:1"),
        (None, "bad.yaml"),
    ],
)
def test_a_bad_variable_file_is_named(
    api: FakeApi, capsys: pytest.CaptureFixture[str], text: str | None, place: str
) -> None:
    if text is not None:
        Path("bad.yaml").write_text(text)
    assert main(["plan", "m.yaml", "--var-file", "bad.yaml"]) == 1
    err = capsys.readouterr().err
    assert "error[manifest]" in err
    assert f"  at: {place}" in err
    assert not api.calls


def test_validate_lists_every_problem(api: FakeApi, capsys: pytest.CaptureFixture[str]) -> None:
    problems = [ManifestError("one", address="m.yaml:1:1"), ManifestError("two")]
    api.raises = ProblemsError("2 problems", problems)
    assert main(["validate", "m.yaml"]) == 1
    err = capsys.readouterr().err
    assert "error[manifest]: one" in err
    assert "error[manifest]: two" in err


def test_validate_names_what_is_valid(api: FakeApi, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["validate", "m.yaml"]) == 0
    assert capsys.readouterr().out == "valid: manifest.yaml: BucketEvacuation photos\n"


def test_show_as_markdown(api: FakeApi, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", "p.json", "--markdown", "--commit", "0123abcd"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("<!-- s3plan {")
    assert '"commit":"0123abcd"' in out
    assert out.endswith(f"s3plan apply p.json --approve {SHORT}\n```\n")


@pytest.mark.parametrize(
    "given",
    [
        ["--markdown", "--step", "s1"],
        ["--markdown", "--commit", "<b>"],
        ["--markdown", "--budget", "10"],
    ],
)
def test_show_refuses_what_makes_no_sense(api: FakeApi, given: list[str]) -> None:
    assert main(["show", *given]) == 64
    assert not api.calls


def test_cost_of_a_plan_without_prices_is_unknown(
    api: FakeApi, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["cost", "p.json"]) == 0
    assert capsys.readouterr().out.startswith("Cost: unknown.")
    assert main(["cost", "p.json", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"type": "cost", "cost": None, "months": []}


def test_cost_prints_the_months(api: FakeApi, capsys: pytest.CaptureFixture[str]) -> None:
    """D43: what a plan costs, month by month."""
    api.cost = PlanCost(
        Cost(
            Dollars(0, 9),
            Dollars(-2, -1),
            (ChargeLine("egress", "STANDARD", Dollars(0, 9)),),
            (ChargeLine("storage", "STANDARD", Dollars(-2, -1)),),
        ),
        {},
        "us-east-1",
        "2026-11-20",
        "a list",
    )
    assert main(["cost", "--months", "2"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["egress", "STANDARD", "$0.00", "to", "$9.00"] in lines
    assert ["1", "-$2.00", "to", "$8.00", "-$2.00", "to", "$8.00"] in lines
    assert ["2", "-$2.00", "to", "-$1.00", "-$4.00", "to", "$7.00"] in lines
    assert main(["cost", "--months", "2", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["months"][1] == {
        "month": 2,
        "difference": {"low": -2.0, "high": -1.0},
        "total": {"low": -4.0, "high": 7.0},
    }


def test_prices_by_class_are_the_library_s(
    api: FakeApi, capsys: pytest.CaptureFixture[str]
) -> None:
    """D35: a table of classes and their prices."""
    assert main(["cost", "--classes", "--region", "eu-central-1"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["DEEP_ARCHIVE", "$0.0018", "$0.06", "$0.00043", "$0", "180"] in lines
    assert ["GLACIER", "Standard", "$0.012", "$0.05-0.06", "5", "h"] in lines
    assert main(["cost", "--prices", "p.yaml"]) == 64


def test_show_prints_what_plan_printed(api: FakeApi, capsys: pytest.CaptureFixture[str]) -> None:
    main(["plan", "m.yaml", "--progress", "none"])
    planned = capsys.readouterr()
    assert main(["show"]) == 0
    assert capsys.readouterr().out == planned.out
    assert planned.err == ""


def test_show_lists_the_items_of_a_step(api: FakeApi, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", "--step", "download-1a2b3c4d"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 1 + len(samples.ITEMS)
    assert main(["show", "--step", "nothing"]) == 1
    assert "no step nothing" in capsys.readouterr().err


# --- apply ------------------------------------------------------------------------------------


def test_approve_without_a_value_approves_whatever_the_plan_says(api: FakeApi) -> None:
    assert main(["apply", "--approve"]) == 0
    assert asked(api, "apply")["plan"] == Path("plan.json")
    assert approval(api) == Approval("ann", None, {})


def test_approve_with_a_path_takes_it_as_the_plan(api: FakeApi) -> None:
    assert main(["apply", "--approve", "other.json"]) == 0
    assert asked(api, "apply")["plan"] == Path("other.json")
    assert approval(api).digest is None


@pytest.mark.parametrize("given", [["p.json", "--approve", SHORT], ["--approve", SHORT, "p.json"]])
def test_approve_with_a_digest_approves_only_that(api: FakeApi, given: list[str]) -> None:
    assert main(["apply", *given]) == 0
    assert asked(api, "apply")["plan"] == Path("p.json")
    assert approval(api).digest == SHORT


@pytest.mark.parametrize(
    "given",
    [
        ["--approve", "sha256:12ab"],
        ["--approve", "sha256:not-hexadecimal"],
        ["a.json", "--approve", "b.json"],
        ["--approve", "--approve-delete", "no-evidence"],
        ["--approve", "--approve-delete", "@e"],
        ["--approve", "--approve-loss", "no-evidence"],
        ["--approve", "--approve-delete", "b@1", "--approve-delete", "b@2"],
    ],
)
def test_an_approval_that_cannot_be_meant_is_refused(api: FakeApi, given: list[str]) -> None:
    assert main(["apply", *given]) == 64
    assert not api.calls


def test_deletions_are_split_at_the_last_at_sign(api: FakeApi) -> None:
    given = ["--approve-delete", "a@b@sha256:1", "--approve-delete", "c@sha256:2"]
    assert main(["apply", "--approve", *given]) == 0
    assert approval(api).deletes == {"a@b": "sha256:1", "c": "sha256:2"}


def test_a_loss_is_approved_by_an_option_of_its_own(api: FakeApi) -> None:
    given = ["--approve-delete", "b@sha256:1", "--approve-loss", "c@sha256:2"]
    assert main(["apply", "--approve", *given]) == 0
    assert approval(api).deletes == {"b": "sha256:1"}
    assert approval(api).losses == {"c": "sha256:2"}


def test_a_replacement_is_approved_by_an_option_of_its_own(api: FakeApi) -> None:
    given = ["--approve-replace", "b/raw/one.tar@sha256:1"]
    assert main(["apply", "--approve", *given]) == 0
    assert approval(api).replacements == {"b/raw/one.tar": "sha256:1"}


def test_without_a_terminal_a_missing_approval_prints_the_command(
    api: FakeApi, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["apply", "other plan.json"]) == 4
    err = capsys.readouterr().err
    assert "error[held]" in err
    assert f"s3plan apply 'other plan.json' --approve {SHORT}" in err
    assert [name for name, _ in api.calls] == ["show"]


@pytest.mark.parametrize("place", [["-", "--approve"], ["--approve", "-"]])
def test_a_plan_can_come_from_standard_input(
    api: FakeApi, monkeypatch: pytest.MonkeyPatch, place: list[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"\x28\xb5\x2f\xfd...")))
    assert main(["apply", *place]) == 0
    assert api.plan_bytes == b"\x28\xb5\x2f\xfd..."
    path = asked(api, "apply")["plan"]
    assert path.name == "plan.json.zst"
    assert not path.exists()


def test_the_end_of_the_run_is_the_exit_code(
    api: FakeApi, capsys: pytest.CaptureFixture[str]
) -> None:
    api.finished = samples.INCOMPLETE
    assert main(["apply", "--approve"]) == 3
    out = capsys.readouterr().out
    assert out.startswith("Run 20261120-042311-3f2a91bc: incomplete\n")
    assert "... and 14 more" in out


def test_the_log_file_reaches_the_library(api: FakeApi) -> None:
    main(["apply", "--approve", "--log-file", "run.jsonl"])
    assert asked(api, "apply")["log"] == Path("run.jsonl")


def test_a_log_file_that_nothing_would_write_is_refused(api: FakeApi) -> None:
    assert main(["--log-file", "run.jsonl", "status"]) == 64
    assert not api.calls


# --- status, rollback, journal ----------------------------------------------------------------


def test_status_takes_the_latest_journal_unless_named(api: FakeApi) -> None:
    assert main(["status"]) == 0
    assert main(["status", "j.json"]) == 0
    assert [values["journal"] for _, values in api.calls] == [None, Path("j.json")]


def test_rollback_without_approval_shows_what_it_would_do(
    api: FakeApi, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["rollback", "journal.json"]) == 0
    out = capsys.readouterr().out.splitlines()
    assert not any("s3plan show" in line for line in out), "there is no plan file yet"
    assert out[-1].endswith(f"s3plan rollback journal.json --approve {SHORT}")
    assert [name for name, _ in api.calls] == ["rollback_plan"]


def test_nothing_to_roll_back_is_no_error(api: FakeApi, capsys: pytest.CaptureFixture[str]) -> None:
    api.changes = False
    assert main(["rollback", "journal.json"]) == 0
    assert main(["rollback", "journal.json", "--approve"]) == 0
    assert capsys.readouterr().out == "Nothing to take back.\n" * 2


@pytest.mark.parametrize("given", [["journal.json", "--approve"], ["--approve", "journal.json"]])
def test_rollback_with_approval_runs(api: FakeApi, given: list[str]) -> None:
    api.finished = msgspec.structs.replace(samples.DONE, outcome="kept", exit_code=7)
    assert main(["rollback", *given]) == 7
    assert asked(api, "rollback")["journal"] == Path("journal.json")
    assert approval(api, "rollback") == Approval("ann", None, {})
    assert asked(api, "rollback")["runner"] == "local", "whomever the project file names"


def test_a_rollback_by_workers_is_asked_for(api: FakeApi) -> None:
    given = ["rollback", "journal.json", "--approve", "--runner", "dask", "--scheduler", "local:2"]
    assert main(given) == 0
    said = asked(api, "rollback")
    assert (said["runner"], said["scheduler"]) == ("dask", "local:2")


def test_rollback_needs_a_journal(api: FakeApi) -> None:
    assert main(["rollback", "--approve"]) == 64


def test_the_journal_is_put_aside_only_with_approval(
    api: FakeApi, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["journal", "reset"]) == 4
    assert "s3plan journal reset --approve" in capsys.readouterr().err
    assert not api.calls
    assert main(["journal", "reset", "--approve"]) == 0
    assert capsys.readouterr().out == "The journal is now .s3plan/archive/journal-1\n"


# --- init -------------------------------------------------------------------------------------


def test_init_writes_a_start_and_never_overwrites(
    api: FakeApi, capsys: pytest.CaptureFixture[str]
) -> None:
    Path(".gitignore").write_text("mine\n")
    assert main(["init"]) == 0
    out = capsys.readouterr().out
    assert "wrote manifest.yaml" in out
    assert "kept .gitignore" in out
    assert "s3plan plan manifest.yaml --var-file local.yaml" in out
    assert Path(".gitignore").read_text() == "mine\n"
    Path("manifest.yaml").write_text("edited")
    assert main(["init"]) == 0
    assert Path("manifest.yaml").read_text() == "edited"


# --- JSON -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        (["plan", "m.yaml"], "plan"),
        (["show"], "plan"),
        (["validate", "m.yaml"], "valid"),
        (["rollback", "journal.json"], "plan"),
        (["journal", "reset", "--approve"], "journal-reset"),
        (["init"], "init"),
    ],
)
@pytest.mark.parametrize("first", [True, False])
def test_json_is_one_document(
    api: FakeApi,
    capsysbinary: pytest.CaptureFixture[bytes],
    given: list[str],
    kind: str,
    first: bool,
) -> None:
    assert main(["--json", *given] if first else [*given, "--json"]) == 0
    captured = capsysbinary.readouterr()
    assert json.loads(captured.out)["type"] == kind
    assert captured.err == b""


def test_a_run_in_json_is_lines_that_end_with_the_run(
    api: FakeApi, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    assert main(["apply", "--approve", "--json"]) == 0
    records = [json.loads(line) for line in capsysbinary.readouterr().out.splitlines()]
    kinds = [record["type"] for record in records]
    assert kinds == ["step-began", "progress", "step-finished", "gate", "run-finished"]
    assert asked(api, "apply")["asks"] is False


def test_items_in_json_are_lines(api: FakeApi, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    assert main(["show", "--json", "--step", "download-1a2b3c4d"]) == 0
    keys = [json.loads(line)["key"] for line in capsysbinary.readouterr().out.splitlines()]
    assert keys == [item.key for item in samples.ITEMS]


@pytest.mark.parametrize(
    ("given", "code", "exit_code"),
    [
        (["status", "--json"], "locked", 6),
        (["plan", "--json"], "usage", 64),
        (["status", "--json", "--wrong"], "usage", 64),
    ],
)
def test_errors_in_json_are_on_standard_output(
    api: FakeApi,
    capsysbinary: pytest.CaptureFixture[bytes],
    given: list[str],
    code: str,
    exit_code: int,
) -> None:
    api.raises = LockedError("another run holds the lock")
    assert main(given) == exit_code
    record = json.loads(capsysbinary.readouterr().out)
    assert (record["type"], record["code"], record["exit_code"]) == ("error", code, exit_code)


# --- errors -----------------------------------------------------------------------------------


def test_an_error_ends_with_its_exit_code_and_no_traceback(
    api: FakeApi, capsys: pytest.CaptureFixture[str]
) -> None:
    api.raises = StaleError("the plan is consumed", next_step="plan again")
    assert main(["apply", "--approve"]) == 5
    captured = capsys.readouterr()
    assert captured.err == "error[stale]: the plan is consumed\n  next: plan again\n"
    assert captured.out == ""


def test_a_mistake_of_ours_is_one_line_unless_debugged(
    api: FakeApi, capsys: pytest.CaptureFixture[str]
) -> None:
    api.raises = KeyError("oops\x1b[2J")
    assert main(["status"]) == 1
    err = capsys.readouterr().err
    assert err.startswith("error[internal]: KeyError: ")
    assert "--debug" in err
    assert "Traceback" not in err
    assert "\x1b" not in err
    assert main(["--debug", "status"]) == 1
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize("error", [EOFError("cut"), OSError(5, "I/O error")])
def test_foreign_errors_are_not_taken_for_aborts(
    api: FakeApi, capsys: pytest.CaptureFixture[str], error: Exception
) -> None:
    api.raises = error
    assert main(["status"]) == 1
    assert "error[internal]" in capsys.readouterr().err


def test_ctrl_c_outside_a_run_is_130(api: FakeApi) -> None:
    api.raises = KeyboardInterrupt()
    assert main(["status"]) == 130


@pytest.mark.parametrize(
    "given", [["nonsense"], ["plan"], ["apply", "--nonsense"], ["schema"], ["journal", "x"], []]
)
def test_a_wrong_command_line_is_64(
    api: FakeApi, capsys: pytest.CaptureFixture[str], given: list[str]
) -> None:
    assert main(given) == 64
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err


# --- demo, schema -----------------------------------------------------------------------------


def test_demo_tells_its_lines_and_hands_on_the_connection(
    api: FakeApi, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import s3plan.demo

    seen: list[Any] = []

    def run(connection: Any, tell: Callable[[str], None]) -> None:
        seen.append(connection)
        tell("$ s3plan plan")

    monkeypatch.setattr(s3plan.demo, "run", run)
    Path("mine.yaml").write_text("kind: Connection")
    assert main(["demo"]) == 0
    assert main(["demo", "--connection", "mine.yaml"]) == 0
    assert capsys.readouterr().out == "$ s3plan plan\n" * 2
    assert seen == [None, (Connection(name="mine"), "kind: Connection")]


def test_schema_prints_the_schema_of_a_kind(
    api: FakeApi, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["schema", "BucketEvacuation"]) == 0
    assert json.loads(capsys.readouterr().out)["title"] == "BucketEvacuation"
    assert main(["schema", "Nonsense"]) == 64
    listed = capsys.readouterr().err
    assert "bucketevacuation" in listed
    assert "connection" in listed


def test_what_init_writes_is_valid(api: FakeApi) -> None:
    from s3plan.cli.variables import read_variables
    from s3plan.kinds import load

    main(["init"])
    values = read_variables((), (Path("local.yaml"),))
    loaded = load([Path("manifest.yaml")], variables=values, environ={})
    assert [ref.kind for ref in loaded.refs] == ["Connection", "BucketEvacuation"]


@pytest.mark.parametrize(
    ("interval", "seconds"), [([], 2.0), (["0"], 0.0), (["1m"], 60.0), (["0.5"], 0.5)]
)
def test_apply_keeps_the_files_that_are_asked_for(
    api: FakeApi, interval: list[str], seconds: float
) -> None:
    """C16, C17, C37."""
    given = ["apply", "--approve", "--snapshot", "s.json", "--metrics-file", "m.prom"]
    given += [part for text in interval for part in ("--snapshot-interval", text)]
    assert main(given) == 0
    assert api.outlets == Outlets(Path("s.json"), seconds, Path("m.prom"))


def test_an_interval_that_is_none(api: FakeApi) -> None:
    assert main(["apply", "--approve", "--snapshot-interval", "often"]) == 64
    assert not api.calls


def test_progress_goes_where_it_is_asked_for(
    api: FakeApi, capsys: pytest.CaptureFixture[str]
) -> None:
    """C19: standard error unless said otherwise; never among JSON."""
    step = "download old-photos"
    assert main(["apply", "--approve", "--progress", "plain"]) == 0
    out, err = capsys.readouterr()
    assert (step in out, step in err) == (False, True)
    assert main(["apply", "--approve", "--progress", "plain", "--progress-output", "stdout"]) == 0
    out, err = capsys.readouterr()
    assert (step in out, step in err) == (True, False)
    assert main(["apply", "--approve", "--json", "--progress-output", "stdout"]) == 64
