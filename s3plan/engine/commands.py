"""Commands of the user's own, as the project file defines them: started, watched, written down.

There is one way to run one: no shell, a process group of its own, an environment of what is named,
and an end, by itself, at its timeout, or when the run stops. What it wrote and how it ended is in
the journal. A command that the project file defines otherwise than the plan says is not started.
"""

from __future__ import annotations

import asyncio
import os
import signal
import tempfile
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, NamedTuple
from urllib.parse import quote

from s3plan.engine.context import Context, Interrupted
from s3plan.model.commands import Command, CommandRef
from s3plan.model.events import CommandEnded
from s3plan.model.journal import CommandRan
from s3plan.model.steps import Step

OUTPUT = 64 * 1024
"""Bytes of what a command of a step wrote that are kept: the last ones."""

ITEM_OUTPUT = 4 * 1024
"""The same for a command that runs for each item."""

GRACE = 5.0
"""Seconds between SIGTERM and SIGKILL."""

LINGERING = 1.0
"""Seconds in which what the command left running may still write to its output."""

SECRET = b"***"
SHORTEST_SECRET = 8
"""Characters: what is shorter stands in any text."""

ALWAYS = ("PATH", "HOME", "USER", "LOGNAME", "LANG", "LANGUAGE", "TZ", "TMPDIR")
"""Variables of s3plan's own environment that every command gets, besides those of LC_*."""

LONGEST_VALUE = 30_000
"""Characters of a variable: Linux takes 128 KiB (execve(2), MAX_ARG_STRLEN), a character is up to
four bytes."""

_CHUNK = 64 * 1024


class _End(NamedTuple):
    """How a process ended."""

    exit_code: int | None
    problem: str = ""
    interrupted: bool = False


async def run_project_command(
    context: Context,
    ref: CommandRef,
    *,
    step: Step | None = None,
    n: int | None = None,
    environment: Mapping[str, str] | None = None,
    stdin: bytes = b"",
) -> CommandRan:
    """Run a command of the project file to its end; the record of it, which is in the journal.

    ``step`` is what it is for, None where it is told of the run; ``n`` the item, None for the whole
    step. ``environment`` comes on top of what the project file says; ``stdin`` is what it reads.
    The intent is the caller's. Whatever goes wrong is in the record (``ok``); raises only
    Interrupted, when the run stops (the command of a step is killed then, with everything that it
    started), and CredentialsError where nobody knows what must be kept out of its output.
    """
    began = time.monotonic()
    command = context.commands.get(ref.name)
    output = _Tail(OUTPUT if n is None else ITEM_OUTPUT)
    if command is None or command.ref.digest != ref.digest:
        end = _End(None, "the project file does not define it as the plan says")
    else:
        given = _environment(command, {**_told(context, step), **(environment or {})})
        hidden = [
            *await context.store.secrets(),
            *(given.get(name, "") for name in command.inherit),
        ]
        output.hide(hidden)
        stoppable = context.unless_stopped if step is not None else _waited
        end = await _run(command, given, stdin, output, stoppable)
    record = CommandRan(
        step=step.id if step is not None else "",
        command=ref.name,
        definition=ref.digest,
        exit_code=end.exit_code,
        seconds=round(time.monotonic() - began, 3),
        time=context.now(),
        output=output.text(),
        left_out=output.left_out,
        problem=end.problem,
        n=n,
    )
    if n is None:
        await context.journal.commit(record)
        context.observer(
            CommandEnded(
                record.step, ref.name, end.exit_code, end.problem, record.seconds, record.output
            )
        )
    else:
        context.journal.note(record)  # the item's receipt follows
    context.state.apply(context.journal.seq, record)
    if end.interrupted:
        raise Interrupted
    return record


async def _run(
    command: Command,
    environment: Mapping[str, str],
    stdin: bytes,
    output: _Tail,
    wait: Callable[[Coroutine[Any, Any, object]], Awaitable[None]],
) -> _End:
    reading = _Pipe(output)
    try:
        with _as_file(stdin) as given:
            process = await asyncio.create_subprocess_exec(
                *command.argv,
                stdin=given,
                stdout=reading.writable,
                stderr=reading.writable,
                cwd=Path(command.base, command.directory),
                env=dict(environment),
                start_new_session=True,
            )
    except (OSError, ValueError) as error:
        reading.close()
        return _End(None, f"it cannot be started: {error}")
    reading.follow()
    problem = "s3plan was ended, and it with it"
    interrupted = False
    try:
        await wait(asyncio.wait_for(process.wait(), command.timeout))
        problem = ""
    except TimeoutError:
        problem = f"it took longer than {command.timeout:g} s and was stopped"
    except Interrupted:
        problem, interrupted = "the run stopped, and it with it", True
    finally:
        try:
            if process.returncode is None:
                _signal(process.pid, signal.SIGTERM)
                with suppress(TimeoutError):
                    await asyncio.wait_for(process.wait(), GRACE)
        finally:
            # Also where this process is to leave at once.
            if process.returncode is None or problem:
                _signal(process.pid, signal.SIGKILL)
        await process.wait()
        await reading.ended(LINGERING)
    return _End(process.returncode, problem, interrupted)


