"""Rewrite constraints.txt from the resolver's answer to pyproject.toml.

pip resolves the project with all extras against nothing installed and reports what it would
install; only names and versions are kept, so the file says nothing about where packages came from.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OLDEST = (3, 11)
HEADER = """\
# The versions `make` installs, so that every machine runs what was tested (pyproject.toml has
# ranges). Made by `make lock`: pip's resolver, asked for s3plan[dev,fuzz,bench] under Python 3.11.
"""


def resolve() -> dict[str, str]:
    """Every distribution pip would install, by normalised name."""
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed"]
    command += ["--report", "-", "--editable", f"{ROOT}[dev,fuzz,bench]"]
    report = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    answers = (entry["metadata"] for entry in report["install"])
    return {re.sub(r"[-_.]+", "-", answer["name"]).lower(): answer["version"] for answer in answers}


def main() -> int:
    """Refuse a newer Python: its answer may hold versions that the oldest cannot install."""
    if sys.version_info[:2] != OLDEST:
        wanted = ".".join(map(str, OLDEST))
        print(
            f"lock under the oldest supported Python: make lock PYTHON=python{wanted}",
            file=sys.stderr,
        )
        return 1
    versions = resolve()
    del versions["s3plan"]
    lines = [f"{name}=={version}\n" for name, version in sorted(versions.items())]
    (ROOT / "constraints.txt").write_text(HEADER + "".join(lines))
    print(f"constraints.txt: {len(lines)} packages")
    return 0


if __name__ == "__main__":
    sys.exit(main())
