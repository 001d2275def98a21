"""The command line: one module a command; it parses, calls the library and hands on to a view."""

from __future__ import annotations

from s3plan.cli.mounted import mounted
from s3plan.cli.program import main, script

__all__ = ["main", "mounted", "script"]
