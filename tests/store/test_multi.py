"""libcurl's multi on the loop: sockets, timers, breaking off and closing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pycurl
import pytest

from s3plan.store.multi import Multi
from tests.store.scripted import Reply, Scripted, answer, found, reset, scripted, silence


def descriptors() -> int:
    """How many this process has open; 0 where the system does not tell."""
    folder = Path("/proc/self/fd")
    return len(list(folder.iterdir())) if folder.is_dir() else 0


def transfer(
    endpoint: str, path: str = "/k", seconds: float = 0
) -> tuple[pycurl.Curl, list[bytes]]:
    chunks: list[bytes] = []
    curl = pycurl.Curl()
    curl.setopt(pycurl.URL, endpoint + path)
    curl.setopt(pycurl.PROXY, "")
    curl.setopt(pycurl.TIMEOUT_MS, int(seconds * 1000))
    curl.setopt(pycurl.WRITEFUNCTION, chunks.append)
    return curl, chunks


def play(replies: list[Reply], act: Callable[[Multi, Scripted], Awaitable[object]]) -> None:
    async def main() -> None:
        async with scripted(replies) as server:
            multi = Multi(4)
            try:
                await act(multi, server)
            finally:
                multi.close()
            await asyncio.sleep(0.02)  # the server sees it

    asyncio.run(main())


def test_many_transfers_share_few_connections_and_each_gets_its_own_body() -> None:
    async def act(multi: Multi, server: Scripted) -> None:
        for _ in range(20):
            transfers = [transfer(server.endpoint) for _ in range(4)]
            await asyncio.gather(*[multi.perform(curl) for curl, _ in transfers])
            assert [b"".join(chunks) for _, chunks in transfers] == [b"data"] * 4
        assert server.connections == 4

    play([found()], act)


def test_a_timer_rings_whatever_was_set_before_it() -> None:
    """A later timer must not delay an earlier one, nor an earlier one that is gone a later."""

    async def ends(multi: Multi, server: Scripted, seconds: float) -> float:
        began = time.monotonic()
        curl, _ = transfer(server.endpoint, seconds=seconds)
        with pytest.raises(pycurl.error) as raised:
            await multi.perform(curl)
        assert raised.value.args[0] == pycurl.E_OPERATION_TIMEDOUT
        return time.monotonic() - began

    async def act(multi: Multi, server: Scripted) -> None:
        late, early = await asyncio.gather(ends(multi, server, 0.4), ends(multi, server, 0.15))
        assert 0.15 <= early < 0.4 <= late < 2
        assert 0.1 <= await ends(multi, server, 0.1) < 0.4

    play([silence], act)


def test_what_is_broken_off_leaves_the_others_alone() -> None:
    async def act(multi: Multi, server: Scripted) -> None:
        silent, _ = transfer(server.endpoint)
        cancelled = multi.perform(silent)
        await asyncio.sleep(0.05)
        cancelled.cancel()
        multi.remove(silent)
        curl, chunks = transfer(server.endpoint)
        await multi.perform(curl)
        multi.remove(curl)  # over: nothing happens
        # The handle is its owner's again at once.
        silent.setopt(pycurl.WRITEFUNCTION, chunks.append)
        await multi.perform(silent)
        assert b"".join(chunks) == b"datadata"

    play([silence, found()], act)


def test_an_answer_that_comes_as_it_is_cancelled_hurts_nobody() -> None:
    async def act(multi: Multi, server: Scripted) -> None:
        for attempt in range(20):
            curl, _ = transfer(server.endpoint)
            future = multi.perform(curl)
            await asyncio.sleep(0.0005 * attempt)
            future.cancel()
            await asyncio.sleep(0)
            multi.remove(curl)

    play([found()], act)


def test_a_connection_that_the_server_drops_ends_its_transfer() -> None:
    async def act(multi: Multi, server: Scripted) -> None:
        curl, _ = transfer(server.endpoint)
        with pytest.raises(pycurl.error):
            await multi.perform(curl)
        curl, chunks = transfer(server.endpoint)
        await multi.perform(curl)
        assert b"".join(chunks) == b"data"

    play([reset, found()], act)


def test_idle_connections_cost_nothing_not_even_those_that_the_server_closed() -> None:
    async def act(multi: Multi, server: Scripted) -> None:
        await asyncio.gather(*[multi.perform(transfer(server.endpoint)[0]) for _ in range(4)])
        began = time.process_time()
        await asyncio.sleep(0.3)
        assert time.process_time() - began < 0.1

    play([found(), found(), answer(200, b"data", Connection="close")], act)


def test_closing_cancels_who_waits_and_leaves_no_descriptor_behind() -> None:
    async def main() -> None:
        async with scripted([silence]) as server:
            before = descriptors()
            multi = Multi(4)
            curls = [transfer(server.endpoint, seconds=9)[0] for _ in range(3)]
            waiting = [multi.perform(curl) for curl in curls]
            await asyncio.sleep(0.05)
            multi.close()
            assert all(future.cancelled() for future in waiting)
            for curl in curls:
                curl.close()
            await asyncio.sleep(0.05)
            assert descriptors() <= before + server.connections  # its own ends

    asyncio.run(main())


def test_when_libcurl_loses_itself_everybody_is_told() -> None:
    class Broken:
        """What libcurl's multi does when its memory is out: every call fails."""

        def __init__(self, real: pycurl.CurlMulti) -> None:
            self.remove_handle, self.close = real.remove_handle, real.close

        def socket_action(self, *_: int) -> None:
            raise pycurl.error(3, "out of memory")

    async def act(multi: Multi, server: Scripted) -> None:
        waiting = [multi.perform(transfer(server.endpoint)[0]) for _ in range(3)]
        multi._multi = Broken(multi._multi)
        for error in await asyncio.gather(*waiting, return_exceptions=True):
            assert isinstance(error, pycurl.error)
            assert error.args == (3, "out of memory")

    play([silence], act)
