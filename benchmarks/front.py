"""A door before the server that passes everything on, and tells of the first request for an object.

It stands between s3plan and the server where a benchmark ends with a request.
"""

from __future__ import annotations

import contextlib
import re
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

_CHUNK = 1 << 16


@dataclass
class Front:
    """Listening from the start, on ``endpoint``; ``asked`` is called with the first line of each
    GET of an object of ``bucket`` that is not a listing, on a thread.
    """

    behind: str
    bucket: str
    asked: Callable[[bytes], object] = lambda _: None

    def __post_init__(self) -> None:
        """Listen."""
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.endpoint = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._first = re.compile(rb"^GET /%b/[^? ]+" % self.bucket.encode(), re.MULTILINE)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        place = urlsplit(self.behind)
        while True:
            client, _ = self._listener.accept()
            server = socket.create_connection((place.hostname, place.port))
            for one, other, asks in ((client, server, True), (server, client, False)):
                arguments = (one, other, asks)
                threading.Thread(target=self._pass_on, args=arguments, daemon=True).start()

    def _pass_on(self, one: socket.socket, other: socket.socket, asks: bool) -> None:
        with contextlib.suppress(OSError):
            while data := one.recv(_CHUNK):
                if asks and (found := self._first.search(data)):
                    self.asked(found[0])
                other.sendall(data)
        for end in (one, other):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
