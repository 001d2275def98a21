"""A grouping that was applied, and whose soak takes no days: what the tests of this folder begin
with.
"""

from __future__ import annotations

from pathlib import Path

from s3plan import api
from s3plan.model.events import RunFinished
from s3plan.model.soak import MonitorResult
from tests.engine.scene import Scene

MANIFEST = """\
apiVersion: s3plan/v1
kind: Connection
metadata: {{name: default}}
spec: {{endpoint: "{endpoint}", region: {region}, limits: {{connections: 8}}}}
---
apiVersion: s3plan/v1
kind: ObjectGrouping
metadata: {{name: by-type}}
spec:
  source: {{bucket: {bucket}, pattern: "{{row_id}}/{{name}}/{{file}}"}}
  target: {{bucket: {target}, key: "{key}"{given}}}
  sources: {sources}
  monitor: {{days: {days}}}
{more}"""

KEY = "{type}/{row_id}_{name}_{file}"
FILES = ("talk.mp3", "film.mp4", "cv.pdf")
COUNT = 9


class Soaking:
    """A scene with a manifest; ``journal`` is that of the run that copied."""

    def __init__(self, scene: Scene, target: str | None = None, key: str = KEY) -> None:
        self.scene = scene
        self.target = target or scene.bucket
        self.key = key
        self.given = ""
        self.journal = Path("journal.json")

    def declare(self, *, days: int = 0, sources: str = "deleteAfterSoak", more: str = "") -> None:
        """Write the manifest."""
        server = self.scene.server
        (self.scene.directory / "manifest.yaml").write_text(
            MANIFEST.format(
                endpoint=server.endpoint,
                region=server.region,
                bucket=self.scene.bucket,
                target=self.target,
                key=self.key,
                given=self.given,
                sources=sources,
                days=days,
                more=more,
            )
        )

    def fill(self, people: int = 3) -> None:
        """Three files of each of so many people."""
        for row in range(1, people + 1):
            for file in FILES:
                self.scene.put(f"{row}/P{row}/{file}", f"{row} {file}".encode())

    def migrate(self, *, days: int = 0, more: str = "") -> RunFinished:
        """Plan and apply the copies."""
        self.declare(days=days, more=more)
        finished = self.apply()
        assert finished.exit_code == 0, (finished, self.scene.problems())
        self.journal = self.scene.run().journal
        return finished

    def apply(self, **options: str | None) -> RunFinished:
        """Plan, and apply it."""
        made = self.scene.plan()
        assert made.plan is not None, made.notes
        return self.scene.apply(**options)  # type: ignore[arg-type]

    def check(self, *, full: bool = False) -> MonitorResult:
        """``s3plan monitor``."""
        return api.monitor(self.journal, by="tester", full=full)

    def sign(self) -> MonitorResult:
        """``s3plan signoff``."""
        return api.sign_off(self.journal, by="tester", name="Ann Lee", role="data owner")

    def soak(self) -> None:
        """A check that finds nothing, and a signature."""
        assert self.check().check is not None
        self.sign()

    def clean(self) -> RunFinished:
        """Plan the deletion, apply it to its gate, and again with the approval."""
        finished = self.apply()
        assert finished.outcome == "held", finished
        return self.scene.apply(delete=self.scene.gate().evidence)


def sources(keys: list[str]) -> list[str]:
    """The keys of the old layout."""
    return [key for key in keys if key[0].isdigit()]
