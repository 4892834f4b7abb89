"""The wire in memory and on sockets, seen from the station's end."""

from __future__ import annotations

import asyncio
import base64
from http import HTTPStatus

import pytest
from simulator_central import START
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from controller.clock import VirtualClock, run_virtual
from simulator.wire import WireClosed, WireRefused, dial, pipe


def test_frames_arrive_in_order_after_their_delay() -> None:
    delays = iter([0.5, 0.1])

    async def main(clock: VirtualClock) -> None:
        station, central = pipe(up_s=lambda: next(delays))
        await station.send("one")
        await station.send("two")
        assert [await central.recv(), clock.monotonic(), await central.recv(), clock.monotonic()] == ["one", 0.5, "two", 0.5]

    run_virtual(main, start=START)


def test_a_full_direction_makes_its_sender_wait() -> None:
    async def main(_: VirtualClock) -> None:
        station, central = pipe(capacity=2)
        sent: list[str] = []

        async def talk() -> None:
            for word in ("a", "b", "c"):
                await station.send(word)
                sent.append(word)

        async with asyncio.TaskGroup() as group:
            group.create_task(talk())
            await asyncio.sleep(1)
            assert sent == ["a", "b"]
            assert [await central.recv() for _ in range(3)] == ["a", "b", "c"]

    run_virtual(main, start=START)


def test_a_close_delivers_what_was_sent_before_and_says_why() -> None:
    async def main(_: VirtualClock) -> None:
        station, central = pipe()
        await central.send("last words")
        await central.close(1012, "restart")
        assert await station.recv() == "last words"
        with pytest.raises(WireClosed) as closed:
            await station.recv()
        assert (closed.value.code, closed.value.reason) == (1012, "restart")
        with pytest.raises(WireClosed):
            await station.send("too late")

    run_virtual(main, start=START)


def test_a_cut_loses_frames_and_wakes_both_ends() -> None:
    async def main(_: VirtualClock) -> None:
        station, central = pipe(down_s=5)
        await central.send("under way")

        async def reads() -> None:
            with pytest.raises(WireClosed):
                await station.recv()

        async with asyncio.TaskGroup() as group:
            group.create_task(reads())
            await asyncio.sleep(1)
            station.cut()
        with pytest.raises(WireClosed):
            await central.recv()

    run_virtual(main, start=START)


def test_the_central_end_speaks_its_own_exception_and_frames_can_vanish() -> None:
    class Gone(Exception):
        pass

    async def main(_: VirtualClock) -> None:
        station, central = pipe(central_closed=lambda code, reason: Gone(code), lose_up=lambda text: "lose" in text)
        await station.send("lose me")
        await station.send("keep me")
        assert await central.recv() == "keep me"
        station.cut()
        with pytest.raises(Gone):
            await central.recv()

    run_virtual(main, start=START)


@pytest.mark.anyio
async def test_dial_speaks_ocpp16_with_basic_auth_and_reports_a_refusal() -> None:
    seen: list[tuple[str, str | None]] = []

    def check(connection: ServerConnection, request: Request) -> Response | None:
        seen.append((request.path, request.headers.get("Authorization")))
        return connection.respond(HTTPStatus.UNAUTHORIZED, "no") if request.path.endswith("CP2") else None

    async def echo(connection: ServerConnection) -> None:
        assert connection.subprotocol == "ocpp1.6"
        await connection.send(await connection.recv())
        await connection.close(1001, "enough")

    async with serve(echo, "127.0.0.1", 0, subprotocols=[Subprotocol("ocpp1.6")], process_request=check) as server:
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/ocpp"
        wire = await dial(url, station_id="CP1", key="secret")
        await wire.send("hello")
        assert await wire.recv() == "hello"
        with pytest.raises(WireClosed) as closed:
            await wire.recv()
        assert closed.value.code == 1001
        with pytest.raises(WireRefused) as refused:
            await dial(url, station_id="CP2")
        assert refused.value.status == 401
    assert seen[0] == ("/ocpp/CP1", "Basic " + base64.b64encode(b"CP1:secret").decode())
