"""Reports: what happened, for the people who asked for it. One module a report.

A report is a function of the tables of history (:mod:`s3plan.engine.history`), nearly always
queries over them. To add one: a module here, its line in ``registry``, and its command in
``cli/commands/report.py``.
"""

from s3plan.engine.reports.registry import REPORTS, ReportKind, open_report
from s3plan.engine.reports.sections import Options

__all__ = ["REPORTS", "Options", "ReportKind", "open_report"]
