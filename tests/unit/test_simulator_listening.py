"""A simulated device hangs up on everybody: a real socket."""

from __future__ import annotations

import asyncio

import pytest

from simulator.listening import Listener

pytestmark = pytest.mark.anyio
HOST = "127.0.0.1"


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(100):
        writer.write(data)
        await writer.drain()


async def test_it_serves_hangs_up_and_listens_again_at_the_same_port() -> None:
    listener = Listener(echo)
    port = await listener.open(HOST)
    reader, writer = await asyncio.open_connection(HOST, port)
    writer.write(b"who")
    assert await reader.readexactly(3) == b"who"
    await listener.close()
    await listener.close()
    assert not listener.listens
    assert await reader.read() == b""
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(HOST, port)
    writer.close()
    assert await listener.open(HOST, port) == port
    await listener.close()


async def test_who_has_only_just_been_let_in_is_hung_up_on_too() -> None:
    served: list[asyncio.StreamWriter] = []
    closing: list[asyncio.Task[None]] = []

    class Hasty(Listener):
        def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            super()._accepted(reader, writer)
            for task in self._served:
                task.cancel()  # what close() does, in the very moment
            closing.append(asyncio.create_task(self.close()))

    async def serve(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        served.append(writer)

    listener = Hasty(serve)
    reader, writer = await asyncio.open_connection(HOST, await listener.open(HOST))
    assert await reader.read() == b""
    await asyncio.gather(*closing)
    assert not served
    writer.close()


async def test_who_serves_no_longer_is_hung_up_on() -> None:
    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readexactly(1))

    listener = Listener(once)
    port = await listener.open(HOST)
    reader, writer = await asyncio.open_connection(HOST, port)
    writer.write(b"a")
    assert await reader.read() == b"a"
    writer.close()
    await listener.close()
