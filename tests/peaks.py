"""How much memory a process took at most."""

from __future__ import annotations

import subprocess
import time
from contextlib import suppress
from pathlib import Path

_PAUSE = 0.02


def peak(process: subprocess.Popen[bytes], *, code: int = 0) -> int:
    """Bytes; waits for the end, which must be with ``code``.

    Of the program alone: ``ru_maxrss`` would begin with what its parent had when it was started
    (proc(5), VmHWM; getrusage(2)).
    """
    status = Path("/proc", str(process.pid), "status")
    most = 0
    while process.poll() is None:
        with suppress(FileNotFoundError, ProcessLookupError):
            for line in status.read_text().splitlines():
                if line.startswith("VmHWM:"):
                    most = max(most, int(line.split()[1]) * 1024)
        time.sleep(_PAUSE)
    assert process.returncode == code
    assert most
    return most
