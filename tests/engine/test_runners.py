"""Who sends the requests of a step: chosen by verb, as the project file or the option says."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from s3plan.engine.context import Context
from s3plan.engine.runners import opening
from s3plan.errors import ProblemsError
from s3plan.kinds.project import read_project
from s3plan.model.runners import RunnerChoice
from s3plan.model.steps import Copy, Step, Totals, Upload

_PROJECT = "apiVersion: s3plan/v1\nkind: Project\nspec:\n  runners: {{{runners}}}\n"


class _Elsewhere:
    """A runner that carries copies."""

    name = "elsewhere"
    address = ""

    def __init__(self) -> None:
        self.ran: list[str] = []

    def declines(self, context: Context, step: Step) -> str | None:
        return None if isinstance(step.action, Copy) else "it takes only copies"

    async def run(self, context: Context, step: Step) -> None:
        self.ran.append(step.id)


def _step(action: Any) -> Step:
    return Step(f"{action}", action, "photos", (), None, "free", "", "", Totals(1))


def _context(**known: Any) -> SimpleNamespace:
    """What the choice of a runner looks at, of a run without jobs."""
    return SimpleNamespace(state=SimpleNamespace(jobs={}), **known)


def test_a_step_goes_to_the_runner_of_its_verb_unless_that_declines_it() -> None:
    elsewhere = _Elsewhere()
    here: list[str] = []
    copying, uploading = _step(Copy(source="old")), _step(Upload(destination="/here"))

    class Here(_Elsewhere):
        async def run(self, context: Context, step: Step) -> None:
            here.append(step.id)

    runners = opening.Runners(RunnerChoice(), {"local": elsewhere})
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(opening, "LOCAL", Here())
        for step in (copying, uploading):
            asyncio.run(runners.run(cast("Context", _context()), step))
    assert (elsewhere.ran, here) == ([copying.id], [uploading.id])


def test_what_a_runner_leaves_to_this_process_is_told_with_the_reason() -> None:
    told: list[Any] = []
    steps = (
        _step(Copy(source="old")),
        _step(Upload(destination="/here")),
        _step(Upload(destination="/here")),
    )
    context = _context(plan=SimpleNamespace(steps=steps), observer=told.append)

    async def open_them() -> None:
        async with opening.opened(cast("Context", context), RunnerChoice()):
            pass

    asyncio.run(open_them())
    assert told == []  # this process carries everything, and nothing is worth telling
    ready = opening._told(cast("Context", context), _Elsewhere(), list(steps))
    assert (ready.verbs, ready.here) == (("copy",), {"upload": "it takes only copies"})


def test_the_project_file_names_runners_by_verb(tmp_path: Path) -> None:
    """Issue 11, 1: also per step verb in the project file."""
    file = tmp_path / "s3plan.yaml"
    file.write_text(_PROJECT.format(runners="copy: local"))
    assert read_project(tmp_path).runners == RunnerChoice(by_verb={"copy": "local"})
    file.write_text(_PROJECT.format(runners="copie: local"))
    with pytest.raises(ProblemsError) as refused:
        read_project(tmp_path)
    assert "there is no verb copie" in str(refused.value.problems[0])