async def _waited(waiting: Coroutine[Any, Any, object]) -> None:
    await waiting


def _signal(group: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def _environment(command: Command, told: Mapping[str, str]) -> dict[str, str]:
    own = {
        name: value
        for name, value in os.environ.items()
        if name in ALWAYS or name.startswith("LC_") or name in command.inherit
    }
    given = {**own, **command.environment, **told}
    return {name: value.replace("\0", "")[:LONGEST_VALUE] for name, value in given.items()}


def _told(context: Context, step: Step | None) -> dict[str, str]:
    """What every command is told of the run that starts it."""
    target = context.plan.header.target
    header, run = context.plan.header, context.run
    back = run.back(header.stage) if header.rollback_of is not None else None
    told = {
        "S3PLAN_COMMAND": "rollback" if back else "apply",
        "S3PLAN_RUN": run.id,
        "S3PLAN_PLAN": str((back.plan if back else run.plan).absolute()),
        "S3PLAN_JOURNAL": str((back.journal if back else run.journal).absolute()),
        "S3PLAN_ENDPOINT": target.endpoint,
        "S3PLAN_REGION": target.region,
        "S3PLAN_ACCOUNT": target.account or "",
    }
    if step is not None:
        told |= {"S3PLAN_STEP": step.id, "S3PLAN_BUCKET": step.subject}
    return told


def _as_file(content: bytes) -> IO[bytes]:
    """What a command reads: a file, since nobody waits for it to be read."""
    if not content:
        return Path(os.devnull).open("rb")
    file = tempfile.TemporaryFile()  # noqa: SIM115 - the caller closes it
    file.write(content)
    file.seek(0)
    return file


class _Tail:
    """The last bytes of an output, without secrets."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept = bytearray()
        self._total = 0
        self._secrets: list[bytes] = []
        self._longest = 0

    def hide(self, secrets: Iterable[str]) -> None:
        """What must not be written down, also as it stands in URLs."""
        found = {value for value in secrets if len(value) >= SHORTEST_SECRET}
        found |= {quote(value, safe="") for value in found}
        # What holds another one goes first, as a whole.
        self._secrets = sorted((os.fsencode(value) for value in found), key=len, reverse=True)
        self._longest = max(map(len, self._secrets), default=0)

    def add(self, data: bytes) -> None:
        """More of the output."""
        self._kept += data
        self._total += len(data)
        # As much more as a secret is long: none is cut where the text begins.
        spare = len(self._kept) - 2 * (self._most + self._longest)
        if spare > 0:
            del self._kept[: len(self._kept) - self._most - self._longest]

    @property
    def left_out(self) -> int:
        """Bytes before those that are kept."""
        return max(0, self._total - self._most)

    def text(self) -> str:
        """What is kept."""
        text = bytes(self._kept)
        for secret in self._secrets:
            text = text.replace(secret, SECRET)
        if self._total > len(self._kept):
            text = text[self._longest :]  # it may begin in the middle of a secret
        return text[-self._most :].decode("utf-8", "replace")


class _Pipe:
    """The output of a process and of what it starts, read as it comes."""

    def __init__(self, into: _Tail) -> None:
        self._loop = asyncio.get_running_loop()
        self._into = into
        self._readable, self.writable = os.pipe()
        self._end = asyncio.Event()

    def follow(self) -> None:
        """Read from now on; the process has its end of the pipe by now."""
        os.close(self.writable)
        os.set_blocking(self._readable, False)
        self._loop.add_reader(self._readable, self._read)

    def _read(self) -> None:
        try:
            data = os.read(self._readable, _CHUNK)
        except BlockingIOError:
            return
        self._into.add(data)
        if not data:
            self._loop.remove_reader(self._readable)
            self._end.set()

    async def ended(self, seconds: float) -> None:
        """Wait until nobody writes any more, or for ``seconds``; then listen no longer."""
        with suppress(TimeoutError):
            await asyncio.wait_for(self._end.wait(), seconds)
        self._loop.remove_reader(self._readable)
        os.close(self._readable)

    def close(self) -> None:
        """Nobody was started."""
        os.close(self._readable)
        os.close(self.writable)
