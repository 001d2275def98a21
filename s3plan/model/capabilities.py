"""What an endpoint was seen to do with conditions, checksums, versions and policies."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

CAPABILITIES_FORMAT = "s3plan.capabilities/1"

Standing = Literal["honoured", "ignored", "refused", "not-tried"]
"""``honoured``: does what it says; ``ignored``: the request is carried out as if it were not there;
``refused``: requests that carry it fail."""

CapabilityName = Literal[
    "get-if-match",
    "put-if-none-match",
    "put-if-match",
    "copy-source-if-match",
    "copy-if-none-match",
    "copy-if-match",
    "complete-if-none-match",
    "complete-if-match",
    "delete-if-match",
    "delete-many-etag",
    "content-md5",
    "checksum-checked",
    "checksum-kept",
    "versioning",
    "policy-deny",
    "policy-condition",
]

RACED: frozenset[CapabilityName] = frozenset(
    {
        "put-if-none-match",
        "put-if-match",
        "copy-source-if-match",
        "copy-if-none-match",
        "copy-if-match",
        "complete-if-none-match",
        "complete-if-match",
        "delete-if-match",
        "delete-many-etag",
    }
)
"""What must also hold between two writers at the same instant to be worth anything."""


class Race(Struct, frozen=True):
    """Two writers at once: who, how often, and how often both got their way."""

    between: str
    races: int
    broken: int


class Capability(Struct, frozen=True, omit_defaults=True):
    """One thing that was tried. ``detail`` is what the endpoint answered, where that tells more."""

    name: CapabilityName
    standing: Standing
    detail: str = ""
    races: tuple[Race, ...] = ()

    @property
    def atomic(self) -> bool | None:
        """Whether no race was ever broken; None where nobody raced."""
        if not any(race.races for race in self.races):
            return None
        return not any(race.broken for race in self.races)

    @property
    def holds(self) -> bool:
        """Whether s3plan may rely on it: honoured, and never broken by a race it needs."""
        needed = self.name in RACED
        return self.standing == "honoured" and (not needed or self.atomic is True)


class Capabilities(Struct, frozen=True):
    """What one probe of one endpoint found. ``scratch`` is where it wrote, ``time`` when."""

    format: str
    endpoint: str
    region: str
    scratch: str
    time: str
    tool: str
    found: tuple[Capability, ...]

    def get(self, name: CapabilityName) -> Capability:
        """What was found of one; what was not tried says so."""
        for capability in self.found:
            if capability.name == name:
                return capability
        return Capability(name, "not-tried")

    def holds(self, name: CapabilityName) -> bool:
        """Whether s3plan may rely on it. What was not tried is not relied upon."""
        return self.get(name).holds


UNPROBED = Capabilities(CAPABILITIES_FORMAT, "", "", "", "", "", ())
"""What is known of an endpoint that nobody probed: nothing."""
