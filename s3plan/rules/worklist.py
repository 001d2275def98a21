"""How people write worklists: JSON objects, by several names, or ``bucket|key`` lines. Pure."""

from __future__ import annotations

import msgspec

from s3plan.model.worklist import Entry

_ALIASES = {"bucket": "bucket", "bucket_name": "bucket", "key": "key", "object_key": "key"}

_OURS = frozenset(
    {
        "status",
        "attempts",
        "planned_at",
        "started_at",
        "finished_at",
        "last_error",
        "skip_reason",
    }
)
"""Members that a snapshot has: what they say is of an earlier run, and is not kept."""

_OBJECT: msgspec.json.Decoder[dict[str, msgspec.Raw] | str] = msgspec.json.Decoder(
    dict[str, msgspec.Raw] | str
)
_TEXT: msgspec.json.Decoder[str] = msgspec.json.Decoder(str)


def parse_line(line: str) -> Entry | None:
    """One line of a worklist: a JSON object, a JSON string, or ``bucket|key``; None for nothing.

    A blank line is nothing, and so is a comment: a line whose first character that is no blank is
    ``#``. Everything after the first ``|`` is the key. Raises ValueError saying what is wrong.
    """
    start = line.lstrip()
    if not start or start.startswith("#"):
        return None
    return parse_json(line.encode()) if start[0] in '{"' else parse_pair(start)


def parse_json(text: bytes) -> Entry:
    """An entry from a JSON object, or from a JSON string that holds ``bucket|key``.

    ``bucket_name`` and ``object_key`` are other names for ``bucket`` and ``key``. Raises
    ValueError.
    """
    try:
        value = _OBJECT.decode(text)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise ValueError(f"neither a JSON object nor bucket|key ({error})") from error
    if isinstance(value, str):
        return parse_pair(value)
    found: dict[str, str] = {}
    for alias, name in _ALIASES.items():
        if alias not in value:
            continue
        try:
            text_of = _TEXT.decode(value[alias])
        except msgspec.MsgspecError as error:
            raise ValueError(f"{alias} is not a text") from error
        if found.setdefault(name, text_of) != text_of:
            raise ValueError(f"{name} and {alias} name different things")
    others = {
        name: raw for name, raw in value.items() if name not in _ALIASES and name not in _OURS
    }
    return _checked(
        found.get("bucket", ""),
        found.get("key", ""),
        # On one line, and numbers as they were written.
        msgspec.json.format(msgspec.json.encode(others), indent=-1).decode() if others else "",
    )


def parse_pair(text: str) -> Entry:
    """An entry from ``bucket|key``. Raises ValueError."""
    bucket, bar, key = text.partition("|")
    if not bar:
        raise ValueError("neither a JSON object nor bucket|key")
    return _checked(bucket.strip(), key)


def _checked(bucket: str, key: str, fields: str = "") -> Entry:
    if not bucket or not key:
        raise ValueError("the bucket is missing" if not bucket else "the key is missing")
    return Entry(bucket, key, fields)
