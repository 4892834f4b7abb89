"""Fakes for tests of the charger side: a depot that remembers what it was told, and a station on a pipe."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeVar

from depot.events import NO_DETAIL, ConnectorStatus, Registration, StationBooted, StationProbed, StatusDetail
from depot.files import TransferReport
from depot.ports import BootAnswer, Clock, StartAnswer, StartRequest, StopRequest
from depot.readings import LinkReading, MeterReading
from depot.registry import ConnectorSpec, DepotSpec, FeederSpec, StationSpec
from depot.tokens import ACCEPTED, Authorization, Presented
from depot.values import ConnectorId, SafeSetpoints, Setpoint
from ocpp_server import AccessBook, Admitted, Central, MemoryWire, OpenDoor, Version, WireClosed, memory_pipe
from ocpp_server.access import admit, knock_of

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
CP1 = ConnectorId("CP1", 1)


def depot_spec(*stations: StationSpec) -> DepotSpec:
    """One feeder; by default CP1 (two 22 kW AC connectors) and CP2 (one 50 kW connector)."""
    plain = (
        StationSpec("CP1", "F1", (ConnectorSpec(1, 22_000, 4_140), ConnectorSpec(2, 22_000, 4_140))),
        StationSpec("CP2", "F1", (ConnectorSpec(1, 50_000, 4_140),)),
    )
    return DepotSpec("d", "Depot", 100_000, 20_000, 5_000, (FeederSpec("F1", 100_000),), stations or plain)


@dataclass
class FakeDepot:
    """ChargerEvents that remembers. ``on_start`` runs inside start(), before the answer; ``gate`` delays every fact."""

    boots: list[StationBooted] = field(default_factory=list)
    statuses: list[tuple[ConnectorId, ConnectorStatus, str]] = field(default_factory=list)
    details: list[StatusDetail] = field(default_factory=list)
    station_statuses: list[tuple[str, ConnectorStatus, str, StatusDetail]] = field(default_factory=list)
    starts: dict[str, StartAnswer] = field(default_factory=dict)
    requests: list[StartRequest] = field(default_factory=list)
    stops: list[StopRequest] = field(default_factory=list)
    probes: list[StationProbed] = field(default_factory=list)
    compares: list[tuple[ConnectorId, bool, str]] = field(default_factory=list)
    unknown: list[tuple[str, str]] = field(default_factory=list)
    transfers: list[TransferReport] = field(default_factory=list)
    readings: list[MeterReading] = field(default_factory=list)
    links: list[LinkReading] = field(default_factory=list)
    readies: list[tuple[str, bool]] = field(default_factory=list)
    boot_status: str = "Accepted"
    answer: Authorization = ACCEPTED
    registered: Registration = Registration.ACCEPTED
    presses: bool = True
    """No 2.x station is left alone after its boot."""
    free: set[ConnectorId] = field(default_factory=set)
    on_start: Callable[[StartRequest], None] | None = None
    gate: asyncio.Event | None = None

    async def _durable(self) -> None:
        if self.gate is not None:
            await self.gate.wait()
        await asyncio.sleep(0)

    async def boot(self, boot: StationBooted) -> BootAnswer:
        await self._durable()
        self.boots.append(boot)
        return BootAnswer(self.boot_status, 300)

    async def status(
        self,
        connector: ConnectorId,
        status: ConnectorStatus,
        error_code: str,
        reported_at: datetime | None,
        detail: StatusDetail = NO_DETAIL,
    ) -> None:
        await self._durable()
        self.statuses.append((connector, status, error_code))
        self.details.append(detail)

    async def station_status(self, station_id: str, status: ConnectorStatus, error_code: str, detail: StatusDetail) -> None:
        await self._durable()
        self.station_statuses.append((station_id, status, error_code, detail))

    def registration(self, station_id: str) -> Registration:
        return self.registered

    def pressing(self, station_id: str, *, booted: bool) -> bool:
        return self.presses

    def occupied(self, connector: ConnectorId) -> bool:
        return connector not in self.free

    async def authorize(self, station_id: str, id_tag: str, shown: Presented | None = None) -> Authorization:
        return self.answer

    async def start(self, request: StartRequest) -> StartAnswer:
        if self.on_start is not None:
            self.on_start(request)
        await self._durable()
        self.requests.append(request)
        return self.starts.setdefault(request.key, StartAnswer(len(self.starts) + 1, self.answer))

    async def stop(self, request: StopRequest) -> None:
        await self._durable()
        self.stops.append(request)

    async def probed(self, probe: StationProbed) -> None:
        self.probes.append(probe)

    async def compared(self, connector: ConnectorId, *, agrees: bool, detail: str) -> None:
        self.compares.append((connector, agrees, detail))

    async def transfer_reported(self, report: TransferReport) -> None:
        await self._durable()
        self.transfers.append(report)

    async def quarantined(self, station_id: str, remote: str) -> None:
        self.unknown.append((station_id, remote))

    def reading(self, reading: MeterReading) -> None:
        self.readings.append(reading)

    def link_changed(self, link: LinkReading) -> None:
        self.links.append(link)

    def ready(self, station_id: str, *, booted: bool) -> None:
        self.readies.append((station_id, booted))


CONFIGURATION = {
    "ChargingScheduleAllowedChargingRateUnit": "Current,Power",
    "ChargeProfileMaxStackLevel": "8",
    "SupportedFeatureProfiles": "Core,SmartCharging,RemoteTrigger",
    "LocalAuthorizeOffline": "true",
    "LocalPreAuthorize": "false",
    "AllowOfflineTxForUnknownId": "true",
    "AuthorizeRemoteTxRequests": "true",
    "MeterValueSampleInterval": "300",
    "MeterValuesSampledData": "Energy.Active.Import.Register",
}

Answer = dict[str, Any] | None | str | tuple[str, str]


class Peer:
    """A station on the far end of a pipe. Answers our calls by ``answers[action](payload)``: a payload, None for
    silence, a (code, text) for a CALLERROR, or a raw frame with ``{id}``. ``got`` keeps (action, payload) of calls."""

    def __init__(self, wire: MemoryWire) -> None:
        self.wire = wire
        self.got: list[tuple[str, dict[str, Any]]] = []
        self.replies: list[list[Any]] = []
        self.order: list[str] = []
        """What was on the wire, in order: ``call ACTION`` and ``conf ID``."""
        self.configuration = dict(CONFIGURATION)
        self.answers: dict[str, Callable[[dict[str, Any]], Answer]] = {
            "GetConfiguration": self._configuration,
            "ChangeConfiguration": self._change,
        }
        self._arrived = asyncio.Event()
        self._ids = 0

    async def run(self) -> None:
        try:
            while True:
                frame = await self.wire.recv()
                message = json.loads(frame)
                if message[0] == 2:
                    await self._serve(message)
                else:
                    self.order.append(f"conf {message[1]}")
                    self.replies.append(message)
                self._arrived.set()
        except WireClosed:
            self._arrived.set()

    async def _serve(self, message: list[Any]) -> None:
        _, message_id, action, payload = message
        self.got.append((action, payload))
        self.order.append(f"call {action}")
        answer = self.answers[action](payload) if action in self.answers else {"status": "Accepted"}
        if answer is None:
            return
        if isinstance(answer, str):
            await self.wire.send(answer.replace("{id}", message_id))
        elif isinstance(answer, tuple):
            await self.wire.send(json.dumps([4, message_id, answer[0], answer[1], {}]))
        else:
            await self.wire.send(json.dumps([3, message_id, answer]))

    def _configuration(self, payload: dict[str, Any]) -> Answer:
        wanted = payload.get("key", list(self.configuration))
        known = [{"key": k, "readonly": False, "value": self.configuration[k]} for k in wanted if k in self.configuration]
        return {"configurationKey": known, "unknownKey": [k for k in wanted if k not in self.configuration]}

    def _change(self, payload: dict[str, Any]) -> Answer:
        self.configuration[payload["key"]] = payload["value"]
        return {"status": "Accepted"}

    async def raw(self, frame: str) -> None:
        await self.wire.send(frame)

    async def call(self, action: str, payload: dict[str, Any], *, message_id: str | None = None) -> list[Any]:
        """Send a CALL and wait for what comes back under its id."""
        if message_id is None:
            self._ids += 1
            message_id = f"p{self._ids}"
        before = sum(reply[1] == message_id for reply in self.replies)
        await self.wire.send(json.dumps([2, message_id, action, payload]))
        while True:
            found = [reply for reply in self.replies if reply[1] == message_id]
            if len(found) > before:
                return found[-1]
            self._arrived.clear()
            await self._arrived.wait()

    async def boot(self) -> list[Any]:
        return await self.call("BootNotification", {"chargePointVendor": "Acme", "chargePointModel": "One"})

    async def start(self, connector: int = 1, *, meter: int = 1000, tag: str = "TAG1", at: str = "2026-03-01T12:00:00Z") -> int:
        reply = await self.call("StartTransaction", {"connectorId": connector, "idTag": tag, "meterStart": meter, "timestamp": at})
        transaction_id: int = reply[2]["transactionId"]
        return transaction_id

    def calls(self, action: str) -> list[dict[str, Any]]:
        return [payload for name, payload in self.got if name == action]


VARIABLES = {
    "DeviceDataCtrlr.ItemsPerMessage.GetVariables": "6",
    "DeviceDataCtrlr.ItemsPerMessage.SetVariables": "2",
    "SmartChargingCtrlr.Available": "true",
    "SmartChargingCtrlr.Enabled": "false",
    "SmartChargingCtrlr.RateUnit": "A,W",
    "SmartChargingCtrlr.ProfileStackLevel": "8",
    "SmartChargingCtrlr.ACPhaseSwitchingSupported": "false",
    "AuthCtrlr.LocalAuthorizeOffline": "true",
    "AuthCtrlr.LocalPreAuthorize": "false",
    "AuthCtrlr.OfflineTxForUnknownIdEnabled": "true",
    "AuthCtrlr.AuthorizeRemoteStart": "true",
    "TxCtrlr.StopTxOnInvalidId": "true",
    "TxCtrlr.TxStartPoint": "EVConnected",
    "SampledDataCtrlr.TxUpdatedInterval": "300",
    "SampledDataCtrlr.TxUpdatedMeasurands": "Energy.Active.Import.Register",
}
STAMP = "2026-03-01T12:00:00Z"


class Peer201(Peer):
    """The same in OCPP 2.0.1. ``variables``: its device model, as ``Component.Variable`` or ``….Instance``."""

    def __init__(self, wire: MemoryWire) -> None:
        super().__init__(wire)
        self.variables = dict(VARIABLES)
        self.answers = {"GetVariables": self._get, "SetVariables": self._set}
        self._seq: dict[str, int] = {}

    def _get(self, payload: dict[str, Any]) -> Answer:
        asked = payload["getVariableData"]
        if len(asked) > int(self.variables.get("DeviceDataCtrlr.ItemsPerMessage.GetVariables", 100)):
            return "OccurrenceConstraintViolation", "too many"
        return {"getVariableResult": [self._shown(one) for one in asked]}

    def _shown(self, asked: dict[str, Any]) -> dict[str, Any]:
        value = self.variables.get(_variable(asked))
        said = {"attributeStatus": "UnknownVariable"} if value is None else {"attributeStatus": "Accepted", "attributeValue": value}
        return {"component": asked["component"], "variable": asked["variable"], **said}

    def _set(self, payload: dict[str, Any]) -> Answer:
        asked = payload["setVariableData"]
        if len(asked) > int(self.variables.get("DeviceDataCtrlr.ItemsPerMessage.SetVariables", 100)):
            return "OccurrenceConstraintViolation", "too many"
        for one in asked:
            self.variables[_variable(one)] = one["attributeValue"]
        results = [{"component": one["component"], "variable": one["variable"], "attributeStatus": "Accepted"} for one in asked]
        return {"setVariableResult": results}

    async def boot(self) -> list[Any]:
        return await self.call("BootNotification", {"reason": "PowerUp", "chargingStation": {"vendorName": "Acme", "model": "Two"}})

    async def event(
        self, kind: str, name: str = "tx-1", *, why: str = "ChargingStateChanged", seq: int | None = None,
        evse: int | dict[str, Any] | None = 1, state: str | None = None, tag: str | None = None,
        meter: list[dict[str, Any]] | None = None, at: str = STAMP, **more: Any,
    ) -> list[Any]:  # fmt: skip
        """A TransactionEvent with the next number of its transaction; ``meter``: sampled values."""
        number = self._seq.get(name, -1) + 1 if seq is None else seq
        self._seq[name] = max(self._seq.get(name, -1), number)
        info = {"transactionId": name} | ({"chargingState": state} if state else {}) | more.pop("info", {})
        payload: dict[str, Any] = {"eventType": kind, "triggerReason": why, "seqNo": number, "timestamp": at, "transactionInfo": info}
        if evse is not None:
            payload["evse"] = evse if isinstance(evse, dict) else {"id": evse}
        if tag is not None:
            payload["idToken"] = {"idToken": tag, "type": "ISO14443"}
        if meter is not None:
            payload["meterValue"] = [{"timestamp": at, "sampledValue": meter}]
        return await self.call("TransactionEvent", {**payload, **more})


def _variable(asked: dict[str, Any]) -> str:
    parts = (asked["component"]["name"], asked["variable"]["name"], asked["variable"].get("instance"))
    return ".".join(part for part in parts if part)


def energy(wh: float, **more: Any) -> dict[str, Any]:
    """A register in a 2.0.1 sampled value."""
    return {"value": wh, **more}


async def until(condition: Callable[[], object], *, within_s: float = 60) -> None:
    """Wait until something has happened; the fakes have no events for everything that a test may wait for."""
    async with asyncio.timeout(within_s):
        while not condition():  # noqa: ASYNC110  # see above
            await asyncio.sleep(0.01)


def setpoint(level_w: int, *, until: datetime, transaction_id: int | None = 1, connector: ConnectorId = CP1) -> Setpoint:
    return Setpoint(connector, level_w, until, transaction_id=transaction_id)


def setpoints(*values: Setpoint) -> SafeSetpoints:
    return SafeSetpoints(values)


def enters(book: AccessBook, station_id: str, password: str | None) -> bool:
    """Whether a station with this password comes in over the plain port. None: it gives none."""
    basic = None if password is None else f"{station_id}:{password}".encode("utf-8", "surrogatepass")
    return isinstance(admit(book.access(station_id), knock_of(station_id, book, basic), now=START), Admitted)


@asynccontextmanager
async def connected(central: Central, station_id: str = "CP1") -> AsyncIterator[Peer]:
    """A station on a pipe to ``central``; hangs up at the end."""
    async with _hanging_on(central, station_id, Peer, Version.V16) as peer:
        yield peer


@asynccontextmanager
async def connected_201(central: Central, station_id: str = "CP1") -> AsyncIterator[Peer201]:
    """The same with a station that speaks OCPP 2.0.1."""
    async with _hanging_on(central, station_id, Peer201, Version.V201) as peer:
        yield peer


P = TypeVar("P", bound=Peer)


@asynccontextmanager
async def _hanging_on(central: Central, station_id: str, kind: type[P], version: Version) -> AsyncIterator[P]:
    near, far = memory_pipe()
    peer = kind(far)
    async with asyncio.TaskGroup() as group:
        group.create_task(central.attach(near, station_id, remote="memory", version=version))
        group.create_task(peer.run())
        try:
            yield peer
        finally:
            await far.close()


def central_of(depot: FakeDepot, clock: Clock, **options: Any) -> Central:
    """A central system over the fake depot with an open door."""
    options.setdefault("spec", depot_spec())
    return Central(events=depot, clock=clock, credentials=OpenDoor(), **options)
