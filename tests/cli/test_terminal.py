"""The command line on a real pseudo-terminal and in real pipes."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

PROGRAM = """
import sys
from tests.cli.fake_api import FakeApi
fake = FakeApi()
{prelude}
fake.install()
from s3plan.cli import main
sys.exit(main())
"""


def command(*given: str, prelude: str = "") -> list[str]:
    return [sys.executable, "-c", PROGRAM.format(prelude=prelude), *given]


def environment(**more: str) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return {**kept, "PYTHONPATH": str(ROOT), "TERM": "xterm", "COLUMNS": "100", **more}


class Session:
    """A program on a pseudo-terminal, with somebody who reads and types."""

    def __init__(self, given: list[str], directory: Path) -> None:
        self.shown = ""
        self._master, slave = pty.openpty()
        self._process = subprocess.Popen(
            given,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env=environment(),
            cwd=directory,
            start_new_session=True,
        )
        os.close(slave)

    def until(self, text: str) -> None:
        """Read until ``text`` is shown."""
        deadline = time.monotonic() + 20
        while text not in self.shown:
            assert time.monotonic() < deadline, f"{text!r} never came:\n{self.shown}"
            if select.select([self._master], [], [], 0.1)[0]:
                self._read()

    def types(self, text: str) -> None:
        os.write(self._master, text.encode())

    def interrupt(self) -> None:
        self._process.send_signal(signal.SIGINT)

    def ends(self) -> int:
        """Read to the end and return the exit code."""
        while self._read():
            pass
        os.close(self._master)
        return self._process.wait(20)

    def _read(self) -> bool:
        try:
            data = os.read(self._master, 65536)
        except OSError:  # Linux: the other end is closed
            return False
        self.shown += data.decode()
        return bool(data)


def test_apply_shows_the_plan_and_only_yes_applies_it(tmp_path: Path) -> None:
    session = Session(command("apply"), tmp_path)
    session.until("Apply this plan? Deletions ask again. (yes/no)")
    assert "Plan: 1,204 to download" in session.shown
    session.types("yes\n")
    session.until("Delete these objects (1,204 objects, 18.2 GiB) of bucket old-photos")
    assert "verified file count" in session.shown
    session.types("yes\n")
    assert session.ends() == 0
    assert "1,204 done" in session.shown


@pytest.mark.parametrize("answer", ["no\n", "y\n", "YES\n", "\n", "\x04"])
def test_every_other_answer_changes_nothing(tmp_path: Path, answer: str) -> None:
    session = Session(command("apply"), tmp_path)
    session.until("(yes/no)")
    session.types(answer)
    assert session.ends() == 4
    assert "Not approved: nothing was changed." in session.shown


def test_what_was_typed_before_the_question_is_no_answer(tmp_path: Path) -> None:
    """Somebody who typed yes twice has not seen the figures of the deletion."""
    session = Session(command("apply"), tmp_path)
    session.until("(yes/no)")
    session.types("yes\nyes\n")
    session.until("Delete these objects")
    session.types("no\n")
    assert session.ends() == 4


def test_a_declined_deletion_is_held(tmp_path: Path) -> None:
    session = Session(command("apply", "--approve"), tmp_path)
    session.until("(yes/no)")
    session.types("no\n")
    assert session.ends() == 4


LOSING = "from tests.views import samples; fake.gate = samples.LOSING"


@pytest.mark.parametrize(("answer", "code"), [("yes\n", 0), ("y\n", 4)])
def test_a_loss_is_asked_about_after_the_deletion(tmp_path: Path, answer: str, code: int) -> None:
    session = Session(command("apply", "--approve", prelude=LOSING), tmp_path)
    session.until("from S3? (yes/no)")
    session.types("yes\n")
    session.until("Delete also what may be lost for good in bucket old-photos? (yes/no)")
    shown = session.shown[session.shown.index("from S3? (yes/no)") :]
    assert "12 objects, 45.8 MiB whose content could not be verified" in shown
    assert "1 object, 900 B of which there is no copy" in shown
    session.types(answer)
    assert session.ends() == code


def test_ctrl_c_at_the_question_leaves_with_130(tmp_path: Path) -> None:
    session = Session(command("apply"), tmp_path)
    session.until("(yes/no)")
    session.interrupt()
    assert session.ends() == 130
    assert "Traceback" not in session.shown


def test_bars_leave_the_screen_and_the_cursor_as_they_were(tmp_path: Path) -> None:
    session = Session(command("apply", "--approve"), tmp_path)
    session.until("(yes/no)")
    session.types("no\n")
    session.ends()
    assert "\x1b[?25l" not in session.shown


def test_a_terminal_shows_ten_names(tmp_path: Path) -> None:
    prelude = "from tests.views import samples; fake.finished = samples.INCOMPLETE"
    session = Session(command("apply", "--approve", prelude=prelude), tmp_path)
    session.until("(yes/no)")
    session.types("yes\n")
    assert session.ends() == 4 - 1
    assert "... and 104 more" in session.shown


def test_a_pipe_that_is_closed_ends_quietly(tmp_path: Path) -> None:
    prelude = (
        "from tests.views import samples;"
        "samples.ITEMS = tuple(samples.item(n, f'key-{n}') for n in range(50_000));"
        "plan = samples.evacuation(samples.ITEMS); fake.show = lambda path: plan"
    )
    given = command("show", "--step", "download-1a2b3c4d", prelude=prelude)
    process = subprocess.Popen(
        given, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(), cwd=tmp_path
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(20) == 141
    assert process.stderr.read() == b""
    process.stderr.close()


@pytest.mark.parametrize("given", [["status"], ["show"], ["apply", "--approve"]])
def test_nothing_but_text_leaves_a_pipe(tmp_path: Path, given: list[str]) -> None:
    done = subprocess.run(
        command(*given), capture_output=True, env=environment(), cwd=tmp_path, check=True
    )
    assert b"\x1b" not in done.stdout + done.stderr


def test_an_encoding_without_our_signs_is_no_error(tmp_path: Path) -> None:
    environ = environment(PYTHONIOENCODING="ascii")
    done = subprocess.run(
        command("status"), capture_output=True, env=environ, cwd=tmp_path, check=True
    )
    assert rb"\u2713" in done.stdout


def test_the_module_runs_as_the_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "s3plan", "--version"],
        capture_output=True,
        text=True,
        env=environment(),
        check=True,
    )
    assert done.stdout.startswith("s3plan ")
