"""The :class:`~ocpp_server.dialect.Dialect` of OCPP 1.6."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from depot.events import StationProbed
from ocpp_server import v16
from ocpp_server.dialect import Build, Call
from ocpp_server.link import Handler, Link
from ocpp_server.probe import probe
from ocpp_server.profiles import Purpose
from ocpp_server.session import Payload
from ocpp_server.settings import OcppSettings
from ocpp_server.station import Station
from ocpp_server.version import Version


class Dialect16:
    version = Version.V16
    heard = v16.HEARD

    def inbound(self, station: Station, **parts: Any) -> Handler:
        return v16.Inbound(station, **parts)

    async def probe(self, link: Link, station: Station, settings: OcppSettings) -> StationProbed:
        return await probe(link, station, settings)

    async def survey(self, link: Link, station: Station, occupied: Sequence[int]) -> None:
        """Transactions have the depot's own numbers: nothing needs to be found out."""

    def set_profile(self, station: Station, number: int, profile: Build) -> Call:
        return Call("SetChargingProfile", _with({"connectorId": number}, "csChargingProfiles", profile))

    def start(self, station: Station, number: int, id_tag: str, kind: str, profile: Build | None) -> Call:
        payload: Payload = {"connectorId": number, "idTag": id_tag}
        return Call("RemoteStartTransaction", payload if profile is None else _with(payload, "chargingProfile", profile))

    def stop(self, station: Station, transaction_id: int) -> Call | None:
        return Call("RemoteStopTransaction", {"transactionId": transaction_id})

    def set_operative(self, number: int, *, operative: bool) -> Call:
        return Call("ChangeAvailability", {"connectorId": number, "type": "Operative" if operative else "Inoperative"})

    def reading(self, station: Station, number: int) -> Call:
        return self.trigger("MeterValues", number)

    def trigger(self, message: str, number: int | None) -> Call:
        return Call("TriggerMessage", {"requestedMessage": message} | ({} if number is None else {"connectorId": number}))

    def composite(self, number: int, duration_s: int, unit: str | None) -> Call:
        payload: Payload = {"connectorId": number, "duration": duration_s}
        return Call("GetCompositeSchedule", payload if unit is None else {**payload, "chargingRateUnit": unit})

    def schedule(self, answer: Payload) -> Payload:
        return answer

    def clear(self, *, profile: int | None = None, number: int | None = None, purpose: Purpose | None = None) -> Call:
        criteria = {"id": profile, "connectorId": number, "chargingProfilePurpose": None if purpose is None else purpose.value}
        return Call("ClearChargingProfile", {key: value for key, value in criteria.items() if value is not None})


def _with(payload: Payload, name: str, profile: Build) -> Build:
    def build() -> Payload | None:
        made = profile()
        return None if made is None else {**payload, name: made}

    return build
