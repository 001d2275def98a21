"""``s3plan init``: a first manifest, its variables and a .gitignore, in the working directory."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click

from s3plan.cli.command import Command
from s3plan.cli.settings import settings

_MANIFEST: Final = """\
# What should be true. `s3plan plan` shows the difference, `s3plan apply` makes it so.
# ${NAME} comes from local.yaml (--var-file), --var NAME=value, or the environment.
apiVersion: s3plan/v1
kind: Connection
metadata: {name: default}
spec:
  # Leave both out for AWS with the usual credentials and region.
  endpoint: ${S3_ENDPOINT}
  region: ${S3_REGION}
---
apiVersion: s3plan/v1
kind: BucketEvacuation
metadata: {name: first-evacuation}
spec:
  buckets:
    include: ["${BUCKET}"]     # names or globs
  destination:
    path: ${DESTINATION}
    layout: "{bucket}/{key}"
  delete: never                # or afterVerification: asks again once every object is verified
  deleteBucket: false
"""

_SESSIONS: Final = """\
# Every imaging session as one archive in S3. `s3plan plan` shows what is missing there, `s3plan
# apply` uploads it. ${NAME} comes from local.yaml (--var-file), --var NAME=value, or the
# environment.
apiVersion: s3plan/v1
kind: Connection
metadata: {name: default}
spec:
  # Leave both out for AWS with the usual credentials and region.
  endpoint: ${S3_ENDPOINT}
  region: ${S3_REGION}
---
apiVersion: s3plan/v1
kind: SessionArchive
metadata: {name: raw}
spec:
  source: {path: "${LIBRARY}"}
  sessions:
    by: directory                # or header: one rig in one night, by FITS headers
    pattern: "{year}/{session}"
  target:
    bucket: ${BUCKET}
    key: "backups/raw/{year}/{session}.tar"
  bucket: {create: true, versioning: enabled}
  lifecycle: {policy: fast}      # DEEP_ARCHIVE a week later; normal, delayed, deep-archive
"""

_VARIABLES: Final = """\
# Values of this machine for manifest.yaml. Not for version control; no secrets either:
# credentials come from the usual AWS chain (environment, profile, role).
S3_ENDPOINT: https://s3.eu-central-1.amazonaws.com
S3_REGION: eu-central-1
BUCKET: my-bucket
DESTINATION: ./evacuated
"""

_SESSION_VARIABLES: Final = _VARIABLES.replace("DESTINATION: ./evacuated", "LIBRARY: ./library")

_IGNORED: Final = """\
# s3plan: values of this machine, plans, runs and journals
local.yaml
plan.json*
journal.json
.s3plan/
"""

_STARTS: Final = {
    "evacuation": (_MANIFEST, _VARIABLES),
    "sessions": (_SESSIONS, _SESSION_VARIABLES),
}

_NEXT: Final = "s3plan plan manifest.yaml --var-file local.yaml"


@click.command(
    cls=Command,
    name="init",
    short_help="Write a first manifest, its variables and a .gitignore.",
    exits=(0, 1),
)
@click.argument("what", type=click.Choice(list(_STARTS)), default="evacuation")
def command(*, what: str) -> int:
    """Write manifest.yaml, local.yaml and .gitignore here; files that exist are kept.

    `sessions` is a start for imaging sessions, `evacuation` (unless named) for buckets to disk.
    """
    manifest, variables = _STARTS[what]
    files = {"manifest.yaml": manifest, "local.yaml": variables, ".gitignore": _IGNORED}
    written, kept = [], []
    for name, text in files.items():
        try:
            # "x": never overwrites, not even a file that appears meanwhile.
            with Path(name).open("x", encoding="utf-8") as file:
                file.write(text)
            written.append(name)
        except FileExistsError:
            kept.append(name)
    lines = [f"wrote {name}" for name in written] + [f"kept {name}" for name in kept]
    if ".gitignore" in kept:
        lines.append("see that .gitignore names: local.yaml, plan.json*, journal.json, .s3plan/")
    lines.append(f"next: fill in local.yaml, then `{_NEXT}`")
    record = {"type": "init", "written": written, "kept": kept, "next": _NEXT}
    settings().view().told("\n".join(lines), record)
    return 0
