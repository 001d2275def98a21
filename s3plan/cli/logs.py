"""What ``--debug`` adds: the library's log records on standard error."""

from __future__ import annotations

import logging

from s3plan.views.text import visible


class _Visible(logging.Formatter):
    """Log messages hold keys, which are untrusted text."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        return visible(super().formatMessage(record))


def log_to_stderr() -> None:
    """Print what s3plan logs, from DEBUG up; other libraries are asked for warnings only."""
    handler = logging.StreamHandler()
    handler.setFormatter(_Visible("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    logging.getLogger("s3plan").setLevel(logging.DEBUG)
