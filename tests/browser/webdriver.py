"""A browser driven over W3C WebDriver, by Debian's chromedriver.

The protocol (https://www.w3.org/TR/webdriver2/) is JSON over HTTP to a process of one's own, so
nothing has to be installed for it.
"""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from s3plan.demo.programs import free_ports

_ARGUMENTS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--window-size=1240,1400",
)


class Browser:
    """One session. ``run`` executes JavaScript and gives back what it returns."""

    def __init__(self, base: str) -> None:
        self._base = base
        options = {
            "browserName": "chrome",
            "goog:chromeOptions": {"args": list(_ARGUMENTS)},
            "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
        }
        answer = self._ask("POST", "/session", {"capabilities": {"alwaysMatch": options}})
        self._session = f"/session/{answer['sessionId']}"

    def open(self, path: Path) -> None:
        self._post("/url", {"url": path.absolute().as_uri()})

    def run(self, script: str, *arguments: Any) -> Any:
        return self._post("/execute/sync", {"script": script, "args": list(arguments)})

    def until(self, script: str, seconds: float = 30) -> None:
        """Wait until an expression is true."""
        deadline = time.monotonic() + seconds
        while not self.run(f"return Boolean({script})"):
            assert time.monotonic() < deadline, f"never true: {script}"
            time.sleep(0.02)

    def screenshot(self) -> bytes:
        return base64.b64decode(self._ask("GET", f"{self._session}/screenshot"))

    def print_pdf(self) -> bytes:
        return base64.b64decode(self._post("/print", {"background": True}))

    def complaints(self) -> list[str]:
        """Errors and warnings of the console since the last time."""
        return [entry["message"] for entry in self._post("/se/log", {"type": "browser"})]

    def requested(self) -> list[str]:
        """Every address that was asked for since the last time."""
        messages = (
            json.loads(entry["message"])["message"]
            for entry in self._post("/se/log", {"type": "performance"})
        )
        return [
            message["params"]["request"]["url"]
            for message in messages
            if message["method"] == "Network.requestWillBeSent"
        ]

    def close(self) -> None:
        self._ask("DELETE", self._session)

    def _post(self, path: str, body: dict[str, Any]) -> Any:
        return self._ask("POST", self._session + path, body)

    def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self._base + path, data, method=method)
        request.add_header("Content-Type", "application/json")
        with urllib.request.urlopen(request, timeout=100) as answer:
            return json.load(answer)["value"]


@contextmanager
def browser() -> Iterator[Browser]:
    """Chromium, headless. Fails where it is not installed."""
    driver = shutil.which("chromedriver")
    assert driver, "chromedriver is not installed (Debian: chromium-driver)"
    (port,) = free_ports(1)
    process = subprocess.Popen(
        [driver, f"--port={port}", "--log-level=OFF"], stdout=subprocess.DEVNULL
    )
    base = f"http://127.0.0.1:{port}"
    try:
        _wait(base, process)
        opened = Browser(base)
        try:
            yield opened
        finally:
            opened.close()
    finally:
        process.terminate()
        process.wait(10)


def _wait(base: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 20
    while True:
        assert process.poll() is None, "chromedriver ended"
        try:
            with urllib.request.urlopen(f"{base}/status", timeout=5):
                return
        except OSError:
            assert time.monotonic() < deadline, "chromedriver does not answer"
            time.sleep(0.05)
