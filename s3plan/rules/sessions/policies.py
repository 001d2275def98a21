"""How soon archives go to which class: tags and lifecycle rule of one definition.

The tags are what an archive gets at upload, the rule is what S3 goes by; as both come from the same
value, a rule that matches nothing cannot be written. The four that ship are those of the
documentation of astro_cat, by its ids.
"""

from __future__ import annotations

from msgspec import Struct

from s3plan.rules.lifecycle.document import Filter, Rule, Transition


class ArchivePolicy(Struct, frozen=True):
    """``id`` is the rule's, ``tags`` are of every object that it is about."""

    id: str
    tags: dict[str, str]
    transitions: tuple[Transition, ...]

    @property
    def rule(self) -> Rule:
        """The lifecycle rule."""
        return Rule(
            self.id,
            enabled=True,
            filter=Filter(tags=frozenset(self.tags.items())),
            transitions=self.transitions,
        )

    def class_after(self, days: float) -> tuple[str | None, float | None]:
        """The class that it moves objects of that age to, None where none yet; and days until the
        next move, None where there is none.
        """
        due = [one for one in self.transitions if one.days is not None]
        past = [one.storage_class for one in due if (one.days or 0) <= days]
        coming = [(one.days or 0) - days for one in due if (one.days or 0) > days]
        return (past[-1] if past else None), (min(coming) if coming else None)


POLICY_TAGS = frozenset({"archive", "backup", "archive_policy", "backup_policy"})
"""Names of the tags by which the rules of these policies go, and those of the replaced tool."""

POLICIES = {
    "fast": ArchivePolicy(
        "ArchiveFastToDeepArchive", {"archive": "fast"}, (Transition("DEEP_ARCHIVE", 7),)
    ),
    "normal": ArchivePolicy(
        "ArchiveNormalToDeepArchive", {"archive": "normal"}, (Transition("DEEP_ARCHIVE", 30),)
    ),
    "delayed": ArchivePolicy(
        "ArchiveDelayedToGlacier", {"archive": "delayed"}, (Transition("GLACIER", 90),)
    ),
    "deep-archive": ArchivePolicy(
        "BackupToDeepArchiveImmediate", {"backup": "deep-archive"}, (Transition("DEEP_ARCHIVE", 0),)
    ),
}
