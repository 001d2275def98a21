"""Text that DuckDB makes of items, byte for byte what msgspec writes."""

from __future__ import annotations

import re

_ESCAPE = re.compile(r"\\(?:u[0-9A-Fa-f]{4}|.)")
"""One escape of a JSON text. They are read in order: the second of two backslashes begins none."""

# One concat and not a chain of ||, each of which would write all the text before it again.
ITEM_LINES = """
    SELECT concat(
        '{"type":"item","step":', $text, ',"n":', n,
        ',"key":', to_json(key), ',"path":', to_json(path), ',"size":', size,
        ',"etag":', to_json(etag), ',"modified":', to_json(modified),
        CASE WHEN storage_class = 'STANDARD' THEN ''
            ELSE ',"storage_class":' || to_json(storage_class) END,
        CASE WHEN checksum IS NULL THEN '' ELSE ',"checksum":' || to_json(checksum) END,
        CASE WHEN version_id IS NULL THEN '' ELSE ',"version_id":' || to_json(version_id) END,
        CASE WHEN coalesce(newer, 0) = 0 THEN '' ELSE ',"newer":' || newer END,
        CASE WHEN coalesce(marker, false) THEN ',"marker":true' ELSE '' END,
        CASE WHEN coalesce(beneath, 0) = 0 THEN '' ELSE ',"beneath":' || beneath END,
        CASE WHEN upload_id IS NULL THEN '' ELSE ',"upload_id":' || to_json(upload_id) END,
        CASE WHEN label IS NULL THEN '' ELSE ',"label":' || to_json(label) END,
        CASE WHEN keywords IS NULL THEN '' ELSE ',"keywords":' || keywords END,
        CASE WHEN coalesce(ambiguous, false) THEN ',"ambiguous":true' ELSE '' END,
        '}', chr(10))
    FROM items WHERE step = $step AND n >= $first AND n < $behind ORDER BY n
"""
"""Lines of the items ``$first`` up to ``$behind`` of ``$step``, whose name as JSON is ``$text``."""

ASKED_LINES = """
    SELECT concat(
        '{"type":"asked","n":', n, ',"bucket":', to_json(bucket), ',"key":', to_json(key),
        CASE WHEN reason IS NULL THEN '' ELSE ',"reason":' || to_json(reason) END,
        CASE WHEN fields IS NULL THEN '' ELSE ',"fields":' || fields END,
        '}', chr(10))
    FROM asked WHERE n >= $first AND n < $behind ORDER BY n
"""
"""Lines of what was asked for. ``fields`` is JSON of ours by the time it is here."""


def as_msgspec(text: str) -> str:
    """What DuckDB wrote, as msgspec does: a control character has lower-case hex digits."""
    return _ESCAPE.sub(lambda found: found[0].lower(), text) if "\\u00" in text else text
