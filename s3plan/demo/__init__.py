"""``s3plan demo``: the whole way on a server of its own, or on a bucket of its own elsewhere.

It runs the real commands as a person would, each echoed before its output, and succeeds only if
every object is back with the same bytes and attributes.
"""

from s3plan.demo.tour import run

__all__ = ["run"]
