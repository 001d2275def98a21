"""Lines of a file for ``s5cmd run`` (https://github.com/peak/s5cmd, 2.3), one object each.

A line is split as a shell splits it, so a name in single quotes stands for itself. Seen with 2.3.0:
``--raw`` keeps ``*`` and ``?`` from being patterns; a server-side copy loses content type and
metadata unless it is told ``--metadata-directive COPY``, and its class unless told the class; a
source with a space is not found; a name that ends in ``/`` is a folder; paths are cleaned.
"""

from __future__ import annotations

from s3plan.model.steps import Copy, Download, Item
from s3plan.rules.cutover import LARGEST_COPY


def refusal(action: Copy | Download, item: Item) -> str | None:
    """Why no line can say this item; None where one can."""
    if item.history is not None or item.marker:
        return "older versions"
    for name in (item.key, item.path):
        if "\n" in name or "\r" in name or "\0" in name:
            return "line breaks in names"
        if name.endswith("/"):
            return "names that end in a slash"
        if _is_cleaned(name):
            return "names with empty, . or .. segments"
    if isinstance(action, Copy):
        if " " in item.key:
            return "spaces in names of sources"
        if item.size > LARGEST_COPY:
            return "objects over 5 GiB"
    return None


def line(action: Copy | Download, bucket: str, item: Item) -> str:
    """The line of an item that was not refused; ``bucket`` is the step's subject."""
    words = ["cp", "--raw", "--no-clobber"]
    if isinstance(action, Copy):
        words += ["--metadata-directive", "COPY"]
        words += ["--storage-class", action.storage_class or item.storage_class]
        if action.acl:
            words += ["--acl", action.acl]
        if action.encryption:
            words += ["--sse", action.encryption]
        if action.kms_key:
            words += ["--sse-kms-key-id", action.kms_key]
        words += [quoted(f"s3://{action.source}/{item.key}"), quoted(f"s3://{bucket}/{item.path}")]
    else:
        target = f"{action.destination.rstrip('/')}/{item.path}"
        words += [quoted(f"s3://{bucket}/{item.key}"), quoted(target)]
    return " ".join(words)


def quoted(text: str) -> str:
    """In single quotes, in which nothing but a single quote means anything."""
    return "'" + text.replace("'", "'\\''") + "'"


def _is_cleaned(name: str) -> bool:
    return any(part in ("", ".", "..") for part in name.split("/"))
