"""The central system from outside: its REST API, and where stations connect to."""

from __future__ import annotations

import asyncio
import base64
import itertools
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Generic, Protocol, TypeVar

import httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from controller.settings import Settings
from octt.station import PATIENCE_S, Payload


class AnyStation(Protocol):
    """A station's client side, of whichever version."""

    id: str

    async def start(self) -> Any:
        """Read what comes until the connection ends."""

    async def boot(self) -> Any:
        """Boot; the status of the answer is in it."""


S = TypeVar("S", bound=AnyStation)


class Core:
    """A core at work, reached by a client with a token that may do everything."""

    def __init__(self, client: httpx.AsyncClient, settings: Settings) -> None:
        self.client = client
        self.settings = settings
        self.names = itertools.count(1)

    def listens(self) -> bool:
        with socket.socket() as sock:
            return sock.connect_ex(("127.0.0.1", self.settings.ocpp_port)) == 0


class Depot(Generic[S]):
    """The central system as stations of one version meet it."""

    def __init__(self, core: Core, kind: Callable[[str, ClientConnection], S], protocol: str) -> None:
        self.core = core
        self.client = core.client
        self.settings = core.settings
        self.kind = kind
        self.protocol = protocol

    # -- REST ---------------------------------------------------------------------------------------------------

    async def request(self, method: str, path: str, *, expect: Sequence[int] = (200, 201, 202), **more: Any) -> Any:
        answer = await self.client.request(method, f"/api/v1{path}", **more)
        assert answer.status_code in expect, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json()

    async def get(self, path: str, **params: Any) -> Any:
        return await self.request("GET", path, params=params or None)  # {} would take away a query in the path

    async def post(self, path: str, body: Mapping[str, Any], **more: Any) -> Any:
        return await self.request("POST", path, json=body, **more)

    async def put(self, path: str, body: Mapping[str, Any], **more: Any) -> Any:
        return await self.request("PUT", path, json=body, **more)

    async def delete(self, path: str, **more: Any) -> Any:
        return await self.request("DELETE", path, **more)

    async def shows(self, path: str, wanted: Callable[[Any], bool]) -> Any:
        """Ask until the API shows what is wanted: it has no event for everything that a case may wait for."""
        async with asyncio.timeout(PATIENCE_S):
            while not wanted(shown := await self.get(path)):  # noqa: ASYNC110  # see above
                await asyncio.sleep(0.1)
        return shown

    async def call(self, station: AnyStation, action: str, **payload: Any) -> Payload:
        """Any call to a station; its answer, which must be one."""
        done = await self.post(f"/stations/{station.id}/calls/{action}", payload)
        assert done["outcome"] == "result", done
        said: Payload = done["payload"]
        return said

    async def connector(self, station: AnyStation, number: int = 1) -> Payload:
        """A connector as the API shows it."""
        shown = await self.get(f"/stations/{station.id}")
        found: Payload = next(c for c in shown["connectors"] if c["number"] == number)
        return found

    # -- stations -----------------------------------------------------------------------------------------------

    async def new(self, *, connectors: int = 2, **more: Any) -> tuple[str, str]:
        """A fresh station: its id and password."""
        station_id = f"OCTT-{next(self.core.names):03d}"
        added = await self.post("/stations", {"station_id": station_id, "connectors": connectors, **more})
        return station_id, added["password"]

    @asynccontextmanager
    async def connected(self, station_id: str, password: str, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[S]:
        """The station's connection: with ``tls`` over the other port, and without a password by its certificate alone."""
        path = f"/ocpp/{station_id}"
        basic = base64.b64encode(f"{station_id}:{password}".encode()).decode()
        async with connect(
            f"wss://localhost:{self.settings.ocpp_tls_port}{path}" if tls else f"ws://127.0.0.1:{self.settings.ocpp_port}{path}",
            host="127.0.0.1",
            additional_headers={"Authorization": f"Basic {basic}"} if password else {},
            subprotocols=[Subprotocol(self.protocol)],
            proxy=None,
            close_timeout=1,
            ssl=tls,
        ) as connection:
            station = self.kind(station_id, connection)
            running = asyncio.create_task(station.start())
            try:
                yield station
            finally:
                running.cancel()
                await asyncio.gather(running, return_exceptions=True)

    @asynccontextmanager
    async def station(self, **more: Any) -> AsyncIterator[S]:
        """A fresh station that is connected and has booted."""
        async with self.connected(*await self.new(**more)) as station:
            await self.booted(station)
            yield station

    async def booted(self, station: S) -> None:
        """The station boots, is accepted, and the depot knows what it can do."""
        assert (await station.boot()).status == "Accepted"
