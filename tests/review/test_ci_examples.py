"""The workflows of examples/ci: they parse, and their commands are run as the services run them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from s3plan.errors import UsageError
from s3plan.plan import PlanFile
from s3plan.rules.reviews import approvals_in
from tests.engine.scene import COPY_ONLY, Scene

CI = Path(__file__).parents[2] / "examples" / "ci"
HEAD = "0123456789abcdef0123456789abcdef01234567"

# Stand-ins for what a runner has: they answer from files and write down what they were asked.
_PIP = "#!/bin/sh\nexit 0\n"
_GH = """\
#!/bin/sh
echo "$*" >> gh.log
case "$*" in
  "pr comment "*) cp comment.md posted.md ;;
  *"/pulls --jq"*) echo "7 $HEAD" ;;
  *"/actions/artifacts?"*) test -e artifact.json && echo 99 || true ;;
  "run download "*) cp artifact.json plan.json ;;
  *"/reviews") cat service-reviews.json ;;
  *) echo "unknown: $*" >&2; exit 1 ;;
esac
"""
_CURL = """\
#!/bin/sh
echo "$*" >> curl.log
case "$*" in
  *" -X "*) cp note.json posted.json ;;
  *"/notes?"*) cat notes-there.json ;;
  *"/merge_requests") echo '[{"iid":7,"state":"merged"}]' ;;
  *"/raw/plan.tar?"*) test -e artifact.json && cp artifact.json plan.json && tar -c plan.json ;;
  *"/approvals") cat service-reviews.json ;;
  *) echo "unknown: $*" >&2; exit 1 ;;
