"""A SessionArchive made of astro_cat's ``s3_config.json``.

Every setting is taken over, is what s3plan does anyway, or is refused by its name. The tags are
those that the tool's uploads carry; its documented rules are for others, which is said.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import yaml
from msgspec import Struct

from s3plan.errors import ManifestError, ProblemsError
from s3plan.kinds.fields import API_VERSION

COMMENT = "_comment"
MEGABIT = 1_000_000 // 8
LATER = 90
"""Days that "flexible" archives stay in GLACIER before they go to DEEP_ARCHIVE."""

_DAYS = {"fast": 7, "standard": 30, "delayed": 90}
_CLASSES = {
    "deep": ("DEEP_ARCHIVE",),
    "flexible": ("GLACIER", "GLACIER_FLEXIBLE", "GLACIER_FLEXIBLE_RETRIEVAL", "FLEXIBLE"),
}

MISMATCH = (
    "astro_cat documents lifecycle rules for the tags `archive` and `backup`, and its uploads carry"
    " `archive_policy` and `backup_policy`: the documented rules match nothing. The rules below are"
    " for the tags that uploads carry."
)

_ANYWAY: dict[str, tuple[object, ...]] = {
    "upload_settings.use_threads": (True, False),
    "upload_settings.multipart_threshold_mb": (100,),
    "upload_settings.multipart_chunksize_mb": (25,),
    "archive_settings.verify_after_upload": (True,),
    "archive_settings.keep_archive_index": (True,),
    "archive_settings.use_pigz": (True, False),
    "archive_settings.temp_dir": (".tmp/backup_archives",),
    "notifications.email_on_complete": (False,),
    "notifications.email_on_error": (False,),
    "notifications.email_address": (None, ""),
}
"""Settings whose values say what s3plan does anyway, or what does not matter here."""

_WHY = {
    "upload_settings.multipart_threshold_mb": "s3plan chooses when to upload in parts",
    "upload_settings.multipart_chunksize_mb": "s3plan chooses the size of parts by the archive's",
    "archive_settings.verify_after_upload": "archives are always verified",
    "archive_settings.keep_archive_index": "every archive has its index",
    "archive_settings.temp_dir": "archives are streamed, and never on disk",
    "notifications.email_on_complete": "define a command in s3plan.yaml and name it in notify",
    "notifications.email_on_error": "define a command in s3plan.yaml and name it in notify",
    "notifications.email_address": "the command that notify names knows whom to write to",
}

_TOLD = {
    "restore_settings": "Restores are a manifest of their own: kind ArchiveRestore.",
    "retry_settings": "Requests are retried by s3plan's own rules.",
    "logging": "The journal of each run has every step; s3plan --log-file writes a log.",
    "cost_tracking": "Prices are in s3plan's own dated list; s3plan cost --prices takes others.",
}
"""Sections that another part of s3plan answers."""


class Imported(Struct, frozen=True):
    """``text`` is the manifest; ``told`` are sentences, and ``refused`` settings with why."""

    text: str
    told: tuple[str, ...]
    refused: tuple[tuple[str, str], ...]


def imported_config(document: object, address: str, *, leave_out: bool) -> Imported:
    """The manifest of a configuration. Raises ProblemsError with every setting that cannot be
    honoured, unless they are to be left out; and for what is no such configuration.
    """
    if not isinstance(document, Mapping) or "buckets" not in document:
        raise ProblemsError(
            "the configuration cannot be imported",
            [
                ManifestError(
                    "this is no s3_config.json",
                    address=address,
                    expected="an object with aws_region, buckets and s3_paths",
                )
            ],
        )
    config = _Config(document)
    documents = [config.connection(), config.archive()]
    refused = tuple(config.refused())
    if refused and not leave_out:
        raise ProblemsError(
            "settings cannot be honoured",
            [
                ManifestError(f"{name} cannot be honoured: {why}", address=address)
                for name, why in refused
            ],
            next_step="change them in the file, or import with --leave-out",
        )
    told = tuple(config.told())
    comments = [f"# {line}" for line in told]
    comments += [f"# left out: {name}: {why}" for name, why in refused]
    text = "---\n".join(
        yaml.safe_dump(one, sort_keys=False, allow_unicode=False, width=100) for one in documents
    )
    return Imported("\n".join([*comments, text]) if comments else text, told, refused)


class _Config:
    """A configuration that is being read; what was taken over is noted."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._document = document
        self._taken: set[str] = set()
        self._bad: dict[str, str] = {}
        self._days: dict[tuple[str, str], int] = {}

    def get(self, path: str, default: Any = None) -> Any:
        """A setting, from then on taken over."""
        self._taken.add(path)
        value: Any = self._document
        for name in path.split("."):
            value = value.get(name) if isinstance(value, Mapping) else None
        return default if value is None else value

    def connection(self) -> dict[str, Any]:
        """The Connection: region and limits."""
        spec: dict[str, Any] = {"region": self.get("aws_region", "us-east-1")}
        limits: dict[str, Any] = {}
        if (many := self.get("upload_settings.max_concurrency")) is not None:
            limits["connections"] = max(1, int(many))
        if (megabits := self.get("upload_settings.max_bandwidth_mbps")) is not None:
            limits["bandwidth"] = int(float(megabits) * MEGABIT)
        if limits:
            spec["limits"] = limits
        return _document("Connection", "default", spec)

    def archive(self) -> dict[str, Any]:
        """The SessionArchive."""
        primary = self.get("buckets.primary", "")
        backup = self.get("buckets.backup")
        paths = {
            name: self.get(f"s3_paths.{name}", default).strip("/")
            for name, default in (
                ("raw_archives", "backups/raw"),
                ("session_notes", "backups/sessions"),
                ("processing_notes", "backups/processing"),
                ("final_outputs", "backups/final"),
                ("database_backups", "backups/database"),
            )
        }
        level = int(self.get("archive_settings.compression_level", 0))
        packed = level > 0
        largest = self.get("archive_settings.max_archive_size_gb")
        spec: dict[str, Any] = {}
        if self.get("enabled", True) is False:
            spec["enabled"] = False
        spec["source"] = {"path": "${LIBRARY}"}
        spec["sessions"] = {"by": "header", "timezone": "site"}
        suffix = ".tar.gz" if packed else ".tar"
        key = f"{paths['raw_archives']}/{{year}}/{{session}}{suffix}"
        spec["target"] = {"bucket": primary, "key": key}
        if backup and backup != primary:
            spec["replica"] = {"bucket": backup}
        spec["bucket"] = {"versioning": "enabled"}
        raw = self._policy("raw_lights")
        calibration = self._policy("raw_calibration")
        if raw:
            spec["lifecycle"] = raw
        if calibration and calibration != raw:
            self._bad["backup_rules.raw_calibration"] = (
                "a tar holds all frames of its session, so they have one rule"
            )
        if packed or largest is not None:
            spec["archive"] = {"compression": "gzip" if packed else "none"} | (
                {"maxSize": int(float(largest) * 1000**3)} if largest is not None else {}
            )
        spec["notes"] = {
            "from": "notes/{year}/{session}_notes.md",
            "key": f"{paths['session_notes']}/{{year}}/{{session}}_notes.md",
        } | _with("lifecycle", self._policy("imaging_sessions"))
        processing = _with("lifecycle", self._policy("processing_sessions"))
        versions = "{stem}_{modified}_{digest}{ext}"
        spec["extras"] = [
            {"from": "processing/*.md", "key": f"{paths['processing_notes']}/{versions}"}
            | processing,
            {"from": "final/*", "key": f"{paths['final_outputs']}/{versions}"} | processing,
            {"from": "*.db", "key": f"{paths['database_backups']}/{versions}"},
        ]
        return _document("SessionArchive", "raw", spec)

    def _policy(self, name: str) -> dict[str, Any] | None:
        """The lifecycle of one of ``backup_rules``; None where there is no such rule."""
        path = f"backup_rules.{name}"
        rule = self.get("backup_rules", {}).get(name)
        if not isinstance(rule, Mapping):
            self._taken.add(path)
            return None
        known = ("archive_policy", "backup_policy", "archive_days", "storage_class")
        self._taken |= {f"{path}.{field}" for field in known}
        soon, kept = rule.get("archive_policy"), rule.get("backup_policy")
        if soon not in _DAYS or kept not in _CLASSES:
            self._bad[path] = f"there is no policy {soon}, {kept}"
            return None
        stated = rule.get("storage_class")
        if stated is not None and str(stated).upper() not in _CLASSES[kept]:
            self._bad[f"{path}.storage_class"] = f"{kept} archives do not go to {stated}"
        wanted = int(rule.get("archive_days", _DAYS[soon]))
        days = self._days.setdefault((soon, kept), wanted)
        if days != wanted:
            self._bad[f"{path}.archive_days"] = "objects with the same tags have one rule"
        moves = [{"days": days, "storageClass": _CLASSES[kept][0]}]
        if kept == "flexible":
            moves.append({"days": days + LATER, "storageClass": "DEEP_ARCHIVE"})
        return {
            "id": f"archive-{soon}-{kept}",
            "tags": {"archive_policy": soon, "backup_policy": kept},
            "transitions": moves,
        }

    def refused(self) -> Iterator[tuple[str, str]]:
        """Settings that s3plan cannot honour, with why; in the order of the file."""
        yield from self._bad.items()
        for path, value in _leaves(self._document):
            section = path.partition(".")[0]
            if path in self._taken or path in self._bad or section in _TOLD:
                continue
            if path not in _ANYWAY:
                yield path, "there is no such setting in astro_cat"
            elif value not in _ANYWAY[path]:
                yield path, _WHY[path]

    def told(self) -> Iterator[str]:
        """What a person should know."""
        if "backup_rules" in self._document:
            yield MISMATCH
        yield from (text for section, text in _TOLD.items() if section in self._document)


def _with(name: str, value: Any) -> dict[str, Any]:
    return {name: value} if value else {}


def _document(kind: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": {"name": name}, "spec": spec}


def _leaves(value: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for name, inner in value.items():
        if name.startswith(COMMENT):
            continue
        path = f"{above}.{name}" if above else name
        if isinstance(inner, Mapping) and inner:
            yield from _leaves(inner, path)
        else:
            yield path, inner
