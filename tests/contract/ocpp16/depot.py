"""The two ends of a case of OCPP 1.6: the depot as its REST API shows it, and a station on the ``ocpp`` package's client side."""

from __future__ import annotations

from typing import Any

from ocpp.charge_point import camel_to_snake_case
from ocpp.routing import on
from ocpp.v16 import ChargePoint, call, call_result
from octt import depot as any_version
from octt.station import ACCEPTED, Answer, Ears, Payload, now
from websockets.asyncio.client import ClientConnection

__all__ = ["ACCEPTED", "Depot", "Payload", "Station", "now"]

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


class Station(Ears, ChargePoint):  # type: ignore[misc]  # the package is untyped
    """A station. Calls of the central system are remembered in the package's spelling (``id_tag``)."""

    def __init__(self, station_id: str, connection: ClientConnection) -> None:
        Ears.__init__(self)
        ChargePoint.__init__(self, station_id, connection, response_timeout=20)
        self.keys = dict(KEYS)
        self.connection = connection

    def answer(self, action: str, payload: Payload) -> Any:
        """What is said to a call; it is remembered."""
        said = self.hear(action, payload, DEFAULTS.get(action, ACCEPTED))
        return getattr(call_result, action)(**camel_to_snake_case(said))

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


class Depot(any_version.Depot[Station]):
    """The central system as stations of 1.6 meet it."""

    def __init__(self, core: any_version.Core) -> None:
        super().__init__(core, Station, "ocpp1.6")
