"""The exit codes, and what each means to a script."""

from __future__ import annotations

from typing import Final

EXITS: Final = {
    0: "done, or no changes",
    1: "error; nothing was changed",
    2: "the plan has changes (only with --detailed-exitcode); monitor found something",
    3: "incomplete: some items failed or drifted; says how to go on",
    4: "held: verification failed, or approval is missing",
    5: "stale: not the approved plan, consumed, or another account or endpoint",
    6: "locked by another run",
    7: "rollback left alone what is no longer ours, or a last copy",
    64: "the command line is wrong",
    130: "interrupted; the journal is consistent",
}

CHANGES: Final = 2
INCOMPLETE: Final = 3
HELD: Final = 4
STALE: Final = 5
USAGE: Final = 64
INTERRUPTED: Final = 130
BROKEN_PIPE: Final = 141
"""128 + SIGPIPE, as the shell reports any other tool whose reader is gone."""
