"""Named commands of the project file: only they run, as they were approved, and all is recorded."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from s3plan import api
from s3plan.engine.commands import _Tail
from s3plan.engine.journal import JournalWriter
from s3plan.errors import (
    IncompleteError,
    JournalError,
    PlanFileError,
    ProblemsError,
    StaleError,
)
from s3plan.kinds.project import read_project
from s3plan.model.events import CommandEnded, Warned
from s3plan.model.journal import CommandRan
from tests.engine.conftest import enter
from tests.engine.scene import Scene, open_scene
from tests.review.inside import s3plan
from tests.secrets.canaries import SECRET_KEY
from tests.servers import Server

MANIFEST = """\
apiVersion: s3plan/v1
kind: Connection
metadata: {{name: default}}
spec: {{endpoint: "{endpoint}", region: {region}}}
---
apiVersion: s3plan/v1
kind: ObjectGrouping
metadata: {{name: by-type}}
{notify}spec:
  source: {{bucket: {bucket}}}
  catalog: {{file: output.csv, columns: {{s3_audio_url: {{type: audio}}}}}}
  tests: {tests}
"""

SHELL = ["sh", "-c"]


class People:
    """One person's file, a table with its old URL, and a project file."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.table = scene.directory / "output.csv"
        scene.put("1/Ann/talk.mp3", b"talk")
        self.url = f"https://{scene.bucket}.s3.amazonaws.com"
        self.table.write_text(f"row_id,s3_audio_url\n1,{self.url}/1/Ann/talk.mp3\n")

    def define(self, **commands: Any) -> None:
        """Write the project file; a list is what runs."""
        spec = {
            name.replace("_", "-"): {"run": command} if isinstance(command, list) else command
            for name, command in commands.items()
        }
        document = {"apiVersion": "s3plan/v1", "kind": "Project", "spec": {"commands": spec}}
        Path("s3plan.yaml").write_text(yaml.safe_dump(document))

    def plan(self, tests: str = "{}", notify: str = "") -> api.PlanResult:
        Path("manifest.yaml").write_text(
            MANIFEST.format(
                endpoint=self.scene.server.endpoint,
                region=self.scene.server.region,
                bucket=self.scene.bucket,
                tests=tests,
                notify=f"notify: {notify}\n" if notify else "",
            )
        )
        return api.plan([Path("manifest.yaml")])

    @property
    def rewritten(self) -> bool:
        return "/audio/1_Ann_talk.mp3" in self.table.read_text()

    def ran(self) -> list[CommandRan]:
        return [record for record in self.scene.journal() if isinstance(record, CommandRan)]


