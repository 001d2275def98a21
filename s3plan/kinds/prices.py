"""A price list of the user's own: a YAML or JSON file, shaped as ``rules.prices.PriceList``."""

from __future__ import annotations

from pathlib import Path

import msgspec

from s3plan.errors import ManifestError, ProblemsError
from s3plan.kinds.documents import read_source
from s3plan.kinds.variables import Variables
from s3plan.rules.pricelist import shipped
from s3plan.rules.prices import PriceList


def read_prices(path: Path) -> PriceList:
    """The shipped list with what the file says in its place. Raises ProblemsError."""
    source = read_source(path, Variables({}, {}))
    problems = list(source.problems)
    if not problems and len(source.documents) != 1:
        problems.append(
            ManifestError(
                "a price list is one document",
                address=str(path),
                found=f"{len(source.documents)}",
                next_step="docs/cost.md shows one",
            )
        )
    for document in source.documents if not problems else ():
        try:
            own = msgspec.convert(document.value, PriceList, strict=False)
        except msgspec.ValidationError as error:
            problems.append(
                ManifestError(
                    "the price list is not right",
                    address=str(path),
                    found=str(error),
                    next_step="docs/cost.md shows one",
                )
            )
        else:
            return shipped().replaced_by(own)
    raise ProblemsError("the price list is not right", problems)
