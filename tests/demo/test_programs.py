"""A server comes up although another process was quicker to take its port."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from s3plan.demo import programs
from s3plan.errors import EndpointError


def _moto() -> programs.Program:
    found = programs.find_program("moto_server")
    assert found is not None
    return programs.moto(found)


def test_a_port_that_was_taken_meanwhile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        offered = [[other.getsockname()[1]], programs.free_ports(1)]
        monkeypatch.setattr(programs, "free_ports", lambda _: offered.pop(0))
        # The other is no server of S3: it takes connections and never answers.
        monkeypatch.setattr(programs, "_answers", _unless(other.getsockname()[1]))
        with programs.running(_moto(), tmp_path) as endpoint:
            assert str(other.getsockname()[1]) not in endpoint
    assert offered == []


def _unless(port: int) -> object:
    real = programs._answers
    return lambda url: str(port) not in url and real(url)


def test_a_program_that_ends_says_why(tmp_path: Path) -> None:
    broken = programs.Program("moto", 1, lambda _: ["sh", "-c", "echo no room; exit 1"], 0, "/")
    with (
        pytest.raises(EndpointError, match="moto did not start on this machine") as caught,
        programs.running(broken, tmp_path),
    ):
        pytest.fail("nothing was started")
    assert caught.value.found == "no room"


def test_ports_are_below_those_of_outgoing_connections() -> None:
    ports = programs.free_ports(50)
    assert len(set(ports)) == 50
    assert max(ports) < 32_768