esac
"""
_S3PLAN = f'#!/bin/sh\nexec {sys.executable} -m s3plan "$@"\n'


@dataclass
class Runner:
    """A machine of the service, at work in a scene's directory."""

    scene: Scene

    def run(self, script: str, **environ: str) -> subprocess.CompletedProcess[str]:
        bin_folder = self.scene.directory.parent / "runner-bin"
        bin_folder.mkdir(exist_ok=True)
        for name, text in (("pip", _PIP), ("gh", _GH), ("curl", _CURL), ("s3plan", _S3PLAN)):
            (bin_folder / name).write_text(text)
            (bin_folder / name).chmod(0o755)
        values = {
            **self.scene.environ,
            "PATH": f"{bin_folder}:{os.environ['PATH']}",
            "GITHUB_OUTPUT": "output.txt",
            "GITHUB_STEP_SUMMARY": "summary.md",
            "GITHUB_REPOSITORY": "example/archive",
            "HEAD": HEAD,
            **environ,
        }
        return subprocess.run(
            ["bash", "-eo", "pipefail", "-c", script],
            env=values,
            cwd=self.scene.directory,
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture
def runner(scene: Scene) -> Runner:
    scene.fill(2)
    scene.manifest(COPY_ONLY)
    return Runner(scene)


def github(job: str, name: str) -> str:
    workflow = yaml.safe_load((CI / "github-actions.yml").read_text())
    (step,) = (step for step in workflow["jobs"][job]["steps"] if step.get("name") == name)
    script = step["run"]
    assert "${{" not in script, "untrusted text must not be pasted into a script"
    return str(script)


def gitlab(job: str) -> str:
    workflow = yaml.safe_load((CI / "gitlab-ci.yml").read_text())
    return "\n".join(workflow[job]["script"])


def test_the_workflows_give_each_job_only_what_it_needs() -> None:
    workflow = yaml.safe_load((CI / "github-actions.yml").read_text())
    assert workflow["permissions"] == {}
    for job in workflow["jobs"].values():
        assert job["permissions"]["contents"] == "read"
        names = [step["uses"] for step in job["steps"] if "uses" in step]
        assert all(re.fullmatch(r"[\w-]+/[\w-]+@v\d+", name) for name in names)
    roles = [
        step["with"]["role-to-assume"]
        for job in ("plan", "apply")
        for step in workflow["jobs"][job]["steps"]
        if "role-to-assume" in step.get("with", {})
    ]
    reading, writing = roles
    assert "vars.S3PLAN_PLAN_ROLE" in reading
    assert "vars.S3PLAN_APPLY_ROLE" in writing


def _reviews(*approved: tuple[str, str]) -> None:
    reviews = [
        {
            "user": {"login": name},
            "state": "APPROVED",
            "commit_id": commit,
            "submitted_at": "2026-11-20T10:00:00Z",
            "html_url": "https://github.example/7",
        }
        for name, commit in approved
    ]
    Path("service-reviews.json").write_text(json.dumps(reviews))


@pytest.mark.long
def test_github_plans_comments_and_applies_what_was_reviewed(runner: Runner) -> None:
    planned = runner.run(github("plan", "Plan"), MANIFEST="manifest.yaml", COMMIT=HEAD)
    assert planned.returncode == 0, planned.stderr
    assert "changes=true" in Path("output.txt").read_text()
    commented = runner.run(
        github("plan", "One comment, always the same"), PULL_REQUEST="7", COMMIT=HEAD
    )
    assert commented.returncode == 0, commented.stderr
    comment = Path("posted.md").read_text()
    assert comment.startswith("<!-- s3plan {")
    assert HEAD in comment.splitlines()[0]
    assert runner.run(github("plan", "Page")).returncode == 0
    assert Path("plan.html").read_bytes().startswith(b"<!doctype html>")

    Path("plan.json").rename("artifact.json")
    _reviews(("ann", HEAD), ("bob", "f" * 40))
    reviewed = runner.run(github("apply", "The plan that was reviewed"), COMMIT="m" * 40)
    assert reviewed.returncode == 0, reviewed.stderr
    (approval,) = json.loads(Path("approvals.json").read_text())["approvals"]
    assert approval["name"] == "ann", "a review of another commit does not count"
    assert approval["digest"] == PlanFile.open(Path("plan.json")).digest
    applied = runner.run(github("apply", "Apply"))
    assert applied.returncode == 0, applied.stderr
    assert len(runner.scene.files()) == 2


@pytest.mark.long
def test_github_applies_nothing_that_nobody_reviewed(runner: Runner) -> None:
    assert runner.run(github("plan", "Plan"), MANIFEST="manifest.yaml", COMMIT=HEAD).returncode == 0
    Path("plan.json").rename("artifact.json")
    _reviews(("bob", "f" * 40))
    reviewed = runner.run(github("apply", "The plan that was reviewed"), COMMIT="m" * 40)
    assert reviewed.returncode == 0, reviewed.stderr
    applied = runner.run(github("apply", "Apply"))
    assert applied.returncode == 5
    assert not runner.scene.files()


@pytest.mark.long
def test_github_says_no_changes_and_applies_nothing_then(runner: Runner) -> None:
    runner.scene.plan(COPY_ONLY)
    assert runner.scene.s3plan("apply", "--approve").code == 0
    Path("plan.json").unlink()
    planned = runner.run(github("plan", "Plan"), MANIFEST="manifest.yaml", COMMIT=HEAD)
    assert planned.returncode == 0, planned.stderr
    assert Path("comment.md").read_text() == "<!-- s3plan -->\nNo changes.\n"
    reviewed = runner.run(github("apply", "The plan that was reviewed"), COMMIT="m" * 40)
    assert reviewed.returncode == 0, reviewed.stderr
    assert "plan=false" in Path("output.txt").read_text()


@pytest.mark.long
@pytest.mark.skipif(not Path("/usr/bin/jq").exists(), reason="GitLab's job installs jq itself")
def test_gitlab_plans_comments_and_applies_what_was_approved(runner: Runner) -> None:
    values = {
        "S3PLAN_MANIFEST": "manifest.yaml",
        "S3PLAN_TOKEN": "t",
        "API": "https://gitlab.example/api/v4/projects/1",
        "CI_COMMIT_SHA": HEAD,
        "CI_MERGE_REQUEST_IID": "7",
    }
    notes = [{"id": 3, "body": "hello"}, {"id": 5, "body": "<!-- s3plan {} -->\nold"}]
    Path("notes-there.json").write_text(json.dumps(notes))
    planned = runner.run(gitlab("plan"), **values)
    assert planned.returncode == 0, planned.stderr
    assert json.loads(Path("posted.json").read_text())["body"].startswith("<!-- s3plan {")
    assert "-X PUT" in Path("curl.log").read_text()
    assert "/notes/5" in Path("curl.log").read_text()

    Path("plan.json").rename("artifact.json")
    approved: dict[str, Any] = {
        "updated_at": "2026-11-20T10:00:00Z",
        "approved_by": [{"user": {"username": "ann"}}],
    }
    Path("service-reviews.json").write_text(json.dumps(approved | {"approved_by": []}))
    refused = runner.run(gitlab("apply"), **values)
    assert refused.returncode == 5
    assert not runner.scene.files()
    Path("service-reviews.json").write_text(json.dumps(approved))
    applied = runner.run(gitlab("apply"), **values)
    assert applied.returncode == 0, applied.stderr
    assert len(runner.scene.files()) == 2


def test_the_last_word_of_a_reviewer_counts() -> None:
    def review(name: str, state: str, commit: str = HEAD) -> dict[str, Any]:
        return {
            "user": {"login": name},
            "state": state,
            "commit_id": commit,
            "submitted_at": "2026-11-20T10:00:00Z",
        }

    reviews = [
        review("ann", "APPROVED"),
        review("bob", "APPROVED"),
        review("bob", "CHANGES_REQUESTED"),
        review("cat", "APPROVED"),
        review("cat", "COMMENTED"),
        review("dan", "APPROVED"),
        review("dan", "DISMISSED"),
        review("eve", "APPROVED", "f" * 40),
        {"state": "APPROVED", "user": None, "commit_id": HEAD},
    ]
    found = approvals_in(reviews, "sha256:" + "1" * 64, HEAD)
    assert [approval.name for approval in found] == ["ann", "cat"]


@pytest.mark.parametrize("reviews", [None, 1, "x", {}, {"approved_by": 1}, [{"state": "APPROVED"}]])
def test_what_is_no_review_is_refused(reviews: object) -> None:
    with pytest.raises(UsageError):
        approvals_in(reviews, "sha256:" + "1" * 64, None)


def test_the_hook_for_pre_commit_runs_validate() -> None:
    (hook,) = yaml.safe_load((CI.parents[1] / ".pre-commit-hooks.yaml").read_text())
    assert hook["entry"] == "s3plan validate"
    assert re.search(hook["files"], "archive/s3plan/photos.yaml")
    assert not re.search(hook["files"], "docker-compose.yaml")


def test_examples_name_the_schema_that_editors_check_them_with() -> None:
    for example in sorted((CI.parent / "plans").glob("*.yaml")):
        first = example.read_text().splitlines()[0]
        found = re.fullmatch(r"# yaml-language-server: \$schema=(\S+)", first)
        assert found, example
        assert (example.parent / found[1]).resolve().is_file()
