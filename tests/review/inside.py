"""The command line in this process: the same commands as in one of their own, in a tenth of the
time. The scene's fixture has made this process one that was started in its directory.
"""

from __future__ import annotations

import io
import sys
from contextlib import redirect_stderr, redirect_stdout

from s3plan.cli import main
from tests.engine.scene import Ran


def s3plan(*arguments: str) -> Ran:
    """Run a command and tell what it printed where, and how it ended."""
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True) for _ in range(2))
    usual = sys.stdin
    sys.stdin = io.StringIO()  # nobody is here to ask
    try:
        with redirect_stdout(out), redirect_stderr(err):
            code = main(list(arguments))
    finally:
        sys.stdin = usual
    texts = (stream.buffer.getvalue().decode() for stream in (out, err))
    return Ran(code, *texts)
