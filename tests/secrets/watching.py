"""The watch over the whole test session: no secret in any output, and in no file that is left."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from tests.secrets.canaries import PRESIGNED_URL, VARIABLE, Leaks

LEAKS = Leaks()


@pytest.fixture(scope="session", autouse=True)
def no_secret_is_written_down(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Fails the session, at its end, if a canary was found anywhere."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(VARIABLE, PRESIGNED_URL)
        patch.setattr(subprocess.Popen, "communicate", _communicate)
        patch.setattr(pytest.CaptureFixture, "readouterr", _readouterr)
        yield
    LEAKS.look_below(tmp_path_factory.getbasetemp())
    assert not LEAKS.found, "\n".join(["secrets were written down:", *LEAKS.found])


def look_at_report(report: pytest.TestReport) -> None:
    """Search what a test printed and logged."""
    for title, text in report.sections:
        LEAKS.look(text, f"{title} of {report.nodeid}")


_real_communicate = subprocess.Popen.communicate
_real_readouterr = pytest.CaptureFixture.readouterr


def _communicate(self: subprocess.Popen[Any], *args: Any, **kwargs: Any) -> Any:
    out, err = _real_communicate(self, *args, **kwargs)
    LEAKS.look(out, f"the output of {self.args!r}")
    LEAKS.look(err, f"the messages of {self.args!r}")
    return out, err


def _readouterr(self: pytest.CaptureFixture[Any]) -> Any:
    read = _real_readouterr(self)
    LEAKS.look(read.out, "the output of a command")
    LEAKS.look(read.err, "the messages of a command")
    return read
