"""S3's archives, played by the test proxy in front of a server that has none.

SeaweedFS stores the class GLACIER and reads at once. The proxy refuses what is not restored, takes
RestoreObject, and lets restores become ready and expire by a clock of its own; it tells how far
they are in LIST (where asked, and where it is told to), HEAD and GET.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import formatdate
from xml.sax.saxutils import unescape

from s3plan.rules.classes import ARCHIVED_CLASSES
from tests.faults.faults import refuse
from tests.faults.proxy import Asked, Exchange, Proxy, Rule
from tests.store.scripted import answer

_CONTENTS = re.compile(rb"<Contents>.*?</Contents>", re.DOTALL)
_KEY = re.compile(rb"<Key>(.*?)</Key>", re.DOTALL)
_CLASS = re.compile(rb"<StorageClass>(.*?)</StorageClass>")
_DAYS = re.compile(rb"<Days>(\d+)</Days>")
_TIER = re.compile(rb"<Tier>(\w+)</Tier>")
DAY = 86_400


@dataclass
class Copy:
    """A restore: ready from a moment of the clock on, gone at another (seconds since 1970)."""

    ready: float
    expires: float
    tier: str


@dataclass
class Glacier:
    """The archive. ``hours`` is how long a restore takes by its clock, which starts now and runs
    ``speed`` times as fast as ours.

    ``lists`` says whether listings tell of restores. ``capacity`` is of Expedited restores.
    ``tiered`` are keys of INTELLIGENT_TIERING with their archive tier.
    """

    hours: float = 5
    lists: bool = True
    capacity: bool = True
    copies: dict[str, Copy] = field(default_factory=dict)
    classes: dict[str, str] = field(default_factory=dict)
    tiered: dict[str, str] = field(default_factory=dict)
    asked: list[tuple[str, str, int | None]] = field(default_factory=list)
    on_look: Callable[[], None] = lambda: None
    before_restore: Callable[[str], None] = lambda _: None
    speed: float = 0
    _began: float = field(default_factory=time.time)
    _skipped: float = 0

    @property
    def now(self) -> float:
        """The clock's time, in seconds since 1970."""
        return self._began + self._skipped + self.speed * (time.time() - self._began)

    def play(self, proxy: Proxy) -> None:
        """Stand in the proxy from now on."""
        proxy.play(
            Rule("restore", self._restore, method="POST", query="restore"),
            Rule("list", self._list, method="GET", query="list-type"),
            Rule("head", self._head, method="HEAD", key=".+"),
            Rule("frozen", refuse(403, "InvalidObjectState"), method="GET", query="-",
                 when=self._is_frozen),
        )  # fmt: skip

    def later(self, hours: float) -> None:
        """Let the clock go on."""
        self._skipped += hours * 3600

    def begin(self, key: str, *, hours: float, days: float) -> None:
        """Somebody else's restore, ready after so many hours."""
        ready = self.now + hours * 3600
        self.copies[key] = Copy(ready, ready + days * DAY, "Standard")

    def status(self, key: str) -> Copy | None:
        """The restore of a key that has not expired."""
        copy = self.copies.get(key)
        return copy if copy and copy.expires > self.now else None

    def _is_archived(self, key: str) -> bool:
        return self.classes.get(key) in ARCHIVED_CLASSES or key in self.tiered

    def _is_frozen(self, asked: Asked) -> bool:
        copy = self.status(asked.key)
        return self._is_archived(asked.key) and (copy is None or copy.ready > self.now)

    async def _restore(self, exchange: Exchange) -> None:
        key, body = exchange.asked.key, exchange.asked.body
        days, tier = _DAYS.search(body), _TIER.search(body)
        assert tier is not None
        name = tier[1].decode()
        self.before_restore(key)
        self.asked.append((key, name, int(days[1]) if days else None))
        if not self._is_archived(key):
            await refuse(403, "InvalidObjectState")(exchange)
            return
        if name == "Expedited" and not self.capacity:
            await refuse(503, "GlacierExpeditedRetrievalNotAvailable")(exchange)
            return
        assert (days is None) == (key in self.tiered), "Days are not for INTELLIGENT_TIERING"
        copy = self.status(key)
        if copy is not None and copy.ready > self.now:
            await refuse(409, "RestoreAlreadyInProgress")(exchange)
            return
        kept = int(days[1]) * DAY if days else 10_000 * DAY
        if copy is not None:
            copy.expires = self.now + kept
            exchange.send(answer(200, ""))
            return
        ready = self.now + self.hours * 3600
        self.copies[key] = Copy(ready, ready + kept, name)
        exchange.send(answer(202, ""))

    async def _list(self, exchange: Exchange) -> None:
        self.on_look()
        reply = await exchange.served()
        wanted = exchange.asked.headers.get("x-amz-optional-object-attributes") == "RestoreStatus"
        body = _CONTENTS.sub(lambda found: self._entry(found[0], wanted=wanted), reply.body)
        exchange.send(reply.with_body(body))

    def _entry(self, entry: bytes, *, wanted: bool) -> bytes:
        key, name = _KEY.search(entry), _CLASS.search(entry)
        assert key is not None
        text = unescape(key[1].decode())
        told = name[1].decode() if name else "STANDARD"
        self.classes.setdefault(text, told)
        entry = _CLASS.sub(b"<StorageClass>%s</StorageClass>" % self._class(text).encode(), entry)
        copy = self.status(text)
        if not wanted or not self.lists or copy is None or text in self.tiered:
            return entry
        status = "<IsRestoreInProgress>true</IsRestoreInProgress>"
        if copy.ready <= self.now:
            expiry = datetime.fromtimestamp(copy.expires, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
            status = (
                "<IsRestoreInProgress>false</IsRestoreInProgress>"
                f"<RestoreExpiryDate>{expiry}</RestoreExpiryDate>"
            )
        return entry.replace(
            b"</Contents>", f"<RestoreStatus>{status}</RestoreStatus></Contents>".encode()
        )

    def _class(self, key: str) -> str:
        return "INTELLIGENT_TIERING" if key in self.tiered else self.classes[key]

    async def _head(self, exchange: Exchange) -> None:
        reply = await exchange.served()
        self.on_look()
        key = exchange.asked.key
        copy = self.status(key)
        lines = []
        if key in self.tiered:
            lines.append("x-amz-storage-class: INTELLIGENT_TIERING")
            if copy is None or copy.ready > self.now:
                lines.append(f"x-amz-archive-status: {self.tiered[key]}")
        if copy is not None and copy.ready > self.now:
            lines.append('x-amz-restore: ongoing-request="true"')
        elif copy is not None and key not in self.tiered:
            expiry = formatdate(copy.expires, usegmt=True)
            lines.append(f'x-amz-restore: ongoing-request="false", expiry-date="{expiry}"')
        head, rest = reply.head.raw.rstrip(b"\r\n").split(b"\r\n", 1)
        kept = [
            line
            for line in rest.split(b"\r\n")
            if key not in self.tiered or not line.lower().startswith(b"x-amz-storage-class:")
        ]
        exchange.send(b"\r\n".join([head, *kept, *map(str.encode, lines)]) + b"\r\n\r\n")
