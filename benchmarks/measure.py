"""Run one command and say how long it took and how much memory it had; a program of its own.

Linux hands a process's peak memory on to what it starts, so a command started by the benchmark
itself would never seem smaller than the benchmark. This small process stands in between:
``python -I -S measure.py RESULT OUTPUT COMMAND...`` writes seconds, CPU seconds and peak bytes to
RESULT, and what the command says on standard output to OUTPUT.
"""

import json
import os
import sys
import time


def main() -> None:
    """Start, wait, write; end as the command ended."""
    result, output, *command = sys.argv[1:]
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    began = time.perf_counter()
    redirected = [(os.POSIX_SPAWN_OPEN, 1, output, flags, 0o600)]
    pid = os.posix_spawnp(command[0], command, os.environ, file_actions=redirected)
    _write(result, {"pid": pid})  # for whoever wants to end it
    _, status, usage = os.wait4(pid, 0)
    seconds = time.perf_counter() - began
    unit = 1 if sys.platform == "darwin" else 1024
    figures = {
        "seconds": seconds,
        "cpu_seconds": usage.ru_utime + usage.ru_stime,
        "peak_bytes": usage.ru_maxrss * unit,
    }
    _write(result, figures)
    code = os.waitstatus_to_exitcode(status)
    sys.exit(code if code >= 0 else 128 - code)


def _write(path: str, figures: dict[str, float]) -> None:
    with open(path, "w") as file:  # noqa: PTH123  (pathlib would double this process)
        json.dump(figures, file)


if __name__ == "__main__":
    main()
