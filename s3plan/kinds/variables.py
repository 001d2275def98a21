"""``${NAME}`` in a manifest's values: from ``--var``, ``--var-file`` and the environment; pure.

``${NAME:-text}`` falls back to ``text`` where NAME is unknown or empty; ``$${`` is a literal
``${``. What a variable holds is never looked at for more variables, and never changes the shape of
a manifest.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass

from s3plan.errors import ManifestError
from s3plan.kinds.places import Place

_REFERENCE = re.compile(
    r"(?P<escaped>\$\$\{)|\$\{(?:(?P<name>[A-Za-z_][A-Za-z0-9_.-]*)(?::-(?P<default>[^}]*))?\})?"
)


@dataclass(frozen=True, slots=True)
class Variables:
    """Where values come from: ``given`` (options and files) before ``environ``."""

    given: Mapping[str, str]
    environ: Mapping[str, str]

    def substituted(self, text: str, place: Place) -> str:
        """``text`` with every reference replaced. Raises ManifestError, never quoting a value."""

        def replacement(match: re.Match[str]) -> str:
            if match["escaped"]:
                return "${"
            if match["name"] is None:
                raise ManifestError(
                    "a variable is spelled wrongly",
                    address=str(place),
                    expected="${NAME} or ${NAME:-default}",
                    found=text,
                    next_step="write $${ for a literal ${",
                )
            return self._value(match["name"], match["default"], place)

        return _REFERENCE.sub(replacement, text)

    def _value(self, name: str, default: str | None, place: Place) -> str:
        value = self.given.get(name, self.environ.get(name))
        if default is not None:
            return value or default
        if value is None:
            near = difflib.get_close_matches(name, [*self.given, *self.environ], n=1)
            raise ManifestError(
                f"the variable {name} has no value",
                address=str(place),
                found=f"no --var {name}=..., no entry in a --var-file, no environment variable",
                next_step=f"did you mean ${{{near[0]}}}?"
                if near
                else f"add --var {name}=VALUE, or write ${{{name}:-default}}",
            )
        return value
