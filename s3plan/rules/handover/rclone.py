"""Lists for ``rclone copy --files-from-raw`` (https://rclone.org/filtering/#files-from-raw).

A list names objects below one place, which arrive below another under the same names: objects are
put together by what is left of both names once their common end is taken off. An object whose last
part of the name changes goes by itself, with ``rclone copyto``. rclone writes some characters as
others of Unicode (https://rclone.org/overview/#restricted-filenames); names with these are refused.
"""

from __future__ import annotations

from msgspec import Struct

from s3plan.model.steps import Copy, Download, Item

MOST_LISTS = 1_000
"""Lists of one step; a step that would need more is better done by something else."""


class Pair(Struct, frozen=True):
    """Where the objects of one list lie and go: folders, without slashes at their ends."""

    source: str
    target: str


def refusal(item: Item) -> str | None:
    """Why no list and no command of rclone can say this item; None where one can."""
    if item.history is not None or item.marker:
        return "older versions"
    for name in (item.key, item.path):
        if any(part in ("", ".", "..") for part in name.split("/")):
            return "names with empty, . or .. segments, or a slash at an end"
        if any(_is_replaced(character) for character in name):
            return "control characters, or characters by which rclone writes others"
    return None


def split(item: Item) -> tuple[Pair, str]:
    """The two places of an item, and its name below both; the name is empty where it changes."""
    source, target = item.key.split("/"), item.path.split("/")
    common = 0
    while common < min(len(source), len(target)) and source[-1 - common] == target[-1 - common]:
        common += 1
    if not common:
        return Pair(item.key, item.path), ""
    name = "/".join(source[len(source) - common :])
    return Pair("/".join(source[:-common]), "/".join(target[:-common])), name


def options(action: Copy | Download, storage_class: str) -> tuple[str, ...]:
    """What rclone is told besides the two places, for objects of a class.

    What is there already is left alone, like everything else that s3plan did not plan.
    """
    words = ["--no-traverse", "--ignore-existing", "--s3-no-check-bucket"]
    if isinstance(action, Copy):
        words += ["--s3-storage-class", action.storage_class or storage_class]
        if action.acl:
            words += ["--s3-acl", action.acl]
        if action.encryption:
            words += ["--s3-server-side-encryption", action.encryption]
        if action.kms_key:
            words += ["--s3-sse-kms-key-id", action.kms_key]
    return tuple(words)


def _is_replaced(character: str) -> bool:
    code = ord(character)
    # U+201B quotes, U+24xx are pictures of control characters, U+FFxx fullwidth forms.
    return (
        code < 0x20
        or code == 0x7F
        or code in (0x201B, 0xFFFD)
        or 0x2400 <= code < 0x2440
        or 0xFF00 <= code < 0xFFF0
    )
