"""What the process that has the run makes of a cluster that goes away; no server, no processes."""

from __future__ import annotations

import asyncio
import time
from types import SimpleNamespace
from typing import Any, cast

import pytest

from s3plan.errors import HeldError
from s3plan.model.runners import DaskSettings
from s3plan.model.steps import Copy, Step, Totals

pytestmark = pytest.mark.long

_COPYING = Step("copy-1", Copy(source="old"), "new", (), None, "free", "", "", Totals(1))


def test_a_client_that_closed_itself_is_a_scheduler_that_is_gone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Dask's client gives up after some time, and knows no scheduler any more: the run is held."""
    # Half a second to import, which only this test shall wait for.
    from distributed.client import ClosedClientError

    from s3plan.engine.runners.dask import cluster
    from s3plan.engine.runners.dask.takeover import Handout

    class Closed:
        dashboard_link = ""
        scheduler: Any = None

        def submit(self, *_: object, **__: object) -> None:
            raise ClosedClientError("Client is closed. Can't send update-graph message.")

        def nthreads(self) -> object:
            return self.scheduler.ncores()

    async def parcel(until: float) -> bytes:
        return b""

    async def hand_out() -> None:
        settings = DaskSettings(trust=0.01)
        made = cluster.Cluster(cast("Any", Closed()), settings, cast("Any", SimpleNamespace()))
        await made._round()  # it is not gone at once
        assert not made._lost.is_set()
        now = time.monotonic()
        made._workers["w"] = cluster.Worker("w", answered=now, mark=now, permitted=True)
        await made.hand_out("n", parcel, Handout(cast("Any", None), _COPYING, []))

    with pytest.raises(HeldError, match="scheduler cannot be reached"):
        asyncio.run(hand_out())
