"""Storage classes in manifests: those of S3 by their own names."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from s3plan.kinds.fields import CONTRADICTION
from s3plan.rules.lifecycle.checks import class_fault


def _class_checked(name: str) -> str:
    fault = class_fault(name)
    if fault is not None:
        raise PydanticCustomError(
            CONTRADICTION, "{what}: {hint}", {"what": fault.what, "hint": fault.next_step}
        )
    return name


StorageClass = Annotated[
    str,
    AfterValidator(_class_checked),
    Field(
        examples=[
            "STANDARD_IA",
            "INTELLIGENT_TIERING",
            "ONEZONE_IA",
            "GLACIER_IR",
            "GLACIER",
            "DEEP_ARCHIVE",
        ]
    ),
]
