"""Commands of the user's own that a run may start: what the project file defines, by name."""

from __future__ import annotations

import hashlib

import msgspec
from msgspec import Struct
from msgspec.structs import replace


class CommandRef(Struct, frozen=True):
    """A command as plans name it: enough to show it, and to notice that it was defined anew.

    ``argv`` is for people; what runs is what the project file says, if that has this ``digest``:
    ``sha256:`` and 64 hex digits.
    """

    name: str
    argv: tuple[str, ...]
    digest: str


class Command(Struct, frozen=True):
    """A command as the project file defines it: no shell, no secrets.

    ``argv`` is the program and its arguments. ``directory`` is where it runs, relative to the
    project file. It may take ``timeout`` seconds. ``environment`` are variables that it gets,
    ``inherit`` names those that it gets from s3plan's own environment. ``base`` is the directory of
    the project file, which is no part of what it says.
    """

    name: str
    argv: tuple[str, ...]
    directory: str
    timeout: float
    environment: dict[str, str] = {}
    inherit: tuple[str, ...] = ()
    base: str = ""

    @property
    def ref(self) -> CommandRef:
        """What a plan says of it."""
        said = msgspec.json.encode(replace(self, base=""), order="sorted")
        return CommandRef(self.name, self.argv, f"sha256:{hashlib.sha256(said).hexdigest()}")
