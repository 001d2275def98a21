"""Fixtures every layer may use: real servers, started once per session and only when asked for."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import botocore.session
import pytest
from hypothesis import settings

from s3plan.demo.programs import find_program
from s3plan.engine import holding
from tests.rgw.server import ceph_rgw
from tests.secrets.watching import look_at_report, no_secret_is_written_down
from tests.servers import Server, moto, reset_moto, seaweedfs

# How long one example takes says how busy the machine is, not whether the code is right.
settings.register_profile("search", deadline=None, max_examples=1_000, print_blob=True)
# The same examples every time, so red is what was changed; `make test-search` looks for others.
settings.register_profile("s3plan", deadline=None, derandomize=True)
settings.load_profile("s3plan")

__all__ = ["no_secret_is_written_down"]  # a fixture of every session

_WHERE_NAMED = ("rgw", "browser", "load", "long", "dask")

_LONGEST = ("crash", "demo", "flow", "restore", "locks", "soak", "faults")

_MARKS = {"moto_server": "moto", "seaweed": "seaweedfs", "rgw": "rgw"}


@pytest.fixture(scope="session")
def moto_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The server of moto, empty at the start of every test."""
    with moto(tmp_path_factory.mktemp("moto")) as server:
        yield server


@pytest.fixture(scope="session")
def seaweed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """SeaweedFS; buckets stay, so every test makes buckets of its own."""
    if find_program("weed") is None:
        pytest.skip("SeaweedFS (weed) is not installed")
    with seaweedfs(tmp_path_factory.mktemp("seaweedfs")) as server:
        yield server


@pytest.fixture(scope="session")
def rgw(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Ceph's RGW, only with ``-m rgw``; then it fails where it is not installed."""
    with ceph_rgw(tmp_path_factory.mktemp("rgw")) as server:
        yield server


@pytest.fixture(scope="session", autouse=True)
def _service_models_are_read_once() -> Iterator[None]:
    """A process is one command and reads boto3's models once; here it plays thousands of them.

    That was a fifth of the time of all tests. The reader keeps no state but what it has read.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(botocore.session, "create_loader", cache(botocore.session.create_loader))
        yield


@pytest.fixture(scope="session", autouse=True)
def _nobody_lingers() -> Iterator[None]:
    """A session that a test breaks off has nothing under way once it was raised through.

    `test_what_a_killed_process_sent_last_is_waited_for` is about the waiting itself.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(holding, "LINGER", 0.0)
        yield


@pytest.fixture(autouse=True)
def _empty_moto(request: pytest.FixtureRequest) -> None:
    if "moto_server" in request.fixturenames:
        reset_moto(request.getfixturevalue("moto_server"))


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Search every test's output for secrets."""
    look_at_report(report)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark tests by the servers they use, so that ``-m "not seaweedfs"`` needs no discipline.

    Servers count that a test is parametrized with, too. Some tests run only where ``-m`` names
    them: a machine need not have a Ceph or a browser, nor minutes for large plans.
    """
    for item in items:
        callspec = getattr(item, "callspec", None)
        named = callspec.params.values() if callspec is not None else ()
        for fixture in {*getattr(item, "fixturenames", ()), *filter(_is_text, named)} & set(_MARKS):
            item.add_marker(_MARKS[fixture])
    unnamed = [name for name in _WHERE_NAMED if name not in (config.option.markexpr or "")]
    left_out = [item for item in items if any(map(item.get_closest_marker, unnamed))]
    items[:] = [item for item in items if not any(map(item.get_closest_marker, unnamed))]
    if left_out:
        config.hook.pytest_deselected(items=left_out)
    # A file's tests stay on one worker: what takes longest comes first, so that none is left with
    # it in the end.
    items.sort(key=lambda item: item.path.parent.name not in _LONGEST)


def _is_text(value: object) -> bool:
    return isinstance(value, str)
