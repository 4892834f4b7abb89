"""The two ends of a case: the depot as its REST API shows it, and a station on the ``ocpp`` package's client side."""

from __future__ import annotations

import asyncio
import base64
import itertools
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
from ocpp.charge_point import camel_to_snake_case
from ocpp.routing import on
from ocpp.v16 import ChargePoint, call, call_result
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from controller.settings import Settings

Payload = dict[str, Any]
Answer = Mapping[str, Any] | Callable[[Payload], Mapping[str, Any]]

ACCEPTED = {"status": "Accepted"}
KEYS = {
    "SupportedFeatureProfiles": "Core,FirmwareManagement,LocalAuthListManagement,Reservation,SmartCharging,RemoteTrigger",
    "ChargingScheduleAllowedChargingRateUnit": "Current,Power",
    "ChargeProfileMaxStackLevel": "8",
    "MeterValueSampleInterval": "60",
    "MeterValuesSampledData": "Energy.Active.Import.Register",
    "LocalAuthorizeOffline": "false",
    "LocalPreAuthorize": "false",
    "SendLocalListMaxLength": "3",
    "AuthorizationKey": "",
}


def now(**ago: float) -> str:
    """The time on the wire, so long ago."""
    return (datetime.now(UTC) - timedelta(**ago)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Station(ChargePoint):  # type: ignore[misc]  # the package is untyped
    """A station. ``heard``: calls of the central system; ``answers``: by action, what it says to them."""

    def __init__(self, station_id: str, connection: ClientConnection) -> None:
        super().__init__(station_id, connection, response_timeout=20)
        self.heard: list[tuple[str, Payload]] = []
        self.answers: dict[str, Answer] = {}
        self.keys = dict(KEYS)
        self.connection = connection
        self._news = asyncio.Event()

    def answer(self, action: str, payload: Payload) -> Any:
        """What is said to a call; it is remembered."""
        self.heard.append((action, payload))
        self._news.set()
        known = self.answers.get(action, DEFAULTS.get(action, ACCEPTED))
        said = known(payload) if callable(known) else known
        return getattr(call_result, action)(**camel_to_snake_case(dict(said)))

    def calls(self, action: str) -> list[Payload]:
        return [payload for name, payload in self.heard if name == action]

    async def told(self, action: str, *, times: int = 1, where: Callable[[Payload], bool] = lambda _: True) -> Payload:
        """Wait until the central system has called so, and say with what."""
        async with asyncio.timeout(20):
            while len(found := [payload for payload in self.calls(action) if where(payload)]) < times:
                self._news.clear()
                await self._news.wait()
        return found[times - 1]

    async def say(self, action: str, **payload: Any) -> Any:
        """Call the central system; raises where it answers with an error."""
        return await self.call(getattr(call, action)(**payload), suppress=False)

    # -- what stations do all day -------------------------------------------------------------------------------

    async def boot(self) -> Any:
        """Boot and wait until the depot has asked what the station can do."""
        self.heard.clear()
        answer = await self.say("BootNotification", charge_point_model="One", charge_point_vendor="Acme")
        if answer.status == "Accepted":
            await self.told("GetConfiguration")
        return answer

    async def status(self, status: str, connector: int = 1, **more: Any) -> None:
        more.setdefault("error_code", "NoError")
        await self.say("StatusNotification", connector_id=connector, status=status, timestamp=now(), **more)

    async def authorize(self, tag: str = "VALID") -> str:
        status: str = (await self.say("Authorize", id_tag=tag)).id_tag_info["status"]
        return status

    async def start_transaction(self, tag: str = "VALID", connector: int = 1, *, at: str = "", **more: Any) -> Any:
        return await self.say("StartTransaction", connector_id=connector, id_tag=tag, meter_start=1000, timestamp=at or now(), **more)

    async def stop_transaction(self, transaction_id: int, *, reason: str = "Local", at: str = "", **more: Any) -> Any:
        return await self.say(
            "StopTransaction", transaction_id=transaction_id, meter_stop=2000, timestamp=at or now(), reason=reason, **more
        )

    async def session(self, tag: str = "VALID", connector: int = 1) -> int:
        """A running session, its number."""
        await self.status("Preparing", connector)
        started = await self.start_transaction(tag, connector)
        assert started.id_tag_info["status"] == "Accepted"
        await self.status("Charging", connector)
        number: int = started.transaction_id
        return number


def _configuration(station: Station, payload: Payload) -> Payload:
    asked = payload.get("key") or list(station.keys)
    known = [{"key": key, "value": station.keys[key], "readonly": False} for key in asked if key in station.keys]
    return {"configurationKey": known, "unknownKey": [key for key in asked if key not in station.keys]}


def _schedule(payload: Payload) -> Payload:
    rows = [{"startPeriod": 0, "limit": 16.0}]
    plan = {"duration": payload["duration"], "chargingRateUnit": "A", "chargingSchedulePeriod": rows}
    return {"status": "Accepted", "connectorId": payload["connector_id"], "scheduleStart": now(), "chargingSchedule": plan}


DEFAULTS: dict[str, Answer] = {
    "GetLocalListVersion": {"listVersion": 0},
    "GetCompositeSchedule": _schedule,
    "GetDiagnostics": {"fileName": "diagnostics.zip"},
    "GetInstalledCertificateIds": {"status": "NotFound"},
    "GetLog": {"status": "Accepted", "filename": "security.log"},
    "UnlockConnector": {"status": "Unlocked"},
    "UpdateFirmware": {},
}
_ACTIONS = (
    "CancelReservation", "CertificateSigned", "ChangeAvailability", "ChangeConfiguration", "ClearCache", "ClearChargingProfile",
    "DataTransfer", "DeleteCertificate", "ExtendedTriggerMessage", "GetCompositeSchedule", "GetConfiguration", "GetDiagnostics",
    "GetInstalledCertificateIds", "GetLocalListVersion", "GetLog", "InstallCertificate", "RemoteStartTransaction",
    "RemoteStopTransaction", "ReserveNow", "Reset", "SendLocalList", "SetChargingProfile", "SignedUpdateFirmware", "TriggerMessage",
    "UnlockConnector", "UpdateFirmware",
)  # fmt: skip


def _listen(action: str) -> None:
    def handle(self: Station, **payload: Any) -> Any:
        if action == "GetConfiguration" and action not in self.answers:
            self.answers[action] = lambda asked: _configuration(self, asked)
        return self.answer(action, payload)

    handle.__name__ = f"on_{action}"
    setattr(Station, handle.__name__, on(action)(handle))


for _action in _ACTIONS:
    _listen(_action)


class Depot:
    """The central system from outside."""

    def __init__(self, client: httpx.AsyncClient, settings: Settings) -> None:
        self.client = client
        self.settings = settings
        self._names = itertools.count(1)

    def listens(self) -> bool:
        with socket.socket() as sock:
            return sock.connect_ex(("127.0.0.1", self.settings.ocpp_port)) == 0

    # -- REST ---------------------------------------------------------------------------------------------------

    async def request(self, method: str, path: str, *, expect: Sequence[int] = (200, 201, 202), **more: Any) -> Any:
        answer = await self.client.request(method, f"/api/v1{path}", **more)
        assert answer.status_code in expect, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json()

    async def get(self, path: str, **params: Any) -> Any:
        return await self.request("GET", path, params=params)

    async def post(self, path: str, body: Mapping[str, Any], **more: Any) -> Any:
        return await self.request("POST", path, json=body, **more)

    async def put(self, path: str, body: Mapping[str, Any], **more: Any) -> Any:
        return await self.request("PUT", path, json=body, **more)

    async def delete(self, path: str, **more: Any) -> Any:
        return await self.request("DELETE", path, **more)

    async def shows(self, path: str, wanted: Callable[[Any], bool]) -> Any:
        """Ask until the API shows what is wanted: it has no event for everything that a case may wait for."""
        async with asyncio.timeout(20):
            while not wanted(shown := await self.get(path)):  # noqa: ASYNC110  # see above
                await asyncio.sleep(0.1)
        return shown

    async def call(self, station: Station, action: str, **payload: Any) -> Payload:
        """Any call to a station; its answer, which must be one."""
        done = await self.post(f"/stations/{station.id}/calls/{action}", payload)
        assert done["outcome"] == "result", done
        said: Payload = done["payload"]
        return said

    async def connector(self, station: Station, number: int = 1) -> Payload:
        """A connector as the API shows it."""
        shown = await self.get(f"/stations/{station.id}")
        found: Payload = next(c for c in shown["connectors"] if c["number"] == number)
        return found

    # -- stations -----------------------------------------------------------------------------------------------

    async def new(self, *, connectors: int = 2, **more: Any) -> tuple[str, str]:
        """A fresh station: its id and password."""
        station_id = f"OCTT-{next(self._names):03d}"
        added = await self.post("/stations", {"station_id": station_id, "connectors": connectors, **more})
        return station_id, added["password"]

    @asynccontextmanager
    async def connected(self, station_id: str, password: str, *, tls: ssl.SSLContext | None = None) -> AsyncIterator[Station]:
        """The station's connection: with ``tls`` over the other port, and without a password by its certificate alone."""
        path = f"/ocpp/{station_id}"
        basic = base64.b64encode(f"{station_id}:{password}".encode()).decode()
        async with connect(
            f"wss://localhost:{self.settings.ocpp_tls_port}{path}" if tls else f"ws://127.0.0.1:{self.settings.ocpp_port}{path}",
            host="127.0.0.1",
            additional_headers={"Authorization": f"Basic {basic}"} if password else {},
            subprotocols=[Subprotocol("ocpp1.6")],
            proxy=None,
            close_timeout=1,
            ssl=tls,
        ) as connection:
            station = Station(station_id, connection)
            running = asyncio.create_task(station.start())
            try:
                yield station
            finally:
                running.cancel()
                await asyncio.gather(running, return_exceptions=True)

    @asynccontextmanager
    async def station(self, **more: Any) -> AsyncIterator[Station]:
        """A fresh station that is connected and has booted."""
        async with self.connected(*await self.new(**more)) as station:
            assert (await station.boot()).status == "Accepted"
            yield station