@pytest.fixture
def people(seaweed: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[People]:
    with open_scene(seaweed, tmp_path) as scene:
        enter(scene, monkeypatch)
        yield People(scene)


def test_the_projects_own_tests_hold_the_run_until_they_pass(people: People) -> None:
    """B52: a gate before the table and one after it; exit code and output are in the journal."""
    check = "echo looking at $S3PLAN_CATALOG; grep -c /audio/ $S3PLAN_CATALOG; test -e fixed"
    people.define(
        sources=[*SHELL, 'test "$S3PLAN_STAGE" = copies; echo "$@" $S3PLAN_TARGET', "sh", "a  b"],
        application={"run": [*SHELL, check], "environment": {"MODE": "integration"}},
    )
    made = people.plan("{copies: [sources], catalog: [application]}")
    assert made.plan is not None
    assert [step.verb for step in made.plan.steps] == [
        "backup-file", "copy", "verify-copies", "run-command", "rewrite-file", "run-command",
    ]  # fmt: skip
    held = people.scene.apply()
    assert (held.outcome, held.exit_code) == ("held", 4), held
    assert "the command application did not pass" in held.message
    assert people.rewritten
    first, second = people.ran()
    assert (first.command, first.exit_code, first.ok) == ("sources", 0, True)
    assert first.output == f"a  b s3://{people.scene.bucket}/\n", "no shell split its arguments"
    assert (second.exit_code, second.ok) == (1, False)
    assert second.output == f"looking at {people.table}\n1\n"
    told = [event for event in people.scene.events if isinstance(event, CommandEnded)]
    assert [event.exit_code for event in told] == [0, 1]

    Path("fixed").touch()
    assert people.scene.apply().exit_code == 0
    assert [ran.command for ran in people.ran()] == ["sources", "application", "application"]
    assert api.plan([Path("manifest.yaml")]).plan is None
    with api.query("SELECT name, exit_code, output FROM commands ORDER BY time") as answer:
        assert [row[:2] for row in answer.rows] == [
            ("sources", 0), ("application", 1), ("application", 0),
        ]  # fmt: skip
    with api.query("SELECT output FROM commands", redacted=True) as answer:
        assert set(answer.rows) == {(None,)}
    with api.report("certificate") as certificate:
        (tests,) = (one for one in certificate.sections if one.name == "tests")
        assert [row[:2] for row in tests.rows] == [
            ("sources", 0), ("application", 1), ("application", 0),
        ]  # fmt: skip


def test_a_test_that_fails_keeps_the_table_as_it_is(people: People) -> None:
    people.define(sources=["false"])
    people.plan("{copies: [sources]}")
    assert people.scene.apply().exit_code == 4
    assert not people.rewritten
    undone = people.scene.rollback()
    assert undone is not None
    assert undone.exit_code == 0
    assert people.scene.keys() == ["1/Ann/talk.mp3"]


@pytest.mark.parametrize(
    "changed",
    [
        {"check": ["true", "and", "more"]},
        {"check": {"run": ["true"], "directory": ".."}},
        {"check": {"run": ["true"], "environment": {"A": "b"}}},
        {"other": ["true"]},
    ],
)
def test_a_command_that_is_defined_anew_after_the_plan_never_runs(
    people: People, changed: dict[str, Any]
) -> None:
    people.define(check=["true"])
    people.plan("{copies: [check]}")
    people.define(**changed)
    with pytest.raises(StaleError, match="the command check is not defined as it was") as caught:
        people.scene.apply()
    assert caught.value.exit_code == 5
    assert people.scene.keys() == ["1/Ann/talk.mp3"], "nothing was done"
    assert "not defined as it was" in "".join(api.recheck(Path("plan.json")).reasons)


def test_a_command_that_is_mended_while_it_holds_the_run_is_another_one(people: People) -> None:
    """What passed is not asked for again; the way out is told."""
    people.define(first=["true"], check=["false"])
    people.plan("{copies: [first, check]}")
    assert people.scene.apply().exit_code == 4
    people.define(check=["true"])
    with pytest.raises(StaleError, match="the command check is not") as caught:
        people.scene.apply()
    assert "take the run back" in str(caught.value.next_step)
    people.define(check=["false"])
    assert people.scene.apply().exit_code == 4, "the first one passed, and may be gone"


def test_only_the_project_file_defines_commands(people: People) -> None:
    with pytest.raises(ProblemsError) as caught:
        people.plan("{copies: [check]}")
    assert caught.value.problems[0].what == "there is no command check"
    assert "s3plan.yaml" in str(caught.value.problems[0].next_step)
    people.define(cheque=["true"])
    with pytest.raises(ProblemsError) as caught:
        api.validate([Path("manifest.yaml")])
    assert "cheque" in str(caught.value.problems[0].next_step)
    with pytest.raises(ProblemsError):
        people.plan("{copies: [['sh', '-c', 'true']]}")


def test_what_a_command_is_told_and_nothing_more(
    people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No secret comes to it unasked, and none that it was given comes into the journal."""
    monkeypatch.setenv("API_TOKEN", "token-that-nobody-may-see")
    monkeypatch.setenv("UNNAMED", "stays here")
    people.define(
        check={
            "run": [*SHELL, "env | sort; pwd"],
            "environment": {"MODE": "integration"},
            "inherit": ["API_TOKEN", "AWS_SECRET_ACCESS_KEY", "NOT_THERE"],
            "directory": "inside",
        }
    )
    Path("inside").mkdir()
    people.plan("{copies: [check]}", notify="check")
    assert people.scene.apply().exit_code == 0
    gate, notified = people.ran()
    lines = dict(line.split("=", 1) for line in gate.output.splitlines() if "=" in line)
    assert "UNNAMED" not in lines
    assert "AWS_ACCESS_KEY_ID" not in lines
    assert (lines["API_TOKEN"], lines["AWS_SECRET_ACCESS_KEY"]) == ("***", "***")
    run = people.scene.run()
    assert lines["MODE"] == "integration"
    assert lines["S3PLAN_COMMAND"] == "apply"
    assert lines["S3PLAN_PLAN"] == str(run.plan.absolute())
    assert lines["S3PLAN_JOURNAL"] == str(run.journal.absolute())
    assert lines["S3PLAN_BUCKET"] == people.scene.bucket
    assert lines["S3PLAN_STEP"] == gate.step
    assert gate.output.splitlines()[-1] == str(Path("inside").absolute())
    assert (notified.step, notified.exit_code) == ("", 0)
    assert "S3PLAN_OUTCOME=done\n" in notified.output
    text = run.journal.read_text()
    assert SECRET_KEY not in text
    assert "token-that-nobody-may-see" not in text


def test_what_takes_too_long_is_killed_with_everything_it_started(people: People) -> None:
    people.define(check={"run": [*SHELL, "sleep 60 & echo $!; sleep 60"], "timeout": 0.3})
    people.plan("{copies: [check]}")
    assert people.scene.apply().exit_code == 4
    (ran,) = people.ran()
    assert ran.exit_code == -signal.SIGTERM
    assert "longer than 0.3 s" in ran.problem
    _gone(int(ran.output))


def test_what_cannot_be_started_says_so(people: People) -> None:
    people.define(check=["./no-such-program"])
    people.plan("{copies: [check]}")
    assert people.scene.apply().exit_code == 4
    (ran,) = people.ran()
    assert ran.exit_code is None
    assert "No such file" in ran.problem


def test_what_is_left_running_in_the_background_holds_nothing_up(people: People) -> None:
    people.define(check=[*SHELL, "sleep 30 & echo $!"])
    people.plan("{copies: [check]}")
    began = time.monotonic()
    assert people.scene.apply().exit_code == 0
    assert time.monotonic() - began < 15
    os.kill(int(people.ran()[0].output), signal.SIGKILL)


def test_how_a_run_ended_is_told_and_changes_nothing(people: People) -> None:
    """A notification that fails is recorded; a held run and a rollback are told of too."""
    tell = 'echo "$S3PLAN_COMMAND $S3PLAN_OUTCOME $S3PLAN_EXIT_CODE" | tee -a told; exit 9'
    people.define(check=["test", "-e", "fixed"], tell=[*SHELL, tell])
    people.plan("{copies: [check]}", notify="tell")
    assert people.scene.apply().exit_code == 4
    Path("fixed").touch()
    finished = people.scene.apply()
    assert (finished.outcome, finished.exit_code) == ("done", 0)
    assert people.scene.rollback() is not None
    assert Path("told").read_text().splitlines() == [
        "apply held 4",
        "apply done 0",
        "rollback done 0",
    ]
    assert [ran.exit_code for ran in people.ran() if ran.command == "tell"] == [9, 9]
    warned = [event.message for event in people.scene.events if isinstance(event, Warned)]
    assert sum("tell was not told" in message for message in warned) == 1


def test_a_run_that_cannot_go_on_is_told_of(
    people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the journal is what is lost, and nothing can be recorded any more."""
    tell = 'echo "$S3PLAN_OUTCOME $S3PLAN_EXIT_CODE $S3PLAN_MESSAGE" > told'
    people.define(tell=[*SHELL, tell])
    people.plan(notify="tell")

    async def full(*_: object, **__: object) -> None:
        raise JournalError("the journal cannot be written", found="No space left on device")

    monkeypatch.setattr(JournalWriter, "flush", full)
    with pytest.raises(IncompleteError):
        people.scene.apply()
    assert Path("told").read_text().startswith("incomplete 3 the run stopped: the journal cannot")
    monkeypatch.undo()
    enter(people.scene, monkeypatch)
    assert people.scene.apply().exit_code == 0
    assert Path("told").read_text().startswith("done 0")


def test_a_rollback_goes_on_without_its_command(people: People) -> None:
    people.define(tell=["true"])
    people.plan(notify="tell")
    assert people.scene.apply().exit_code == 0
    Path("s3plan.yaml").write_text("not: [right")
    undone = people.scene.rollback()
    assert undone is not None
    assert undone.exit_code == 0
    assert people.scene.keys() == ["1/Ann/talk.mp3"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_command_that_was_interrupted_runs_again(people: People, number: int) -> None:
    """Invariant 4: after Ctrl-C nothing of it is left; after a kill it runs again."""
    people.define(check=[*SHELL, "echo $$ >> started; test -e fixed || sleep 60"])
    people.plan("{copies: [check]}")
    process = people.scene.start("apply", "--approve")
    deadline = time.monotonic() + 30
    while not (Path("started").exists() and Path("started").read_text().endswith("\n")):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(number)
    assert process.wait(20) == (130 if number == signal.SIGINT else -signal.SIGKILL)
    first = int(Path("started").read_text())
    if number == signal.SIGINT:
        _gone(first)
        (ran,) = people.ran()
        assert "the run stopped" in ran.problem
    else:
        os.killpg(first, signal.SIGKILL)
    Path("fixed").touch()
    assert people.scene.apply().exit_code == 0
    assert len(Path("started").read_text().split()) == 2


def test_every_page_of_a_plan_shows_what_runs(people: People) -> None:
    """All of it, with what it is known by; a name in it can act on no page."""
    people.define(check=["./check.sh", "<b>a|b</b>", "x" * 300], tell=["./tell.sh"])
    made = people.plan("{copies: [check]}", notify="tell")
    assert made.plan is not None
    refs = made.plan.header.notified
    (step,) = (step for step in made.plan.steps if step.verb == "run-command")
    text = s3plan("show").out
    folded = re.sub(r"\s+", "", text)
    assert f"runs./check.sh'<b>a|b</b>'{'x' * 300}" in folded
    assert "notifies./tell.sh" in folded
    assert refs[0].digest[:19] in text
    page = s3plan("show", "--markdown").out
    assert "<b>a" not in page
    assert "x" * 300 in page
    assert "tell.sh" in page
    html = Path("plan.html")
    assert s3plan("show", "--html", str(html)).code == 0
    assert "&lt;b&gt;a|b&lt;/b&gt;" in html.read_text()
    shown = json.loads(s3plan("show", "--json").out)
    assert shown["header"]["notify"][0]["argv"] == ["./tell.sh"]
    assert step.reversibility == "free"


def test_the_page_on_commands_says_what_is_taken(people: People) -> None:
    """Its project file and its manifest are right, and every variable that it names is told."""
    page = (Path(__file__).parents[2] / "docs" / "commands.md").read_text()
    project, manifest = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    Path("s3plan.yaml").write_text(project)
    asked = yaml.safe_load(manifest)
    made = people.plan(json.dumps(asked["spec"]["tests"]), notify=asked["notify"])
    assert made.plan is not None
    assert [ref.name for ref in made.plan.header.notified] == ["tell-the-team"]

    people.define(check=[*SHELL, "env | grep ^S3PLAN_ | grep -v S3PLAN_TEST | cut -d= -f1 | sort"])
    people.plan("{copies: [check]}", notify="check")
    assert people.scene.apply().exit_code == 0
    told = {name for ran in people.ran() for name in ran.output.split()}
    assert told == set(re.findall(r"`(S3PLAN_[A-Z_]+)`", page))


def test_the_digest_of_a_plan_covers_whom_it_notifies(people: People) -> None:
    people.define(tell=["true"])
    without, told = people.plan().plan, people.plan(notify="tell").plan
    assert without is not None
    assert told is not None
    assert without.digest != told.digest
    path = Path("plan.json")
    text = path.read_text()
    for old, new in (('"argv":["true"]', '"argv":["false"]'), ('"name":"tell"', '"name":"sell"')):
        assert text.count(old) == 1
        path.write_text(text.replace(old, new))
        with pytest.raises(PlanFileError):
            api.show(path)


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("{run: []}", "run"),
        ("{run: pytest -q}", "run"),
        ("{run: [pytest], shell: true}", "shell"),
        ("{run: [pytest], timeout: 0}", "timeout"),
        ("{run: [pytest], timeout: 2d}", "timeout"),
        ("{run: [pytest], inherit: ['A-B']}", "inherit"),
        ("{run: [pytest], environment: {'A=B': c}}", "environment"),
    ],
)
def test_a_definition_that_is_not_right_is_refused(tmp_path: Path, spec: str, says: str) -> None:
    (tmp_path / "s3plan.yaml").write_text(
        f"apiVersion: s3plan/v1\nkind: Project\nspec: {{commands: {{check: {spec}}}}}\n"
    )
    with pytest.raises(ProblemsError) as caught:
        read_project(tmp_path)
    assert says in str(caught.value.problems[0])


def test_only_the_end_of_an_output_is_kept_and_no_part_of_a_secret() -> None:
    secret = "0123456789/+secret"
    for shift in range(40):
        tail = _Tail(64)
        tail.hide([secret, "short"])
        for _ in range(50):
            tail.add(f"{secret}short".encode())
        tail.add(b"." * shift)
        text = tail.text()
        assert len(text) <= 64
        assert secret[-6:] not in text.replace("***", "")
        assert "shor" in text or shift > 30
        assert tail.left_out == 50 * (len(secret) + 5) + shift - 64
    tail = _Tail(64)
    tail.hide([secret])
    tail.add(b"0123456789%2F%2Bsecret \xff")
    assert tail.text() == "*** \ufffd"


def _gone(process: int) -> None:
    """Wait until a process is gone; one that init has not collected yet is."""
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        try:
            if Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return
        except FileNotFoundError:
            return
        time.sleep(0.02)
    raise AssertionError(f"process {process} goes on")
